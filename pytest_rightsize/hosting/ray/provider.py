"""The face of this folder: the provider `ray`, whose model answers on the machines of a Ray cluster.

In go requests of one rung, out come replies with the joules of the machine that answered. The driver only routes; it
connects to the cluster when the rung is first asked, or when somebody asks what is there.
"""

import importlib.util
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pluggy

from pytest_rightsize.errors import ConfigError, RightsizeError, RungError
from pytest_rightsize.hosting.ray import engines
from pytest_rightsize.hosting.ray.connection import LOCAL, address_of, connect
from pytest_rightsize.hosting.ray.greetings import Greetings
from pytest_rightsize.hosting.ray.handles import Couriers, started
from pytest_rightsize.hosting.ray.nodes import fits, node_lines, shortage_words
from pytest_rightsize.hosting.ray.pool import Pool
from pytest_rightsize.hosting.ray.replicas import Handle, Replica
from pytest_rightsize.hosting.ray.terms import Terms
from pytest_rightsize.hosting.wire import outcome_from_plain, place_of, request_to_plain, rung_to_plain
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.meters import Meter, meter_urls
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.providers.environment import error_words, user_variable
from pytest_rightsize.providers.futures import pass_cancellation
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.providers.locality import host_of, is_this_machine, names_this_machine
from pytest_rightsize.providers.own_threads import own_this_thread
from pytest_rightsize.providers.placement import Room
from pytest_rightsize.providers.vllm_options import check_options
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung
from pytest_rightsize.versions import too_old

__all__ = ["RayReplicas"]

hookimpl = pluggy.HookimplMarker("pytest")

_PLACE_TIMEOUT_S = 60.0
_IN_FLIGHT = 8
_LOOK_EVERY_S = 1.0


