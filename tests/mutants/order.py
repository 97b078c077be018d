"""Runs the tests first that are likely to notice a mutant soon: those that noticed one before, then the quick ones."""

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
        """Read what the runs before wrote, if any."""
        self._path = path
        learned = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self._seconds: dict[str, float] = learned.get("seconds", {})
        self._killers: list[str] = learned.get("killers", [])
        self.imports: list[str] = learned.get("imports", [])

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Within the quick and the slow ones, files keep their order, as module fixtures cost time too."""
        files = {path: place for place, path in enumerate(dict.fromkeys(item.path for item in items))}

        def place(item: pytest.Item) -> tuple[bool, bool, int, float]:
            seconds = self._seconds.get(item.nodeid, 0.0)
            return item.nodeid not in self._killers, seconds > _SLOW_S, files[item.path], seconds

        items.sort(key=place)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember how long a test takes, and that it failed."""
        if report.failed and report.nodeid not in self._killers:
            self._killers.append(report.nodeid)
        elif report.passed and report.when == "call":
            self._seconds[report.nodeid] = report.duration

    def save(self) -> None:
        """Write what was learned; the imports are those of the first run."""
        imports = self.imports or list(sys.modules)
        learned = {"seconds": self._seconds, "killers": self._killers, "imports": imports}
        self._path.write_text(json.dumps(learned), encoding="utf-8")
