"""Which rungs of a session answer in a process of their own, a host, and who asks it.

Under pytest-xdist the controller owns the hosts, and its workers ask them; without it, the session's own process does
both. `--rightsize-hosts` says which rungs have one.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from pytest_rightsize.config.settings import Settings
from pytest_rightsize.meters import Meter, site_of
from pytest_rightsize.meters.choice import choose
from pytest_rightsize.providers import Provider
from pytest_rightsize.records import Rung
from pytest_rightsize.session.notices import Notices

if TYPE_CHECKING:
    from pytest_rightsize.hosting.desks import Desk
    from pytest_rightsize.hosting.hosts import Hosts
    from pytest_rightsize.hosting.worker_connections import Listener

__all__ = ["HOSTS", "RungHosts"]

HOSTS = "rightsize_hosts"
"""The key of a worker's input that says where the controller's hosts are asked."""
# Providers whose rungs have a host under xdist where the user says nothing: each worker would hold a model of its own.
_BY_DEFAULT = ("llama_cpp", "ray")


class RungHosts:
    """The hosts of one session, as its process asks them; nothing is started before a rung is asked."""

    def __init__(self, config: pytest.Config, settings: Settings, notices: Notices) -> None:
        """Find out who is who. Imports nothing of `hosting` where no rung has a host."""
        self._settings = settings
        self._notices = notices
        self._config = config
        worker_input: Mapping[str, Any] | None = getattr(config, "workerinput", None)
        self._is_controller = worker_input is None and config.getoption("dist", "no") != "no"
        self._address: Mapping[str, Any] | None = None if worker_input is None else worker_input.get(HOSTS)
        self._can_share = worker_input is None or self._address is not None
        self._hosts: Hosts | None = None
        self._desk: Desk | None = None
        self._listener: Listener | None = None
        self._finding = threading.Lock()
        self.rungs: list[str] = []
        # Makes a rung beside the ladder, which a worker asks first: a judge is known when its test needs it.
        self.on_late: Callable[[str], object] = lambda _: None

    def hosted(
        self,
        rung: Rung,
        provider: Provider,
        meters: Mapping[str, type[Meter]],
        *,
        room: int,
        budget_s: float,
    ) -> Provider:
        """The provider, or one that asks the rung's host. `room` is what the rung takes at once from all workers."""
        if not self._has_host(rung, provider):
            return provider
        from pytest_rightsize.hosting.hosted import Hosted
        from pytest_rightsize.hosting.process import Served

        self.rungs.append(rung.name)
        desk = self._open_desk()
        if self._hosts is not None:
            served = Served(
                rung=rung,
                provider=type(provider),
                meters=meters,
                room=room,
                budget_s=budget_s,
                offline="--rightsize-offline" if self._settings.offline else None,
            )
            self._hosts.add(served)
        return Hosted(provider, rung, desk, lambda: _meter_name(rung, provider, meters))

    def stay(self, rungs: Iterable[str]) -> None:
        """Keep the models of these rungs in memory beside others."""
        if self._hosts is not None:
            self._hosts.stay(rungs)

    def worker_input(self, *, on_this_machine: bool) -> Mapping[str, Any] | None:
        """What a worker needs to ask the hosts; None where there is none to ask from there: it holds its own models."""
        if self._hosts is None or not on_this_machine:
            return None
        if self._listener is None:
            from pytest_rightsize.hosting.worker_connections import Listener

            try:
                self._listener = Listener(self._hosts, find=self._find)
            except OSError as error:
                self._notices.put(f"workers cannot share models, and hold their own: no socket to listen on ({error})")
                return None
        return self._listener.address

    def close(self) -> None:
        """End the hosts that this process owns; their totals can then be had from the rungs' providers."""
        if self._listener is not None:
            self._listener.close()
        if self._hosts is not None:
            self._hosts.close()

    def _find(self, rung: str) -> None:
        with self._finding:
            if self._hosts is not None and rung not in self._hosts:
                self.on_late(rung)

    def _has_host(self, rung: Rung, provider: Provider) -> bool:
        """Whether the rung answers in a host: only one whose provider can be made again from the rung alone."""
        if not getattr(provider, "can_be_hosted", False) or not self._can_share or self._settings.hosts == "own":
            return False
        is_distributed = self._is_controller or self._address is not None
        return self._settings.hosts == "shared" or (is_distributed and rung.provider in _BY_DEFAULT)

    def _open_desk(self) -> "Desk":
        from pytest_rightsize.hosting.desks import OwnDesk, RemoteDesk
        from pytest_rightsize.hosting.hosts import Hosts

        if self._desk is None and self._address is not None:
            self._desk = RemoteDesk(self._address)
        elif self._desk is None:
            self._hosts = Hosts(on_note=self._notices.put, on_stall=self._show_at_once)
            self._desk = OwnDesk(self._hosts)
            self._config.add_cleanup(self.close)
        return self._desk

    def _show_at_once(self, message: str) -> None:
        self._notices.put(message)
        self._notices.show(self._config)


def _meter_name(rung: Rung, provider: Provider, meters: Mapping[str, type[Meter]]) -> str:
    """What the user reads of the meter that the rung's host has chosen, or hands on."""
    if site_of(provider) == "cluster":
        return str(getattr(provider, "meter_name", ""))
    return "+".join(choose(rung, site_of(provider), meters).meters)
