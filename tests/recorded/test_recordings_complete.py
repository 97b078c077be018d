"""Rungs of recorded answers are completed: the same data gives the same report, however the session asked."""

from textwrap import dedent
from typing import Any

import pytest

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run
from pytest_rightsize.results.results_file import read_run
from tests.conftest import record

NAMES = [f"{chr(ord('a') + place % 26)}{place}" for place in range(40)]
SUITE = """
    import pytest

    @pytest.mark.rightsize(task="upper", pass_rate=0.75, chosen="big"{more})
    @pytest.mark.parametrize("word", {words})
    def test_upper(model, word):
        assert model.ask(word) == word.upper()
"""
KNOWN = {"tiny": NAMES[::4], "small": NAMES[:-4], "big": NAMES[1:]}


@pytest.fixture
def recorded(pytester: pytest.Pytester) -> pytest.Pytester:
    """Forty cases on three rungs: ten pass on tiny, 36 on small, 39 on big."""
    pytester.makepyfile(test_suite=SUITE.format(words=NAMES, more=""))
    write_ladder(pytester)
    for rung, known in KNOWN.items():
        record(pytester.path / f"{rung}.jsonl", {name: name.upper() if name in known else name for name in NAMES})
    return pytester


def write_ladder(pytester: pytest.Pytester, more: str = "") -> None:
    """Three rungs of recorded answers, with more keys each."""
    pytester.makefile(
        ".toml",
        rightsize="".join(f'[ladder.{rung}]\nprovider = "replay"\nfile = "{rung}.jsonl"\n{more}\n' for rung in KNOWN),
    )


def run_session(pytester: pytest.Pytester, *options: str) -> tuple[Run, str]:
    """The run of a climb with these options, and what the terminal says of the verdict."""
    path = pytester.path / "run.jsonl"
    path.unlink(missing_ok=True)
    result = pytester.runpytest(
        *("--rightsize-ladder=tiny,small,big", "--rightsize-gate=none", f"--rightsize-results={path}", *options)
    )
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    text = result.stdout.str()
    return read_run(path), text[text.index("smallest model that passes each task") : text.index("rightsize: of 1 task")]


def outcomes(run: Run) -> dict[Any, str]:
    return {trial.key: trial.outcome for trial in run.trials}


OPTIONS = (
    (),
    ("--rightsize-concurrency=1",),
    ("--rightsize-strategy=bisect",),
    ("-n2",),
    ("--rightsize-cache=off",),
    ("--rightsize-savings=sample",),
)


@pytest.mark.parametrize("more", ["", ", confidence=0.95", ", samples=2"])
def test_the_same_recordings_give_the_same_report(recorded: pytest.Pytester, more: str) -> None:
    if "samples" in more:
        for rung in KNOWN:
            path = recorded.path / f"{rung}.jsonl"
            text = path.read_text(encoding="utf-8")
            path.write_text(text + text.replace('{"prompt": "', '{"sample": 1, "prompt": "'), encoding="utf-8")
    recorded.makepyfile(test_suite=SUITE.format(words=NAMES, more=more))
    full, told = run_session(recorded, "--rightsize-strategy=full")
    assert {trial.outcome for trial in full.trials} == {"passed", "failed"}
    (verdict,) = judge(full)
    assert (verdict.smallest, verdict.standing["small"].passed) == ("small", 36 * (1 + ("samples" in more)))
    for options in OPTIONS:
        again, words = run_session(recorded, *options)
        assert outcomes(again) == outcomes(full), options
        assert judge(again)[0].standing == verdict.standing, options
        assert words == told, options


def test_the_order_of_the_cases_changes_nothing(recorded: pytest.Pytester) -> None:
    """All that fail on small come first, or last."""
    (full, told), reverse = run_session(recorded), [*reversed(NAMES)]
    recorded.makepyfile(test_suite=SUITE.format(words=reverse, more=""))
    again, words = run_session(recorded)
    assert (outcomes(again), words) == (outcomes(full), told)
    assert "36/40* " in words


def test_a_recording_that_stands_in_for_a_model_is_asked_as_one(recorded: pytest.Pytester) -> None:
    """Eleven failures settle tiny, and nothing asks big."""
    write_ladder(recorded, "complete = false\n")
    run, told = run_session(recorded, "--rightsize-concurrency=1", "--rightsize-savings=none")
    assert "<30/40" in told
    left = [trial for trial in run.trials if trial.outcome == "not_run"]
    assert {trial.reason for trial in left} == {"settled"}
    assert sum(trial.key.rung == "big" for trial in left) == 40
    assert sum(trial.key.rung == "tiny" for trial in left) > 20


