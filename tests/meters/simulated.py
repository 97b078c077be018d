"""Hardware that is not there: power over time, counters that show it in ticks, boards and packages made of those.

Time is a number that the test moves. What a request really took is known here, so that bounds can be held against it.
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pytest_rightsize.energy import Energy
from pytest_rightsize.meters import CounterError, Facts
from pytest_rightsize.meters.attribution.amounts import energy_of_share
from pytest_rightsize.meters.attribution.idling import IdleMemory, Idling
from pytest_rightsize.meters.attribution.processes import ProcessorTrack
from pytest_rightsize.meters.attribution.sampler import QUIET_S
from pytest_rightsize.meters.attribution.sharing import Ledger
from pytest_rightsize.meters.attribution.splitting import PROMPT_WEIGHT
from pytest_rightsize.meters.attribution.timeline import Timeline

__all__ = ["Asked", "Clock", "FakeNvml", "FakeZone", "Load", "SimCounter", "meter_requests", "plant_powercap"]


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request: when it began and ended, the watts it adds, the tokens it wrote and read.

    `own` is the part of the processor time in it that is the measuring process's.
    """

    start: float
    end: float
    watts: float
    tokens: int = 10
    prompt: int = 0
    own: float = 1.0


class Load:
    """The power of a device over time: idle, and what each request adds."""

    def __init__(self, idle_w: float, requests: Sequence[Asked]) -> None:
        self.idle_w = idle_w
        self.requests = requests
        moments = sorted({moment for one in requests for moment in (one.start, one.end)})
        self._at, self._sum, self._power = [0.0], [0.0], []
        for moment in moments:
            self._power.append(self._watts(self._at[-1]))
            self._sum.append(self._sum[-1] + self._power[-1] * (moment - self._at[-1]))
            self._at.append(moment)
        self._power.append(self._watts(self._at[-1]))

    def _watts(self, moment: float) -> float:
        return self.idle_w + sum(one.watts for one in self.requests if one.start <= moment < one.end)

    def joules(self, moment: float) -> float:
        """All that was spent by then."""
        place = bisect_right(self._at, moment) - 1
        return self._sum[place] + self._power[place] * (moment - self._at[place])

    def added_by(self, place: int) -> float:
        """What one request took above idle power."""
        mine = self.requests[place]
        return mine.watts * (mine.end - mine.start)

    def taken_by(self, place: int) -> float:
        """What one request took: its own watts, and its part of the idle power among those in flight."""
        mine = self.requests[place]
        cuts = sorted({mine.start, mine.end, *(m for one in self.requests for m in (one.start, one.end))})
        total = 0.0
        for start, end in pairwise(cuts):
            if mine.start <= start and end <= mine.end:
                others = sum(one.start <= start and end <= one.end for one in self.requests)
                total += (end - start) * (mine.watts + self.idle_w / others)
        return total


@dataclass(kw_only=True)
class SimCounter:
    """A device's counter: it shows what was spent by its last tick, times the instrument's `gain`.

    It wraps at `wrap_j`, starts at 0 again at `reset_at`, cannot be read in `denied`, and stands still from `stuck_at`.
    """

    load: Load
    clock: Clock
    tick_s: float = 0.1
    phase_s: float = 0.0
    gain: float = 1.0
    begins_at_j: float = 0.0
    step_j: float = 1e-6
    wrap_j: float | None = None
    reset_at: float | None = None
    denied: tuple[float, float] | None = None
    stuck_at: float | None = None
    reads: int = 0

    def shown(self) -> float:
        """The counter's face, in joules; PermissionError while it is denied."""
        self.reads += 1
        now = self.clock.now if self.stuck_at is None else min(self.clock.now, self.stuck_at)
        if self.denied is not None and self.denied[0] <= self.clock.now < self.denied[1]:
            raise PermissionError("denied")
        tick = self.phase_s + (now - self.phase_s) // self.tick_s * self.tick_s
        value = self.begins_at_j + self.gain * self.load.joules(tick)
        if self.reset_at is not None and now >= self.reset_at:
            value = self.gain * (self.load.joules(tick) - self.load.joules(min(tick, self.reset_at)))
        if self.wrap_j is not None:
            value %= self.wrap_j
        return value // self.step_j * self.step_j


@dataclass(kw_only=True)
class FakeZone:
    """A RAPL zone whose file shows a simulated counter."""

    counter: SimCounter
    range_uj: int = 262_143_328_850
    name: str = "package-0"
    interface: str = "intel-rapl"
    path: Path = Path("/sim/intel-rapl:0")

    def raw_uj(self) -> int:
        """What stands in `energy_uj`."""
        return int(self.counter.shown() * 1e6)

    def number(self, file: str) -> int | None:
        """The range, and no cap of power."""
        return self.range_uj if file == "max_energy_range_uj" else None


@dataclass(kw_only=True)
class FakeBoard:
    """What the fake NVML knows of one board."""

    uuid: str
    counter: SimCounter
    name: str = "NVIDIA H100 80GB HBM3"
    pids: list[int] = field(default_factory=list)
    celsius: float | None = 40.0
    has_counter: bool = True
    watts: float = 300.0


