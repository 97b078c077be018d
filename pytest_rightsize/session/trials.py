"""The trials of a session as its tests come to them: who may start, who is not run and why, and what each may ask.

In come pytest's items; out go the tickets and models with which they ask. It implements the loop's protocol `Trials`.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_rightsize.answers import Transcript
from pytest_rightsize.config.policies import definition_of
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judges import CURRENT
from pytest_rightsize.judging.verdict import claimed_standings
from pytest_rightsize.model import Address, Model
from pytest_rightsize.records import Policy, Rung, Trial, TrialKey
from pytest_rightsize.running.asker import Asker, PlantedAsker
from pytest_rightsize.running.async_tests import is_async, may_be_cancelled, restartable
from pytest_rightsize.running.interception import Interception
from pytest_rightsize.running.lean_items import free_leftovers, free_made_text
from pytest_rightsize.running.neighbours import Neighbours, Waiting
from pytest_rightsize.running.schedule import reason_not_to_run
from pytest_rightsize.running.ticket import Ticket
from pytest_rightsize.session.cheaper_rungs import CheaperRungs
from pytest_rightsize.session.judge_bench import JudgeBench
from pytest_rightsize.session.notices import warn_of
from pytest_rightsize.session.savings_samples import SavingsSamples
from pytest_rightsize.session.state import TRIAL_KEY, SessionState, case_of
from pytest_rightsize.session.trial_names import name_trial

if TYPE_CHECKING:
    from pytest_rightsize.running.planted_starts import PlantedAnswers

__all__ = [
    "NOT_RUN",
    "TICKET",
    "TRANSCRIPT",
    "TRIAL",
    "WATCHING",
    "NotRun",
    "Serves",
    "SessionTrials",
    "Watches",
    "transcript_of",
]

TICKET = pytest.StashKey[Ticket]()
"""The item's questions, the same object at every start."""
TRANSCRIPT = pytest.StashKey[Transcript]()
"""What the item's present start has asked and was answered."""
TRIAL = pytest.StashKey[Trial]()
"""The graded trial of an item that has ended."""
_WAITING = pytest.StashKey[Waiting | None]()
WATCHING = ("usepdb", "trace", "setupshow", "setuponly", "setupplan")
"""Options of pytest that show what a test does while it does it: with them a test must start once."""


@dataclass(frozen=True, kw_only=True)
class NotRun:
    """Why a trial is not run: a word for the results file, and a sentence."""

    reason: str
    detail: str


NOT_RUN = pytest.StashKey[NotRun]()
"""Why an item is not run."""


def transcript_of(item: pytest.Item) -> Transcript:
    """What the item's present start has asked and was answered."""
    if TRANSCRIPT not in item.stash:
        item.stash[TRANSCRIPT] = Transcript()
    return item.stash[TRANSCRIPT]


class Serves(Protocol):
    """What is told when a test starts, so that its application can be served meanwhile."""

    @property
    def leaves_sync_tests(self) -> bool:
        """Whether a sync test can be left where its application waits."""

    def begin(self, item: pytest.Item) -> None:
        """The item starts."""

    def end(self) -> None:
        """The start is over."""

    def address(self, ticket: Ticket, start: int) -> Address:
        """Where SDKs reach the rung for that start of a test."""


class Watches(Protocol):
    """What is told when a test starts, to watch what it connects to."""

    def begin(self, item: pytest.Item, policy: Policy, transcript: Transcript) -> None:
        """A start of the item begins."""

    def end(self) -> None:
        """The start is over."""


