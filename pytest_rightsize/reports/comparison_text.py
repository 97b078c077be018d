"""A comparison of two rungs as lines of text: the answer in one sentence, then the figures and cases behind it."""

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from pytest_rightsize.judging.comparison import Changed, Comparison, Paired
from pytest_rightsize.judging.economy import AMOUNTS
from pytest_rightsize.judging.token_counts import RungTokens
from pytest_rightsize.statistics.estimates import Interval, Ratio

__all__ = ["comparison_lines", "shown_cases"]

# Characters shown of each of two answers that stand side by side.
_WIDTH = 48


def comparison_lines(comparison: Comparison, *, by_task: bool, cases: int) -> list[str]:
    """The answer, what else differs, the figures overall or by task, and up to `cases` cases that changed sides."""
    lines = [comparison.answer, *(f"differs: {difference}" for difference in comparison.differs)]
    if comparison.overall is None:
        return lines
    sections = comparison.tasks if by_task else {"all cases": comparison.overall}
    for title, paired in sections.items():
        lines += ["", f"{title}: {paired.n} cases" + _unpaired(paired), *_figures(paired, *comparison.labels)]
        lines += [f"  note: {paired.partial}"] if paired.partial else []
    return [*lines, *_changed_lines(comparison.overall, cases, comparison.labels)]


def _unpaired(paired: Paired) -> str:
    return f" ({paired.unpaired} more were answered by only one of the two)" if paired.unpaired else ""


def _figures(paired: Paired, a: str, b: str) -> list[str]:
    delta, margin = paired.difference, 100 * paired.non_inferior.margin
    p = "several samples a case" if paired.mcnemar_p is None else f"{paired.mcnemar_p:.3g}"
    holds = "shown" if paired.non_inferior.holds else "not shown"
    rows = [
        (f"pass rate of {a}", _rate(paired.rate_a, paired.interval_a)),
        (f"pass rate of {b}", _rate(paired.rate_b, paired.interval_b)),
        ("difference", f"{100 * delta.value:+.2f} points, 95 % {_points(delta.low, delta.high)}, "
                       f"90 % {_points(delta.low90, delta.high90)} ({delta.method})"),
        (f"only {a} right", str(paired.only_a)),
        (f"only {b} right", str(paired.only_b)),
        ("exact McNemar p", p),
        (f"not worse by {margin:g} points", f"{holds} (p {paired.non_inferior.p:.3g})"),
        *((f"{name.replace('_', ' ')} of {a} / {b}, geometric mean", _amount(paired, name)) for name in AMOUNTS),
        *((f"reasoning share of {rung}", _share(of)) for rung, of in ((a, paired.tokens_a), (b, paired.tokens_b))
          if of.reasoning_share is not None or of.doubt),
    ]  # fmt: skip
    return [f"  {line}" for line in tabulate(rows, tablefmt="plain", disable_numparse=True).splitlines()]


def _rate(rate: float, interval: Interval) -> str:
    return f"{100 * rate:.1f} % [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _points(low: float, high: float) -> str:
    return f"[{100 * low:+.2f}, {100 * high:+.2f}]"


def _amount(paired: Paired, name: str) -> str:
    ratio = paired.economy.ratios.get(name)
    if ratio is None:
        return paired.economy.unknown[name]
    caution = paired.economy.cautions.get(name)
    return _ratio(ratio, paired.n) + (f"; {caution}" if caution else "")


def _share(tokens: RungTokens) -> str:
    """The part of the completion that is reasoning, and how far its counts may be wrong."""
    if tokens.reasoning_share is None:
        return f"not known: {tokens.doubt}"
    return f"{100 * tokens.reasoning_share:.1f} % of its completion tokens"


def _ratio(ratio: Ratio, cases: int) -> str:
    """A geometric mean ratio, with the number of its cases where those are not all."""
    ends = "" if ratio.low is None or ratio.high is None else f" [{ratio.low:.3g}, {ratio.high:.3g}]"
    tie = ", a tie" if ratio.tie and ends else ""
    return f"{ratio.value:.3g}{ends}{tie}" + (f" (of {ratio.n} cases)" if ratio.n < cases else "")


def _changed_lines(paired: Paired, cases: int, labels: tuple[str, str]) -> list[str]:
    """The cases that changed sides, with both answers side by side."""
    if not paired.changed or cases < 1:
        return []
    rows = [row for changed in shown_cases(paired, cases) for row in _case_rows(changed)]
    table = tabulate(rows, headers=["changed sides", *labels], tablefmt="plain", disable_numparse=True)
    more = len(paired.changed) - cases
    rest = [f"and {more} more: give --cases or --json"] if more > 0 else []
    return ["", *table.splitlines(), *rest]


def shown_cases(paired: Paired, cases: int) -> Sequence[Changed]:
    """The first cases that only a passed and the first that only b did, up to `cases`: neither side hides the other."""
    only_a, only_b = paired.changed[: paired.only_a], paired.changed[paired.only_a :]
    half = max(cases // 2, cases - len(only_b))
    first = only_a[:half]
    return [*first, *only_b[: cases - len(first)]]


def _case_rows(changed: Changed) -> Iterable[tuple[str, str, str]]:
    """The row of the case and who passed it, then a row of both answers for each sample."""
    passed = (_passed(changed.passed_a, changed.trials_a), _passed(changed.passed_b, changed.trials_b))
    yield changed.case, *passed
    for sample in range(max(len(changed.texts_a), len(changed.texts_b))):
        yield "", *_texts(_at(changed.texts_a, sample), _at(changed.texts_b, sample))


def _passed(passed: int, trials: int) -> str:
    if trials == 1:
        return "passed" if passed else "failed"
    return f"passed {passed}/{trials}"


def _at(texts: Sequence[str], sample: int) -> str:
    return repr(texts[sample]) if sample < len(texts) else ""


def _texts(a: str, b: str) -> tuple[str, str]:
    """Both answers, shortened so that their first difference can be seen."""
    pairs = enumerate(zip(a, b, strict=False))
    first_difference = next((place for place, (char_a, char_b) in pairs if char_a != char_b), 0)
    start = max(0, first_difference - _WIDTH // 3) if max(len(a), len(b)) > _WIDTH else 0
    return _cut(a, start), _cut(b, start)


def _cut(text: str, start: int) -> str:
    shown = f"...{text[start + 3 :]}" if start > 3 else text
    return shown if len(shown) <= _WIDTH else f"{shown[: _WIDTH - 3]}..."
