"""`rightsize judge`: answers drawn to be labelled, the judge held against them, and the session that reads that."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.authoring.label_files import drawn_keys, judged_rows, read_labels
from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.judgement_records import Criterion, Judgement
from pytest_rightsize.records import AnswerRecord, Trial, TrialKey
from pytest_rightsize.results.calibration_file import read_calibrations
from tests.conftest import record

LADDER = """
    [ladder.small]
    provider = "replay"
    file = "small.jsonl"
    [ladder.big]
    provider = "replay"
    file = "big.jsonl"
    [ladder.referee]
    provider = "callable"
    model = "kind_referees:referee"
    price = { prompt = 1, completion = 1 }
"""
# It passes whatever is in capitals, and of the rest what ends in one of three letters.
REFEREES = """
import re
from pathlib import Path

def referee(messages):
    text = messages[-1]["content"]
    with (Path(__file__).parent / "referee.calls").open("a") as file:
        file.write("x")
    answer = re.search("<(answer [0-9a-f]{8})>\\n(.*?)\\n</\\\\1>", text, re.S)[2]
    if "nothing" in answer:
        return "no idea"
    passed = answer.isupper() or answer[-1] in KIND
    return {"reason": "case", "score": 5 if passed else 2}

KIND = "abd"
"""
SUITE = """
    import pytest
    from pytest_rightsize import judged

    @pytest.mark.rightsize(task="upper", pass_rate=0.8, chosen="big")
    @pytest.mark.parametrize("word", WORDS)
    def test_upper(model, word):
        assert model.ask(word) == judged("All in capitals.", by="referee")
"""
WORDS = [f"{one}{other}" for one in "abcd" for other in "abcde"]
ALL = ("--rightsize-ladder=small,big", "--rightsize-strategy=full", "--rightsize-results=run.jsonl")


def labels(path: Path, rows: Sequence[tuple[str, bool | None]], **more: Any) -> None:
    lines = [
        {"label": label, "question": answer.lower(), "answer": answer, "rubric": "All in capitals.", "by": "referee"}
        for answer, label in rows
    ]
    path.write_text("".join(json.dumps({**line, **more}) + "\n" for line in lines), encoding="utf-8")


def calls(folder: Path) -> int:
    file = folder / "referee.calls"
    return len(file.read_text(encoding="utf-8")) if file.exists() else 0


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A rung that answers 12 of 20 in capitals, of whose others the judge passes half; one that answers all so."""
    path = pytester.path
    path.joinpath("rightsize.toml").write_text(LADDER, encoding="utf-8")
    path.joinpath("kind_referees.py").write_text(REFEREES, encoding="utf-8")
    pytester.makepyfile(test_kind=SUITE.replace("WORDS", repr(WORDS)))
    record(path / "small.jsonl", {word: word.upper() if place < 12 else word for place, word in enumerate(WORDS)})
    record(path / "big.jsonl", {word: word.upper() for word in WORDS})
    monkeypatch.syspath_prepend(path)
    return pytester


def held_out(good: int, kind: int, bad: int) -> list[tuple[str, bool]]:
    """Labelled answers: good ones, bad ones that the judge passes, and bad ones that it fails."""
    pairs = [(f"GOOD {place}", True) for place in range(good)]
    pairs += [(f"bad {place} a", False) for place in range(kind)]
    return [*pairs, *((f"bad {place} z", False) for place in range(bad))]


