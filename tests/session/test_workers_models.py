"""Workers of several machines whose rungs are different models: said, and no answer of such a rung counts."""

import shutil
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_rightsize.judgement_records import Judgement
from pytest_rightsize.records import AnswerRecord, Price, Rung, Trial, TrialKey
from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.session.workers_models import (
    OwnModels,
    WorkersModels,
    are_elsewhere,
    declaration,
    without_answer,
)

pytest.importorskip("xdist")

HERE, THERE = "gw0 (popen)", "gw1 (ssh=there)"
TASKS = ("one", "two", "three", "four")
SUITE = "import pytest\n" + "".join(
    f"""
@pytest.mark.rightsize(task="{task}", pass_rate=0.75)
@pytest.mark.parametrize("word", ["a", "b", "c", "d"])
def test_{task}(model, word):
    assert model.ask("{task} " + word).upper() == word.upper()
"""
    for task in TASKS
)


# A model that is a file, which says how it answers.
PROVIDER = """
    import pathlib
    from concurrent.futures import Future
    from pytest_rightsize.records import Identity, Reply

    class Spoken:
        options = {}
        required = ("model",)
        leaves_machine = False

        def __init__(self, rung):
            self.file = pathlib.Path(rung.base_dir, rung.model)

        def check(self):
            return None

        def identity(self, sha256):
            return Identity(content={"sha256": sha256(self.file)}, greedy=True)

        def submit(self, request):
            future = Future()
            word = request.messages[-1]["content"][-1]
            future.set_result(Reply(text=getattr(word, self.file.read_text("utf-8").strip())()))
            return future

        def close(self):
            pass

    def pytest_rightsize_providers():
        return {"spoken": Spoken}
"""
LADDER = """
    [ladder.small]
    provider = "spoken"
    model = "small.txt"
    [ladder.big]
    provider = "spoken"
    model = "big.txt"
"""


def told(sha256: str | None = "1", **more: str) -> dict[str, Any]:
    fingerprint = None if sha256 is None else {"provider": "llama_cpp", "sha256": sha256}
    return {"fingerprint": fingerprint, "ladder file": "l", **more}


def trial(*answers: AnswerRecord, rung: str = "4b", judged_by: str | None = None, **more: Any) -> Trial:
    judgements = () if judged_by is None else (Judgement(by=judged_by),)
    key = TrialKey(task="t", case="c", rung=rung)
    return Trial(**{"key": key, "outcome": "passed", "answers": answers, "judgements": judgements, **more})


ANSWER = AnswerRecord(text="yes")


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (told(), None),
        (told("2"), "has another model than worker gw0 (popen) (sha256)"),
        (told(None), "(provider, sha256)"),
        (told(**{"ladder file": "m"}), "(ladder file)"),
    ],
)
def test_a_worker_whose_rung_is_something_else_is_refused(theirs: dict[str, Any], words: str | None) -> None:
    models = WorkersModels()
    assert models.take(HERE, {"4b": told()}, trial(ANSWER)) is None
    why = models.take(THERE, {"4b": theirs}, trial(ANSWER))
    assert (why is None) if words is None else (why is not None and words in why and "worker gw1 (ssh=there)" in why)
    assert models.take(HERE, {}, trial(ANSWER)) == why, "nobody knows which of the two is meant"
    assert models.take(HERE, {"1b": told("3")}, trial(ANSWER, rung="1b")) is None, "another rung is one model"
    assert models.fingerprints["4b"] == told()["fingerprint"]


def test_a_worker_elsewhere_that_does_not_tell_is_refused() -> None:
    """As one with an older version of this package."""
    models = WorkersModels()
    models.must_tell = True
    why = models.take(THERE, {}, trial(ANSWER))
    assert why is not None
    assert "worker gw1 (ssh=there) does not tell which model it has" in why
    assert models.take(HERE, {"4b": told()}, trial(ANSWER)) == why


def test_workers_of_this_machine_need_not_tell() -> None:
    """Where no answers are recorded nobody reads the models' files; there is one of each."""
    models = WorkersModels()
    assert models.take(HERE, {}, trial(ANSWER)) is None
    assert models.fingerprints == {}


def test_a_rung_that_gave_no_answer_is_not_compared() -> None:
    models = WorkersModels()
    models.must_tell = True
    assert models.take(THERE, {}, trial(outcome="not_run", reason="settled")) is None


@pytest.mark.parametrize(
    "of_both",
    [
        trial(AnswerRecord(text="yes", via=("4b", "30b")), rung="cascade"),
        trial(ANSWER, rung="1b", judged_by="4b"),
    ],
    ids=["cascade", "judge"],
)
def test_members_of_a_cascade_and_judges_are_compared_too(of_both: Trial) -> None:
    models = WorkersModels()
    same = {"cascade": told("c"), "30b": told("3"), "1b": told("0")}
    assert models.take(HERE, {**same, "4b": told()}, of_both) is None
    why = models.take(THERE, {**same, "4b": told("2")}, of_both)
    assert why is not None
    assert why.startswith("rung '4b': ")


def own(recorder: object, *, tells_all: bool = False) -> OwnModels:
    rungs = {
        name: Rung(name=name, provider="llama_cpp", model=f"{name}.gguf", temperature=0.5) for name in ("1b", "4b")
    }
    return OwnModels(SimpleNamespace(recorder=recorder, known=rungs, providers={}), tells_all=tells_all)  # type: ignore[arg-type]


