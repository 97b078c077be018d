"""No column is lost at any width of a terminal without saying so: 40 columns or 400, few rungs or many."""

import re
from collections.abc import Callable
from functools import cache

import pytest

from pytest_rightsize.judging.conclusions import conclude
from pytest_rightsize.judging.usage import usage_of
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run
from pytest_rightsize.reports.facts import intervals
from pytest_rightsize.reports.terminal import table_lines
from pytest_rightsize.reports.usage_tables import usage_lines
from tests.reports.rich_run import rich_run
from tests.runs import make_run

WIDTHS = (20, 40, 60, 80, 120, 200, 400)


@cache
def many_rungs() -> Run:
    """A table of verdicts that is wider than 200 columns."""
    rungs = [f"a-model-of-{size}b" for size in range(1, 13)]
    outcomes = {task: dict.fromkeys(rungs, "1101") for task in ("route-ticket", "iso-date")}
    return make_run(outcomes, chosen=rungs[-1])


@cache
def rich() -> Run:
    return rich_run(cases=3)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("run", [many_rungs, rich], ids=["many rungs", "rich"])
def test_every_cell_of_the_verdicts_is_there_and_fits_where_it_can(run: Callable[[], Run], width: int) -> None:
    verdicts = judge(made := run())
    whole = table_lines(made, verdicts)
    lines = table_lines(made, verdicts, width=width)
    text = " ".join(" ".join(lines).split())
    for row in whole[1:]:
        for cell in re.split(r" {2,}", row.strip()):
            assert cell == "-" or cell in text, f"{cell!r} is lost"
    for rung in made.rungs:
        assert text.count(f"{rung.name} ") >= (1 if lines == whole else len(verdicts))
    if max(map(len, whole)) <= width:
        assert lines == whole
    else:
        parts = [part for line in lines for part in re.split(r" {2,}", line.strip())]
        assert max(map(len, lines)) <= max(width, *(len(part) + 2 for part in parts))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_column_of_what_was_used_is_there_or_named_as_left_out(width: int) -> None:
    verdicts = judge(run := rich())
    shares = intervals(run, verdicts)
    usage, conclusions = usage_of(run), conclude(run, verdicts)
    columns = usage_lines(usage, conclusions, intervals=shares)[1].split()
    lines = usage_lines(usage, conclusions, width=width, intervals=shares)
    shown = lines[1].split()
    (legend,) = (line for line in lines if line.startswith("("))
    named = (
        legend.rpartition("left out, as the terminal is narrow: ")[2].rstrip(")").split()
        if "left out" in legend
        else []
    )
    assert {*shown} | {*named} == {*columns}
    assert {*shown} & {*named} == set()
    assert len(columns) > 8
    assert bool(named) == (width <= 120)
