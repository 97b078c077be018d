"""The joules of replicas that are asked, asked nothing, killed or never placed: real actors and meters, and no Ray."""

import asyncio
import sys
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.hosting.ray.actor import ReplicaActor, versions
from pytest_rightsize.hosting.ray.greetings import Greetings
from pytest_rightsize.hosting.ray.pool import Pool
from pytest_rightsize.hosting.ray.replicas import DeadError, Replica
from pytest_rightsize.hosting.ray.terms import Terms
from pytest_rightsize.hosting.totals import together
from pytest_rightsize.hosting.wire import request_to_plain, rung_to_plain
from pytest_rightsize.judging.replica_sums import replica_sums
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.records import Request, Rung
from pytest_rightsize.reports.html.measured_lines import metering_lines, replica_lines


class Placed:
    """An actor in this process; it `has_a_place` or not, and is dead from `dies` on."""

    def __init__(self, served: Mapping[str, Any], node: str, *, has_a_place: bool) -> None:
        self._has_a_place = has_a_place
        self._is_dead = False
        self._actor = ReplicaActor(served)
        self._actor._where.node = node

    def _call(self, call: Coroutine[Any, Any, Any]) -> "Future[Any]":
        future: Future[Any] = Future()
        if not self._has_a_place:
            call.close()
        elif self._is_dead:
            call.close()
            future.set_exception(DeadError("died (it was killed)"))
        else:
            future.set_result(asyncio.run(call))
        return future

    def here(self) -> "Future[str]":
        return self._call(self._actor.here())

    def hello(self) -> "Future[Mapping[str, Any]]":
        return self._call(self._actor.hello())

    def ask(self, request: Mapping[str, Any]) -> "Future[Mapping[str, Any]]":
        return self._call(self._actor.ask(request))

    def so_far(self) -> "Future[Sequence[Mapping[str, Any]]]":
        return self._call(self._actor.so_far())

    def rest(self) -> "Future[Sequence[Mapping[str, Any]]]":
        return self._call(self._actor.rest())

    def dies(self) -> None:
        asyncio.run(self._actor.rest())
        self._is_dead = True

    def kill(self) -> None:
        """It ends with this process."""


class Cluster:
    """A rung of replicas on nodes of their own, of which `placed` have a place."""

    def __init__(self, folder: Path, replicas: int, *, placed: int, meter: str = "steady") -> None:
        (folder / "gate").touch()
        own = Rung(
            name="4b",
            provider="ray",
            model="m",
            options={"folder": str(folder)},
            meter={"name": meter, "idle_s": 0},
        )
        served = {
            "rung": rung_to_plain(own),
            "provider": "tests.hosting.ray.held:Held",
            "meters": {"steady": "tests.hosting.ray.held:Steady"},
            "room": 4,
            "budget_s": 0.0,
            "workers": replicas,
        }
        self.handles: list[Placed] = []

        def start(number: int) -> Placed:
            made = Placed(served | {"replica": number}, f"node{number}", has_a_place=number <= placed)
            self.handles.append(made)
            return made

        terms = Terms(
            rung="4b",
            place_timeout_s=60.0,
            start=start,
            greetings=Greetings("4b", versions()),
            shortage=str,
            on_note=str,
        )
        self.pool = Pool(terms, [Replica(number=number, restarts=0) for number in range(1, replicas + 1)])
        self.pool.open()

    def ask(self, count: int) -> list[Energy | None]:
        """The joules of so many answers, each asked when the one before was there."""
        found: list[Energy | None] = []
        for n in range(count):
            request = request_to_plain(Request(messages=({"role": "user", "content": f"q{n}"},)))
            plain = self.pool.ask(request).result(30)["reply"]["energy"]
            found.append(None if plain is None else Energy.from_dict(plain))
        return found

    def closed(self) -> list[Metering]:
        self.pool.close()
        return sorted(self.pool.meterings, key=lambda each: (each.replica or 0, each.node or ""))


