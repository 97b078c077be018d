"""Tests that pytest-forked would run in processes of their own, where their answers reach no verdict."""

from collections.abc import Iterable

import pytest

from pytest_rightsize.session.state import TRIAL_KEY

__all__ = ["why_not_forked"]


def why_not_forked(config: pytest.Config, items: Iterable[pytest.Item]) -> str | None:
    """The first trial that would be forked, and what to do; None where there is none."""
    if not config.pluginmanager.has_plugin("pytest_forked"):
        return None
    every = config.getoption("forked", False)
    for item in items:
        if TRIAL_KEY in item.stash and (every or item.get_closest_marker("forked")):
            return (
                f"{item.nodeid} would run in a process of its own, by pytest-forked, and its answers would reach no "
                f"verdict: run without --forked, and take the marker `forked` off tests that ask a model"
            )
    return None
