"""The hooks of pytest while reports are held back: calls wait, and all else of a hook is its own."""

from collections.abc import Callable

import pluggy

from pytest_rightsize.running.held_reports import HoldingRelay

spec, impl = pluggy.HookspecMarker("pytest"), pluggy.HookimplMarker("pytest")


class Specs:
    @spec
    def pytest_runtest_logreport(self, report: str) -> None:
        """A report."""

    @spec
    def pytest_runtest_setup(self, item: str) -> None:
        """A hook that is never held."""


class Plugin:
    def __init__(self) -> None:
        self.heard: list[str] = []

    @impl
    def pytest_runtest_logreport(self, report: str) -> None:
        self.heard.append(report)

    @impl
    def pytest_runtest_setup(self, item: str) -> None:
        self.heard.append(item)


def test_a_held_hook_waits_and_still_tells_who_implements_it() -> None:
    """An item keeps the hooks that it is given first, which under xdist are these: others ask them for plugins."""
    manager, plugin, held = pluggy.PluginManager("pytest"), Plugin(), list[Callable[[], object]]()
    manager.add_hookspecs(Specs)
    manager.register(plugin, "heard")
    relay = HoldingRelay(manager.hook, held.append)
    relay.pytest_runtest_logreport(report="late")
    relay.pytest_runtest_setup(item="now")
    assert plugin.heard == ["now"]
    for hook in (relay.pytest_runtest_logreport, relay.pytest_runtest_setup):
        assert [one.plugin_name for one in hook.get_hookimpls()] == ["heard"]
    for call in held:
        call()
    assert plugin.heard == ["now", "late"]
