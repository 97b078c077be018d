"""What a start of a test leaves on its item and its fixtures, and how to take it off again."""

import pytest

__all__ = ["ItemState"]


class ItemState:
    """An item's markers and properties as they were before it was started."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._markers = list(item.own_markers)
        self._properties = list(item.user_properties)

    def restore(self) -> None:
        """Make the item as if it had not been started."""
        item = self._item
        item.own_markers[:] = self._markers
        item.user_properties[:] = self._properties
        item._report_sections.clear()
        _free_unmade_fixtures(item)
        if isinstance(item, pytest.Function) and isinstance(item.parent, pytest.Class):
            for name in ("_instance", "_obj"):
                item.__dict__.pop(name, None)


def _free_unmade_fixtures(item: pytest.Item) -> None:
    """Have pytest set up again each fixture that a plugin was to make, and was suspended at, as pytest-lazy-fixtures.

    Pytest finishes only what has a value, or an exception, and refuses one with finalizers that were not run.
    """
    for definitions in getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {}).values():
        for definition in definitions:
            if definition.cached_result is None and definition._finalizers:
                definition._finalizers.clear()
