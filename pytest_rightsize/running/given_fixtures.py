"""Gives a test its parameters and its `model` without pytest's setup of each.

There is nothing to set up or to finish in such a fixture: it has a value. Pytest takes a tenth of a test's time for
each all the same. They are given only where no other plugin may look on while fixtures are set up.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from _pytest import python

__all__ = ["GivenFixtures"]

# The hooks in which others look on.
_HOOKS = ("pytest_fixture_setup", "pytest_fixture_post_finalizer")
# Whose implementations concern fixtures of other kinds only: those that an option shows, or that are coroutines.
_HARMLESS = frozenset({"_pytest", "pytest_rightsize", "aiohttp", "anyio", "pytest_asyncio"})
_SHOWING = ("setuponly", "setupplan", "setupshow")
# The fixture that stands for a parameter; where a later pytest has it no more, none is given.
_PARAMETER = getattr(python, "get_direct_param_fixture_func", None)
_FUNCTION = "function"


class _Given:
    """Stands for the definition of a fixture, whose value is that of a parameter, or made when it is asked for."""

    def __init__(self, definition: Any, params: dict[str, object]) -> None:
        self._definition = definition
        self._params = params
        self._scope = definition._scope

    def __getattr__(self, name: str) -> Any:
        if name != "cached_result":
            return getattr(self._definition, name)
        definition = self._definition
        is_parameter = definition.func is _PARAMETER
        value = (
            self._params[definition.argname] if is_parameter else definition.func(*[None] * len(definition.argnames))
        )
        self.cached_result = (value, None, None)
        return self.cached_result

    def addfinalizer(self, finalizer: object) -> None:
        """A fixture that takes it ends with its test, as this one does."""


class GivenFixtures:
    """The fixtures of a session that can be given."""

    def __init__(self, config: pytest.Config) -> None:
        """Look once at the plugins; every conftest.py of the session must be loaded."""
        hooks = [impl for name in _HOOKS for impl in getattr(config.hook, name).get_hookimpls()]
        packages = {impl.function.__module__.partition(".")[0] for impl in hooks}
        shows = any(config.getoption(option, False) for option in _SHOWING)
        self._possible = packages <= _HARMLESS and not shows
        # By what pytest knows of a function's fixtures, which all its items share; kept, so that no id comes twice.
        self._by_function: dict[int, tuple[object, Sequence[Any]]] = {}

    def give(self, item: pytest.Item) -> None:
        """Give the item's present start what can be given; called before its setup."""
        there = getattr(getattr(item, "_request", None), "_fixture_defs", None)
        if not self._possible or type(item) is not pytest.Function or not isinstance(there, dict):
            return
        for definition in self._definitions(item):
            there.setdefault(definition.argname, _Given(definition, item.callspec.params))

    def _definitions(self, item: pytest.Function) -> Sequence[Any]:
        """The definitions of those of its fixtures that can be given."""
        info = item._fixtureinfo
        if id(info) not in self._by_function:
            self._by_function[id(info)] = (info, [*_that_can_be_given(item)])
        return self._by_function[id(info)][1]


def _that_can_be_given(item: pytest.Function) -> Iterator[Any]:
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():
        scope = callspec._arg2scope[name].value if name in callspec._arg2scope else definitions[-1].scope
        is_ours = definitions[-1].func.__module__.partition(".")[0] == "pytest_rightsize"  # `model` and its like
        if scope == _FUNCTION and (is_ours or definitions[-1].func is _PARAMETER):
            yield definitions[-1]
