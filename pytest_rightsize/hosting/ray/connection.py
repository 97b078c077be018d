"""This process's connection to a Ray cluster: to the one at an address, or to one that is started here for the session.

Ray knows one connection a process. Whatever keeps it from being made is a RungError that says what to do.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.environment import error_words
from pytest_rightsize.providers.own_threads import own_this_thread

__all__ = ["LOCAL", "address_of", "connect"]

LOCAL = "local"
"""The address of a Ray that is started for this session, on this machine."""
_REACHED_WITHIN_S = 10.0
# Ray asks for ten minutes and more where a server listens that is no Ray.
_CONNECTED_WITHIN_S = 120.0
_OBJECT_STORE_BYTES = 100 * 1024**2  # for requests and replies; Ray would take a third of the memory
# A busy machine takes more than the 30 s that Ray allows its own parts to start. Statistics of use are sent to nobody.
# Ray's workers give way to all else (nice 15), and a model is what this session is about.
_VARIABLES = {
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}
_lock = threading.Lock()
# What Ray itself does not tell of its connection: the address that was asked for.
_connected_to: list[str] = []
# The address at which nothing spoke as Ray does: Ray still asks there, and can ask nowhere else meanwhile.
_given_up: list[str] = []


def address_of(address: str | None, environment: Callable[[str], str | None]) -> str:
    """The address of the cluster: the ladder file's, else that of the variable RAY_ADDRESS, else LOCAL."""
    return address or environment("RAY_ADDRESS") or LOCAL


def connect(address: str, *, rung: str) -> Any:
    """The module `ray`, connected; raises RungError."""
    with _lock:
        import ray

        if _given_up:
            raise _silence(_given_up[-1], rung)
        if ray.is_initialized():
            if _connected_to and _connected_to[-1] != address:
                words = f"this session already uses the Ray cluster at {_connected_to[-1]}, and not that at {address}"
                remedy = "A process can use only one cluster: give all rungs of the provider ray the same address"
                raise RungError(f"rung {rung!r}: {words}. {remedy}", reason="load", permanent=True)
            if not _connected_to and address == LOCAL:
                # Where that one is nobody knows here, and a rung of this machine may be asked private prompts.
                words = "this process is already connected to a Ray cluster that pytest-rightsize did not start"
                remedy = 'To use that one, write its address (or address = "auto") into [cluster] of the ladder file'
                raise RungError(f"rung {rung!r}: {words}. {remedy}", reason="load", permanent=True)
            return ray
        if address not in (LOCAL, "auto"):
            _check_reachable(address, rung)
        begun: list[BaseException | None] = []
        is_over = threading.Event()
        threading.Thread(target=_keep, args=(ray, address, begun, is_over), name="rightsize ray", daemon=True).start()
        if not is_over.wait(None if address == LOCAL else _CONNECTED_WITHIN_S):  # a Ray of our own has limits of Ray's
            _given_up[:] = [address]
            raise _silence(address, rung)
        if begun[0] is not None:
            remedy = "Start the cluster, or name another address"
            if address.startswith("ray://"):
                # It waits half a minute, and does not say that it was not let in.
                remedy += "; if it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
            words = f"no connection to the Ray cluster at {address} ({error_words(begun[0])})"
            raise RungError(f"rung {rung!r}: {words}. {remedy}", reason="transport", permanent=True)
        _connected_to[:] = [address]
        return ray


def _silence(address: str, rung: str) -> RungError:
    words = f"what listens at {address} has not answered as a Ray cluster within {_CONNECTED_WITHIN_S:.0f} s"
    remedy = "Give the port of its head (6379), or that of its client server with ray:// before it (ray://HOST:10001)"
    return RungError(f"rung {rung!r}: {words}. {remedy}", reason="transport", permanent=True)


def _keep(ray: Any, address: str, begun: list[BaseException | None], is_over: threading.Event) -> None:
    """Connect, and live on: processes that Ray starts here end with the thread that started them."""
    own_this_thread()
    try:
        _start(ray, address)
        begun.append(None)
    except BaseException as error:  # SystemExit too: it would end this thread without a word
        begun.append(error)
    is_over.set()
    threading.Event().wait()


def _start(ray: Any, address: str) -> None:
    own = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES} if address == LOCAL else {}
    added = [name for name in _VARIABLES if name not in os.environ]
    os.environ.update({name: _VARIABLES[name] for name in added})
    # Before `init` sets it, and through the door of a cluster it does not: Ray would write between pytest's own lines.
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    try:
        ray.init(address=address, namespace="rightsize", log_to_driver=False, logging_level="CRITICAL", **own)
    finally:
        for name in added:
            os.environ.pop(name, None)


def _check_reachable(address: str, rung: str) -> None:
    """Ray ends the whole process where it finds nobody at an address."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        with suppress(ValueError):
            socket.create_connection((host.strip("[]"), int(port)), timeout=_REACHED_WITHIN_S).close()
            return
    except OSError as error:
        words = f"no Ray cluster answers at {address} ({error.strerror or type(error).__name__})"
        remedy = "Start one there with `ray start --head`, or name another address"
        raise RungError(f"rung {rung!r}: {words}. {remedy}", reason="transport", permanent=True) from None
    raise RungError(
        f"rung {rung!r}: address = {address!r} is no address of a cluster. Write HOST:PORT, ray://HOST:PORT or auto",
        reason="load",
        permanent=True,
    )
