"""Collection of a shard that makes its own tests only: of each function of another shard one test stands for all.

In come functions with all their parameters; out go those of other shards with one case and one rung, and how many
trials each had. Whatever makes these numbers wrong is found when the collection has ended, and ends the session.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from typing import Any

import pytest

from pytest_rightsize.config.policies import Policies
from pytest_rightsize.records import TrialKey
from pytest_rightsize.session.state import TRIAL_KEY
from pytest_rightsize.session.trial_names import PARAM, parameter_of
from pytest_rightsize.shards import Shard

__all__ = ["StandIns"]

_REMEDY = (
    "Leave that out, or give --rightsize-shard-collects=suite: otherwise one test of another shard stands for all of "
    "its function"
)
# What these do to a collection takes no test out without one of the options below, and marks none.
_CHOOSE_NOTHING = frozenset({"_pytest", "_hypothesis_pytestplugin", "anyio", "pytest_asyncio", "pytest_randomly"})
_CHOOSE_NOTHING |= {"pytest_rightsize", "xdist"}
_HOOKS = ("pytest_collection_modifyitems", "pytest_itemcollected", "pytest_pycollect_makeitem")
_CHOOSING = ("keyword", "markexpr", "deselect", "lf", "stepwise")


class StandIns:
    """The functions of other shards, as a plugin of the collection."""

    def __init__(self, shard: Shard, policies: Policies, config: pytest.Config, *, always: bool) -> None:
        """`shard` is by task; `always` says that what may choose among the tests is an error, and not a reason."""
        self._config = config
        self._applies: bool | None = True if always else None
        self._shard = shard
        self._policies = policies
        # By the function's id: how many trials it has on each rung; and the task of each function, of any shard.
        self._counts: dict[str, Counter[str]] = {}
        self._tasks: dict[str, str] = {}
        self._made = 0
        self._deselected = 0

    @property
    def applies(self) -> bool:
        """Whether every test that is collected is in the suite's plan, as nobody chooses; found out at the first."""
        if self._applies is None:
            self._applies = not _may_choose(self._config)
        return self._applies

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> Generator[None, Any, Any]:
        """When a function has all its parameters, leave one of them if it is of another shard."""
        result = yield
        if not self.applies:
            return result
        calls = metafunc._calls
        if PARAM not in metafunc.fixturenames or not calls or any(call.marks for call in calls):
            return result  # by their marks, cases may be of several tasks
        definition = metafunc.definition
        task = self._tasks[definition.nodeid] = self._policies.of(definition).task
        rungs = [call.params[PARAM] for call in calls if PARAM in call.params]
        if len(rungs) == len(calls) and not self._shard.holds(TrialKey(task=task, case="", rung="")):
            self._counts[definition.nodeid] = Counter(str(rung[0]) for rung in rungs)  # type: ignore[index]  # as collecting gives it
            del calls[1:]
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pycollect_makeitem(self) -> Generator[None, Any, Any]:
        """Count the tests that are made."""
        made = yield
        if isinstance(made, list):
            self._made += sum(parameter_of(item) is not None for item in made)
        return made

    @pytest.hookimpl
    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Count the tests that are taken out before the other shards' are."""
        self._deselected += len(items)

    def trials_of(self, item: pytest.Item) -> Mapping[str, int] | None:
        """How many trials on each rung a test stands for; None for one that stands for itself."""
        return self._counts.get(_function(item))

    def refusal(self, items: Iterable[pytest.Item]) -> str | None:
        """Why the plan of the suite is not known by these items, which all hooks have seen; None where it is."""
        if not self.applies:
            return None
        if self._deselected:
            return f"{self._deselected} tests were taken out of the collection (-k, -m, --lf and the like). {_REMEDY}"
        found = 0
        for item in items:
            if TRIAL_KEY not in item.stash:
                continue
            found += 1
            task, expected = item.stash[TRIAL_KEY].task, self._tasks.get(_function(item))
            if expected is not None and task != expected:
                return (
                    f"{item.nodeid} is of task {task}, its function of {expected}: something has marked it. {_REMEDY}"
                )
        if found != self._made:
            return (
                f"{self._made} tests were made, and {found} collected: some were taken out, or named alone. {_REMEDY}"
            )
        return None


def _may_choose(config: pytest.Config) -> bool:
    """Whether an option, a plugin or a conftest.py may take tests out of the collection, or mark one of them."""
    if any(config.getoption(option, None) for option in _CHOOSING) or any("::" in text for text in config.args):
        return True
    hooks = (impl for name in _HOOKS for impl in getattr(config.hook, name).get_hookimpls())
    return any(impl.function.__module__.partition(".")[0] not in _CHOOSE_NOTHING for impl in hooks)


def _function(item: pytest.Item) -> str:
    """The id of the function of a test."""
    return "" if item.parent is None else f"{item.parent.nodeid}::{getattr(item, 'originalname', None)}"