@pytest.fixture(autouse=True)
def _no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an actor asks of Ray is the number of its node alone."""
    context = SimpleNamespace(get_node_id=lambda: "id")
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get_runtime_context=lambda: context))


def joules(energy: Energy | None) -> float:
    return 0.0 if energy is None else energy.joules or 0.0


def test_a_replica_that_was_asked_nothing_makes_the_sum_the_least_that_was_taken(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 3, placed=2)
    answers = cluster.ask(3)
    asked, idle = meterings = cluster.closed()
    assert [(each.replica, each.node, each.answers) for each in meterings] == [(1, "node1", 3), (2, "node2", 0)]
    assert joules(asked.served) == pytest.approx(sum(map(joules, answers)))
    parts = (asked.load, asked.served, asked.idle, asked.lost, asked.repeated)
    assert sum(map(joules, parts)) == pytest.approx(joules(asked.total))
    assert asked.is_whole
    assert (idle.idle, idle.load, idle.idle_w, idle.is_whole) == (None, None, None, False), "unknown, and not 0"
    assert idle.total is not None
    assert idle.total.reason == "replica 2 on node2 was asked nothing"
    sums = replica_sums(meterings)
    assert sums is not None
    assert (sums.replicas, sums.unknown) == (2, ("replica 2 on node2 was asked nothing",))
    assert sums.load == tuple(each for each in [asked.load] if each is not None)
    (line,) = replica_lines("4b", meterings)
    assert line.startswith("4b, 2 replicas together: ")
    assert "idle between answers at least " in line
    assert line.endswith(" (replica 2 on node2 was asked nothing)")


def test_replicas_that_all_answered_have_a_sum(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 2, placed=2)
    cluster.ask(1)
    one = cluster.handles[0]
    one._has_a_place = False
    held = cluster.pool.ask(request_to_plain(Request(messages=({"role": "user", "content": ""},))))
    assert not held.done(), "the first has it, and says nothing"
    cluster.ask(2)
    one._has_a_place = True
    meterings = cluster.closed()
    assert [each.is_whole for each in meterings] == [True, True]
    sums = replica_sums(meterings)
    assert sums is not None
    assert sums.unknown == ()
    (idle,) = sums.idle
    assert joules(idle) == pytest.approx(sum(joules(each.idle) for each in meterings))
    assert idle.devices == ("node1#1/steady:process", "node2#2/steady:process")
    assert "at least" not in next(replica_lines("4b", meterings))


def test_of_a_replica_that_died_what_it_told_last_is_the_least(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(tmp_path, 2, placed=2)
    cluster.ask(2)
    later(monkeypatch, 11)
    cluster.pool.look()
    cluster.handles[0].dies()
    cluster.ask(1)
    dead, there = meterings = cluster.closed()
    assert (dead.node, dead.answers, there.node, there.answers) == ("node1", 2, "node2", 1)
    assert (dead.is_whole, there.is_whole) == (False, True)
    assert "idle between answers at least " in next(metering_lines(dead))
    assert next(metering_lines(dead)).startswith("4b, replica 1 on node1: meter steady")
    assert "at least" not in next(metering_lines(there))
    (line,) = replica_lines("4b", meterings)
    assert line.endswith(" (replica 1 on node1 died)")


def test_where_no_replica_has_a_counter_there_are_no_totals(tmp_path: Path) -> None:
    """Each answer says why its joules are unknown."""
    cluster = Cluster(tmp_path, 2, placed=2, meter="none")
    cluster.ask(1)
    assert cluster.closed() == []


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let time pass for the pool alone: the meters' own clock goes on."""
    from pytest_rightsize import clocks
    from pytest_rightsize.hosting.ray import pool

    shifted = SimpleNamespace(monotonic=lambda: clocks.monotonic() + seconds, now=clocks.now)
    monkeypatch.setattr(pool, "clocks", shifted)


def amount(joules: float, device: str, meter: str = "nvml") -> Energy:
    return Energy(
        joules=joules, provenance="measured", boundary=frozenset({"gpu.board"}), meter=meter, devices=(device,)
    )


def told(replica: int, node: str, idle_j: float, idle_w: float | None, device: str = "nvml:0") -> Metering:
    energy = amount(idle_j, f"{node}/{device}")
    return Metering(rung="4b", meter="nvml", replica=replica, node=node, idle=energy, total=energy, idle_w=idle_w)