class SessionTrials:
    """What one session knows of its items. Reads the state's policies, plan and trials; writes trials through `keep`.

    `suspends` says whether this session's tests may be suspended; until it is set, each starts once. While answers are
    `planted`, no rung is asked and no trial is made. `application` is set where applications are served, and made by
    `open_late` where a test asks for it without that.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._resources = state.resources
        self._policies = state.policies
        self._neighbours = Neighbours(state.config)
        self._interception = Interception()
        self._not_run: dict[tuple[str, str], NotRun | None] = {}
        self.suspends = False
        self.savings = SavingsSamples(state)
        self._cheaper = CheaperRungs(state)
        self.planted: PlantedAnswers | None = None
        self.application: Serves | None = None
        self.watching: Watches | None = None
        self.open_late: Callable[[], Serves] | None = None
        self._opening = threading.Lock()

    # --- for the loop -----------------------------------------------------------------------------------------------

    def group(self, item: pytest.Item) -> tuple[str, str] | None:
        """The task and rung of a test that has the fixture `model`."""
        if TRIAL_KEY in item.stash:
            key = item.stash[TRIAL_KEY]
            return key.task, key.rung
        if "_rightsize_trial" not in getattr(item, "fixturenames", ()) or self._resources.rungs:
            return None
        try:
            policy = self._policies.of(definition_of(item))
        except ConfigError:
            # The fixture runs into it too, and there it is told as the test's own error.
            return None
        name = policy.chosen or self._resources.ladder.default
        return (policy.task, name) if name in self._resources.providers else None

    def ticket(self, item: pytest.Item) -> Ticket:
        """The test's questions; it may be suspended unless it or its task cannot bear a second start."""
        if TICKET in item.stash:
            return item.stash[TICKET]
        group = self.group(item)
        ticket = item.stash[TICKET] = Ticket(
            case=case_of(item),
            test=item.nodeid,
            private=group is not None and self._policies[group[0]].private,
            may_suspend=self.suspends and self._may_start_again(item, group),
            on_doubt=lambda why: warn_of(
                item, f"{item.nodeid} should not be suspended: {why}. See rightsize(concurrent=False)"
            ),
        )
        return ticket

    def waiting(self, item: pytest.Item) -> Waiting | None:
        """What other plugins, markers or fixtures make the test wait for its answers in place."""
        if _WAITING in item.stash:
            return item.stash[_WAITING]
        item.stash[_WAITING] = self._neighbours.rule_of(item, asks=self.group(item) is not None)
        return item.stash[_WAITING]

    def is_alone(self, item: pytest.Item) -> bool:
        """Whether the test may start only when no other is suspended: order or the network matter to it."""
        rule = self.waiting(item)
        return rule is not None and rule.alone

    def may_start_again(self, item: pytest.Item) -> bool:
        """Whether the test may be suspended, in a session that suspends."""
        return self._may_start_again(item, self.group(item))

    def _may_start_again(self, item: pytest.Item, group: tuple[str, str] | None) -> bool:
        if group is None or self.waiting(item) is not None or (is_async(item) and not may_be_cancelled(item)):
            return False
        return self._policies[group[0]].concurrent and self._resources.room(group[1]) > 1

    def restartable(self, item: pytest.Item) -> Callable[..., object] | None:
        """The function of an async test, wrapped so that its task is known while it runs; None where nobody asks."""
        if self.planted is not None or TICKET not in item.stash or not is_async(item) or not may_be_cancelled(item):
            return None
        ticket = item.stash[TICKET]
        if not ticket.may_suspend and self.application is None:
            return None
        return restartable(item.obj, ticket)  # type: ignore[attr-defined]  # an async test has it

    def may_start(self, group: tuple[str, str], waiting: Mapping[tuple[str, str], int]) -> bool:
        """A trial starts when its task's trials on earlier rungs have ended and those in flight will hardly settle it.

        And when no rung in use would lose its place in memory.
        """
        task, rung = group
        pending = [group for group, count in waiting.items() if count]
        turn = self._state.turn
        if self._resources.rungs and any(task == other and turn[before] < turn[rung] for other, before in pending):
            return False
        gives_up = self._state.gives_up and group in self._state.progress
        if gives_up and not self._state.progress[group].has_room(waiting.get(group, 0)):
            return False
        if self.savings.must_wait(group, waiting.get(group, 0)):
            return False
        closing = self._resources.engine.must_close_for(rung)
        return not any(other in closing for _, other in pending)

    def first_start_model(self, item: pytest.Item) -> Model | None:
        """The model for a start of which pytest does not know; None where the test is to be skipped, or fails."""
        key = item.stash.get(TRIAL_KEY, None)
        engine = self._resources.engine
        if key is not None and (self.why_not_run(item, key) is not None or engine.down(key.rung) is not None):
            return None
        if self.application is not None and not self.application.leaves_sync_tests:
            return None  # its application would get its answer in place, in a start that is dropped
        item.stash[TRANSCRIPT] = Transcript()
        try:
            model = self.model_for(item)
        except ConfigError:
            return None
        self.begin(item)
        return model

    def begin(self, item: pytest.Item) -> None:
        """Serve the item's application from now on, where applications are served, and watch what it connects to."""
        if self.application is not None:
            self.application.begin(item)
        group = self.group(item)
        if self.watching is not None and group is not None:
            self.watching.begin(item, self._policies[group[0]], transcript_of(item))

    def first_start_ended(self) -> None:
        """The start of which pytest does not know is over."""
        if self.application is not None:
            self.application.end()
        if self.watching is not None:
            self.watching.end()

    def finished(self, item: pytest.Item) -> None:
        """Take in the trial as soon as its test has ended, also where others must be told of before it."""
        if TRIAL in item.stash:
            trial = item.stash[TRIAL]
            if trial.key not in self._state.trials[trial.key.task]:
                self._state.keep(trial)
        item.stash[TICKET].close()
        self.forget(item)

    def forget(self, item: pytest.Item) -> None:
        """Free what a test that has ended asked and was answered, unless the answers are to be played later."""
        CURRENT.set(None)
        self._free(item, (TICKET, TRANSCRIPT, TRIAL, NOT_RUN))

    def told(self, item: pytest.Item) -> None:
        """Free what nobody needs of a test whose reports have been passed on, unless it is to be played later."""
        if self._free(item, (TRIAL_KEY, _WAITING)):
            free_leftovers(item)
            free_made_text(item)

    def _free(self, item: pytest.Item, keys: tuple[pytest.StashKey[Any], ...]) -> bool:
        """Take the keys off the item, unless it is to be played later; whether that was done."""
        if self.planted is not None or self._state.settings.strength:
            return False
        for key in keys:
            if key in item.stash:
                del item.stash[key]
        return True

    def recall(self, item: pytest.Item) -> None:
        """Note anew which trial an item is: a plugin may run a test again after all of its reports."""
        if self._resources.rungs:
            name_trial(item, self._policies, self._state.settings.redact)

    # --- whether a trial is run -------------------------------------------------------------------------------------

    def why_not_run(self, item: pytest.Item, key: TrialKey) -> NotRun | None:
        """Decide once for all trials of a task on a rung, whose earlier rungs have ended; then see what is settled."""
        group = (key.task, key.rung)
        if group not in self._not_run:
            self._not_run[group] = self._decide(key)
        if self._not_run[group] is not None or not self._state.gives_up or self.has_asked(item):
            return self._not_run[group]
        detail = self._cheaper.reason_to_leave(key) or self._state.progress[group].reason_to_stop()
        return None if detail is None else NotRun(reason="settled", detail=detail)

    def starts_all_the_same(self, item: pytest.Item, key: TrialKey, not_run: NotRun) -> bool:
        """Whether a settled trial starts all the same: for a sample of savings, or with recorded answers only.

        Those are free, and are more data. Then a report does not depend on the order of the tests, the strategy, or
        what was in flight.
        """
        if not_run.reason != "settled":
            return False
        # One that has asked starts again even if its rung went down meanwhile: it gets its fault then.
        is_under_way = self.savings.is_taken(key) and self.has_asked(item)
        if self._resources.engine.down(key.rung) is not None and not is_under_way:
            return False
        if is_under_way or self.savings.takes(key):
            return True
        if self._resources.engine.may_have_recorded(key.rung):
            self.ticket(item).recorded_only = True
        return self.ticket(item).recorded_only

    @staticmethod
    def has_asked(item: pytest.Item) -> bool:
        """Whether an earlier start of the test asked something: its answer is there or on the way, and paid for."""
        return any(item.stash[TICKET].runs)

    def _decide(self, key: TrialKey) -> NotRun | None:
        policy = self._policies[key.task]
        if policy.private and not self._resources.keeps_private(key.rung):
            return NotRun(reason="private", detail=f"{key.task} is private, and {key.rung} is not on this machine")
        trials = self._state.trials[key.task].values()
        claims: tuple[float, ...] = ()
        if trials or policy.confidence is not None:  # else nothing is known, and nothing asked of how sure it must be
            found = claimed_standings(policy, trials, self._state.plan_only)
            claims, _ = found[key.rung]
            # What recorded answers completed of a rung that need not run has no other rung asked.
            needed = [rung for rung in found if self._not_run.get((key.task, rung)) is None]
            detail = reason_not_to_run(
                key.rung,
                ladder=[rung.name for rung in self._resources.rungs],
                standings={rung: found[rung][1] for rung in needed},
                strategy=self._state.settings.strategy,
            )
            if detail is not None and not self._cheaper.looks_at(key):
                return NotRun(reason="settled", detail=detail)
        place = (key.task, key.rung)
        if place in self._state.progress:
            self._state.progress[place].demand(claims, to_be_finished=place in self._state.to_be_finished)
        return None

    # --- the model --------------------------------------------------------------------------------------------------

    def plant(self, answers: "PlantedAnswers | None") -> None:
        """From now on whatever is asked is answered so; None ends it."""
        self.planted = answers

    def model_for(self, item: pytest.Item) -> Model:
        """What the item asks; raises ConfigError for a test without a rung."""
        key = item.stash.get(TRIAL_KEY, None)
        policy = self._policies.of(definition_of(item)) if key is None else self._policies[key.task]
        rung = self._resources.known[key.rung if key is not None else self._only_rung(policy)]
        asker = self.asker_for(item, rung)
        ticket, start = asker.ticket, asker.ticket.start_number
        transcript, sample = transcript_of(item), key.sample if key is not None else 0
        fingerprint = self._resources.judge_fingerprint
        CURRENT.set(JudgeBench(asker, transcript, sample=sample, judge=self._resources.judge, fingerprint=fingerprint))
        return Model(
            rung_record=rung,
            answer=asker.ask,
            answer_async=asker.ask_async,
            transcript=transcript,
            sample=sample,
            max_tokens=policy.max_tokens,
            address=lambda: self._served(item).address(ticket, start),
        )

    def _served(self, item: pytest.Item) -> Serves:
        """What serves applications, opened for the item that asks for it if nobody did before."""
        with self._opening:
            if self.application is None:
                assert self.open_late is not None  # the session sets it
                self.application = self.open_late()
                self.application.begin(item)
            return self.application

    def asker_for(self, item: pytest.Item, rung: Rung) -> Asker:
        """What the present start of the item asks the rung by."""
        if self.planted is not None:
            planted, engine = self.planted, self._resources.engine
            return PlantedAsker(planted.reply, rung, planted.ticket, engine=engine, case=case_of(item))
        return Asker(self._resources.engine, rung, self.ticket(item), self._interception)

    def _only_rung(self, policy: Policy) -> str:
        """The rung of a test outside a ladder: the chosen one, else the default."""
        name = policy.chosen or self._resources.ladder.default
        if name is None:
            raise ConfigError(
                f"{policy.task} has no rung to run on: give the task a `chosen` rung, name a `default` in the ladder "
                f"file, or climb a ladder with --rightsize-ladder"
            )
        return name
