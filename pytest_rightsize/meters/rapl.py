"""Energy counters of the processor itself (RAPL), as Linux shows them in /sys/class/powercap.

One counter for each package: its cores, caches and memory controller. Wraps are undone; a package is never read twice,
under another name or as a mirror. RIGHTSIZE_POWERCAP_ROOT names another folder than /sys/class/powercap,
RIGHTSIZE_PROC_ROOT another one than /proc.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pluggy

from pytest_rightsize import clocks
from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.meters import Counter, CounterError, Facts, Meter, MeterProblem, Site
from pytest_rightsize.records import Json, Reply, Rung

__all__ = ["SHARES", "Rapl", "processor_seconds"]

hookimpl = pluggy.HookimplMarker("pytest")

_ROOT = "/sys/class/powercap"
_PROC_ROOT = "/proc"
# No socket takes more; a counter that runs faster than this was reset, or has wrapped unseen.
_MOST_W = 1000.0
# What a mirrored counter may differ by between two readings one after the other: a millisecond at 1,000 W.
_MIRROR_J = 1.0
_SYSTEMATIC = 0.05
SHARES = ("device", "process")


class Rapl:
    """The packages of this machine, with all that they take for any process.

    `psys = true` reads the whole platform's counter in their place, where there is one. `share = "process"` gives a
    model in this process that part of what they took above idle power which the process had of the processor time.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {"psys": bool, "share": str}

    def __init__(self, rung: Rung, options: Mapping[str, Json], site: Site) -> None:
        """Keep where the model runs; raises ConfigError for a rung that runs elsewhere, or another share."""
        if site == "remote" and rung.meter is not None and "rapl" in str(rung.meter):
            raise ConfigError(
                f"rung {rung.name!r}: the meter rapl reads this machine's counters, and the rung runs elsewhere: "
                'use { name = "prometheus", url = ... } for its machine, or "auto"'
            )
        share = options.get("share", "device")
        if share not in SHARES:
            raise unknown_name(f"rung {rung.name!r}: the meter rapl: share", share, SHARES, noun="share")
        self._shares_process = share == "process"
        self._psys = bool(options.get("psys", False))
        self._own_process = site == "process"

    def check(self) -> MeterProblem | None:
        """Find the zones and read each once."""
        if self._shares_process and not self._own_process:
            return MeterProblem(
                what='share = "process" is for a model in this process, and this one runs in another',
                remedy="leave share out: the joules are then those of the whole package",
            )
        if self._shares_process and processor_seconds() is None:
            return MeterProblem(
                what=f"{_proc()} does not tell processor seconds", remedy="leave share out, or run where it does"
            )
        zones = _zones(self._psys)
        if not zones:
            what = f"{_root()} has no {'psys' if self._psys else 'package'} zone"
            return MeterProblem(what=what, remedy="run on a machine whose system shows RAPL (most virtual ones do not)")
        for zone in zones:
            try:
                zone.raw_uj()
            except PermissionError:
                files = f"{_root()}/intel-rapl*/energy_uj"
                return MeterProblem(what=f"{zone.path} may not be read", remedy=f"run `sudo chmod a+r {files}`")
            except (OSError, ValueError) as error:
                return MeterProblem(what=f"{zone.path} cannot be read ({error})", remedy="look at the system's log")
        return None

    def counters(self) -> Sequence[Counter]:
        """One for each package that is no mirror of another."""
        zones = _zones(self._psys)
        if not zones:
            raise CounterError("there is no package zone", flag="missing")
        packages = [
            _Package(zone, own_process=self._own_process, shares_process=self._shares_process) for zone in zones
        ]
        mirrors = _mirrors(packages)
        return [package for package in packages if package not in mirrors]

    def of_answer(self, reply: Reply) -> Energy:  # noqa: ARG002  # the protocol has it
        """Unknown here: the counters tell."""
        return unknown_energy("the counters tell", meter="rapl")


