"""What people read: each report turns a run and its verdicts into text, and knows nothing of pytest.

To add one: write a class with the members of `Report` and return it from `pytest_rightsize_reports()` in the same file.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Run, Verdict

__all__ = ["Report", "load_reports"]


class Report(Protocol):
    """One kind of report; made without arguments."""

    def check(self) -> str | None:
        """What is missing on this machine to write it, and how to get it; None if nothing is. Asked before any test."""

    def render(self, run: Run, verdicts: Sequence[Verdict]) -> str:
        """The whole text of the report's file."""


def load_reports(given: Iterable[Mapping[str, type[Report]]]) -> dict[str, type[Report]]:
    """One mapping from what every plugin returned; raises ConfigError for a name that two of them use."""
    known: dict[str, type[Report]] = {}
    for reports in given:
        for name, report in reports.items():
            if known.setdefault(name, report) is not report:
                first = known[name]
                raise ConfigError(
                    f"two reports are called {name!r}: {first.__module__}.{first.__qualname__} and "
                    f"{report.__module__}.{report.__qualname__}: rename one, or disable its plugin with -p no:NAME"
                )
    return known
