"""Worker processes measure in turns only what they share, and another user's lock stops nobody."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_rightsize.meters.attribution import counted, exclusive
from pytest_rightsize.meters.attribution.exclusive import DeviceLock
from pytest_rightsize.meters.cpu_time import CpuTime
from pytest_rightsize.records import Rung
from tests.meters.attribution.test_metered import Sim, Sleeper, Ticking, ask, energies, metered


@pytest.mark.parametrize("alone", [True, False])
def test_a_worker_waits_for_its_turn_only_where_others_change_what_is_counted(
    alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the device the whole time."""
    monkeypatch.setattr(counted, "DeviceLock", lambda devices: DeviceLock(devices, folder=tmp_path))
    provider = Sleeper()
    counter = Ticking(provider)
    counter.facts = replace(counter.facts, only_this_process=alone)
    other = DeviceLock([counter.facts.device], folder=tmp_path)
    assert other.acquire(busy=False)
    one = metered(provider, Sim(counter), workers=2)
    asked = ask(one, 1)
    if alone:
        assert (energies(asked)[0].joules or 0) > 0
    else:
        assert provider.asked == []
    other.release()
    energies(asked)
    one.close()
    assert len(provider.asked) == 1


def test_processor_time_of_this_process_needs_no_turn() -> None:
    (counter,) = CpuTime(Rung(name="a", provider="llama_cpp"), {}, "process").counters()
    assert counter.facts.only_this_process


def test_a_lock_that_cannot_be_opened_stops_nobody(tmp_path: Path) -> None:
    lock = DeviceLock(["gpu:0"], folder=tmp_path / "missing")
    assert lock.acquire(busy=False)
    assert lock.is_held


def test_another_users_lock_that_can_only_be_read_is_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (DeviceLock(["gpu:0"], folder=tmp_path) for _ in range(2))
    assert first.acquire(busy=False)
    open_file = Path.open

    def only_readable(path: Path, mode: str = "r", **options: str) -> object:
        if mode != "r":
            raise PermissionError(13, "Permission denied")
        return open_file(path, mode, encoding="ascii")

    monkeypatch.setattr(Path, "open", only_readable)
    assert not second.acquire(busy=False)
    first.release()
    assert second.acquire(busy=False)


class Clock:
    """In place of the clocks: what it shows is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    played = Clock()
    monkeypatch.setattr(exclusive, "clocks", played)
    return played


def test_a_turn_lasts_five_seconds_and_is_then_left_to_others_for_a_moment(tmp_path: Path, clock: Clock) -> None:
    lock, other = (DeviceLock(["gpu:0"], folder=tmp_path) for _ in range(2))
    assert lock.acquire(busy=False)
    assert lock.is_held
    clock.now += 5.0
    assert lock.acquire(busy=True)
    assert not other.acquire(busy=False)
    clock.now += 0.1
    # Over, but something of this process is still in flight.
    assert not lock.acquire(busy=True)
    assert lock.is_held
    assert not lock.acquire(busy=False)
    assert not lock.is_held
    clock.now += 0.0625
    assert not lock.acquire(busy=False)
    clock.now += 0.0625
    assert lock.acquire(busy=False)
    # A turn of its own, of five seconds again.
    clock.now += 4.75
    assert lock.acquire(busy=False)


def test_nobody_has_the_turn_before_it_is_taken(tmp_path: Path) -> None:
    lock = DeviceLock(["gpu:0", "gpu:1"], folder=tmp_path)
    assert not lock.is_held
    assert lock.acquire(busy=False)
    second = DeviceLock(["gpu:1"], folder=tmp_path)
    assert not second.acquire(busy=False)
    assert not second.is_held


@pytest.mark.parametrize("busy", [True, False])
def test_where_files_cannot_be_locked_it_is_always_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, busy: bool
) -> None:
    """As on Windows."""
    monkeypatch.setattr(exclusive, "fcntl", None)
    lock = DeviceLock(["gpu:0"], folder=tmp_path)
    assert lock.is_held
    assert lock.acquire(busy=busy)
    clock.now += 60.0
    assert lock.acquire(busy=busy)
    assert [*tmp_path.iterdir()] == []
