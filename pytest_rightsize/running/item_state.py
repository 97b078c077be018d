"""What a start of a test leaves on its item and its fixtures, and how to take it off again."""

from typing import Any

import pytest

failed_subtests_key: Any
try:
    from _pytest.subtests import failed_subtests_key
except ImportError:  # a pytest without subtests
    failed_subtests_key = None

__all__ = ["ItemState"]


class ItemState:
    """An item's markers and properties as they were before it was started."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._markers = list(item.own_markers)
        self._properties = list(item.user_properties)
        # Of all tests of the session; empty while no subtest has failed.
        self._counts: dict[Any, int] | None = _counts(item.config)

    def restore(self) -> None:
        """Make the item as if it had not been started."""
        item = self._item
        item.own_markers[:] = self._markers
        item.user_properties[:] = self._properties
        item._report_sections.clear()
        self.set_failed_subtests(0)
        _free_unmade_fixtures(item)
        if isinstance(item, pytest.Function) and isinstance(item.parent, pytest.Class):
            for name in ("_instance", "_obj"):
                item.__dict__.pop(name, None)

    @property
    def failed_subtests(self) -> int:
        """How many subtests of the item have failed, as pytest counts them: it fails a test by that when it is told."""
        return self._counts.get(self._name(), 0) if self._counts else 0

    def set_failed_subtests(self, number: int) -> None:
        """Have pytest know of so many."""
        if self._counts is not None and number != self.failed_subtests:
            self._counts[self._name()] = number

    def _name(self) -> Any:
        """What pytest counts by: the id itself, or in earlier versions its text."""
        return self._item.id if hasattr(pytest.Item, "id") else self._item.nodeid


def _counts(config: pytest.Config) -> dict[Any, int] | None:
    return None if failed_subtests_key is None else config.stash.get(failed_subtests_key, None)


def _free_unmade_fixtures(item: pytest.Item) -> None:
    """Have pytest set up again each fixture that a plugin was to make, and was suspended at, as pytest-lazy-fixtures.

    Pytest finishes only what has a value, or an exception, and refuses one with finalizers that were not run.
    """
    for definitions in getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {}).values():
        for definition in definitions:
            if definition.cached_result is None and definition._finalizers:
                definition._finalizers.clear()