def test_what_a_recording_lacks_is_left_out_where_nothing_needs_it(recorded: pytest.Pytester) -> None:
    """Big has five answers: the rest is no fault, as small passes."""
    record(recorded.path / "big.jsonl", {name: name.upper() for name in NAMES[:5]})
    run, told = run_session(recorded)
    on_big = [trial for trial in run.trials if trial.key.rung == "big"]
    assert [(trial.outcome, trial.reason) for trial in on_big].count(("not_run", "settled")) == 35
    assert {trial.key.case for trial in on_big if trial.outcome == "passed"} == {
        f"test_suite.py::test_upper[{name}]" for name in NAMES[:5]
    }
    assert "small passed 36 of 40" in told


def test_a_recording_that_is_not_there_is_not_missed_where_nothing_needs_it(recorded: pytest.Pytester) -> None:
    complete = run_session(recorded)[0]
    (recorded.path / "big.jsonl").unlink()
    run, _ = run_session(recorded)
    assert {trial.outcome for trial in run.trials if trial.key.rung == "big"} == {"not_run"}
    small = [{key: mark for key, mark in outcomes(one).items() if key.rung != "big"} for one in (run, complete)]
    assert small[0] == small[1]


def test_what_else_a_settled_test_asks_is_not_sent(recorded: pytest.Pytester) -> None:
    """A test that breaks beside its recorded answer, as it need not have run, is no fault of the session."""
    text = SUITE.format(words=NAMES, more="").replace(
        "assert model", "if model.rung == 'big':\n            raise OSError('beside it')\n        assert model"
    )
    recorded.makepyfile(test_suite=text)
    run, told = run_session(recorded)
    assert {(trial.outcome, trial.reason) for trial in run.trials if trial.key.rung == "big"} == {
        ("not_run", "settled")
    }
    assert "36/40*" in told


BOXED = """
    import pytest

    @pytest.fixture
    def box(model, {wide}):
        found = {{}}
        yield found
        found.pop("answer")

    @pytest.fixture(scope="module")
    def fine():
        yield

    @pytest.fixture(scope="module")
    def bad():
        yield
        raise OSError("the module's")

    @pytest.mark.rightsize(task="upper", pass_rate=0.75)
    @pytest.mark.parametrize("word", {words})
    def test_upper(model, word, box):
        box["answer"] = model.ask(word)
        assert box["answer"] == word.upper()
"""


@pytest.mark.parametrize("options", [(), ("--rightsize-concurrency=1",), ("-n2",)])
def test_a_fixture_of_a_settled_test_that_breaks_at_its_end_is_not_told(
    recorded: pytest.Pytester, options: tuple[str, ...]
) -> None:
    """Where the test got no answer, the fixture finds nothing to take away; that of the module is told all the same."""
    record(recorded.path / "big.jsonl", {name: name.upper() for name in NAMES[:5]})
    recorded.makepyfile(test_suite=BOXED.format(words=NAMES, wide="fine"))
    run, _ = run_session(recorded, *options)
    assert [trial.reason for trial in run.trials if trial.key.rung == "big"].count("settled") == 35
    recorded.makepyfile(test_suite=BOXED.format(words=NAMES, wide="bad"))
    result = recorded.runpytest("--rightsize-ladder=tiny,small,big", "--rightsize-gate=none", *options)
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines(["*OSError: the module's"])


def test_a_cascade_of_recordings_is_completed_too(recorded: pytest.Pytester) -> None:
    """Small passes, so that nothing needs the cascade above it."""
    path = recorded.path / "rightsize.toml"
    cascade = '\n[ladder.both]\nprovider = "cascade"\nrungs = ["tiny", "big"]\naccept = "checks:is_upper"\n'
    path.write_text(path.read_text(encoding="utf-8") + cascade, encoding="utf-8")
    recorded.makepyfile(checks="def is_upper(answer):\n    return answer.isupper()\n")
    run, _ = run_session(recorded, "--rightsize-ladder=tiny,small,both")
    assert [trial.outcome for trial in run.trials if trial.key.rung == "both"].count("passed") == 40
    write_ladder(recorded, "complete = false\n")
    path.write_text(path.read_text(encoding="utf-8") + cascade, encoding="utf-8")
    run, _ = run_session(recorded, "--rightsize-ladder=tiny,small,both", "--rightsize-savings=none")
    assert {trial.outcome for trial in run.trials if trial.key.rung == "both"} == {"not_run"}


# --- a recording beside models ----------------------------------------------------------------------------------------

MODELS = """
    from pathlib import Path

    from pytest_rightsize.records import Reply, Tokens

    def asked(rung, prompt, text):
        with Path(__file__).with_name("asked.txt").open("a") as file:
            file.write(f"{rung} {prompt}\\n")
        return Reply(text=text, tokens=Tokens(prompt=1, completion=1, source="reported"))

    def good(prompt):
        return asked("good", prompt, prompt.upper())

    def fair(prompt):
        return asked("fair", prompt, prompt if prompt in NAMES[::4] else prompt.upper())

    def accepts(answer):
        return answer.isupper()

    def judge(prompt):
        asked("judge", "", "")
        return {"reason": "so it is", "score": 5}
"""