class FakeNvml:
    """As much of the module `pynvml` as the meter uses, over simulated boards."""

    class NVMLError(Exception):
        """NVML's base error."""

    def __init__(self, boards: Sequence[FakeBoard], slices: dict[str, str] | None = None) -> None:
        self._boards = list(boards)
        self._slices = slices or {}

    def nvmlInit(self) -> None:  # noqa: N802  # NVML's own names, here and below
        """Nothing to do."""

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self._boards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeBoard:  # noqa: N802
        if index >= len(self._boards):
            raise self.NVMLError("Invalid Argument")
        return self._boards[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Any:  # noqa: N802
        if uuid in self._slices:
            return SimpleNamespace(parent=self._slices[uuid])
        found = [board for board in self._boards if board.uuid == uuid]
        if not found:
            raise self.NVMLError("Not Found")
        return found[0]

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: Any) -> FakeBoard:  # noqa: N802
        return next(board for board in self._boards if board.uuid == handle.parent)

    def nvmlDeviceGetUUID(self, board: FakeBoard) -> str:  # noqa: N802
        return board.uuid

    def nvmlDeviceGetName(self, board: FakeBoard) -> bytes:  # noqa: N802
        return board.name.encode()

    def nvmlDeviceGetTotalEnergyConsumption(self, board: FakeBoard) -> int:  # noqa: N802
        if not board.has_counter:
            raise self.NVMLError("Not Supported")
        try:
            return int(board.counter.shown() * 1e3)
        except PermissionError:
            raise self.NVMLError("Insufficient Permissions") from None

    def nvmlDeviceGetFieldValues(self, board: FakeBoard, fields: Sequence[int]) -> list[Any]:  # noqa: N802
        value = SimpleNamespace(uiVal=int(board.watts * 1e3))
        return [SimpleNamespace(nvmlReturn=0, value=value) for _ in fields]

    def nvmlDeviceGetPowerUsage(self, board: FakeBoard) -> int:  # noqa: N802
        return int(board.watts * 1e3)

    def nvmlDeviceGetTemperature(self, board: FakeBoard, sensor: int) -> int:  # noqa: N802
        assert sensor == 0
        if board.celsius is None:
            raise self.NVMLError("Not Supported")
        return int(board.celsius)

    def nvmlDeviceGetComputeRunningProcesses(self, board: FakeBoard) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(pid=pid) for pid in board.pids]


def plant_powercap(root: Path, zones: dict[str, dict[str, object]]) -> None:
    """Make a powercap tree: zone folder -> file -> content."""
    for folder, files in zones.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (root / folder / name).write_text(f"{content}\n", encoding="ascii")


def meter_requests(
    counters: Sequence[tuple[Any, Facts]],
    clock: Clock,
    requests: Sequence[Asked],
    *,
    poll_s: float,
    until: float,
    several: bool,
    patience_s: float = 1.0,
    idle_w: float | None = None,
    jitter: random.Random | None = None,
    marginal: bool = False,
    prompt_weight: float = PROMPT_WEIGHT,
    pause_s: float = 0.0,
    by_process: bool = False,
) -> tuple[dict[int, Energy], Ledger]:
    """What a metered rung would say of the requests, with `read` called as its thread does, in simulated time.

    `counters` are things with `read`, and the facts that are true of each. With `pause_s` the idle power is found in a
    pause before the first request, and what was in flight before is not told. `by_process` gives each answer the
    process's own part of what was added.
    """
    lines = [
        Timeline(exact=one.exact, resolution=one.resolution, lag_s=one.lag_s, period_s=one.period_s)
        for _, one in counters
    ]
    quiet_s = poll_s if any(one.period_s is None for _, one in counters) else max(poll_s, QUIET_S)
    ledger = Ledger(lines, opened=clock.now, patience_s=patience_s, marginal=marginal)
    ledger.idle_w = [idle_w for _ in lines]
    ledger.prompt_weights = [prompt_weight for _ in lines]
    idling = Idling(
        lines,
        rung="sim",
        devices=["sim"],
        memory=IdleMemory(has_loaded=True),
        opened=clock.now,
        wanted_s=pause_s,
        loads=False,
    )
    idling.answered()
    processor = ProcessorTrack()
    events = sorted(
        [(one.start, 1, number) for number, one in enumerate(requests)]
        + [(one.end, 0, number) for number, one in enumerate(requests)]
    )
    found: dict[int, Energy] = {}

    def round_of_readings() -> None:
        for (counter, _), line in zip(counters, lines, strict=True):
            before = clock.now
            try:
                joules = counter.read()
            except CounterError as error:
                line.broke(str(error), error.flag)
                continue
            line.read(before, clock.now, joules)
        power = idling.look(clock.now)
        if power is not None:
            ledger.idle_w, ledger.idle_error_w = list(power.watts), power.error_w
        for share in ledger.settle(clock.now):
            own = processor.share(share.start, share.end) if by_process else None
            if own is not None:
                ledger.give_others(share, [1 - own.share for _ in lines])
            found[int(str(share.ticket))] = energy_of_share(
                share,
                [facts for _, facts in counters],
                basis="marginal" if marginal else "gross",
                several=several,
                ticks_s=[line.tick_s for line in lines],
                idle_w=ledger.idle_w,
                own=own,
            )

    def read_processor() -> None:
        """Two threads are busy all the time, the process's own part while a request is in flight; in hundredths."""
        own = sum(2 * one.own * (min(clock.now, one.end) - one.start) for one in requests if one.start < clock.now)
        processor.read(clock.now, own // 0.01 * 0.01, 2 * clock.now // 0.01 * 0.01)

    round_of_readings()
    while clock.now < until:
        quiet = not (ledger.in_flight or ledger.waiting or idling.is_learning)
        step = (quiet_s if quiet else poll_s) * (jitter.uniform(0.5, 1.5) if jitter else 1.0)
        target = min(clock.now + step, until)
        if events and events[0][0] <= target:
            moment, is_start, number = events.pop(0)
            clock.now = moment
            read_processor()
            if is_start:
                idling.begins()
                ledger.admit(number, moment)
            else:
                one = requests[number]
                ledger.land(number, end=moment, seconds=one.end - one.start, written=one.tokens, read=one.prompt)
            target = moment
        clock.now = target
        round_of_readings()
    ledger.close(clock.now)
    return found, ledger
