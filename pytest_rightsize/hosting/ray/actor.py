"""What runs on a node of the cluster: one replica of a rung, its provider within its meter's window.

Requests and outcomes are plain data, as between the processes of one machine. Nothing that a request holds is written
to a log here. It is made cheaply; what may fail, a package or a file that the node lacks, is told by `hello`.
"""

import asyncio
import os
import platform
import socket
import threading
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pytest_rightsize.bounded_files import file_sha256
from pytest_rightsize.errors import RightsizeError, RungError
from pytest_rightsize.hosting.host import Host
from pytest_rightsize.hosting.ray.accounts_of_replicas import Where, energy_at, metering_at
from pytest_rightsize.hosting.wire import (
    ClassesAt,
    class_at,
    error_to_plain,
    reply_to_plain,
    request_from_plain,
    rung_from_plain,
)
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.plain_data import plain_fields
from pytest_rightsize.providers.environment import error_words

__all__ = ["ReplicaActor", "versions"]


def versions() -> dict[str, str]:
    """What must be the same wherever replicas of one rung run."""
    return {**{name: _version(name) for name in ("pytest-rightsize", "ray")}, "Python": platform.python_version()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


class ReplicaActor:
    """An actor of Ray; its methods are called by `handles.py` alone."""

    def __init__(self, served: Mapping[str, Any]) -> None:
        """Keep what is to be served: `rung`, `provider` and `meters` as in `wire.py`, `budget_s`, `replica`, others."""
        import ray

        self._served = served
        self._node_id = ray.get_runtime_context().get_node_id()
        self._where = Where(socket.gethostname(), served["replica"])
        self._host: Host | None = None
        self._notes: list[str] = []
        self._lock = threading.Lock()

    async def here(self) -> str:
        """The name of its node."""
        return self._where.node

    async def hello(self) -> dict[str, Any]:
        """Who it is, its versions, and the model's fingerprint; or an `error`, why it cannot answer."""
        facts: dict[str, Any] = {
            "node": self._where.node,
            "node_id": self._node_id,
            "pid": os.getpid(),
            "versions": versions(),
        }
        try:
            return facts | await asyncio.to_thread(self._introduction)
        except RightsizeError as error:
            return facts | {"error": error_to_plain(error)}
        except Exception as error:
            words = f"rung {self._served['rung']['name']!r}: its engine cannot be loaded ({error_words(error)})"
            return facts | {"error": error_to_plain(RungError(words, reason="load", permanent=True))}

    def _introduction(self) -> dict[str, Any]:
        host = self._open()
        problem = host.problem()
        if problem is not None:
            rung = self._served["rung"]["name"]
            raise RungError(f"{rung} is not available: {problem.what}. {problem.remedy}", reason="missing")
        identity = host.identity(file_sha256)
        return {
            "identity": None if identity is None else plain_fields(identity),
            "meter_name": host.meter_name,
            "room": int(self._served["room"]),
        }

    def _open(self) -> Host:
        with self._lock:
            if self._host is None:
                served = self._served
                self._host = Host(
                    rung_from_plain(served["rung"]),
                    class_at(served["provider"]),
                    ClassesAt(served["meters"]),
                    room=served["room"],
                    budget_s=served["budget_s"],
                    workers=served["workers"],
                    on_note=self._notes.append,
                    on_stall=self._notes.append,
                )
            return self._host

    async def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The outcome of a request, with the joules of this place."""
        host = self._open()
        outcome: dict[str, Any] = {}
        try:
            reply = await asyncio.wrap_future(host.ask(request_from_plain(request)))
            plain = reply_to_plain(reply)
            energy = energy_at(self._where, reply.energy)
            outcome["reply"] = {**plain, "energy": None if energy is None else energy.to_dict()}
        except RightsizeError as error:
            outcome["error"] = error_to_plain(error)
        notes, self._notes[:] = [*self._notes], []
        facts = {"waiting_room": host.waiting_room, "size_bytes": host.size_bytes}
        return outcome | facts | ({"notes": notes} if notes else {})

    async def so_far(self) -> list[dict[str, Any]]:
        """The totals of the meter up to now, while it is open."""
        return self._plain(await asyncio.to_thread(self._open().so_far))

    async def rest(self) -> list[dict[str, Any]]:
        """Free the model; the totals since it was loaded."""
        return self._plain(await asyncio.to_thread(self._open().rest))

    def _plain(self, meterings: list[Metering]) -> list[dict[str, Any]]:
        return [metering_at(self._where, metering).to_dict() for metering in meterings]