@dataclass(frozen=True, kw_only=True)
class _Zone:
    """One zone's folder. `interface` is `intel-rapl` or `intel-rapl-mmio`, `name` such as `package-0`."""

    path: Path
    interface: str
    name: str

    def raw_uj(self) -> int:
        """The counter's value, in microjoules."""
        return int((self.path / "energy_uj").read_text(encoding="ascii"))

    def number(self, file: str) -> int | None:
        """Another number of the zone, or None where it does not have it."""
        try:
            return int((self.path / file).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def _root() -> Path:
    return Path(os.environ.get("RIGHTSIZE_POWERCAP_ROOT", _ROOT))


def _zones(psys: bool) -> list[_Zone]:
    """The zones to read: packages by one interface, as both show the same counters, or psys."""
    zones: dict[str, list[_Zone]] = {}
    for folder in sorted(_root().glob("intel-rapl*:*")):
        interface, _, numbers = folder.name.partition(":")
        try:
            name = (folder / "name").read_text(encoding="ascii").strip()
        except OSError:
            continue
        wanted = name == "psys" if psys else name.startswith("package-")
        if wanted and ":" not in numbers:
            zones.setdefault(interface, []).append(_Zone(path=folder, interface=interface, name=name))
    return zones.get("intel-rapl") or next(iter(zones.values()), [])


class _Package:
    """The counter of one package, with its wraps undone."""

    def __init__(
        self,
        zone: _Zone,
        *,
        own_process: bool,
        shares_process: bool = False,
        clock: Callable[[], float] = clocks.monotonic,
    ) -> None:
        self.zone = zone
        self._clock = clock
        self.facts = Facts(
            device=f"{zone.interface.removeprefix('intel-')}:{zone.name}",
            boundary="cpu.psys" if zone.name == "psys" else "cpu.package",
            meter="rapl",
            factors=(1 - _SYSTEMATIC, 1 + _SYSTEMATIC),
            systematic=_SYSTEMATIC,
            # Units of 61 or 15.3 microjoules, by the processor.
            resolution=1e-4,
            # It moves every millisecond, and is read at both ends of each window; between them only a wrap matters.
            poll_s=0.02,
            hurry_s=0.002,
            period_s=0.002,
            whole_device=not shares_process,
            own_process=processor_seconds if shares_process else None,
            flags=("process_share",) if shares_process else (),
        )
        self._range_uj = zone.number("max_energy_range_uj")
        cap_uw = zone.number("constraint_0_max_power_uw")
        self._most_w = min(_MOST_W, 2 * cap_uw / 1e6) if cap_uw else _MOST_W
        self._last_uj: int | None = None
        self._last_s = 0.0
        self._total_uj = 0
        self._cpu = processor_seconds() if own_process else None

    def read(self) -> float:
        """See `Counter`."""
        try:
            raw = self.zone.raw_uj()
        except PermissionError:
            self._last_uj = None
            raise CounterError(f"{self.zone.path} may not be read any more", flag="permission_lost") from None
        except (OSError, ValueError) as error:
            self._last_uj = None
            raise CounterError(f"{self.zone.path} cannot be read any more ({error})", flag="counter_lost") from None
        now = self._clock()
        if self._last_uj is not None:
            self._total_uj += self._step_uj(raw, now - self._last_s)
        self._last_uj, self._last_s = raw, now
        return self._total_uj / 1e6

    def _step_uj(self, raw: int, seconds: float) -> int:
        """Microjoules since the last reading; raises CounterError unless exactly one number of wraps explains them."""
        assert self._last_uj is not None  # there was a reading
        step = raw - self._last_uj
        if step < 0 and self._range_uj:
            step += self._range_uj
        # A reading of the last millisecond may hold one tick more than its time.
        most_uj = self._most_w * (seconds + 0.05) * 1e6
        twice = self._range_uj is not None and most_uj >= self._range_uj
        if step < 0 or step > most_uj or twice:
            self._last_uj = None
            why = "it may have wrapped more than once" if twice else "it jumped"
            raise CounterError(
                f"the counter of {self.zone.name} was reset or not read for too long: {why}", flag="counter_reset"
            )
        return step

    def others(self) -> str | None:
        """Other processes, if they had a fifth or more of the processor time since the last call."""
        if self._cpu is None:
            return None
        last, self._cpu = self._cpu, processor_seconds()
        if self._cpu is None:
            return None
        own, busy = self._cpu[0] - last[0], self._cpu[1] - last[1]
        # The machine's clock ticks at 100 Hz and hypervisors round it: too short a time tells nothing.
        if busy < 0.2 or busy - own < 0.2 * busy:
            return None
        return f"other processes took {100 * (busy - own) / busy:.0f} % of the processor time"


def _proc() -> Path:
    return Path(os.environ.get("RIGHTSIZE_PROC_ROOT", _PROC_ROOT))


def processor_seconds() -> tuple[float, float] | None:
    """Processor seconds of this process with its children, and of the machine; None where the system does not tell."""
    root = _proc()
    try:
        with (root / "stat").open(encoding="ascii") as file:
            user, nice, system, _, _, irq, softirq, *_ = (int(field) for field in file.readline().split()[1:])
        # The name of the program stands in brackets and may hold blanks.
        fields = (root / "self" / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        own = sum(int(field) for field in fields[11:15])
    except (OSError, ValueError):
        return None
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    return own / ticks_per_s, (user + nice + system + irq + softirq) / ticks_per_s


def _mirrors(packages: Sequence[_Package]) -> list[_Package]:
    """Packages that show another's counter: equal now, and still equal when it has moved on."""
    pairs = [(later, former) for place, later in enumerate(packages) for former in packages[:place]]
    suspects = [(later, former) for later, former in pairs if _are_alike(later, former)]
    if not suspects:
        return []
    before_uj = {id(later): later.zone.raw_uj() for later, _ in suspects}
    deadline = clocks.monotonic() + 0.5
    while clocks.monotonic() < deadline and any(later.zone.raw_uj() == before_uj[id(later)] for later, _ in suspects):
        clocks.sleep(0.002)
    return [
        later for later, former in suspects if _are_alike(later, former) and later.zone.raw_uj() != before_uj[id(later)]
    ]


def _are_alike(later: _Package, former: _Package) -> bool:
    later_uj, former_uj = later.zone.raw_uj(), former.zone.raw_uj()
    return abs(later_uj - former_uj) <= max(1e-6 * max(later_uj, former_uj), _MIRROR_J * 1e6)


@hookimpl
def pytest_rightsize_meters() -> dict[str, type[Meter]]:
    """The meter `rapl`."""
    return {"rapl": Rapl}
