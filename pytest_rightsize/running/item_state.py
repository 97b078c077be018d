"""What a start of a test leaves on its item, and how to take it off again."""

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
        if isinstance(item, pytest.Function) and isinstance(item.parent, pytest.Class):
            for name in ("_instance", "_obj"):
                item.__dict__.pop(name, None)
