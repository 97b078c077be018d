"""`rightsize show`: any case of a run side by side, and the nearest name for one that is not there."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.energy import Energy
from pytest_rightsize.records import AnswerRecord, Json, Policy, Rung, Tokens, Trial, TrialKey
from pytest_rightsize.reports.case_names import readable_case
from pytest_rightsize.reports.side_by_side import case_lines
from pytest_rightsize.reports.text_width import columns
from pytest_rightsize.results.results_file import ResultsFile
from tests.reports.test_terminal import check

Show = Callable[..., str]
ROUTE = "test_shop.py::test_route"
PROMPT = "Route this ticket to billing, shipping or returns.\n\nTicket: {}"
TALK = ({"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"})


def trial(
    rung: str, case: str, text: str | None, *, task: str = "route", outcome: str = "failed", **rest: Json
) -> Trial:
    answers = () if text is None else (answer(text, PROMPT.format(readable_case(case))),)
    reason = {"failed": "wrong", "passed": None, "not_run": "settled", "error": "transport"}[outcome]
    key = TrialKey(task=task, case=f"{ROUTE}[{case}]", rung=rung)
    values: dict[str, Json] = {"key": key, "outcome": outcome, "reason": reason, "answers": answers} | rest
    return Trial(**values)


def answer(text: str, *said: str, **rest: Json) -> AnswerRecord:
    values: dict[str, Json] = {
        "text": text,
        "messages": tuple({"role": "user", "content": each} for each in said),
        "tokens": Tokens(prompt=31, completion=4, source="reported"),
        "seconds": 0.4,
        "energy": Energy(joules=1.5, low=1.2, high=1.9, provenance="measured"),
    }
    return AnswerRecord(**values | rest)


LONG = "The best queue for this ticket is probably shipping, as the customer says. " * 3
TRIALS = [
    trial(
        "tiny", "charged twice", "sales", detail="AssertionError: assert 'sales' == 'billing'\n  - billing\n  + sales"
    ),
    trial("mid", "charged twice", "billing", outcome="passed"),
    trial("frontier", "charged twice", None, outcome="not_run", detail="settled: mid passes"),
    trial("tiny", "Gr\\xf6\\xdfe-late", LONG, detail="AssertionError: assert 'The best que...' == 'shipping'"),
    trial("mid", "Gr\\xf6\\xdfe-late", None, outcome="error", detail="no connection: is the server running?"),
    Trial(
        key=TrialKey(task="talk", case="test_shop.py::test_talk", rung="mid"),
        outcome="passed",
        answers=(
            answer("hi", messages=TALK, seconds=None, energy=None),
            answer("bye", messages=(*TALK, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "go"})),
        ),
    ),
]


@pytest.fixture
def show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Show:
    """Run the command on a file of two tasks; what it prints."""
    rungs = [Rung(name=name, provider="replay") for name in ("tiny", "mid", "frontier")]
    file = ResultsFile(tmp_path / "run.jsonl", rungs=rungs, about={"settings": {}})
    file.plan([Policy(task="route"), Policy(task="talk")], {("route", "tiny"): 2, ("talk", "mid"): 1})
    for each in TRIALS:
        file.trial(each)
    file.end([], exitstatus=1, failed=[], totals={})

    def run(*arguments: str, status: int = 0) -> str:
        assert main(["show", str(file.path), *arguments]) == status
        printed = capsys.readouterr()
        return printed.err if status else printed.out

    return run


def test_cases_are_shown_as_in_the_golden_texts(show: Show) -> None:
    check("show", show("--width", "100"))
    check("show_narrow", show("--width", "60", "--task", "route"))


def test_no_line_is_wider_than_the_terminal_however_wide_its_letters() -> None:
    wide = [trial(rung, "a", "你好 世界 " * 30 + "x" * 100, detail="你" * 90) for rung in ("tiny", "mid")]
    for width in (40, 57, 80, 120):
        assert max(map(columns, case_lines(wide, width=width))) <= width


@pytest.mark.parametrize(
    "name",
    [
        f"{ROUTE}[charged twice]",
        "charged twice",
        f"{ROUTE}[tiny-charged twice]",  # as pytest names the test
        f"{ROUTE}[charged twice-mid]",
        "twice",
        "test_route[tiny-charged twice]",
    ],
)
def test_a_case_is_found_by_any_of_its_names(show: Show, name: str) -> None:
    shown = show("--case", name)
    assert shown.startswith("route: test_shop.py::test_route[charged twice]\n")
    assert "Größe" not in shown


def test_a_case_is_found_by_the_letters_that_people_wrote(show: Show) -> None:
    assert show("--case", "Größe").startswith(f"route: {ROUTE}[Größe-late]\n")


def test_one_rung_is_shown_where_one_is_asked_for(show: Show) -> None:
    shown = show("--rung", "mid", "--task", "route")
    assert "billing" in shown
    assert "sales" not in shown
    assert "frontier" not in shown


def test_a_rung_that_was_not_asked_is_said_to_have_no_answer(show: Show) -> None:
    shown = show("--case", "charged twice", "--rung", "frontier")
    assert "not run (settled)" in shown
    assert "settled: mid passes" in shown
    assert "tokens" not in shown


def test_a_rung_that_was_asked_nothing_took_nothing_that_is_known() -> None:
    """Beside a conversation: no 0 s and no $0, and no name above nothing."""
    talk = next(each for each in TRIALS if each.key.task == "talk")
    down = Trial(key=replace(talk.key, rung="down"), outcome="not_run", reason="down", detail="no server")
    lines = case_lines([talk, down], width=45)
    assert lines.count("down:") == 1
    assert [line.split()[0] for line in lines[lines.index("down:") + 1 :]] == ["result", "reason"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rung", ","], "unknown rung ''. Known: tiny, mid, frontier."),
        (["--task", "rout"], "unknown task 'rout': did you mean 'route'? Known: route, talk."),
        (["--rung", "mad"], "unknown rung 'mad': did you mean 'mid'? Known: tiny, mid, frontier."),
        (
            ["--case", "chrged twise"],
            "no case has 'chrged twise' in its name: did you mean 'charged twice'? There are 3",
        ),
        (["--case", "twice", "--task", "talk"], "talk has no case 'twice', but route has"),
        (["--task", "talk", "--rung", "tiny"], "has no trial of tiny for what --task and --case name"),
    ],
)
def test_a_name_that_is_not_there_is_told_with_the_nearest(show: Show, arguments: list[str], words: str) -> None:
    assert words in show(*arguments, status=2)


def test_a_file_without_a_trial_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.jsonl").touch()
    assert main(["show", str(tmp_path / "run.jsonl")]) == 2
    assert "run.jsonl has no trial: " in capsys.readouterr().err


def test_text_of_a_model_has_no_effect_on_the_terminal() -> None:
    hostile = [trial("tiny", "a", "\x1b[2J\x1b]0;title\x07 \u202edcba", detail="\x1b[31mred")]
    text = "".join(case_lines(hostile, width=80))
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
