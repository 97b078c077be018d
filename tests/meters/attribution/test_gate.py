"""The gate lets requests begin up to a limit, in this process's turn, and not while the devices are left idle."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from pytest_rightsize.meters.attribution.exclusive import DeviceLock
from pytest_rightsize.meters.attribution.gate import Gate
from pytest_rightsize.meters.attribution.idling import IdleMemory, Idling
from pytest_rightsize.meters.attribution.pending import Pending
from pytest_rightsize.meters.attribution.processes import ProcessorTrack
from pytest_rightsize.meters.attribution.sharing import Ledger
from pytest_rightsize.meters.attribution.timeline import Timeline
from pytest_rightsize.records import Request


class Asked(DeviceLock):
    """A lock that remembers what it was asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(["gpu:0"], folder=folder)
        self.was_busy: list[bool] = []

    def acquire(self, *, busy: bool) -> bool:
        self.was_busy.append(busy)
        return super().acquire(busy=busy)


def gate(
    *, limit: int = 4, queued: int = 0, in_flight: int = 0, idles: bool = False, lock: DeviceLock | None = None
) -> Gate:
    """A gate with so many requests; with `idles` the devices are left cold before the first."""
    ledger = Ledger([Timeline(exact=True)], opened=0.0, patience_s=1.0)
    idling = Idling(
        [Timeline(exact=True)],
        rung="1b",
        devices=["gpu:0"],
        memory=IdleMemory(),
        opened=0.0,
        wanted_s=5.0 if idles else 0.0,
        loads=True,
    )
    made = Gate(ledger, idling, limit=limit, device_lock=lock, own_process=None, processor=ProcessorTrack())
    for number in range(in_flight):
        ledger.admit(f"earlier {number}", 1.0)
    for _ in range(queued):
        made.put(Pending(request=Request(messages=()), outer=Future()))
    return made


@pytest.mark.parametrize(
    ("limit", "queued", "in_flight", "idles", "wants"),
    [
        (4, 0, 0, False, False),  # nothing is to begin
        (4, 1, 0, False, True),
        (4, 1, 1, False, False),  # it does not begin alone
        (1, 1, 1, False, True),  # it will: the one before ends first
        (4, 1, 0, True, False),  # not before the pause is over
    ],
)
def test_counters_are_read_before_a_request_that_begins_alone(
    limit: int, queued: int, in_flight: int, idles: bool, wants: bool
) -> None:
    assert gate(limit=limit, queued=queued, in_flight=in_flight, idles=idles).wants_reading is wants


@pytest.mark.parametrize(("limit", "in_flight", "begins"), [(2, 0, True), (2, 1, True), (2, 2, False), (1, 1, False)])
def test_no_more_begin_than_the_limit(limit: int, in_flight: int, begins: bool) -> None:
    assert (gate(limit=limit, queued=1, in_flight=in_flight).next() is not None) is begins


def test_requests_begin_in_their_order() -> None:
    one = gate(queued=3)
    tickets = [found[0] for found in (one.next(), one.next(), one.next()) if found is not None]
    assert (tickets, one.next()) == ([0, 1, 2], None)


def test_nothing_begins_while_the_devices_are_left_cold_or_after_the_end() -> None:
    assert gate(queued=1, idles=True).next() is None
    closed = gate(queued=2)
    assert len(closed.close()) == 2
    closed.put(Pending(request=Request(messages=()), outer=Future()))
    assert closed.next() is None


@pytest.mark.parametrize(
    ("in_flight", "idles", "busy"),
    [(0, False, False), (1, False, True), (0, True, True)],  # a pause cannot be given up either
)
def test_a_turn_is_given_up_only_where_nothing_is_measured(
    in_flight: int, idles: bool, busy: bool, tmp_path: Path
) -> None:
    lock = Asked(tmp_path)
    gate(queued=1, in_flight=in_flight, idles=idles, lock=lock).next()
    assert lock.was_busy == [busy]


def test_nothing_begins_in_the_turn_of_another_process(tmp_path: Path) -> None:
    other, lock = DeviceLock(["gpu:0"], folder=tmp_path), DeviceLock(["gpu:0"], folder=tmp_path)
    assert other.acquire(busy=False)
    one = gate(queued=1, lock=lock)
    assert (one.is_alone, one.next()) == (False, None)
    other.release()
    assert one.next() is not None
    assert one.is_alone


@pytest.mark.parametrize(
    ("queued", "in_flight", "idles", "held"),
    [(0, 0, False, False), (1, 0, False, True), (0, 1, False, True), (0, 0, True, True)],
)
def test_a_turn_ends_when_nothing_is_left_to_measure(
    queued: int, in_flight: int, idles: bool, held: bool, tmp_path: Path
) -> None:
    lock = DeviceLock(["gpu:0"], folder=tmp_path)
    assert lock.acquire(busy=False)
    one = gate(queued=queued, in_flight=in_flight, idles=idles, lock=lock)
    one.yield_turn()
    assert lock.is_held is held
    assert one.is_unused is (not queued and not in_flight)
