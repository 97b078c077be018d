"""Starts a test only to learn its first question: calls its function alone, where that makes no difference.

A start that ends in suspension is dropped with all that pytest would make of it. Where a test has nothing around it but
its parameters, `model`, and fixtures that are set up already, and only known plugins can change how tests run, a plain
call asks the same question. Any other end of the call is ignored: the test then starts like any other.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from _pytest import python
from _pytest.nodes import Node

from pytest_rightsize.model import Model
from pytest_rightsize.running.async_tests import is_async
from pytest_rightsize.running.neighbours import HARMLESS

__all__ = ["FirstStart"]

# Through these a plugin can change what a test does before its first question.
_HOOKS = ("pytest_runtest_protocol", "pytest_runtest_setup", "pytest_runtest_call", "pytest_pyfunc_call")
# Plugins that do nothing to a plain function without the markers below, unless they were asked for more.
_HARMLESS = {package for package, harmless in HARMLESS.items() if harmless.leaves_plain_tests}
# Markers by which pytest skips a test, runs it differently, or limits its time.
_MARKERS = frozenset({"skip", "skipif", "xfail", "timeout"})
# The fixture and its alias.
_OURS = ("model", "rightsize_model")
_CURRENT = "PYTEST_CURRENT_TEST"
# The fixture that stands for a parameter; where a later pytest has it no more, every start is whole.
_PARAMETER = getattr(python, "get_direct_param_fixture_func", None)


class FirstStart:
    """The tests of a session that can be started this way. `stack` holds the nodes that are set up."""

    def __init__(self, config: pytest.Config, stack: Mapping[Node, object]) -> None:
        """Look once at the plugins; every conftest.py of the session must be loaded."""
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self._stack = stack
        hooks = [impl for name in _HOOKS for impl in getattr(config.hook, name).get_hookimpls()]
        packages = {impl.function.__module__.partition(".")[0] for impl in hooks}
        asked = ("pytest_timeout" in packages and _has_limit(config)) or config.getoption("cov_context", None)
        self._possible = packages <= _HARMLESS and not asked
        # By what pytest knows of a function's fixtures, which all its items share; kept, so that no id comes twice.
        self._sources_by_function: dict[int, tuple[object, Mapping[str, str] | None]] = {}

    def start(self, item: pytest.Item, chain: Sequence[Node], model: Callable[[pytest.Item], Model | None]) -> None:
        """Call the item's function with what `model` returns; raises nothing but Ctrl-C and pytest.exit.

        `chain` are the nodes above the item.
        """
        if not self._possible or type(item) is not pytest.Function or not self._is_plain(item, chain):
            return
        values = self._values(item)
        if values is None:
            return
        value_of_model = model(item)
        if value_of_model is None:
            return
        arguments = {name: value_of_model if name in _OURS else values[name] for name in item._fixtureinfo.argnames}
        if self._capture is not None:
            self._capture.resume_global_capture()
        os.environ[_CURRENT] = f"{item.nodeid} (call)".replace("\x00", "(null)")
        try:
            item.obj(**arguments)
        except (KeyboardInterrupt, pytest.exit.Exception):
            raise
        except BaseException:  # reported when the test has started like any other
            pass
        finally:
            os.environ.pop(_CURRENT, None)
            if self._capture is not None:
                self._capture.suspend_global_capture(in_=False)
                self._capture.read_global_capture()

    def leave_out(self, item: pytest.Item) -> None:
        """Start no item of the same function this way any more."""
        info = getattr(item, "_fixtureinfo", None)
        self._sources_by_function[id(info)] = (info, None)

    def _is_plain(self, item: pytest.Function, chain: Sequence[Node]) -> bool:
        """Whether pytest would only call it."""
        if any(marker.name in _MARKERS for marker in item.iter_markers()):
            return False
        if getattr(item.obj, "is_hypothesis_test", False) or is_async(item):
            return False
        return all(node in self._stack or type(node).setup is Node.setup for node in chain)

    def _values(self, item: pytest.Function) -> dict[str, object] | None:
        """The values of its fixtures other than `model`; None where one of them is not set up."""
        info = item._fixtureinfo
        if id(info) not in self._sources_by_function:
            self._sources_by_function[id(info)] = (info, _sources(item))
        _, sources = self._sources_by_function[id(info)]
        if sources is None:
            return None
        values: dict[str, object] = {}
        for name, kind in sources.items():
            if kind == "parameter":
                values[name] = item.callspec.params[name]
            elif kind == "wide":
                result = info.name2fixturedefs[name][-1].cached_result
                if result is None or result[2] is not None:
                    return None
                values[name] = result[0]
        return values


def _has_limit(config: pytest.Config) -> bool:
    """Whether pytest-timeout was given a time limit for every test: a start that it does not see might hang."""
    return any((config.getoption("timeout", None), config.getini("timeout"), os.environ.get("PYTEST_TIMEOUT")))


def _sources(item: pytest.Function) -> Mapping[str, str] | None:
    """Where each fixture of a function comes from: a parameter, a wider one, ours; None where one must be set up."""
    info = item._fixtureinfo
    params = getattr(getattr(item, "callspec", None), "params", {})
    sources = {}
    for name in info.names_closure:
        definitions = info.name2fixturedefs.get(name)
        if name == "request" and not definitions and name not in info.argnames:
            continue  # a wider fixture's
        if not definitions:
            return None
        if definitions[-1].func is _PARAMETER:
            sources[name] = "parameter"
        elif all(definition.func.__module__.partition(".")[0] == "pytest_rightsize" for definition in definitions):
            sources[name] = "ours"
        elif definitions[-1].scope != "function" and name not in params:
            sources[name] = "wide"
        else:
            return None
    return sources if any(sources.get(name) == "ours" for name in _OURS) else None
