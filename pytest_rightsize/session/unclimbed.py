"""Tests that look as if they climbed the ladder and do not: each kind is told once, with what to change.

In come the collected items, and those whose `model` is made while they run; out go notices. Without a ladder
there is nothing to tell.
"""

import unittest
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from pytest_rightsize.session.state import TRIAL_KEY, SessionState

__all__ = ["Unclimbed", "tell_who_is_not_climbed"]

_BASE = "_rightsize_trial"
_ASKS_ONCE = "so the ladder is not climbed and no verdict counts it"
_USE = 'pytestmark = pytest.mark.usefixtures("model") in its file'


def tell_who_is_not_climbed(items: Sequence[pytest.Item], state: SessionState) -> None:
    """Put a notice for each kind of such tests that shows before any test runs; one worker of xdist speaks for all."""
    worker = getattr(state.config, "workerinput", {}).get("workerid", "gw0")
    if not state.resources.rungs or worker != "gw0":
        return
    unclimbed = [item for item in items if TRIAL_KEY not in item.stash]
    climbed_marks = {id(mark) for item in items if TRIAL_KEY in item.stash for mark in item.iter_markers("rightsize")}
    alias_is_known = any("rightsize_model" in getattr(item, "fixturenames", ()) for item in items)
    kinds: Mapping[Callable[[pytest.Item], bool], Callable[[pytest.Item], str]] = {
        _is_test_case: lambda _: (
            f"is a method of a unittest.TestCase, of which pytest makes no variants, {_ASKS_ONCE}: "
            f"write it as a function or in a plain class"
        ),
        lambda item: not alias_is_known and _has_own_model(item): lambda item: (
            f"takes the fixture `model` of {_where(item)}, {_ASKS_ONCE}: take `rightsize_model` to ask the ladder"
        ),
        lambda item: _is_marked(item, climbed_marks): lambda _: (
            f"has the marker rightsize and takes no `model`, {_ASKS_ONCE}: name `model` among its arguments, "
            f"or write {_USE}"
        ),
    }
    told: set[pytest.Item] = set()
    for is_of_kind, words in kinds.items():
        found = [item for item in unclimbed if item not in told and is_of_kind(item)]
        told.update(found)
        if found:
            state.notices.put(f"{_first_of(found)} {words(found[0])}")
    state.notices.show(state.config)


def _first_of(items: Sequence[pytest.Item]) -> str:
    more = len(items) - 1
    return f"{items[0].nodeid} (and {more} more like it)" if more else items[0].nodeid


def _is_test_case(item: pytest.Item) -> bool:
    return _BASE in getattr(item, "fixturenames", ()) and _in_test_case(item)


def _in_test_case(item: pytest.Item) -> bool:
    owner = getattr(item, "cls", None)
    return isinstance(owner, type) and issubclass(owner, unittest.TestCase)


def _has_own_model(item: pytest.Item) -> bool:
    """Whether the test takes a fixture `model` that does not build on ours."""
    names = getattr(item, "fixturenames", ())
    return "model" in names and _BASE not in names


def _where(item: pytest.Item) -> str:
    """The file that defines the test's own `model`, from the rootdir."""
    definitions = item._fixtureinfo.name2fixturedefs.get("model", ())  # type: ignore[attr-defined]  # a function has it
    path = Path(definitions[-1].func.__code__.co_filename) if definitions else item.path
    return path.relative_to(item.config.rootpath).as_posix() if path.is_relative_to(item.config.rootpath) else str(path)


def _is_marked(item: pytest.Item, climbed: set[int]) -> bool:
    """Whether a marker was meant for this test: its own, or one of its class or module that no test climbs with."""
    marks = list(item.iter_markers("rightsize"))
    own = {id(mark) for mark in item.own_markers}
    return any(id(mark) in own or id(mark) not in climbed for mark in marks)


class Unclimbed:
    """Tests that ask while they run and are no trial; the first is told."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._is_told = not state.resources.rungs

    def asks(self, item: pytest.Item) -> None:
        """The item's `model` is made."""
        if self._is_told or TRIAL_KEY in item.stash or _in_test_case(item):
            return
        self._is_told = True
        self._state.notices.put(
            f"{item.nodeid} gets its `model` only while it runs (request.getfixturevalue, a step of pytest-bdd), "
            f"{_ASKS_ONCE}, nor others that do: name `model` among its arguments, or write {_USE}"
        )
        self._state.notices.show(self._state.config)