@pytest.mark.parametrize(
    ("meterings", "line"),
    [
        ([], None),
        ([told(1, "a", 5, 60.0)], None),
        (
            [told(1, "a", 5, 60.0), told(2, "b", 7, 62.0)],
            "4b, 2 replicas together: idle between answers 12 J; idle power with the model 122 W",
        ),
        (
            [told(1, "a", 5, 60.0), told(2, "b", 7, None)],
            "4b, 2 replicas together: idle between answers 12 J; idle power with the model 60 W of 1 of 2 replicas",
        ),
        (  # the second was open twice: its joules add up, and its power does not
            [told(1, "a", 5, 60.0), told(2, "b", 7, 62.0), told(2, "c", 1, 64.0)],
            "4b, 2 replicas together: idle between answers 13 J; idle power with the model 124 W",
        ),
        (
            [told(1, "a", 5, 60.0), told(2, "a", 5, 60.0)],
            "4b, 2 replicas together: loading and idle joules are not added, as several replicas read a/nvml:0, each "
            "all that it took",
        ),
        (
            [told(1, "a", 5, 60.0), told(2, "a", 5, 60.0, device="nvml:1")],
            "4b, 2 replicas together: idle between answers 10 J; idle power with the model 120 W",
        ),
        (
            [told(1, "a", 5, None), Metering(rung="4b", meter="host", replica=2, node="b")],
            "4b, 2 replicas together: idle between answers 5 J",
        ),
        (
            [Metering(rung="4b", meter="m", replica=number, node="a") for number in (1, 2)],
            "4b, 2 replicas together: loading and idle joules are not known",
        ),
    ],
)
def test_what_replicas_took_while_they_waited_is_added_where_it_can_be(
    meterings: list[Metering], line: str | None
) -> None:
    assert next(replica_lines("4b", meterings), None) == line


def test_idle_joules_of_two_kinds_are_two_sums() -> None:
    host = Energy(joules=9, provenance="measured", boundary=frozenset({"host"}), meter="m", devices=("b/m",))
    other = Metering(rung="4b", meter="m", replica=2, node="b", idle=host, total=host)
    assert next(replica_lines("4b", [told(1, "a", 5, None), other])) == (
        "4b, 2 replicas together: idle between answers 5 J (measured, gpu.board, gross); "
        "idle between answers 9 J (measured, host, gross)"
    )


def test_the_power_before_its_model_is_not_that_before_any_model() -> None:
    """Another rung may have its model on the same machine."""
    lone = replace(told(1, "a", 5, 60.0), cold_w=50.0)
    assert next(metering_lines(lone)) == (
        "4b, replica 1 on a: meter nvml: idle between answers 5 J; idle power before its model 50 W; "
        "idle power with the model 60 W"
    )


def test_replicas_of_two_shards_are_replicas_of_their_own() -> None:
    """Their joules add up; whether they drew power at one time nobody knows."""
    first, second = (replace(told(1, node, 5, 60.0), shard=shard) for node, shard in (("a", "1/2"), ("b", "2/2")))
    assert next(replica_lines("4b", [first, second])) == "4b, 2 replicas together: idle between answers 10 J"
    assert next(metering_lines(second)).startswith("4b, shard 2/2, replica 1 on b: meter nvml: idle between answers")
    assert Metering.from_dict(second.to_dict()) == second
    assert "shard" not in told(1, "a", 5, 60.0).to_dict()
    here = replace(second, node="a", idle=first.idle, total=first.total)
    assert "are not added, as several replicas read a/nvml:0" in next(replica_lines("4b", [first, here]))


def test_a_host_of_this_machine_keeps_the_totals_of_replicas_apart() -> None:
    meterings = [told(1, "a", 5, 60.0), told(2, "b", 7, 62.0), told(1, "a", 2, 61.0)]
    found = together(meterings)
    assert [(each.replica, each.node, joules(each.idle)) for each in found] == [(1, "a", 7.0), (2, "b", 7.0)]
    assert [Metering.from_dict(each.to_dict()) for each in found] == found
