"""Words for what one model saves against another: the same in every report. Pure."""

from collections.abc import Mapping, Sequence

from pytest_rightsize.judging.conclusions import Conclusion, Saving
from pytest_rightsize.judging.rung_amounts import TOKENS
from pytest_rightsize.reports.units import count, joules, seconds, usd

__all__ = ["saving_parts", "saving_words", "shown_savings"]


def shown_savings(conclusion: Conclusion) -> Sequence[Saving]:
    """The savings to tell; tokens only where it is not known what those cost, and where they are shown to differ."""
    costs = [saving for saving in conclusion.savings if saving.quantity not in TOKENS]
    return costs or [saving for saving in conclusion.savings if (saving.low or 0) > 0 or (saving.high or 0) < 0]


def saving_words(saving: Saving) -> str:
    """`4b instead of frontier saves 39.6 kJ per 1,000 cases (95 % interval 35.1 kJ to 44.2 kJ; measured)`.

    Where the interval covers 0, it is called a tie. An estimate says that it is one, and how it was made.
    """
    if saving.estimate is not None:
        about = _difference(saving, about=True)
        return f"{about} per 1,000 cases (estimate, as {saving.chosen} was not run: {saving.estimate})"
    provenance = f"; {saving.kind.partition(',')[0]}" if saving.kind else ""
    if saving.sampled:
        provenance += f"; {saving.chosen} was asked {saving.sampled} case{'s' * (saving.sampled != 1)} for this alone"
    noun = _NOUNS[saving.quantity]
    if saving.low is None or saving.high is None:
        return f"{_difference(saving)} per 1,000 cases, by a single case{provenance}"
    if saving.low <= 0 <= saving.high:
        least, most = (f"{'-' if end < 0 else ''}{_amount(saving, abs(end))}" for end in (saving.low, saving.high))
        tie = f"{saving.instead} and {saving.chosen} are a tie in {noun}"
        return f"{tie} (95 % interval of what 1,000 cases save: {least} to {most}{provenance})"
    low, high = sorted((abs(saving.low), abs(saving.high)))
    interval = f"95 % interval {_amount(saving, low)} to {_amount(saving, high)}{provenance}"
    return f"{_difference(saving)} per 1,000 cases ({interval})"


def saving_parts(saving: Saving) -> tuple[str, str]:
    """What a table shows first, and the rest: `39.6 kJ` and `per 1,000 cases (95 % interval ...), against frontier`.

    Where more is taken the first is `takes 14 kJ more`, and a tie is called one.
    """
    words = saving_words(saving)
    if saving.low is not None and saving.high is not None and saving.low <= 0 <= saving.high:
        return f"a tie in {_NOUNS[saving.quantity]}", words.partition(f" in {_NOUNS[saving.quantity]} ")[2]
    amount = f"{'about ' if saving.estimate is not None else ''}{_amount(saving, abs(saving.per_1000))}"
    first = amount if saving.per_1000 >= 0 else f"takes {amount} more"
    return first, f"{words.partition(f'{first} ')[2]}, against {saving.chosen}"


def _difference(saving: Saving, *, about: bool = False) -> str:
    amount = f"{'about ' if about else ''}{_amount(saving, abs(saving.per_1000))}"
    verb = f"saves {amount}" if saving.per_1000 >= 0 else f"takes {amount} more"
    return f"{saving.instead} instead of {saving.chosen} {verb}"


_NOUNS: Mapping[str, str] = {
    "energy": "energy",
    "cost": "cost",
    "latency": "time",
    **{quantity: quantity.replace("_", " ") for quantity in TOKENS},
}


def _amount(saving: Saving, value: float) -> str:
    if saving.quantity in TOKENS:
        return f"{count(value)} {_NOUNS[saving.quantity]}"
    formatter = {"energy": joules, "cost": usd, "latency": seconds}[saving.quantity]
    return str(formatter(value))