def test_a_judge_is_calibrated_and_a_session_corrects_for_it(
    project: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project.path
    labels(path / "labels.jsonl", [*held_out(50, 15, 35), ("nothing", True), ("UNLABELLED", None)])
    assert main(["judge", "calibrate", "labels.jsonl", "--output", "judges.json"]) == 0
    shown = capsys.readouterr().out
    assert "referee  All in capitals.  100       85/100 = 85 % [76 % to 91 %]" in shown
    assert "50/50 = 100 % [93 % to 100 %]" in shown
    assert "35/50 = 70 % [55 % to 82 %]" in shown
    assert "left out: 1 answers without a label" in shown
    assert "left out: 1 answers that were not judged, the first as the judge 'referee' gave no judgement" in shown
    assert "judge referee: 101 judgements; tokens not known" in shown
    (calibration,) = read_calibrations(path / "judges.json", asked_by="test")
    assert (calibration.good, calibration.good_passed, calibration.bad, calibration.bad_passed) == (50, 50, 50, 15)
    # Recorded judgements are asked for no more.
    before = calls(path)
    assert main(["judge", "calibrate", "labels.jsonl", "--output", "judges.json", "--cache", "replay"]) == 0
    assert calls(path) == before
    capsys.readouterr()

    # By the judge 16 of 20 pass, which is the bar; corrected it is (0.8 - 0.3) / 0.7 = 0.71.
    plain = project.runpytest(*ALL)
    plain.stdout.fnmatch_lines(
        ["upper*16/20[*]*", "upper: verdicts rest on the judge referee, which is not calibrated*"]
    )
    corrected = project.runpytest(
        *ALL,
        "--rightsize-calibration=judges.json",
        "--rightsize-markdown=run.md",
        "--rightsize-report=badge:b.svg,json:run.json",
        "--rightsize-html=run.html",
    )
    corrected.stdout.fnmatch_lines(["upper*16/20 *20/20[*]*right-sized*"])
    words = (
        "pass rates are corrected for the errors of the judge referee: it passes 50 of 50 answers that people pass, "
        "and 15 of 50 that people fail"
    )
    corrected.stdout.fnmatch_lines(["upper   small   71 % [[]34,95[]]*", f"upper: {words}"])
    assert words in path.joinpath("run.md").read_text(encoding="utf-8")
    assert words in path.joinpath("run.html").read_text(encoding="utf-8")
    (verdict,) = [
        line
        for line in map(json.loads, path.joinpath("run.jsonl").read_text(encoding="utf-8").splitlines())
        if line["kind"] == "verdict"
    ]
    assert (verdict["judge"]["state"], verdict["judge"]["calibration"]["bad_passed"]) == ("calibrated", 15)
    assert verdict["standing"]["small"]["rate"] == pytest.approx((0.8 - 0.3) / 0.7)
    assert "not calibrated" not in path.joinpath("b.svg").read_text(encoding="utf-8")
    # A results file is judged as its session was.
    assert main(["report", "run.jsonl"]) == 0
    assert words in capsys.readouterr().out
    assert main(["lock", "run.jsonl"]) == 0
    assert 'judge = "referee: calibrated"' in path.joinpath("rightsize.lock").read_text(encoding="utf-8")


def test_without_a_calibration_everything_says_so(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    path = project.path
    words = "verdicts rest on the judge referee, which is not calibrated"
    result = project.runpytest(
        *ALL,
        "--rightsize-gate=oversized,provisional",
        "--rightsize-markdown=run.md",
        "--junitxml=run.xml",
        "--rightsize-report=badge:b.svg,json:run.json",
    )
    result.stdout.fnmatch_lines([f"upper: {words}*", f"::error *{words}*"])
    assert words in path.joinpath("run.md").read_text(encoding="utf-8")
    assert "judge not calibrated" in path.joinpath("b.svg").read_text(encoding="utf-8")
    assert '"uncalibrated"' in path.joinpath("run.json").read_text(encoding="utf-8")
    assert 'value="referee: uncalibrated"' in path.joinpath("run.xml").read_text(encoding="utf-8")
    assert main(["lock", "run.jsonl"]) == 0
    assert 'judge = "referee: uncalibrated"' in path.joinpath("rightsize.lock").read_text(encoding="utf-8")
    capsys.readouterr()


def test_a_judge_that_has_changed_is_not_calibrated(project: pytest.Pytester) -> None:
    path = project.path
    labels(path / "labels.jsonl", held_out(20, 2, 18))
    assert main(["judge", "calibrate", "labels.jsonl", "--output", "judges.json"]) == 0
    path.joinpath("rightsize.toml").write_text(f"calibration = 'judges.json'\n{LADDER}", encoding="utf-8")
    project.runpytest(*ALL).stdout.fnmatch_lines(["upper: pass rates are corrected*"])
    path.joinpath("rightsize.toml").write_text(
        f"calibration = 'judges.json'\n{LADDER}    version = '2'\n", encoding="utf-8"
    )
    project.runpytest(*ALL).stdout.fnmatch_lines(
        ["upper: *which is not calibrated: its model, or how it is asked, has changed since"]
    )


def test_a_judge_no_better_than_chance_decides_nothing(
    project: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project.path
    labels(path / "labels.jsonl", held_out(20, 19, 1))
    assert main(["judge", "calibrate", "labels.jsonl", "--output", "judges.json"]) == 1
    assert "referee is not shown to be better than chance" in capsys.readouterr().out
    result = project.runpytest(*ALL, "--rightsize-calibration=judges.json")
    result.stdout.fnmatch_lines(
        [
            "upper * [?] *UNDECIDED*",
            "upper: undecided, as the judge referee is not shown to be better than chance: *",
            "gate undecided: *take a larger judge, a clearer rubric, or more labels*",
        ]
    )


def test_answers_are_drawn_without_what_would_sway_who_labels(
    project: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    project.runpytest(*ALL)
    assert main(["judge", "sample", "run.jsonl", "--count", "12", "--output", "labels.jsonl"]) == 0
    assert "12 answers" in capsys.readouterr().out
    lines = [json.loads(line) for line in project.path.joinpath("labels.jsonl").read_text("utf-8").splitlines()]
    assert len({line["answer"] for line in lines}) == 12
    assert {*lines[0]} == {"label", "question", "answer", "rubric", "at_least", "by"}
    assert {line["label"] for line in lines} == {None}
    assert {line["question"] for line in lines} <= {*WORDS}
    # Labelled as people would, they are what calibrate reads; the judgements are in the record.
    asked = calls(project.path)
    text = "".join(json.dumps({**line, "label": line["answer"].isupper()}) + "\n" for line in lines)
    project.path.joinpath("labels.jsonl").write_text(text, encoding="utf-8")
    assert main(["judge", "calibrate", "labels.jsonl", "--output", "judges.json"]) in (0, 1)
    assert calls(project.path) == asked


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[]", ":1 is no label (it is not a JSON object)"),
        ('{"answer": "x", "label": true, "by": "referee"}', "has no rubric: give --rubric=TEXT"),
        ('{"label": true, "rubric": "r", "by": "referee"}', "has no answer: give it in the line"),
        ('{"answer": "x", "label": true, "rubric": "r"}', "has no by: give --by=RUNG"),
        ('{"answer": "x", "label": 1, "rubric": "r", "by": "b"}', "label is 1: write true if the answer"),
        ('{"answer": "x", "label": ["y"], "rubric": "r", "by": "b"}', "label is ['y']: write true"),
        ('{"answer": 3, "label": true, "rubric": "r", "by": "b"}', "answer must be a text"),
        ('{"answer": "x", "label": true, "rubric": "r", "by": "b", "at_least": 9}', "give a whole number from 1 to 5"),
        ('{"answer": "x", "label": true, "refernce": "r", "rubric": "r", "by": "b"}', "did you mean 'reference'?"),
        ('{"answer": "x", "label": null, "rubric": "r", "by": "b"}', "has no label: write true or false"),
        ('{"answer": "x", "label": true, "rubric": "r", "by": "refere"}', "did you mean 'referee'?"),
        (
            '{"answer": "x", "label": true, "rubric": "r", "by": "b"}\n'
            '{"answer": "x", "label": "fail", "rubric": "r", "by": "b"}',
            ":2: the same answer is labelled both as passed and as failed",
        ),
    ],
)
def test_labels_that_cannot_be_used_are_named(
    project: pytest.Pytester, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    project.path.joinpath("labels.jsonl").write_text(line + "\n", encoding="utf-8")
    assert main(["judge", "calibrate", "labels.jsonl", "--output", "judges.json"]) == 2
    assert words in capsys.readouterr().err
    assert calls(project.path) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read (No such file or directory): write it with rightsize judge calibrate"),
        ("{", "is not JSON"),
        ("[]", "is no calibration file that this version reads"),
        ('{"rightsize calibrations": 1, "judges": [{}]}', "is no calibration file ("),
    ],
)
def test_a_calibration_that_cannot_be_read_ends_the_session_at_once(
    project: pytest.Pytester, text: str | None, words: str
) -> None:
    if text is not None:
        project.path.joinpath("judges.json").write_text(text, encoding="utf-8")
    result = project.runpytest(*ALL, "--rightsize-calibration=judges.json")
    assert "--rightsize-calibration: " in result.stderr.str()
    assert words in result.stderr.str()
    assert calls(project.path) == 0


def test_a_calibration_replaces_no_other_file(project: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    labels(project.path / "labels.jsonl", held_out(3, 0, 3))
    project.path.joinpath("mine.json").write_text("{}\n", encoding="utf-8")
    assert main(["judge", "calibrate", "labels.jsonl", "--output", "mine.json"]) == 2
    assert "would replace" in capsys.readouterr().err
    # Other judges and rubrics of the file stay.
    assert main(["judge", "calibrate", "labels.jsonl", "--output", "judges.json"]) in (0, 1)
    labels(project.path / "labels.jsonl", held_out(3, 0, 3), rubric="Loud.")
    assert main(["judge", "calibrate", "labels.jsonl", "--output", "judges.json"]) in (0, 1)
    known = read_calibrations(project.path / "judges.json", asked_by="test")
    assert [one.criterion.rubric for one in known] == ["All in capitals.", "Loud."]


def test_a_private_answer_goes_to_no_judge_beyond_this_machine(
    project: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    project.path.joinpath("rightsize.toml").write_text(f"{LADDER}    leaves_machine = true\n", encoding="utf-8")
    labels(project.path / "labels.jsonl", held_out(1, 0, 1), private=True)
    assert main(["judge", "calibrate", "labels.jsonl", "--output", "judges.json"]) == 2
    assert "is not on this machine, and was not asked: the task is private" in capsys.readouterr().err
    labels(project.path / "labels.jsonl", held_out(1, 0, 1))
    assert main(["judge", "calibrate", "labels.jsonl", "--output", "judges.json", "--offline"]) == 2
    assert "would leave this machine" in capsys.readouterr().err
    assert calls(project.path) == 0


def test_rungs_are_drawn_in_turn_whatever_their_outcomes() -> None:
    keys = [TrialKey(task="t", case=str(case), rung=rung) for rung in ("a", "b") for case in range(5)]
    drawn = drawn_keys(keys, seed=0)
    assert [key.rung for key in drawn] == ["a", "b"] * 5
    assert drawn != drawn_keys(keys, seed=1)
    assert drawn == drawn_keys(keys[::-1], seed=0) or {*drawn} == {*keys}


def test_what_was_judged_is_drawn_also_where_it_is_a_part_of_the_answer() -> None:
    criterion = Criterion(question="preferred_over", rubric="Better.", template="0f", or_tie=True)
    answers = [AnswerRecord(text=text, messages=({"role": "user", "content": f"{text}?"},)) for text in ("one", "two")]
    judgements = (
        Judgement(by="b", criterion=criterion, passed=True, answer=0, reference="mine"),
        Judgement(by="b"),
        Judgement(by="b", criterion=criterion, passed=False, answer=1, text="tw", reference="mine"),
    )
    key = TrialKey(task="t", case="c", rung="r")
    trial = Trial(key=key, outcome="failed", answers=tuple(answers), judgements=judgements)
    rows = judged_rows([trial, trial], private={"t": True}, count=9)
    assert [(row.question, row.answer, row.reference, row.or_tie) for row in rows] == [
        ("one?", "one", "mine", True),
        ("two?", "tw", "mine", True),
    ]
    assert all(row.private and row.label is None for row in rows)
    assert repr(rows[0].matcher()) == "preferred_over('mine', or_tie=True, by='b')"


@pytest.mark.parametrize("order", [(False, True), (True, False)])
def test_an_answer_that_stands_twice_is_private_if_one_of_its_lines_says_so(
    tmp_path: Path, order: tuple[bool, bool]
) -> None:
    line = {"answer": "x", "label": True, "rubric": "r", "by": "b"}
    (tmp_path / "labels.jsonl").write_text(
        "".join(json.dumps({**line, "private": one}) + "\n" for one in order), "utf-8"
    )
    (row,) = read_labels(tmp_path / "labels.jsonl", defaults={})
    assert row.private
