"""One amount of energy and where it comes from: joules or a reason why there are none, never a 0 that nobody measured.

Two amounts add up only if they were come by in the same way (`Energy.kind`) and no joule would be counted twice;
anything else is a MixedEnergyError. An interval holds the truth as far as the meter knows: `low` and `high` in joules.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import reduce
from math import isclose, isfinite
from operator import add
from typing import Any, Literal, NamedTuple, get_args

from pytest_rightsize.errors import MixedEnergyError

__all__ = ["Basis", "Boundary", "Energy", "Kind", "Provenance", "known_fields", "unknown_energy"]

Provenance = Literal["measured", "measured_shared", "vendor_declared", "modelled", "unknown"]
Boundary = Literal[
    "gpu.board", "gpu.module", "gpu.memory", "cpu.package", "cpu.core", "cpu.psys", "dram", "host", "pue"
]
Basis = Literal["gross", "marginal"]

# What the first already holds of the second: their sum would count joules twice, on whatever devices.
_HOLDS: Mapping[str, frozenset[str]] = {
    "gpu.board": frozenset({"gpu.memory"}),
    "gpu.module": frozenset({"gpu.board", "gpu.memory", "cpu.package", "cpu.core", "dram"}),
    "cpu.package": frozenset({"cpu.core"}),
    "cpu.psys": frozenset({"cpu.package", "cpu.core", "dram", "gpu.board", "gpu.memory"}),
    "host": frozenset({"gpu.board", "gpu.module", "gpu.memory", "cpu.package", "cpu.core", "cpu.psys", "dram"}),
    "pue": frozenset({"gpu.board", "gpu.module", "gpu.memory", "cpu.package", "cpu.core", "cpu.psys", "dram", "host"}),
}


class Kind(NamedTuple):
    """What two amounts must have in common to be added or compared; `boundary` is sorted."""

    provenance: Provenance
    boundary: tuple[str, ...]
    basis: Basis

    def __str__(self) -> str:
        """`measured, gpu.board, gross`."""
        return ", ".join([self.provenance, "+".join(self.boundary) or "boundary not said", self.basis])


@dataclass(frozen=True, kw_only=True)
class Energy:
    """An amount of energy.

    `joules` is the best single figure, `low` and `high` bound it; all three are None where nothing is known, and
    `reason` then says why. `low` and `high` alone are None where a declared figure came without them. `boundary` says
    what the joules went through, `basis` whether idle power is in them (`gross`) or not (`marginal`), `scope` whether
    they are the case's own or all that the device took meanwhile. `window_s` is the time they were taken over,
    `tick_s` the counter's period and `ticks` how often it moved in the window, `repeats` over how many repetitions the
    figure is the mean, `idle_w` the idle power that was found. `systematic` is the part of the interval, as a fraction,
    that is the instrument's own error: the same for everything measured by this meter on these devices.
    `replayed` marks what was spent when the answer was recorded and not now.
    """

    joules: float | None = None
    reason: str | None = None
    low: float | None = None
    high: float | None = None
    provenance: Provenance = "unknown"
    boundary: frozenset[str] = frozenset()
    basis: Basis = "gross"
    scope: Literal["case", "device"] = "case"
    meter: str | None = None
    devices: tuple[str, ...] = ()
    window_s: float | None = None
    tick_s: float | None = None
    ticks: int | None = None
    repeats: int = 1
    idle_w: float | None = None
    systematic: float = 0.0
    flags: tuple[str, ...] = ()
    replayed: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be true; ValueError in a clause."""
        if self.joules is None:
            if not self.reason or (self.low, self.high) != (None, None):
                raise ValueError("has no joules: it must say why in `reason`, and have no bounds")
        elif self.provenance == "unknown" or self.reason is not None:
            raise ValueError("has joules: it must say where from in `provenance`, and have no `reason`")
        if (self.low is None) != (self.high is None):
            raise ValueError("has one of low and high: give both or neither")
        amounts = [value for value in (self.low, self.joules, self.high) if value is not None]
        if not all(isfinite(value) and value >= 0 for value in amounts) or amounts != sorted(amounts):
            raise ValueError(f"has joules {self.joules} within {self.low} to {self.high}, which cannot be")

    @property
    def kind(self) -> Kind:
        """What it may be added to and compared with."""
        return Kind(self.provenance, tuple(sorted(self.boundary)), self.basis)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Low and high; a declared figure without bounds is taken at its word. None where nothing is known."""
        if self.joules is None:
            return None
        return (self.joules, self.joules) if self.low is None or self.high is None else (self.low, self.high)

    def __add__(self, other: "Energy") -> "Energy":
        """The energy of both together; raises MixedEnergyError where that would be no honest sum.

        Amounts of one kind add up over time. Amounts of two boundaries add up only over one window and on devices
        that have none in common, and then the boundary is the union. An unknown amount makes the sum unknown.
        """
        _check_addable(self, other)
        if self.boundary != other.boundary:
            return self._with(other, self.window_s)
        return self._with(other, _known(add, self.window_s, other.window_s))

    def beside(self, other: "Energy") -> "Energy":
        """The energy of both together over one and the same window, of devices that have none in common."""
        _check_addable(self, other)
        if None not in (self.joules, other.joules) and (
            set(self.devices) & set(other.devices) or not _same_window(self, other)
        ):
            raise MixedEnergyError(f"cannot add energy of {', '.join(self.devices)} to itself, or over two windows")
        return self._with(other, self.window_s)

    def _with(self, other: "Energy", window_s: float | None) -> "Energy":
        return Energy(
            **_summed_amounts(self, other),
            provenance="unknown" if "unknown" in (self.provenance, other.provenance) else self.provenance,
            boundary=self.boundary | other.boundary,
            basis=self.basis,
            scope="device" if "device" in (self.scope, other.scope) else "case",
            meter=_joined(self.meter, other.meter),
            devices=tuple(sorted({*self.devices, *other.devices})),
            window_s=window_s,
            tick_s=_known(max, self.tick_s, other.tick_s),
            ticks=_known(add, self.ticks, other.ticks),
            repeats=min(self.repeats, other.repeats),
            idle_w=self.idle_w if self.idle_w == other.idle_w else None,
            systematic=max(self.systematic, other.systematic),
            flags=_flags(self, other),
            replayed=self.replayed or other.replayed,
        )

    def __lt__(self, other: "Energy") -> bool:
        """Whether it is surely less: the intervals are apart. Raises MixedEnergyError for another kind.

        False where either is unknown. What both owe to one instrument's error does not blur the comparison.
        """
        if self.joules is None or other.joules is None:
            return False
        if self.kind != other.kind:
            raise MixedEnergyError(f"cannot compare energy that is {self.kind} with energy that is {other.kind}")
        same = self.shares_instrument(other)
        mine, its = (energy.without_systematic() if same else energy for energy in (self, other))
        assert mine.bounds is not None  # both have joules
        assert its.bounds is not None
        return mine.bounds[1] < its.bounds[0]

    def __str__(self) -> str:
        """`12.3 J (10.1 to 14.2; measured, gpu.board, gross)`, or `< 4.2 J (...)` where it was not resolved."""
        if self.joules is None:
            return f"unknown: {self.reason}"
        if "below_resolution" in self.flags and self.high is not None:
            return f"< {self.high:.3g} J ({self.kind})"
        bounds = "" if self.low is None else f"{self.low:.3g} to {self.high:.3g}; "
        return f"{self.joules:.3g} J ({bounds}{self.kind}{', replayed' if self.replayed else ''})"

    def shares_instrument(self, other: "Energy") -> bool:
        """Whether one meter on the same devices gave both, so that its systematic error is in both alike."""
        return bool(self.devices) and (self.meter, self.devices) == (other.meter, other.devices)

    def without_systematic(self) -> "Energy":
        """The same with the interval that is left when the instrument's own error is taken out."""
        if self.joules is None or self.low is None or self.high is None or not self.systematic:
            return self
        low = min(self.low / (1 - self.systematic), self.joules)
        high = max(self.high / (1 + self.systematic), self.joules)
        return replace(self, low=low, high=high, systematic=0.0)

    def scaled(self, factor: float) -> "Energy":
        """`factor` times the amount, 0 or more; the window and the ticks stay those it was taken over."""
        times = {
            name: value * factor for name in ("joules", "low", "high") if (value := getattr(self, name)) is not None
        }
        return replace(self, **times)

    def as_replayed(self) -> "Energy":
        """The same, marked as spent when the answer was recorded."""
        return replace(self, replayed=True)

    @classmethod
    def total(cls, energies: Iterable["Energy"]) -> "Energy | None":
        """The sum of amounts of one kind, None of none; raises MixedEnergyError."""
        every = list(energies)
        return reduce(add, every) if every else None

    def to_dict(self) -> dict[str, Any]:
        """The energy as JSON data: `boundary` sorted; `joules` may be null, what else says nothing is left out."""
        plain = {name: value for name, value in vars(self).items() if name in _KEPT or value != _DEFAULTS[name]}
        for name in ("devices", "flags"):
            if name in plain:
                plain[name] = list(plain[name])
        return plain | {"boundary": sorted(self.boundary)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Energy":
        """The inverse of `to_dict`; keys that a later version added are left out.

        A mapping that has joules and does not say where from is `vendor_declared` with the flag `source_not_said`.
        ValueError says in a clause what cannot be.
        """
        known = known_fields(cls, plain)
        _check_types(known)
        flags = tuple(known.get("flags", ()))
        if "joules" not in known:
            known.setdefault("reason", "not said")
        elif "provenance" not in known:
            known["provenance"] = "vendor_declared"
            flags = (*flags, "source_not_said")
        sets = {
            "boundary": frozenset(known.get("boundary", ())),
            "devices": tuple(known.get("devices", ())),
            "flags": flags,
        }
        return cls(**known | sets)


def known_fields(kind: Any, plain: Mapping[str, Any]) -> dict[str, Any]:
    """The values in `plain` that a dataclass of this kind has; what a later version added is left out."""
    return {one.name: plain[one.name] for one in fields(kind) if plain.get(one.name) is not None}


_KEPT = ("joules", "provenance", "boundary", "basis")
_DEFAULTS: Mapping[str, Any] = {one.name: one.default for one in fields(Energy)}


def unknown_energy(reason: str, *, meter: str | None = None, flags: tuple[str, ...] = ()) -> Energy:
    """An energy that nobody knows, and why: a clause such as "the counter was reset"."""
    return Energy(reason=reason, meter=meter, flags=flags)


def _check_types(known: Mapping[str, Any]) -> None:
    for name in ("joules", "low", "high", "window_s", "tick_s", "idle_w", "systematic"):
        value = known.get(name, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"has {name} {value!r}, which is no number")
    if known.get("provenance", "unknown") not in get_args(Provenance):
        raise ValueError(f"has provenance {known['provenance']!r}: known are {', '.join(get_args(Provenance))}")
    for name in known.get("boundary", ()):
        if name not in get_args(Boundary):
            raise ValueError(f"has boundary {name!r}: known are {', '.join(get_args(Boundary))}")


def _check_addable(one: Energy, other: Energy) -> None:
    if one.joules is None or other.joules is None:
        return
    if (one.provenance, one.basis) != (other.provenance, other.basis):
        raise MixedEnergyError(f"cannot add energy that is {one.kind} and energy that is {other.kind}")
    if _twins(one.devices, other.devices):
        raise MixedEnergyError(
            f"cannot add energy of {', '.join(one.devices)} and of {', '.join(other.devices)}: "
            "two interfaces show the same device"
        )
    if one.boundary == other.boundary:
        return
    if any(_HOLDS.get(a, frozenset()) & other.boundary for a in one.boundary) or any(
        _HOLDS.get(b, frozenset()) & one.boundary for b in other.boundary
    ):
        raise MixedEnergyError(
            f"cannot add energy that is {one.kind} and energy that is {other.kind}: one holds the other"
        )
    if not one.devices or not other.devices or set(one.devices) & set(other.devices):
        raise MixedEnergyError(
            f"cannot add energy that is {one.kind} and energy that is {other.kind}: not known to be of other devices"
        )
    if not _same_window(one, other):
        raise MixedEnergyError(
            f"cannot add energy that is {one.kind} and energy that is {other.kind}: not taken over one window"
        )


def _twins(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether a device of one is a device of the other by another interface, such as rapl and rapl-mmio."""
    names = {device.partition(":")[2]: device for device in one if ":" in device}
    return any(names.get(device.partition(":")[2], device) != device for device in other if ":" in device)


def _same_window(one: Energy, other: Energy) -> bool:
    return (
        one.window_s is not None and other.window_s is not None and isclose(one.window_s, other.window_s, rel_tol=1e-6)
    )


def _summed_amounts(one: Energy, other: Energy) -> dict[str, Any]:
    if one.joules is None or other.joules is None:
        return {"joules": None, "reason": one.reason or other.reason}
    bounded = None not in (one.low, other.low)
    lows, highs = (one.bounds or (0, 0)), (other.bounds or (0, 0))
    return {
        "joules": one.joules + other.joules,
        "low": lows[0] + highs[0] if bounded else None,
        "high": lows[1] + highs[1] if bounded else None,
    }


def _known(how: Any, a: Any, b: Any) -> Any:
    return None if a is None or b is None else how(a, b)


def _joined(a: str | None, b: str | None) -> str | None:
    return a if a == b else "+".join(sorted({*(a or "?").split("+"), *(b or "?").split("+")}))


def _flags(one: Energy, other: Energy) -> tuple[str, ...]:
    partly = ("partly_replayed",) if one.replayed != other.replayed else ()
    return tuple(sorted({*one.flags, *other.flags, *partly}))
