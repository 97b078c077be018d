"""Policies: the bar of each task, and the gates that it need not pass for a while. Frozen nouns, as in `records.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pytest_rightsize.plain_data import plain_fields, shallow

__all__ = ["GateName", "Policy", "Waiver"]

GateName = Literal["oversized", "undersized", "unsolved", "undecided", "regressed"]
Json = Any  # a JSON value; mypy has no useful recursive type for data that users own


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """A gate that a task need not pass up to and including the day `until` (`YYYY-MM-DD`), and the reason."""

    gate: GateName
    until: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The bar of one task, resolved from marker, ladder file and options.

    `chosen` is the rung the application uses today, `chosen_from` says where that was read, for the reader who has
    to change it. `test_at` and `chosen_at` are places as `file:line` from the rootdir; None where there is
    none. `confidence` is how surely the bar must be reached; None asks for the observed rate only. `shuffle_seed` is
    set where the task stops early, and gives its cases the order that decides. `pass_rate_from` and the like say where
    each part of the bar was set: `marker`, `rightsize.toml [tasks.NAME]`, `--rightsize-pass-rate`,
    `ini rightsize_pass_rate` or `default`; None in a run that did not record it. `requests_per_month` is how often the
    application asks this, where the ladder file says it.
    """

    task: str
    pass_rate: float = 1.0
    samples: int = 1
    chosen: str | None = None
    chosen_from: str | None = None
    private: bool = False
    max_tokens: int | None = None
    concurrent: bool = True
    confidence: float | None = None
    test_at: str | None = None
    chosen_at: str | None = None
    waivers: tuple[Waiver, ...] = ()
    shuffle_seed: int | None = None
    pass_rate_from: str | None = None
    confidence_from: str | None = None
    samples_from: str | None = None
    requests_per_month: float | None = None

    @property
    def stops_early(self) -> bool:
        """Whether its cases are decided on one by one: only with a confidence, and one sample a case."""
        return self.shuffle_seed is not None and self.confidence is not None and self.samples == 1

    def to_dict(self) -> dict[str, Json]:
        """The policy as plain data, for the results file and for transfer from a worker process."""
        return shallow(self) | {"waivers": [plain_fields(waiver) for waiver in self.waivers]}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Json]) -> "Policy":
        """The inverse of `to_dict`; keys that a later version added are left out."""
        values = {name: plain[name] for name in cls.__dataclass_fields__ if name in plain}
        return cls(**values | {"waivers": tuple(Waiver(**waiver) for waiver in plain.get("waivers", ()))})
