"""What a session keeps of its trials: no texts, which its reports read from the file."""

import json
from typing import Any

import pytest

from pytest_rightsize.session.state import SessionState
from tests.conftest import record

_LADDER = ("--rightsize-ladder=small", "--rightsize-gate=none")


class Seen:
    """A plugin that keeps the session's state and reports."""

    def __init__(self) -> None:
        self.state: SessionState | None = None
        self.reports: list[Any] = []
        self.items: list[pytest.Item] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        plugin: Any = session.config.pluginmanager.get_plugin("rightsize-trying")
        self.state = plugin._state
        self.items = session.items

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        self.reports = [report for reports in terminalreporter.stats.values() for report in reports]


@pytest.fixture
def small(pytester: pytest.Pytester) -> pytest.Pytester:
    """Two cases, of which one is answered wrongly."""
    record(pytester.path / "small.jsonl", {"a secret question": "A", "b": "a wrong answer"})
    pytester.makefile(".toml", rightsize='[ladder.small]\nprovider = "replay"\nfile = "small.jsonl"\n')
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize(("asked", "right"), [("a secret question", "A"), ("b", "B")])
        def test_it(model, asked, right):
            assert model.ask(asked) == right
        """
    )
    return pytester


@pytest.mark.parametrize("concurrency", ["1", "8"])
@pytest.mark.parametrize("results", [(), ("--rightsize-results=run.jsonl",)])
def test_texts_leave_memory_with_the_trial(small: pytest.Pytester, concurrency: str, results: tuple[str, ...]) -> None:
    seen = Seen()
    small.inline_run(*_LADDER, *results, f"--rightsize-concurrency={concurrency}", plugins=[seen])
    assert seen.state is not None
    trials = [trial for by_key in seen.state.trials.values() for trial in by_key.values()]
    assert sorted(trial.outcome for trial in trials) == ["failed", "passed"]
    kept = [*trials, *(report.rightsize for report in seen.reports if hasattr(report, "rightsize"))]
    assert len(kept) == 4
    assert not any(answer.text or answer.messages for trial in kept for answer in trial.answers)
    stashed = [value for item in seen.items for value in item.stash._storage.values()]
    assert not any("wrong answer" in repr(vars(value)) for value in stashed if hasattr(value, "__dict__"))


@pytest.mark.parametrize("results", [(), ("--rightsize-results=run.jsonl",)])
def test_reports_have_every_text_all_the_same(small: pytest.Pytester, results: tuple[str, ...]) -> None:
    small.makeconftest(
        """
        class Own:
            def check(self):
                return None

            def render(self, run, verdicts):
                return " ".join(answer.text for trial in run.trials for answer in trial.answers)

        def pytest_rightsize_reports():
            return {"own": Own}
        """
    )
    options = ("--rightsize-report=json:run.json,own:own.txt", *results)
    small.inline_run(*_LADDER, *options)
    trials = json.loads((small.path / "run.json").read_text(encoding="utf-8"))["trials"]
    texts = {answer["text"]: answer["messages"][0]["content"] for trial in trials for answer in trial["answers"]}
    assert texts == {"A": "a secret question", "a wrong answer": "b"}
    assert any("- B" in (trial["detail"] or "") for trial in trials)
    assert (small.path / "own.txt").read_text(encoding="utf-8") == "A a wrong answer"


def test_without_a_results_file_none_is_left(
    small: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The texts wait for the report in a file of their own, readable by its owner only."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    small.inline_run(*_LADDER, "--rightsize-report=json:run.json")
    assert [path.name for path in folder.iterdir() if path.name.startswith("rightsize-")] == []


def test_slow_setups_are_listed_as_ever(small: pytest.Pytester) -> None:
    """The terminal lists them from the reports that it keeps."""
    lines = small.runpytest(*_LADDER, "--durations=0", "-vv").outlines
    for when in ("setup", "call", "teardown"):
        assert sum(f"s {when}" in line for line in lines) == 2
