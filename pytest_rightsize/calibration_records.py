"""How often a judge agrees with people: frozen nouns. Counts only; no answer is in them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_rightsize.judgement_records import Criterion, Judgement
from pytest_rightsize.plain_data import plain_fields

__all__ = ["Calibration", "calibration_for"]

Json = Any
_MOST_LABELS = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a judge said of answers that people labelled, for one criterion.

    Of `good` answers, which people pass, the judge passed `good_passed`; of `bad` ones `bad_passed`. `judge` is the
    fingerprint of the model that judged, `by` the name of its rung then; `date` is the day, as `YYYY-MM-DD`.

    >>> polite = Criterion(question="judged", rubric="It is polite.", template="0f", at_least=4)
    >>> counts = Calibration(judge="a1", by="big", criterion=polite, good=50, good_passed=46, bad=50, bad_passed=3)
    >>> counts.sensitivity, counts.specificity, counts.agreement
    (0.92, 0.94, 0.93)
    """

    judge: str
    by: str
    criterion: Criterion
    good: int
    good_passed: int
    bad: int
    bad_passed: int
    date: str | None = None

    @property
    def labels(self) -> int:
        """How many answers were labelled and judged."""
        return self.good + self.bad

    @property
    def sensitivity(self) -> float | None:
        """The share of the answers that people pass which the judge passes; None without any."""
        return self.good_passed / self.good if self.good else None

    @property
    def specificity(self) -> float | None:
        """The share of the answers that people fail which the judge fails; None without any."""
        return 1 - self.bad_passed / self.bad if self.bad else None

    @property
    def agreement(self) -> float | None:
        """The share of the answers of which the judge says what people say; None without any."""
        return (self.good_passed + self.bad - self.bad_passed) / self.labels if self.labels else None

    def to_dict(self) -> dict[str, Json]:
        """The calibration as JSON data."""
        return {**plain_fields(self), "criterion": self.criterion.to_dict()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Json]) -> "Calibration":
        """The inverse of `to_dict`; raises KeyError, TypeError or ValueError for what is none."""
        counts = {name: plain[name] for name in ("good", "good_passed", "bad", "bad_passed")}
        if not all(isinstance(count, int) and not isinstance(count, bool) for count in counts.values()):
            raise ValueError("a count is no whole number")
        if not all(0 <= count <= _MOST_LABELS for count in counts.values()):
            raise ValueError("a count is no number of labels")
        if counts["good_passed"] > counts["good"] or counts["bad_passed"] > counts["bad"]:
            raise ValueError("the judge passed more answers than there were")
        return cls(
            judge=str(plain["judge"]),
            by=str(plain["by"]),
            criterion=Criterion.from_dict(plain["criterion"]),
            date=None if plain.get("date") is None else str(plain["date"]),
            **counts,
        )


def calibration_for(judgement: Judgement, calibrations: Iterable[Calibration]) -> Calibration | None:
    """The calibration of the very model and the very criterion of a judgement; None where there is none."""
    if judgement.judge is None or judgement.criterion is None:
        return None
    wanted = judgement.judge, judgement.criterion.fingerprint
    return next((one for one in calibrations if (one.judge, one.criterion.fingerprint) == wanted), None)
