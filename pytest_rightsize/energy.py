"""Energy: an amount in joules with its provenance and bounds, or the reason why it is unknown; 0 is never a stand-in.

Two amounts add up only if they are of one kind (`Energy.kind`) and no joule would be counted twice; anything else is a
MixedEnergyError. `low` and `high`, in joules, bound the truth as far as the meter knows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import reduce
from math import isclose, isfinite
from operator import add
from typing import Any, Literal, NamedTuple, get_args

from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.plain_data import shallow

__all__ = ["Basis", "Boundary", "Energy", "Kind", "Provenance", "known_fields", "unknown_energy"]

Provenance = Literal["measured", "measured_shared", "vendor_declared", "modelled", "unknown"]
Boundary = Literal[
    "gpu.board", "gpu.module", "gpu.memory", "cpu.package", "cpu.core", "cpu.psys", "dram", "host", "pue"
]
Basis = Literal["gross", "marginal"]

# The boundaries that each boundary already contains: a sum of both would count joules twice, on whatever devices.
_HOLDS: Mapping[str, frozenset[str]] = {
    "gpu.board": frozenset({"gpu.memory"}),
    "gpu.module": frozenset({"gpu.board", "gpu.memory", "cpu.package", "cpu.core", "dram"}),
    "cpu.package": frozenset({"cpu.core"}),
    "cpu.psys": frozenset({"cpu.package", "cpu.core", "dram", "gpu.board", "gpu.memory"}),
    "host": frozenset({"gpu.board", "gpu.module", "gpu.memory", "cpu.package", "cpu.core", "cpu.psys", "dram"}),
    "pue": frozenset({"gpu.board", "gpu.module", "gpu.memory", "cpu.package", "cpu.core", "cpu.psys", "dram", "host"}),
}


class Kind(NamedTuple):
    """The properties that two amounts must have in common to be added or compared; `boundary` is sorted."""

    provenance: Provenance
    boundary: tuple[str, ...]
    basis: Basis

    def __str__(self) -> str:
        """`measured, gpu.board, gross`."""
        return ", ".join([self.provenance, "+".join(self.boundary) or "boundary not said", self.basis])


@dataclass(frozen=True, kw_only=True, slots=True)
class Energy:
    """An amount of energy.

    `joules` is the best single figure, `low` and `high` bound it; all three are None where nothing is known, and
    `reason` then says why. `low` and `high` alone are None where a declared figure came without them. `boundary` is the
    set of parts of the machine whose joules are included, `basis` whether idle power is in them (`gross`) or not
    (`marginal`), `scope` whether they are the case's own or all that the device took meanwhile. `window_s` is the time
    over which they were taken, `tick_s` the counter's period and `ticks` how often it moved in the window, `repeats`
    the number of repetitions of which the figure is the mean, `idle_w` the idle power. `systematic` is the part of the
    interval, as a fraction, that is the instrument's own error: the same for everything measured by this meter on these
    devices. `replayed` marks energy that was spent when the answer was recorded and not now.

    >>> gpu = Energy(joules=2, low=1.5, high=2.5, provenance="measured", boundary=frozenset({"gpu.board"}), window_s=1)
    >>> print(Energy.total([gpu, gpu.scaled(2)]))
    6 J (4.5 to 7.5; measured, gpu.board, gross)
    >>> gpu.kind == gpu.as_replayed().kind, gpu.bounds
    (True, (1.5, 2.5))
    >>> Energy.from_dict(gpu.to_dict()) == gpu
    True
    >>> print(gpu + Energy(joules=1, provenance="modelled", boundary=gpu.boundary))
    Traceback (most recent call last):
    pytest_rightsize.errors.MixedEnergyError: cannot add energy that is measured, gpu.board, gross and ...
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
        """Refuse values that cannot be true; raises ValueError with a clause."""
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
        """Its kind: only amounts of the same kind are added and compared."""
        return Kind(self.provenance, tuple(sorted(self.boundary)), self.basis)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Low and high, both `joules` for a declared figure without bounds; None where nothing is known."""
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
        return self._with(other, _if_both(add, self.window_s, other.window_s))

    def beside(self, other: "Energy") -> "Energy":
        """The energy of both together, over one window and on devices that have none in common.

        Raises MixedEnergyError where that would be no honest sum.

        >>> card = {"provenance": "measured", "boundary": frozenset({"gpu.board"}), "window_s": 1.0}
        >>> first = Energy(joules=2, devices=("nvml:0",), **card)
        >>> first.beside(Energy(joules=3, devices=("nvml:1",), **card)).joules
        5
        """
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
            tick_s=_if_both(max, self.tick_s, other.tick_s),
            ticks=_if_both(add, self.ticks, other.ticks),
            repeats=min(self.repeats, other.repeats),
            idle_w=self.idle_w if self.idle_w == other.idle_w else None,
            systematic=max(self.systematic, other.systematic),
            flags=_flags(self, other),
            replayed=self.replayed or other.replayed,
        )

    def __lt__(self, other: "Energy") -> bool:
        """Whether it is surely less: the intervals are apart. Raises MixedEnergyError for another kind.

        False where either is unknown. An error that both have from one instrument is left out of the comparison.
        """
        if self.joules is None or other.joules is None:
            return False
        if self.kind != other.kind:
            raise MixedEnergyError(f"cannot compare energy that is {self.kind} with energy that is {other.kind}")
        same = self.shares_instrument(other)
        left, right = (energy.without_systematic() if same else energy for energy in (self, other))
        assert left.bounds is not None  # both have joules
        assert right.bounds is not None
        return left.bounds[1] < right.bounds[0]

    def __str__(self) -> str:
        """`12.3 J (10.1 to 14.2; measured, gpu.board, gross)`, or `< 4.2 J (...)` where it was not resolved."""
        if self.joules is None:
            return f"unknown: {self.reason}"
        if "below_resolution" in self.flags and self.high is not None:
            return f"< {self.high:.3g} J ({self.kind})"
        bounds = "" if self.low is None else f"{self.low:.3g} to {self.high:.3g}; "
        return f"{self.joules:.3g} J ({bounds}{self.kind}{', replayed' if self.replayed else ''})"

    def shares_instrument(self, other: "Energy") -> bool:
        """Whether one meter on the same devices gave both, so that its systematic error is in both alike.

        >>> one = Energy(joules=2, provenance="measured", meter="nvml", devices=("nvml:0",))
        >>> one.shares_instrument(one.scaled(3))
        True
        """
        return bool(self.devices) and (self.meter, self.devices) == (other.meter, other.devices)

    def without_systematic(self) -> "Energy":
        """The same with a narrower interval: without the instrument's own error.

        >>> Energy(joules=1, low=0.9, high=1.1, provenance="measured", systematic=0.05).without_systematic().bounds
        (0.947..., 1.047...)
        """
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
        """The sum of amounts of one kind, None if there are none; raises MixedEnergyError."""
        amounts = list(energies)
        return reduce(add, amounts) if amounts else None

    def to_dict(self) -> dict[str, Any]:
        """The energy as JSON data: `boundary` sorted; defaults left out, but for the kind and `joules`, maybe null."""
        plain = {name: value for name, value in shallow(self).items() if name in _KEPT or value != _DEFAULTS[name]}
        for name in ("devices", "flags"):
            if name in plain:
                plain[name] = list(plain[name])
        return plain | {"boundary": sorted(self.boundary)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Energy":
        """The inverse of `to_dict`; keys that a later version added are left out.

        A mapping with joules and no provenance is `vendor_declared` with the flag `source_not_said`. Raises ValueError
        with a clause for values that cannot be.
        """
        values = known_fields(cls, plain)
        _check_types(values)
        flags = tuple(values.get("flags", ()))
        if "joules" not in values:
            values.setdefault("reason", "not said")
        elif "provenance" not in values:
            values["provenance"] = "vendor_declared"
            flags = (*flags, "source_not_said")
        collections = {
            "boundary": frozenset(values.get("boundary", ())),
            "devices": tuple(values.get("devices", ())),
            "flags": flags,
        }
        return cls(**values | collections)


def known_fields(kind: Any, plain: Mapping[str, Any]) -> dict[str, Any]:
    """The values in `plain` for fields of a dataclass; null values and keys that a later version added are left out."""
    return {field.name: plain[field.name] for field in fields(kind) if plain.get(field.name) is not None}


_KEPT = ("joules", "provenance", "boundary", "basis")
_DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in fields(Energy)}


def unknown_energy(reason: str, *, meter: str | None = None, flags: tuple[str, ...] = ()) -> Energy:
    """An energy without joules, and why: a clause such as "the counter was reset"."""
    return Energy(reason=reason, meter=meter, flags=flags)


def _check_types(values: Mapping[str, Any]) -> None:
    for name in ("joules", "low", "high", "window_s", "tick_s", "idle_w", "systematic"):
        value = values.get(name, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"has {name} {value!r}, which is no number")
    if values.get("provenance", "unknown") not in get_args(Provenance):
        raise ValueError(f"has provenance {values['provenance']!r}: known are {', '.join(get_args(Provenance))}")
    for name in values.get("boundary", ()):
        if name not in get_args(Boundary):
            raise ValueError(f"has boundary {name!r}: known are {', '.join(get_args(Boundary))}")


def _check_addable(first: Energy, second: Energy) -> None:
    if first.joules is None or second.joules is None:
        return
    if (first.provenance, first.basis) != (second.provenance, second.basis):
        raise MixedEnergyError(f"cannot add energy that is {first.kind} and energy that is {second.kind}")
    if _twins(first.devices, second.devices):
        raise MixedEnergyError(
            f"cannot add energy of {', '.join(first.devices)} and of {', '.join(second.devices)}: "
            "two interfaces show the same device"
        )
    if first.boundary == second.boundary:
        return
    if any(_HOLDS.get(a, frozenset()) & second.boundary for a in first.boundary) or any(
        _HOLDS.get(b, frozenset()) & first.boundary for b in second.boundary
    ):
        raise MixedEnergyError(
            f"cannot add energy that is {first.kind} and energy that is {second.kind}: one holds the other"
        )
    if not first.devices or not second.devices or set(first.devices) & set(second.devices):
        raise MixedEnergyError(
            f"cannot add energy that is {first.kind} and energy that is {second.kind}: not known to be of other devices"
        )
    if not _same_window(first, second):
        raise MixedEnergyError(
            f"cannot add energy that is {first.kind} and energy that is {second.kind}: not taken over one window"
        )


def _twins(first: Iterable[str], second: Iterable[str]) -> bool:
    """Whether both have a device in common under two interfaces, such as rapl and rapl-mmio, of one machine."""
    names = {_without_interface(device): device for device in first if ":" in device}
    return any(names.get(_without_interface(device), device) != device for device in second if ":" in device)


def _without_interface(device: str) -> tuple[str, str]:
    """The machine that stands before a `/`, if one does, and the name of the device there."""
    machine, _, name = device.rpartition("/")
    return machine, name.partition(":")[2]


def _same_window(first: Energy, second: Energy) -> bool:
    return (
        first.window_s is not None
        and second.window_s is not None
        and isclose(first.window_s, second.window_s, rel_tol=1e-6)
    )


def _summed_amounts(first: Energy, second: Energy) -> dict[str, Any]:
    if first.joules is None or second.joules is None:
        return {"joules": None, "reason": first.reason or second.reason}
    bounded = None not in (first.low, second.low)
    lows, highs = (first.bounds or (0, 0)), (second.bounds or (0, 0))
    return {
        "joules": first.joules + second.joules,
        "low": lows[0] + highs[0] if bounded else None,
        "high": lows[1] + highs[1] if bounded else None,
    }


def _if_both(combine: Any, a: Any, b: Any) -> Any:
    return None if a is None or b is None else combine(a, b)


def _joined(a: str | None, b: str | None) -> str | None:
    return a if a == b else "+".join(sorted({*(a or "?").split("+"), *(b or "?").split("+")}))


def _flags(first: Energy, second: Energy) -> tuple[str, ...]:
    partly = ("partly_replayed",) if first.replayed != second.replayed else ()
    return tuple(sorted({*first.flags, *second.flags, *partly}))
