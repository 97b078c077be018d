"""Hooks that this plugin calls to collect providers, meters and reports, the built-in ones too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_rightsize.meters import Meter
    from pytest_rightsize.providers import Provider
    from pytest_rightsize.reports import Report

__all__ = ["pytest_rightsize_meters", "pytest_rightsize_providers", "pytest_rightsize_reports"]

hookspec = pluggy.HookspecMarker("pytest")


@hookspec
def pytest_rightsize_providers() -> Mapping[str, type[Provider]]:  # type: ignore[empty-body]  # a spec has no body
    """Name the providers that a ladder file may use.

    In a conftest.py or an installed plugin, where `MyProvider` has the members of `Provider`:

    >>> def pytest_rightsize_providers():
    ...     return {"my_server": MyProvider}

    Two providers of one name are a usage error.
    """


@hookspec
def pytest_rightsize_meters() -> Mapping[str, type[Meter]]:  # type: ignore[empty-body]  # a spec has no body
    """Name the meters that a ladder file may use.

    In a conftest.py or an installed plugin, where `MyMeter` has the members of `Meter`:

    >>> def pytest_rightsize_meters():
    ...     return {"my_power_strip": MyMeter}

    Two meters of one name are a usage error.
    """


@hookspec
def pytest_rightsize_reports() -> Mapping[str, type[Report]]:  # type: ignore[empty-body]  # a spec has no body
    """Name the reports that `--rightsize-report=NAME:FILE` may ask for.

    In a conftest.py or an installed plugin:

    >>> class Smallest:
    ...     def check(self):
    ...         return None
    ...
    ...     def render(self, run, verdicts):
    ...         return str({verdict.task: verdict.smallest for verdict in verdicts})
    >>> def pytest_rightsize_reports():
    ...     return {"smallest": Smallest}

    Two reports of one name are a usage error.
    """
