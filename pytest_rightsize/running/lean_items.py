"""Makes items and their reports smaller, which pytest keeps to the end: what equals that of others, and leftovers.

In go the items of trials: all of them once they are collected, and each when it has ended. Nothing that a plugin can
see changes: tables of pytest's own that nobody writes to, and its notes for fixtures that are finished.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import pytest
from _pytest import tmpdir

__all__ = ["ItemKeywords", "free_leftovers", "share_tables"]

# Of a parametrized test: the scope of each argument, and which of its values it is. For pytest, which only reads them.
_TABLES = ("_arg2scope", "indices")
# How the phases of a test went; where a later pytest has it no more, nothing is to be freed.
_PHASES = getattr(tmpdir, "tmppath_result_key", None)
# An empty set takes 216 bytes; every item has one, for names that `-k` is to match besides its own.
_NO_NAMES: frozenset[str] = frozenset()


class ItemKeywords(Mapping[str, Literal[1]]):
    """The keywords of a report as pytest makes them of its item, which is kept anyway: 240 bytes less a report."""

    __slots__ = ("_item",)

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def __getitem__(self, name: str) -> Literal[1]:
        if name in self._item.keywords:
            return 1
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._item.keywords)

    def __len__(self) -> int:
        return len(self._item.keywords)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[type[dict[str, int]], tuple[dict[str, int]]]:
        """A copy of a report, or one for another process, has them as pytest makes them, and no item."""
        return dict, (dict(self),)


def share_tables(items: Iterable[pytest.Item]) -> None:
    """Let equal tables of the items' parameters be one object: 370 bytes a test where its task has several cases."""
    known: dict[tuple[object, ...], dict[str, object]] = {}
    for item in items:
        callspec = getattr(item, "callspec", None)
        for name in _TABLES:
            table = getattr(callspec, name, None)
            if isinstance(table, dict):
                # The dataclass is frozen, so that nobody changes it by chance.
                object.__setattr__(callspec, name, known.setdefault((name, *table.items()), table))


def free_leftovers(item: pytest.Item) -> None:
    """Free what is only of use until the item has run: how its phases went, for `tmp_path`, and room in its stash."""
    if not item.extra_keyword_matches:
        item.extra_keyword_matches = _NO_NAMES  # type: ignore[assignment]  # read only, and by `-k`, which is over
    stash = item.stash
    if _PHASES is not None and _PHASES in stash:
        del stash[_PHASES]
    stored = getattr(stash, "_storage", None)
    if isinstance(stored, dict):
        # A dict does not become smaller when keys are deleted, and a copy of it is as large.
        stash._storage = {key: stored[key] for key in stored}