class RayReplicas:
    """A rung whose `replicas` are actors of a Ray cluster, each with the model of `engine` in it.

    `engine` is `llama_cpp` (its keys stand in the rung's table), `vllm`, or `package.module:Class` of a provider that
    the nodes can import; these two take `engine_options`. `resources` is what one replica reserves of its node: `cpu`,
    `gpu`, `memory_gb` and Ray's own names. The cluster is at `address`, else at RAY_ADDRESS, else a Ray of this machine
    is started for the session. A replica has a place within `place_timeout_s`, and is started again `restarts` times.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {**engines.KEYS, **LlamaCpp.options}
    required: ClassVar[tuple[str, ...]] = ()
    site = "cluster"
    takes_room_of: ClassVar[Room] = "cluster"
    can_be_hosted = True
    identifies_itself_where_it_runs = True

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError. Nothing of Ray is imported."""
        self._rung = rung
        self._count = engines.replicas_of(rung)
        self._needs = engines.needs_of(rung)
        self._engine = engines.engine_of(rung)
        self._inner = replace(engines.inner_rung(rung), base_dir=os.path.abspath(rung.base_dir))
        if self._engine == engines.ENGINES["vllm"]:
            check_options(self._inner)
        _check_meter(rung, self._count)
        self._address = address_of(rung.options.get("address"), user_variable)
        self._meters: Mapping[str, type[Meter]] = {}
        self._budget_s = 0.0
        self._replicas = [
            Replica(number=number, restarts=int(rung.options.get("restarts", 1)))
            for number in range(1, self._count + 1)
        ]
        self._greetings: Greetings | None = None
        self._pool: Pool | None = None
        self._last_pool: Pool | None = None
        self._couriers: Couriers | None = None
        self._down: RungError | None = None
        self._lock = threading.RLock()
        self.meterings: list[Metering] = []
        self.on_note: Callable[[str], object] | None = None
        self.on_stall: Callable[[str], object] | None = None

    def equip(self, meters: Mapping[str, type[Meter]], *, budget_s: float) -> None:
        """Take the meters by name that a replica chooses from, and how long a request may be repeated there."""
        self._meters = meters
        self._budget_s = budget_s

    # --- what it says of itself ---------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """As many as all replicas take together."""
        return self._room * self._count

    @property
    def _room(self) -> int:
        """How many requests one replica's engine is given at once."""
        if self._inner.max_in_flight is not None:
            return self._inner.max_in_flight
        if self._engine == engines.ENGINES["llama_cpp"]:
            return LlamaCpp(self._inner).in_flight
        return int(self._inner.options.get("max_num_seqs", _IN_FLIGHT))

    @property
    def waiting_room(self) -> int:
        """How many more requests it takes: answers that wait for their energy where they were given."""
        return 0 if self._pool is None else max(0, self._pool.room - self.in_flight)

    @property
    def takes_images(self) -> bool | None:
        """Whether the engine's own provider does; None where it does not say."""
        return LlamaCpp(self._inner).takes_images if self._engine == engines.ENGINES["llama_cpp"] else None

    @property
    def leaves_machine(self) -> bool:
        """Whether a prompt may go to another machine: always, but for a Ray that this session starts for itself.

        At an address that is this machine's a replica may still be placed on another one.
        """
        return self._address != LOCAL

    @property
    def meter_name(self) -> str:
        """The meter that its replicas read, as far as that is known before they have a place."""
        if self._greetings is not None and self._greetings.is_known:
            return self._greetings.meter_name
        named = self._named_meter
        return str(named) if named not in (None, "auto") else "chosen on each node"

    @property
    def _named_meter(self) -> Json:
        """The meter that the ladder file names, if it does."""
        return self._rung.meter if isinstance(self._rung.meter, str) else (self._rung.meter or {}).get("name")

    @property
    def is_loading(self) -> bool:
        """Whether it was asked and no replica has answered yet: they wait for a place, or load their model."""
        pool = self._pool
        return pool is not None and pool.is_loading

    @property
    def opens_to_identify(self) -> bool:
        """Whether it has to be opened to tell its fingerprint."""
        return self._greetings is None or not self._greetings.is_known

    def check(self) -> Problem | None:
        """Report a Ray that is missing or too old here; what the nodes have is seen when replicas are placed."""
        if importlib.util.find_spec("ray") is None:
            return Problem(what="ray is not installed", remedy='run `python -m pip install "pytest-rightsize[ray]"`')
        old = too_old("ray")
        return None if old is None else Problem(what=old.what, remedy=old.remedy)

    def place_lines(self) -> Iterator[str]:
        """Why there may be no place for it, for the first lines of a session; connects to the cluster."""
        try:
            ray = connect(self._address, rung=self._rung.name)
            if not fits(self._needs, ray.nodes()):
                wait = f"it waits {self._place_timeout_s:g} s for one"
                yield f"{self._rung.name}: no node has a place for a replica now, and {wait}: {self._shortage(ray)}"
        except RightsizeError as error:
            yield str(error)
        except Exception as error:  # of Ray, whose errors are of many kinds
            yield f"{self._rung.name}: the cluster cannot be asked ({error_words(error)})"

    def node_lines(self) -> Iterator[str]:
        """A line for each node of the cluster, for `rightsize doctor`; connects to it."""
        ray = connect(self._address, rung=self._rung.name)
        yield f"Ray at {self._address}: {self._count} x {self._needs}"
        try:
            yield from node_lines(ray, self._served(0), self._rung.options.get("runtime_env"))
        except Exception as error:  # of Ray, whose errors are of many kinds
            words = f"rung {self._rung.name!r}: its cluster cannot be asked for its nodes ({error_words(error)})"
            raise RungError(words, reason="transport") from None
        host = self._address.rpartition("://")[2].rpartition(":")[0]
        if host and not is_this_machine(host):
            yield (
                f"warning: unless this Ray asks for a token (RAY_AUTH_MODE=token), whoever reaches {host} can run "
                f"programs on its nodes, and read what is asked there"
            )

    # --- answering ----------------------------------------------------------------------------------------------------

    def identity(self, sha256: Callable[[Path], str]) -> Identity | None:  # noqa: ARG002  # files are on the nodes
        """The fingerprint of the engine's own provider, told by every replica; waits until the first can be asked."""
        if self.opens_to_identify:
            pool = self._opened()
            pool.opened.result()
            if pool.down is not None:
                raise pool.down
        return None if self._greetings is None else self._greetings.identity

    def submit(self, request: Request) -> Future[Reply]:
        """Give the request to the replica with least to do; it waits until one has a place."""
        outer: Future[Reply] = Future()
        inner = self._opened().ask(request_to_plain(request))
        pass_cancellation(outer, inner)
        inner.add_done_callback(lambda ended: self._settle(outer, ended))
        return outer

    def _settle(self, outer: Future[Reply], inner: "Future[Mapping[str, Any]]") -> None:
        if inner.cancelled() or not outer.set_running_or_notify_cancel():
            return
        outcome = outcome_from_plain(inner.result(), rung=self._rung.name)
        if isinstance(outcome, Reply):
            outer.set_result(outcome)
        else:
            outer.set_exception(outcome)

    def close(self) -> None:
        """End the replicas, so that others have their place; a later request has them placed again."""
        with self._lock:
            pool, self._pool = self._pool, None
            self._last_pool = pool or self._last_pool
        if pool is not None:
            if pool.down is not None and pool.down.permanent:
                self._down = pool.down
            pool.close()
            self.meterings += pool.meterings

    # --- opening ------------------------------------------------------------------------------------------------------

    @property
    def _place_timeout_s(self) -> float:
        return float(self._rung.options.get("place_timeout_s", _PLACE_TIMEOUT_S))

    def _opened(self) -> Pool:
        with self._lock:
            if self._down is not None:
                raise self._down
            if self._pool is None:
                if self._greetings is None:
                    from pytest_rightsize.hosting.ray.actor import versions

                    self._greetings = Greetings(self._rung.name, versions())
                terms = Terms(
                    rung=self._rung.name,
                    place_timeout_s=self._place_timeout_s,
                    start=self._start,
                    greetings=self._greetings,
                    shortage=self._shortage_now,
                    on_note=self._note,
                    is_metered=self._named_meter != "none",
                )
                self._pool = Pool(terms, self._replicas)
                name = f"rightsize ray {self._rung.name}"
                threading.Thread(target=self._watch, args=(self._pool, self._last_pool), name=name, daemon=True).start()
            return self._pool

    def _watch(self, pool: Pool, last: Pool | None) -> None:
        """Connect, place the replicas, and look after them until the rung is closed."""
        own_this_thread()
        if last is not None:
            last.is_over.wait()  # it has the places, and the same replicas
        try:
            ray = connect(self._address, rung=self._rung.name)
            if self._address == LOCAL and self._greetings is not None:
                self._greetings.only_node = ray.get_runtime_context().get_node_id()
            pool.open()
            pause = threading.Event()
            while not pool.is_closed:
                pause.wait(_LOOK_EVERY_S)
                pool.look()
        except RungError as error:
            pool.fail(error)
        except Exception as error:
            words = f"rung {self._rung.name!r}: the cluster cannot be used ({error_words(error)})"
            pool.fail(RungError(words, reason="load", permanent=True))

    def _start(self, number: int) -> Handle:
        ray = connect(self._address, rung=self._rung.name)
        with self._lock:
            self._couriers = self._couriers or Couriers()
        return started(ray, self._couriers, self._served(number), self._needs, self._rung.options.get("runtime_env"))

    def _served(self, number: int) -> dict[str, Any]:
        return {
            "rung": rung_to_plain(self._inner),
            "provider": self._engine,
            "meters": {name: place_of(kind) for name, kind in self._meters.items()},
            "room": self._room,
            "budget_s": self._budget_s,
            "workers": self._count,
            "replica": number,
        }

    def _shortage_now(self) -> str:
        try:
            return self._shortage(connect(self._address, rung=self._rung.name))
        except Exception as error:  # of Ray, whose errors are of many kinds
            return f"wanted {self._count} x {self._needs}; the cluster cannot be asked ({error_words(error)})"

    def _shortage(self, ray: Any) -> str:
        return shortage_words(self._needs, self._count, ray.nodes(), ray.available_resources())

    def _note(self, text: str) -> None:
        if self.on_note is not None:
            self.on_note(text)


def _check_meter(rung: Rung, replicas: int) -> None:
    """Refuse a meter that all replicas would read at one address: each would take the joules of all for its own."""
    for url in meter_urls(rung):
        host = host_of(url)
        if replicas > 1 and host is not None and not names_this_machine(host):
            raise ConfigError(
                f"rung {rung.name!r}: its meter reads {host}, and each of {replicas} replicas would take all joules "
                f"there for its own: write localhost where every node has an exporter, or give replicas = 1"
            )


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `ray`."""
    return {"ray": RayReplicas}
