"""Plays wrong answers to the tests of each task that passes, and counts how many they let pass: the task's strength.

In come the trials of a session that has run its tests, or those of a results file; out go the strengths of
`SessionState`. No model is asked, and no trial, report or exit status changes.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.strength import PassedCase, WrongAnswer, count_strength, wrong_answers
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import AnswerRecord, Outcome, Run, TrialKey
from pytest_rightsize.results.append_only import DurableFile
from pytest_rightsize.results.results_file import read_run, strength_line
from pytest_rightsize.running.planted_starts import PlantedStart, PlantedStarts
from pytest_rightsize.session.state import TRIAL_KEY, SessionState
from pytest_rightsize.session.trials import TRANSCRIPT, TRIAL, WATCHING, SessionTrials
from pytest_rightsize.strength_records import Strength, WrongKind

__all__ = ["Playing", "PlayingOnly"]

_UNASKED = "its model was not asked when it started again"
_WHY_UNCOUNTED = {
    "test": "the test failed for a reason of its own",
    "skipped": "the test was skipped",
    "unasked": _UNASKED,
}
_PARAMETERS_OF_OURS = "_rightsize_trial"


class Playing:
    """The hook after the last test (`--rightsize-strength`). Writes the state's strengths.

    A worker of xdist plays to its own tasks: all trials of a task are on one worker.
    """

    def __init__(self, state: SessionState, trials: SessionTrials) -> None:
        self._state = state
        self._trials = trials

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Let the tests run; then play, unless the session is to end at once."""
        result = yield
        config = session.config
        watched = any(config.getoption(option, False) for option in WATCHING)
        if watched:
            self._state.notices.put("--rightsize-strength does nothing beside options that watch tests, such as --pdb")
        if not (watched or session.shouldstop or session.shouldfail or self._state.resources.collect_only):
            self._play(session)
        return result

    def _play(self, session: pytest.Session) -> None:
        items = [item for item in session.items if TRIAL in item.stash and item.stash[TRIAL].outcome == "passed"]
        # Not those of the trials: where answers are withheld, these have hashes in their place.
        answers = {item.stash[TRIAL_KEY]: tuple(item.stash[TRANSCRIPT].answers) for item in items}
        smallest = _smallest_rungs(self._state.run())
        self._state.strengths |= _play(session, self._trials, smallest, items, answers)


class PlayingOnly:
    """The hooks of a session that `rightsize strength` starts: it plays the answers of a results file, and no more."""

    def __init__(self, state: SessionState, trials: SessionTrials) -> None:
        """Raises ConfigError for a results file that cannot be read."""
        assert state.settings.strength_of is not None
        self._state = state
        self._trials = trials
        self._run = read_run(state.settings.strength_of, texts_stay=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Play instead of running the tests, and write the strengths."""
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            return None
        smallest = _smallest_rungs(self._run)
        answers = {
            trial.key: self._run.whole(trial).answers
            for trial in self._run.trials
            if trial.outcome == "passed" and smallest.get(trial.key.task) == trial.key.rung
        }
        items = [item for item in session.items if item.stash.get(TRIAL_KEY, None) in answers]
        strengths = _play(session, self._trials, smallest, items, answers)
        self._write(strengths.values())
        return True

    def _write(self, strengths: Iterable[Strength]) -> None:
        path = self._state.settings.results
        if path is None:
            raise ConfigError("--rightsize-strength-of needs --rightsize-results=FILE; use `rightsize strength`")
        file = DurableFile(path, private=True, on_trouble=self._state.notices.put)
        for strength in strengths:
            file.write(strength_line(strength))
        file.close()


def _smallest_rungs(run: Run) -> dict[str, str]:
    """The rung that is named for each task that passes somewhere."""
    return {verdict.task: verdict.smallest for verdict in judge(run) if verdict.smallest is not None}


def _play(
    session: pytest.Session,
    trials: SessionTrials,
    smallest: Mapping[str, str],
    items: Sequence[pytest.Item],
    answers: Mapping[TrialKey, tuple[AnswerRecord, ...]],
) -> dict[str, Strength]:
    """The strength of each task of `smallest`; `items` are trials that passed, `answers` what they were answered."""
    by_task: dict[str, dict[str, pytest.Item]] = defaultdict(dict)
    for item in items:
        key = item.stash[TRIAL_KEY]
        if smallest.get(key.task) == key.rung:
            # Of several samples the first that passed.
            by_task[key.task].setdefault(key.case, item)
    starts = [
        (task, wrong, PlantedStart(by_case[wrong.case], wrong.answers))
        for task, by_case in by_task.items()
        for wrong in wrong_answers(_passed_cases(by_case, answers))
    ]
    place = {item: number for number, item in enumerate(session.items)}
    in_order = sorted((start for _, _, start in starts), key=lambda start: place[start.item])
    PlantedStarts(session, trials.plant).run(in_order)
    ends: dict[str, list[tuple[WrongKind, Outcome, str | None]]] = {task: [] for task in by_task}
    for task, wrong, start in starts:
        ends[task].append(_end(wrong, start))
    return {task: count_strength(task, smallest[task], ends[task]) for task in by_task}


def _passed_cases(
    by_case: Mapping[str, pytest.Item], answers: Mapping[TrialKey, tuple[AnswerRecord, ...]]
) -> list[PassedCase]:
    return [
        PassedCase(case=case, answers=answers[item.stash[TRIAL_KEY]], parameters=_parameters(item))
        for case, item in by_case.items()
    ]


def _parameters(item: pytest.Item) -> dict[str, str]:
    """The test's parameters as texts that are equal where the values are; one that has none is left out."""
    params: Mapping[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    texts: dict[str, str] = {}
    for name, value in params.items():
        try:
            texts[name] = repr(value)
        except Exception:  # a user's __repr__ may raise anything
            continue
    texts.pop(_PARAMETERS_OF_OURS, None)
    return texts


def _end(wrong: WrongAnswer, start: PlantedStart) -> tuple[WrongKind, Outcome, str | None]:
    """How a start ended; one that asked nothing was told nothing."""
    grade = start.answers.grade
    if grade is None:
        return wrong.kind, "not_run", "not started again"
    if grade.outcome not in ("passed", "failed"):
        return wrong.kind, grade.outcome, _WHY_UNCOUNTED.get(grade.reason or "", grade.reason)
    if not start.answers.asked:
        return wrong.kind, "not_run", _UNASKED
    return wrong.kind, grade.outcome, grade.reason
