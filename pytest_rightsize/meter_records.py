"""One rung's meter over a session: totals in joules, idle power in watts, and what reading and writing took."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pytest_rightsize.energy import Energy, known_fields

__all__ = ["IdlePower", "Metering", "Phases"]


@dataclass(frozen=True, kw_only=True)
class IdlePower:
    """What a rung's devices took while nothing was asked: `watts` between `low` and `high`, over `seconds`.

    `cold` is before this process loaded any model, `resident` with the rung's own loaded. `ticks` is how often the
    slowest counter moved meanwhile, `at_s` when it began, in seconds from the rung's opening; below 0 it was found for
    another rung, or when this one was open before.
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
    """What reading and writing took on one device: joules = prompt_j x prompt + completion_j x completion + answer_j.

    `prompt` are a prompt's tokens that were not cached. Fitted by least squares, none below 0, to `stretches` of time
    with `answers` answers in them; `condition` is that of the fit's equations, `explained` the part of the variance
    that it tells, 0 to 1, `prompt_weight_error` the standard error of `prompt_weight`. The shares are parts of what
    those answers took, and add up to 1.
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
        """What a token that is read weighs against one that is written; None where writing seems to take nothing."""
        return self.prompt_j / self.completion_j if self.completion_j > 0 else None


_PARTS = ("load", "served", "repeated", "lost", "others", "idle", "total")


@dataclass(frozen=True, kw_only=True)
class Metering:
    """What one rung's meter saw while the rung was open; the parts add up to `total`, all that its devices took.

    `load` is what loading the model took, `served` all answers together, `repeated` their repetitions, `lost` requests
    that got no answer, `others` what other processes took meanwhile where they are told apart, `idle` what no request
    was in flight for. Each is None where nothing of it was seen. `busy_s` is the time in which an answer was in flight,
    `tick_s` the counter's period. `cold_w` is the idle power before any model was loaded, `idle_w` that with this one
    loaded, and `idle_powers` every time that either was measured.

    Answers that were in flight together share joules by tokens: one that is read weighs `prompt_weights` of one that is
    written, by device, as fitted last to `weighed_by` answers; of none, it is an assumption. `phases` is empty where
    reading and writing cannot be told apart, and `no_phases` then says why.
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

    def to_dict(self) -> dict[str, Any]:
        """The metering as a line of the results file."""
        parts = {name: getattr(self, name) for name in _PARTS}
        energies = {name: None if part is None else part.to_dict() for name, part in parts.items()}
        lists = {name: list(asdict(self)[name]) for name in ("idle_powers", "phases", "notes")}
        return {"kind": "metering", **asdict(self), **energies, **lists}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Metering":
        """The inverse of `to_dict`; keys that a later version added are left out."""
        known = known_fields(cls, plain)
        parts: dict[str, Any] = {name: Energy.from_dict(known[name]) for name in _PARTS if name in known}
        parts["idle_powers"] = tuple(IdlePower(**known_fields(IdlePower, one)) for one in known.get("idle_powers", ()))
        parts["phases"] = tuple(Phases(**known_fields(Phases, one)) for one in known.get("phases", ()))
        return cls(**known | parts | {"notes": tuple(known.get("notes", ()))})