def test_a_worker_tells_each_rung_once_when_it_has_answered() -> None:
    models = own(SimpleNamespace(fingerprints=lambda: {"1b": {"sha256": "1"}, "4b": {"sha256": "4"}}))
    assert models.news(trial(rung="1b", outcome="error")) == {}, "it gave no answer"
    assert {rung: facts["fingerprint"] for rung, facts in models.news(trial(ANSWER)).items()} == {"4b": {"sha256": "4"}}
    assert models.news(trial(ANSWER)) == {}
    assert [*models.news(trial(ANSWER, rung="1b", judged_by="4b"))] == ["1b"]
    assert models.news(trial(ANSWER, rung="no longer there")) == {}


def test_without_recorded_answers_a_worker_tells_only_where_it_is_asked_to() -> None:
    assert own(None).news(trial(ANSWER)) == {}
    assert [*own(None, tells_all=True).news(trial(ANSWER))] == ["4b"]


def test_what_the_ladder_file_says_counts_where_no_fingerprint_holds_it() -> None:
    """Paths may differ from machine to machine, if the file is the same; what goes into requests may not."""
    rung = Rung(name="4b", provider="llama_cpp", model="a.gguf", temperature=0.5, price=Price(prompt=1, completion=1))
    moved, warmer = replace(rung, model="b.gguf", price=None), replace(rung, temperature=1.0)
    assert declaration(rung, has_fingerprint=True) == declaration(moved, has_fingerprint=True)
    assert declaration(rung, has_fingerprint=False) != declaration(moved, has_fingerprint=False)
    assert declaration(rung, has_fingerprint=True) != declaration(warmer, has_fingerprint=True)


def test_what_a_refused_trial_took_stays_known() -> None:
    refused = without_answer(trial(ANSWER, outcome="failed", reason="wrong", raised_at="KeyError"), "why")
    assert (refused.outcome, refused.reason, refused.detail, refused.raised_at) == ("error", "load", "why", None)
    assert refused.answers == (ANSWER,)
    sampled = trial(ANSWER, outcome="not_run", reason="settled", sampled="passed")
    assert (without_answer(sampled, "why").outcome, without_answer(sampled, "why").sampled) == ("not_run", None)


@pytest.mark.parametrize(
    ("specs", "is_elsewhere"),
    [([(True, None), (True, None)], False), ([(True, None), (True, "there")], True), ([(False, "cache")], True)],
)
def test_workers_of_another_machine_or_folder_are_elsewhere(
    specs: list[tuple[bool, str | None]], is_elsewhere: bool
) -> None:
    assert are_elsewhere(SimpleNamespace(popen=popen, chdir=chdir) for popen, chdir in specs) is is_elsewhere


# --- sessions ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(pytester: pytest.Pytester) -> Path:
    """A folder with the same suite and ladder as this one: what another machine has."""
    pytester.makepyfile(test_suite=SUITE)
    pytester.makefile(".toml", rightsize=LADDER)
    pytester.makeconftest(PROVIDER)
    for rung in ("small", "big"):
        (pytester.path / f"{rung}.txt").write_text("upper", encoding="utf-8")
    folder = pytester.path.with_name(f"{pytester.path.name}-elsewhere")
    shutil.copytree(pytester.path, folder)
    return folder


def run(pytester: pytest.Pytester, folder: Path, *options: str) -> pytest.RunResult:
    workers = ("-d", "--tx", "popen", "--tx", f"popen//chdir={folder}")
    return pytester.runpytest(*workers, "--rightsize-ladder=small,big", "--rightsize-results=run.jsonl", *options)


def _another_file(folder: Path) -> None:
    (folder / "small.txt").write_text("lower", encoding="utf-8")


def _another_temperature(folder: Path) -> None:
    ladder = (folder / "rightsize.toml").read_text("utf-8")
    changed = ladder.replace("[ladder.small]", "[ladder.small]\ntemperature = 1.5")
    (folder / "rightsize.toml").write_text(changed, encoding="utf-8")


@pytest.mark.parametrize("cache", ["auto", "off"])
@pytest.mark.parametrize(
    ("change", "differs"), [(_another_file, "sha256"), (_another_temperature, "ladder file")], ids=["file", "ladder"]
)
def test_no_answer_counts_of_a_rung_that_is_two_models(
    pytester: pytest.Pytester, elsewhere: Path, change: Callable[[Path], None], differs: str, cache: str
) -> None:
    change(elsewhere)
    result = run(pytester, elsewhere, f"--rightsize-cache={cache}")
    assert result.ret == 1
    told = str(result.stdout)
    assert "has another model than worker" in told
    assert f"({differs})" in told
    of_small = [trial for trial in read_run(pytester.path / "run.jsonl").trials if trial.key.rung == "small"]
    refused = [trial for trial in of_small if trial.outcome == "error"]
    assert refused
    assert {trial.reason for trial in refused} == {"load"}
    if change is _another_file:
        counted = {answer.text.isupper() for trial in of_small if trial.ended for answer in trial.answers}
        assert len(counted) <= 1, "of one of the two models alone"


@pytest.mark.parametrize("cache", ["auto", "off"])
@pytest.mark.parametrize("opens", ["False", "True"])
def test_the_same_models_in_another_folder_are_one(
    pytester: pytest.Pytester, elsewhere: Path, cache: str, opens: str
) -> None:
    """Also where a model must be open to tell what it is: it is when it has answered."""
    for folder in (pytester.path, elsewhere):
        told = PROVIDER.replace("options = {}", f"options = {{}}; opens_to_identify = {opens}")
        (folder / "conftest.py").write_text(textwrap.dedent(told), encoding="utf-8")
    result = run(pytester, elsewhere, f"--rightsize-cache={cache}")
    assert result.ret == 0
    found = read_run(pytester.path / "run.jsonl")
    assert {trial.ended for trial in found.trials if trial.answers} == {"passed"}
    assert not [trial for trial in found.trials if trial.outcome == "error"]
    assert set(found.about["identities"]) == {"small"}
