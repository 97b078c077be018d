"""Say how many cases a task needs before one writes them, and how likely so many are to show what they should.

Power is the probability that a rung of the supposed true rate is shown to reach the bar. Several samples of a case do
not stand in for cases: they tell of the model's luck, not of the task.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, pairwise
from math import ceil, log

from tabulate import tabulate

from pytest_rightsize.commands._output import say
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.statistics import (
    cases_needed,
    chances,
    design_for,
    fall_cases_needed,
    fall_power,
    paired_cases_needed,
    paired_power,
    passes_needed,
    power,
)

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = ("rightsize plan --bar 0.9", "rightsize plan --bar 0.9 --true-rate 0.97 --margin 0.05")

_SIZES = (20, 30, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)
# Early stopping is worked out path by path: beyond so many cases that takes seconds.
_MOST_EARLY = 2_000
_FALSE_ALARMS = 0.05
# The number of these sizes in a table.
_SHOWN = 5
_LIMIT = 20_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize plan`."""
    parser.add_argument("--bar", type=float, required=True, metavar="R", help="the pass rate to show, as in 0.9")
    parser.add_argument("--confidence", type=float, default=0.95, metavar="C", help="how surely (default 0.95)")
    parser.add_argument("--true-rate", type=float, metavar="R", help="what one supposes the rung's true rate to be")
    parser.add_argument("--margin", type=float, metavar="M", help="plan also to show: not worse by more than M (0.05)")
    parser.add_argument("--drop-to", type=float, metavar="R", help="plan also to show a regression: a fall to R")
    parser.add_argument("--tasks", type=int, default=1, metavar="N", help="how many tasks the session has (default 1)")
    parser.add_argument("--rungs", type=int, default=4, metavar="N", help="how many rungs the ladder has (default 4)")
    parser.add_argument(
        "--power", type=float, default=0.8, metavar="P", help="how likely it must be shown (default 0.8)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; raises ConfigError for a number out of its range."""
    _check("--bar", arguments.bar, 0 < arguments.bar < 1, "between 0 and 1: no number of cases shows a rate of 1")
    _check("--confidence", arguments.confidence, 0.5 < arguments.confidence < 1, "between 0.5 and 1, such as 0.95")
    _check("--power", arguments.power, 0 < arguments.power < 1, "between 0 and 1, such as 0.8")
    if arguments.true_rate is not None:
        _check("--true-rate", arguments.true_rate, 0 < arguments.true_rate <= 1, "between 0 and 1, such as 0.97")
        if arguments.true_rate < arguments.bar:
            raise ConfigError(
                f"--true-rate {arguments.true_rate:g} is below the bar {arguments.bar:g}: a model of that rate "
                f"should not pass, and no number of cases shows that it does; give a rate above the bar"
            )
    if arguments.margin is not None:
        _check("--margin", arguments.margin, 0 < arguments.margin < 1, "between 0 and 1, such as 0.05 for 5 points")
    if arguments.drop_to is not None:
        _check("--drop-to", arguments.drop_to, 0 <= arguments.drop_to < 1, "from 0 to below 1, such as 0.85")
    _check("--tasks", arguments.tasks, 1 <= arguments.tasks <= 1_000_000, "from 1 to 1,000,000")
    _check("--rungs", arguments.rungs, 1 <= arguments.rungs <= 1_000, "from 1 to 1,000")
    lines = [
        *_bar_lines(arguments),
        *(_margin_lines(arguments) if arguments.margin is not None else []),
        *(_drop_lines(arguments) if arguments.drop_to is not None else []),
    ]
    say("\n".join(lines))
    return 0


_FRACTIONS = ("--bar", "--confidence", "--power", "--true-rate", "--margin", "--drop-to")


def _check(option: str, value: float, is_valid: bool, wanted: str) -> None:
    if not is_valid and 1 < value <= 100 and option in _FRACTIONS:
        raise ConfigError(f"{option} was given {value:g}, which looks like percent: write {value / 100:g}")
    if not is_valid:
        raise ConfigError(f"{option} was given {value:g}: give a number {wanted}")


def _bar_lines(arguments: argparse.Namespace) -> Iterator[str]:
    """The number of cases needed to show the bar, and the power at several numbers of cases."""
    bar, confidence, rates = arguments.bar, arguments.confidence, _true_rates(arguments)
    least = _fewest_cases(bar, confidence)
    aim = f"to show a pass rate of {_rate(bar)} at {confidence:g}"
    yield f"{aim} takes at least {_cases(least)}, and then all must pass"
    needed = {rate: _cases_for_rate(rate, arguments) for rate in rates}
    for rate, cases in needed.items():
        yield f"if the true rate is {_rate(rate)}: {_size_text(cases, arguments.power)}"
    sizes = sorted({least, *[size for size in _SIZES if size > least][:_SHOWN], *filter(None, needed.values())})
    may_fail = [cases - (passes_needed(cases, pass_rate=bar, confidence=confidence) or 0) for cases in sizes]
    columns = {
        f"power at {_rate(rate)}": [
            power(cases, true_rate=rate, pass_rate=bar, confidence=confidence) for cases in sizes
        ]
        for rate in rates
    }
    yield from _table(sizes, columns, {"may fail": may_fail})
    yield from _early_lines(sizes, rates, bar, confidence)


def _early_lines(sizes: Sequence[int], rates: Sequence[float], bar: float, confidence: float) -> Iterator[str]:
    """How many of the cases a rung is asked on average, as it stops early."""
    sizes = [cases for cases in sizes if cases <= _MOST_EARLY]
    asked = {
        f"asked at {_rate(rate)}": [
            chances(design_for(cases, pass_rate=bar, confidence=confidence), rate).expected_cases for cases in sizes
        ]
        for rate in rates
    }
    columns = ([f"{number:.0f}" for number in column] for column in asked.values())
    rows = zip((f"{cases:,}" for cases in sizes), *columns, strict=True)
    yield ""
    yield "cases that are asked on average, as a task with a confidence stops early (--rightsize-stopping)"
    yield from tabulate([*rows], headers=["cases", *asked], tablefmt="plain", disable_numparse=True).splitlines()


def _drop_lines(arguments: argparse.Namespace) -> Iterator[str]:
    """The number of cases needed to show that a rung passes less than it did in a baseline."""
    # Holm counts each rung of each task: any of them could have been the smallest by luck.
    error, now = _FALSE_ALARMS / (arguments.rungs * arguments.tasks), arguments.drop_to
    rates = [rate for rate in _true_rates(arguments) if rate > now]
    yield ""
    tasks = f"{arguments.tasks:,} task{'s' if arguments.tasks != 1 else ''}"
    ladder = f"a ladder of {arguments.rungs:,} rung{'s' if arguments.rungs != 1 else ''}"
    yield f"to show a regression to {_rate(now)} against a baseline, in a session of {tasks} on {ladder}"
    needed = {
        rate: fall_cases_needed(rate_before=rate, rate_now=now, error=error, at_least=arguments.power, limit=_LIMIT)
        for rate in rates
    }
    for rate, cases in needed.items():
        yield f"if the true rate was {_rate(rate)}: {_size_text(cases, arguments.power)}"
    sizes = sorted({*_SIZES[:_SHOWN], *filter(None, needed.values())})
    columns = {
        f"power from {_rate(rate)}": [fall_power(cases, rate_before=rate, rate_now=now, error=error) for cases in sizes]
        for rate in rates
    }
    yield from _table(sizes, columns)


def _margin_lines(arguments: argparse.Namespace) -> Iterator[str]:
    """The number of cases needed to show that a smaller rung is not worse than a larger one by the margin."""
    margin, confidence = arguments.margin, arguments.confidence
    changed = {rate: 2 * rate * (1 - rate) for rate in _true_rates(arguments)}
    needed = {
        rate: paired_cases_needed(margin=margin, changed=share, confidence=confidence, at_least=arguments.power)
        for rate, share in changed.items()
    }
    yield ""
    aim = f"to show that one rung is not worse than another by more than {100 * margin:g} points"
    yield f"{aim}, where they err independently"
    for rate, cases in needed.items():
        share = f"{100 * changed[rate]:.3g} % change sides"
        yield f"if both are right in {_rate(100 * rate)} % of the cases ({share}): {_size_text(cases, arguments.power)}"
    yield "rungs that err on the same cases need fewer"
    sizes = sorted({*_SIZES[:_SHOWN], *filter(None, needed.values())})
    columns = {
        f"power at {_rate(rate)}": [
            paired_power(cases, margin=margin, changed=share, confidence=confidence) for cases in sizes
        ]
        for rate, share in changed.items()
    }
    yield from _table(sizes, columns)


def _true_rates(arguments: argparse.Namespace) -> list[float]:
    """The supposed true rate of the option, else three between the bar and 1."""
    if arguments.true_rate is not None:
        return [arguments.true_rate]
    return [arguments.bar + share * (1 - arguments.bar) for share in (0.5, 0.75, 0.9)]


def _fewest_cases(bar: float, confidence: float) -> int:
    """The smallest number of cases that shows the bar if all of them pass."""
    estimate = ceil(log(1 - confidence) / log(bar))  # exact but for the last digits of two logarithms
    sizes = count(max(1, estimate - 1))
    return next(cases for cases in sizes if passes_needed(cases, pass_rate=bar, confidence=confidence))


def _cases_for_rate(rate: float, arguments: argparse.Namespace) -> int | None:
    return cases_needed(
        true_rate=rate, pass_rate=arguments.bar, confidence=arguments.confidence, at_least=arguments.power, limit=_LIMIT
    )


def _size_text(cases: int | None, at_least: float) -> str:
    if cases is None:
        return f"no number of cases up to {_LIMIT:,} gives a power of {at_least:g}"
    return f"{_cases(cases)} for a power of {at_least:g}"


def _cases(number: int) -> str:
    return f"{number:,} case{'s' if number != 1 else ''}"


def _rate(rate: float) -> str:
    """A rate with all its digits, up to ten: 0.99995 is not 1."""
    return f"{rate:.10g}"


def _table(
    sizes: Sequence[int], columns: Mapping[str, Sequence[float]], counts: Mapping[str, Sequence[int]] | None = None
) -> Iterator[str]:
    """A row for each number of cases; where more cases give less power, a line says why that is correct."""
    powers = ([f"{value:.2f}" for value in values] for values in columns.values())
    rows = zip((f"{cases:,}" for cases in sizes), *(counts or {}).values(), *powers, strict=True)
    headers = ["cases", *(counts or {}), *columns]
    yield ""
    yield from tabulate([*rows], headers=headers, tablefmt="plain", disable_numparse=True).splitlines()
    if any(later < sooner - 0.005 for values in columns.values() for sooner, later in pairwise(values)):
        yield "(power rises in steps, where one more case may fail, and falls a little between them)"
