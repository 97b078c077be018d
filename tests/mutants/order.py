"""Runs the tests first that are likely to notice a mutant soon: those that noticed one before, then the quick ones.

Leaves out those that fail without a mutant too, as tests of clocks do on a busy machine.
"""

import json
import sys
from pathlib import Path

import pytest

__all__ = ["TestOrder"]

_SLOW_S = 0.2


class TestOrder:
    """A plugin of one run of the tests; what it learns goes to `path`, from which the next run's reads it."""

    __test__ = False

    def __init__(self, path: Path) -> None:
        """Read what the runs before wrote, if any; `last_failed` are the tests that failed in the last one."""
        self._path = path
        learned = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self._seconds: dict[str, float] = learned.get("seconds", {})
        self._killers: list[str] = learned.get("killers", [])
        self.imports: list[str] = learned.get("imports", [])
        self.left_out: list[str] = learned.get("left_out", [])
        self.last_failed: list[str] = learned.get("failed", [])
        self.failed: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Within the quick and the slow ones, files keep their order, as module fixtures cost time too."""
        items[:] = [item for item in items if item.nodeid not in self.left_out]
        files = {path: place for place, path in enumerate(dict.fromkeys(item.path for item in items))}

        def place(item: pytest.Item) -> tuple[bool, bool, int, float]:
            seconds = self._seconds.get(item.nodeid, 0.0)
            return item.nodeid not in self._killers, seconds > _SLOW_S, files[item.path], seconds

        items.sort(key=place)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember how long a test takes, and that it failed."""
        if report.failed:
            self.failed.append(report.nodeid)
            self._killers = list(dict.fromkeys([*self._killers, report.nodeid]))
        elif report.passed and report.when == "call":
            self._seconds[report.nodeid] = report.duration

    def forget_failures(self) -> None:
        """Say that no test has failed, should this run not come to its end."""
        self.failed = []
        self.save()

    def end(self) -> None:
        """Save at the end of a run; the imports are those of the first one."""
        self.imports = self.imports or list(sys.modules)
        self.save()

    def leave_out(self, tests: list[str]) -> None:
        """Leave these out of every later run."""
        self.left_out = list(dict.fromkeys([*self.left_out, *tests]))
        self._killers = [test for test in self._killers if test not in self.left_out]
        self.save()

    def save(self) -> None:
        """Write what was learned, and what failed in this run."""
        learned = {
            "seconds": self._seconds,
            "killers": self._killers,
            "imports": self.imports,
            "left_out": self.left_out,
            "failed": self.failed,
        }
        self._path.write_text(json.dumps(learned), encoding="utf-8")
