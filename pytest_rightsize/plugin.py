"""Entry point of the plugin: its hooks, in the order in which pytest calls them.

It registers the options and the marker, and the session's hooks where there is a ladder file or an option. Without
either it imports nothing heavy, writes no file and opens no connection.

PYTEST_DONT_REWRITE: it asserts nothing, and a session within another process that has it would be warned of that.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from pytest_rightsize import clocks  # noqa: F401  # bound now, before a test or another plugin freezes time
from pytest_rightsize.config import options

if TYPE_CHECKING:
    from pytest_rightsize.model import Model

__all__: list[str] = []


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks by which providers, meters and reports come in."""
    from pytest_rightsize import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options and their ini twins."""
    options.add_options(parser)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """Undo what the loop did to Python's garbage collector: pytest itself collects at the very end."""
    try:
        return (yield)
    finally:
        if "pytest_rightsize.running.garbage" in sys.modules:
            from pytest_rightsize.running.garbage import restore_garbage_search

            restore_garbage_search(config)


@contextmanager
def _as_installed() -> Iterator[None]:
    """Import this package's files as Python does: pytest would rewrite the assertions of all of them first.

    It does so with every plugin. There is nothing to rewrite here, and in a fresh environment it takes a second.
    Nor is there garbage among what is imported; to search it takes a twentieth of a second.
    """

    class Finder:
        @staticmethod
        def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
            return PathFinder.find_spec(name, path, target) if name.startswith("pytest_rightsize.") else None

    finder = Finder()
    searched = gc.isenabled()
    sys.meta_path.insert(0, finder)
    gc.disable()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if searched:
            gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Watch over an offline session, and open the endpoint of a served application: a conftest.py may connect."""
    if options.offline_is_asked(early_config):
        with _as_installed():
            from pytest_rightsize.session.opening import open_guard
        open_guard(early_config)
    if options.serving_is_asked(early_config):
        with _as_installed():
            from pytest_rightsize.session.opening import open_endpoint
        open_endpoint(early_config)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read options and ladder file, and register the session's hooks if there is anything to do."""
    for text in options.MARKER_HELPS:
        config.addinivalue_line("markers", text)
    if not options.settings_are_given(config) and options.find_ladder_file(config.rootpath) is None:
        return
    from pytest_rightsize.errors import ConfigError

    with _as_installed():
        from pytest_rightsize.session.builtin import BuiltIn
        from pytest_rightsize.session.hooks import register_session

        # The built-in providers, meters and reports come in by the same hooks as others.
        config.pluginmanager.register(BuiltIn(), "rightsize-builtin")
        try:
            register_session(config)  # it imports the providers that the ladder names
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests that have the marker `rightsize_cases` or `rightsize_prompts`."""
    if not any(metafunc.definition.get_closest_marker(name) for name in options.PARAMETRIZING_MARKERS):
        return
    from pytest_rightsize.config.case_markers import parametrize
    from pytest_rightsize.errors import ConfigError

    try:
        parametrize(metafunc)
    except ConfigError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Leave the cases of a large file on disk until their tests run."""
    if "pytest_rightsize.config.case_markers" in sys.modules:
        from pytest_rightsize.config.case_markers import read_lazily

        read_lazily(item)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain a matcher that did not match."""
    if "pytest_rightsize.matchers" not in sys.modules:
        return None
    from pytest_rightsize.matchers import explain_comparison

    return explain_comparison(op, left, right)


@pytest.fixture
def _rightsize_trial() -> None:
    """Which trial this is: parametrised over rungs and samples when a ladder is climbed."""


@pytest.fixture
def model(_rightsize_trial: None) -> Model:
    """One rung of the ladder, to ask: `model.ask(prompt)` returns the answer as a string."""
    # A session with rungs registers a fixture of this name, which overrides this one.
    raise pytest.fail.Exception(_NO_RUNG.format("model"), pytrace=False)


@pytest.fixture
def rightsize_model(_rightsize_trial: None) -> Model:
    """The same as `model`, for projects that have a fixture `model` of their own."""
    raise pytest.fail.Exception(_NO_RUNG.format("rightsize_model"), pytrace=False)


_NO_RUNG = (
    "the fixture `{}` has no rung to ask. Climb a ladder with --rightsize-ladder=1b,4b,30b,frontier, or write a "
    'rightsize.toml with `default = "NAME"` and a [ladder.NAME] table'
)