@pytest.fixture
def mixed(recorded: pytest.Pytester) -> pytest.Pytester:
    """The recordings, and rungs that are functions: good passes all 40, fair 30."""
    text = dedent(MODELS) + f"\nNAMES = {NAMES}\n"
    (recorded.path / "models.py").write_text(text, encoding="utf-8")
    with (recorded.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        for name in ("good", "fair", "judge"):
            file.write(f'\n[ladder.{name}]\nprovider = "callable"\nmodel = "models:{name}"\n')
    return recorded


def asked_of(pytester: pytest.Pytester, rung: str) -> int:
    path = pytester.path / "asked.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return sum(line.startswith(rung) for line in lines)


def test_what_a_recording_completes_has_bisect_ask_no_model(mixed: pytest.Pytester) -> None:
    """Bisect asks small, and tiny below it; that the worse rung above fails would otherwise send all to good."""
    record(mixed.path / "worse.jsonl", dict.fromkeys(NAMES, "no"))
    with (mixed.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write('\n[ladder.worse]\nprovider = "replay"\nfile = "worse.jsonl"\n')
    run, told = run_session(mixed, "--rightsize-ladder=tiny,small,worse,good", "--rightsize-strategy=bisect")
    assert [trial.outcome for trial in run.trials if trial.key.rung == "worse"] == ["failed"] * 40
    assert asked_of(mixed, "good") == 0
    assert "upper: non-monotone: small passes, worse fails\n" in told


def test_a_recording_takes_no_part_of_a_budget(mixed: pytest.Pytester) -> None:
    """The answers of a model use it up to the last, so that nothing is left out; the recording above is still free."""
    options = ("--rightsize-stopping=none", "--rightsize-savings=none")
    run, told = run_session(mixed, "--rightsize-ladder=good,small", "--rightsize-budget=tokens:80", *options)
    assert asked_of(mixed, "good") == 40
    assert [trial.outcome for trial in run.trials if trial.key.rung == "small"].count("passed") == 36
    assert "40/40*" in told


@pytest.mark.parametrize("members", [("fair", "good"), ("big", "good"), ("fair", "big")])
def test_a_cascade_with_a_model_in_it_is_not_completed(mixed: pytest.Pytester, members: tuple[str, str]) -> None:
    """What the second member has not answered would be missing: of the rest, it could be said that all were easy."""
    with (mixed.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[ladder.both]\nprovider = "cascade"\nrungs = {[*members]}\naccept = "models:accepts"\n')
    options = ("--rightsize-ladder=fair,both", "--rightsize-savings=none", "--rightsize-cache=auto")
    for _ in range(2):
        run, told = run_session(mixed, *options)
        assert {trial.outcome for trial in run.trials if trial.key.rung == "both"} == {"not_run"}
        assert "both" not in told.split("smallest that passes", 2)[-1]
    assert asked_of(mixed, "good") == 0


@pytest.mark.parametrize(
    ("savings", "asked"),
    [
        ((), (True, False)),
        (("--rightsize-savings=sample",), (True, True)),
        (("--rightsize-savings=none",), (False,) * 2),
    ],
)
def test_a_sample_for_savings_may_ask_the_judge_of_a_recording(
    mixed: pytest.Pytester, savings: tuple[str, ...], asked: tuple[bool, bool]
) -> None:
    """Small passes and big is chosen: what that takes is told, although a judge must be asked for it.

    One that is beyond this machine may take money, and is asked only where the user says so.
    """
    text = SUITE.format(words=NAMES, more="").replace("== word.upper()", '== judged("It is in capitals.", by="judge")')
    mixed.makepyfile(test_suite=text.replace("import pytest", "import pytest\n    from pytest_rightsize import judged"))
    path = mixed.path / "big.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"completion": 1', '"completion": 9'), encoding="utf-8")
    ladder = (mixed.path / "rightsize.toml").read_text(encoding="utf-8")
    for beyond, is_asked in zip(("", "leaves_machine = true\n"), asked, strict=True):
        (mixed.path / "rightsize.toml").write_text(ladder + beyond, encoding="utf-8")
        (mixed.path / "asked.txt").unlink(missing_ok=True)
        options = ("--rightsize-ladder=small,big", "--rightsize-gate=none", "--rightsize-cache=off")
        result = mixed.runpytest(*options, *savings)
        # Of the forty cases on small a few may be left, by what is in flight when they are settled.
        assert (asked_of(mixed, "judge") > 40) is is_asked
        saves = "upper: small instead of big saves 8,000 completion tokens per 1,000 cases (*"
        unknown = (
            "upper: big was not run, and its price is not known: --rightsize-savings=sample shows what small saves"
        )
        result.stdout.fnmatch_lines([saves if is_asked else unknown])
