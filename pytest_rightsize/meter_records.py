"""Records of one rung's meter over a session: totals in joules, idle power in watts, joules of reading and writing.

They go to the results file and come back from it; nothing is measured or computed here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_rightsize.energy import Energy, known_fields
from pytest_rightsize.plain_data import plain_fields

__all__ = ["IdlePower", "Metering", "Phases"]


@dataclass(frozen=True, kw_only=True)
class IdlePower:
    """The power of a rung's devices while no request was in flight: `watts` between `low` and `high`, over `seconds`.

    `cold` is before this process loaded any model, `resident` with the rung's own loaded. `ticks` is how often the
    slowest counter moved meanwhile, `at_s` when the measurement began, in seconds from the rung's opening; below 0 it
    was made for another rung, or when this one was open before.
    """

    state: Literal["cold", "resident"]
    watts: float
    low: float
    high: float
    seconds: float
    ticks: int
    at_s: float


@dataclass(frozen=True, kw_only=True)
class Phases:
    """The joules of reading and writing on one device: prompt_j x prompt + completion_j x completion + answer_j.

    `prompt` counts a prompt's tokens that were not cached. Fitted by least squares, none below 0, to `stretches` of
    time with `answers` answers in them; `condition` is that of the fit's equations, `explained` the part of the
    variance that the fit explains, 0 to 1, `prompt_weight_error` the standard error of `prompt_weight`. The shares are
    fractions of the joules of those answers, and add up to 1.
    """

    device: str
    prompt_j: float
    completion_j: float
    answer_j: float
    prompt_share: float
    completion_share: float
    answer_share: float
    stretches: int
    answers: float
    condition: float
    explained: float
    prompt_weight_error: float | None = None

    @property
    def prompt_weight(self) -> float | None:
        """The joules of a prompt token relative to a written one; None where writing seems to take nothing."""
        return self.prompt_j / self.completion_j if self.completion_j > 0 else None


_WHOSE = ("replica", "node", "shard")
_PARTS = ("load", "served", "repeated", "lost", "others", "idle", "total")


@dataclass(frozen=True, kw_only=True)
class Metering:
    """The totals of one rung's meter while the rung was open; the parts add up to `total`, all that its devices took.

    `load` is the energy of loading the model, `served` of all answers together, `repeated` of their repetitions, `lost`
    of requests that got no answer, `others` of other processes where they are told apart, `idle` of the time without a
    request in flight. Each is None where nothing of it was seen. `busy_s` is the time in which an answer was in flight,
    `tick_s` the counter's period. `cold_w` is the idle power before any model was loaded, `idle_w` that with this one
    loaded, and `idle_powers` every measurement of either. `replica` and `node` say of which replica of the rung, on
    which machine, all this is, and `shard` of which shard; None where the rung or the run has none.

    Answers that were in flight together share joules by tokens: `prompt_weights` is, by device, the weight of a prompt
    token relative to a written one, as fitted last to `weighed_by` answers; 0 answers mark the assumption. `phases` is
    empty where reading and writing cannot be told apart, and `no_phases` then says why.
    """

    rung: str
    meter: str
    load: Energy | None = None
    served: Energy | None = None
    repeated: Energy | None = None
    lost: Energy | None = None
    others: Energy | None = None
    idle: Energy | None = None
    total: Energy | None = None
    answers: int = 0
    load_s: float | None = None
    busy_s: float = 0.0
    tick_s: float | None = None
    cold_w: float | None = None
    idle_w: float | None = None
    idle_powers: tuple[IdlePower, ...] = ()
    prompt_weights: Mapping[str, float] = field(default_factory=dict)
    weighed_by: Mapping[str, float] = field(default_factory=dict)
    phases: tuple[Phases, ...] = ()
    no_phases: str | None = None
    notes: tuple[str, ...] = ()
    replica: int | None = None
    node: str | None = None
    shard: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it holds all that its devices took; if not, what its other parts say is the least."""
        return self.total is None or self.total.joules is not None

    def to_dict(self) -> dict[str, Any]:
        """The metering as a line of the results file."""
        parts = {name: getattr(self, name) for name in _PARTS}
        energies = {name: None if part is None else part.to_dict() for name, part in parts.items()}
        lists = {name: list(plain_fields(self)[name]) for name in ("idle_powers", "phases", "notes")}
        plain = {"kind": "metering", **plain_fields(self), **energies, **lists}
        return {key: value for key, value in plain.items() if value is not None or key not in _WHOSE}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Metering":
        """The inverse of `to_dict`; keys that a later version added are left out."""
        values = known_fields(cls, plain)
        records: dict[str, Any] = {name: Energy.from_dict(values[name]) for name in _PARTS if name in values}
        powers, phases = values.get("idle_powers", ()), values.get("phases", ())
        records["idle_powers"] = tuple(IdlePower(**known_fields(IdlePower, power)) for power in powers)
        records["phases"] = tuple(Phases(**known_fields(Phases, phase)) for phase in phases)
        return cls(**values | records | {"notes": tuple(values.get("notes", ()))})
