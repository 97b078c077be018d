"""Other plugins, markers and fixtures beside which a test must not start again: the one table of them, with reasons.

In comes a test; out goes why it waits for its answers in place, or None where it may be suspended. A plugin that is not
in the table is judged by its hooks: who wraps a test, or tells later tests what became of it, would notice a start that
is dropped.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = ["HARMLESS", "REPORTERS", "WAITING", "Harmless", "Neighbours", "Waiting"]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Tests that wait for their answers in place, and the reason, as the end of a sentence.

    A test is meant if it has one of the markers or fixtures, or the attribute on its function. An option or an ini key
    that is set means every test. All of it counts only where the plugin is loaded, if there is one. An `alone` test
    starts when no other is in flight, as it would one at a time. A reason that is `told` is shown where several may
    be in flight, and one that `costs` answers in every session. A plugin that `reads_outcome` decides by a report's
    whether the test runs again, and logs none of the runs before the last.
    """

    reason: str
    plugin: str | None = None
    markers: frozenset[str] = frozenset()
    fixtures: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()
    ini: frozenset[str] = frozenset()
    alone: bool = True
    told: bool = False
    costs: bool = False
    reads_outcome: bool = False


WAITING: tuple[Waiting, ...] = (
    Waiting(
        reason="allure-pytest writes a result of every start of a test",
        options=frozenset({"allure_report_dir"}),
        told=True,
    ),
    Waiting(
        reason="the fixture benchmark asks the model again in every round, and each is paid for; "
        "benchmark.pedantic(model.ask, args=(...), rounds=1) asks once",
        fixtures=frozenset({"benchmark", "benchmark_weave"}),
        told=True,
        costs=True,
    ),
    Waiting(
        reason="flaky runs a test again by itself",
        plugin="flaky.flaky_pytest_plugin",
        markers=frozenset({"flaky"}),
        attributes=frozenset({"_flaky_max_runs"}),
        options=frozenset({"force_flaky"}),
        reads_outcome=True,
    ),
    Waiting(
        reason="pytest-retry runs a test again by itself",
        plugin="pytest_retry.retry_plugin",
        markers=frozenset({"flaky"}),
    ),
    Waiting(
        reason="pytest-dependency skips a test by the results of those before it",
        plugin="pytest_dependency",
        markers=frozenset({"dependency"}),
        ini=frozenset({"automark_dependency"}),
    ),
    Waiting(
        reason="the steps of an incremental class depend on those before them",
        markers=frozenset({"incremental"}),
    ),
    Waiting(
        reason="pytest-steps goes on in one test where another has stopped",
        fixtures=frozenset({"test_step", "steps_data", "________step_name_"}),
    ),
    Waiting(
        reason="VCR.py records and stops requests only while their test runs",
        markers=frozenset({"vcr", "default_cassette"}),
    ),
    Waiting(
        reason="pytest-recording blocks the network only while the test runs",
        markers=frozenset({"block_network"}),
        options=frozenset({"block_network"}),
    ),
    Waiting(
        reason="pytest-socket blocks the network only while the test runs",
        markers=frozenset({"disable_socket", "enable_socket", "allow_hosts"}),
        fixtures=frozenset({"socket_disabled", "socket_enabled"}),
        options=frozenset({"disable_socket", "allow_hosts"}),
    ),
    Waiting(
        reason="the fixture aioresponses answers requests only while the test runs",
        fixtures=frozenset({"aioresponses"}),
    ),
    Waiting(
        reason="langsmith logs a run of every start of a test",
        markers=frozenset({"langsmith"}),
    ),
    Waiting(
        reason="hypothesis draws other examples when a test starts again",
        attributes=frozenset({"is_hypothesis_test"}),
        alone=False,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Harmless:
    """Why a dropped start makes no difference to a plugin that has hooks around tests.

    If it `leaves_plain_tests`, it does nothing at all to a test function without markers of its own.
    """

    why: str
    leaves_plain_tests: bool = False


HARMLESS: Mapping[str, Harmless] = {
    "_pytest": Harmless(why="suspension is made to fit pytest's own plugins", leaves_plain_tests=True),
    "pytest_rightsize": Harmless(why="ours", leaves_plain_tests=True),
    "_hypothesis_pytestplugin": Harmless(why="concerns tests of hypothesis only", leaves_plain_tests=True),
    "allure_pytest": Harmless(why="listens only with --alluredir, which stands above"),
    "anyio": Harmless(
        why="runs the coroutine of each start; its loops and fixtures end as fixtures do", leaves_plain_tests=True
    ),
    "flaky": Harmless(why="concerns tests of the table above only"),
    "langsmith": Harmless(
        why="comes with langchain, and concerns tests of the table above only", leaves_plain_tests=True
    ),
    "pytest_asyncio": Harmless(
        why="runs the coroutine of each start; its loops end as fixtures do", leaves_plain_tests=True
    ),
    "pytest_bdd": Harmless(why="adds to a report what the test's own item knows"),
    "pytest_benchmark": Harmless(why="concerns tests of the table above only"),
    "pytest_check": Harmless(why="clears what a start has found when it makes the report of that start"),
    "pytest_cov": Harmless(why="counts lines, which are the same in every start", leaves_plain_tests=True),
    "pytest_dependency": Harmless(why="concerns tests of the table above only"),
    "pytest_html": Harmless(why="adds to a report, and counts reports that are passed on only"),
    "pytest_jsonreport": Harmless(why="keeps what it knows on the item, and makes it anew in each start"),
    "pytest_randomly": Harmless(why="seeds every phase of every start alike"),
    "pytest_rerunfailures": Harmless(why="takes a start that was skipped for no failure", leaves_plain_tests=True),
    "pytest_retry": Harmless(why="concerns tests of the table above only"),
    "pytest_timeout": Harmless(why="times each start by itself", leaves_plain_tests=True),
    "pytest_trio": Harmless(why="concerns tests of trio only, whose questions are awaited in place"),
    "xdist": Harmless(why="counts reports that are passed on only", leaves_plain_tests=True),
}
"""By the package that the hooks come from."""

REPORTERS = ("allure_listener",)
"""The names of plugins that report every start of a test while it runs, and not by pytest's reports."""

_AROUND = (
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
    "pytest_runtest_call",
    "pytest_runtest_teardown",
    "pytest_runtest_makereport",
    "pytest_pyfunc_call",
)
_RUN_THE_TEST = ("pytest_runtest_protocol", "pytest_pyfunc_call")
_LEARN_RESULTS = ("pytest_runtest_makereport", "pytest_runtest_logreport", "pytest_exception_interact")
_DECIDE = ("pytest_runtest_protocol", "pytest_runtest_setup", "pytest_runtest_call")
_ADVICE = "; rightsize(concurrent=True) on a test says that it may start again all the same"


class Neighbours:
    """The other plugins of one session, as far as they forbid that a test starts more than once."""

    def __init__(self, config: pytest.Config) -> None:
        """Look once at what is loaded and set."""
        plugins = config.pluginmanager
        self._rules = [rule for rule in WAITING if rule.plugin is None or _is_loaded(plugins, rule.plugin)]
        self._for_all = next((rule for rule in self._rules if _is_set(config, rule)), None)
        self._by_marker = {name: rule for rule in reversed(self._rules) for name in rule.markers}
        self._by_fixture = {name: rule for rule in reversed(self._rules) for name in rule.fixtures}
        self._by_attribute = [(name, rule) for rule in self._rules for name in rule.attributes]
        # The cases of a function wait for the same, but for their own markers; kept, so that no id comes twice.
        self._by_function: dict[tuple[int, ...], tuple[Waiting | None, object, Sequence[pytest.Mark]]] = {}
        # Which conftest.py have a say is the same for all tests of a file.
        self._by_file: dict[object, Waiting | None] = {}

    def rule_of(self, item: pytest.Item, *, asks: bool) -> Waiting | None:
        """Why the item starts once; the hooks around it matter only where it `asks` a model."""
        info = getattr(item, "_fixtureinfo", None)
        key = (id(info), asks, *map(id, item.own_markers))
        if info is None or key not in self._by_function:
            rule = self.by_table(item)
            if rule is None and asks and not _is_said_to_be_concurrent(item):
                rule = self.by_hooks(item)
            self._by_function[key] = (rule, info, [*item.own_markers])
        return self._by_function[key][0]

    def by_table(self, item: pytest.Item) -> Waiting | None:
        """Why the item must start once, by an option, its markers, its fixtures, or what stands on its function."""
        if self._for_all is not None:
            return self._for_all
        for marker in item.iter_markers():
            if marker.name in self._by_marker:
                return self._by_marker[marker.name]
        for name in getattr(item, "fixturenames", ()):
            if name in self._by_fixture:
                return self._by_fixture[name]
        function = getattr(item, "obj", None)
        instance = getattr(item, "cls", None)
        for name, rule in self._by_attribute:
            if getattr(function, name, None) or getattr(instance, name, None):
                return rule
        return None

    def by_hooks(self, item: pytest.Item) -> Waiting | None:
        """Why the item should start once, by the hooks around it; whoever knows them may say otherwise."""
        if item.path not in self._by_file:
            name = next(_who_notices(item), None)
            rule = None if name is None else Waiting(reason=_reason(item.config, *name), told=True)
            self._by_file[item.path] = rule
        return self._by_file[item.path]


def _who_notices(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """The plugins, with one of their hooks each, to which a dropped start of the item would make a difference."""
    for hook in _AROUND:
        for one in _implementations(item, hook):
            if one.wrapper or one.hookwrapper or hook in _RUN_THE_TEST:
                yield _name(one), hook
    learners = {_file(one): hook for hook in _LEARN_RESULTS for one in _implementations(item, hook)}
    for hook in _DECIDE:
        for one in _implementations(item, hook):
            if _file(one) in learners:
                yield _name(one), learners[_file(one)]


def _implementations(item: pytest.Item, hook: str) -> Iterator[Any]:
    """Who has a say in how the item runs, but for those that are known to be harmless."""
    # pytest calls this one for every test, from whatever folder its conftest.py is.
    hooks = item.config.hook if hook == "pytest_runtest_protocol" else item.ihook
    return (one for one in getattr(hooks, hook).get_hookimpls() if _package(one) not in HARMLESS)


def _package(implementation: Any) -> str:
    package: str = implementation.function.__module__.partition(".")[0]
    return package


def _file(implementation: Any) -> str:
    """Where the hook is written: a plugin may have one in its module and another in a class of it."""
    code = getattr(implementation.function, "__code__", None)
    file: str = getattr(code, "co_filename", implementation.function.__module__)
    return file


def _name(implementation: Any) -> str:
    """How people know the plugin; one that was registered without a name is known by where it is written."""
    name: str = implementation.plugin_name
    return _file(implementation) if name.isdigit() else name


def _reason(config: pytest.Config, plugin: str, hook: str) -> str:
    path = Path(plugin)
    inside = path.is_absolute() and path.is_relative_to(config.rootpath)
    name = path.relative_to(config.rootpath).as_posix() if inside else f"the plugin {plugin}"
    return f"{name} has the hook {hook}, which would see every start of a test{_ADVICE}"


def _is_loaded(plugins: pytest.PytestPluginManager, module: str) -> bool:
    return any(getattr(plugin, "__name__", type(plugin).__module__) == module for plugin in plugins.get_plugins())


def _is_set(config: pytest.Config, rule: Waiting) -> bool:
    """Whether an option or ini key of the rule is set; one that nobody has registered is not."""
    if any(config.getoption(option, None) for option in rule.options):
        return True
    for key in rule.ini:
        try:
            if config.getini(key):
                return True
        except (KeyError, ValueError):
            continue
    return False


def _is_said_to_be_concurrent(item: pytest.Item) -> bool:
    """Whether a marker of the test, the nearest that speaks of it, says that it may start again."""
    said = (marker.kwargs.get("concurrent") for marker in item.iter_markers("rightsize"))
    return next((value for value in said if value is not None), False) is True
