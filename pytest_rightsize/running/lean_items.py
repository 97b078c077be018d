"""Makes items and their reports smaller, which pytest keeps to the end: what equals that of others, and leftovers.

In go the items of trials: those of a function when they are made, and each when it has ended. Nothing that a plugin can
see changes: tables of pytest's own that nobody writes to, its notes for fixtures that are finished, and texts that can
be made again.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import pytest
from _pytest import skipping, tmpdir

__all__ = ["ItemKeywords", "SharedParts", "free_leftovers", "free_made_text", "pack_attributes"]

# Of a parametrized test: the scope of each argument, and which of its values it is. For pytest, which only reads them.
_TABLES = ("_arg2scope", "indices")
# How the phases of a test went; where a later pytest has it no more, nothing is to be freed.
_PHASES = getattr(tmpdir, "tmppath_result_key", None)
# The marker `xfail` of a test; pytest takes None for a test of which nothing is noted.
_XFAIL = getattr(skipping, "xfailed_key", None)
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


class SharedParts:
    """What the items of a session share: what equals that of others, 600 bytes a test of a task with many cases."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Any] = {}

    def share(self, items: Iterable[pytest.Item]) -> None:
        """Let what equals that of an earlier item be one object; the items of one function come together."""
        before: pytest.Item | None = None
        for item in items:
            if before is not None:
                _share_location(item, before)
            before = item
            callspec = getattr(item, "callspec", None)
            if callspec is not None:
                self._share_tables(callspec)
            self._share_id(item)

    def _share_tables(self, callspec: object) -> None:
        for name in _TABLES:
            table = getattr(callspec, name, None)
            if isinstance(table, dict):
                # The dataclass is frozen, so that nobody changes it by chance.
                object.__setattr__(callspec, name, self._known.setdefault((name, *table.items()), table))
        if getattr(callspec, "marks", None) == []:
            # Pytest has added them to the items' own already.
            object.__setattr__(callspec, "marks", self._known.setdefault(("marks",), []))
        ids = getattr(callspec, "_idlist", None)
        if type(ids) is list:
            object.__setattr__(callspec, "_idlist", tuple(ids))  # as it is where a test has no parameters
        params = getattr(callspec, "params", None)
        if isinstance(params, dict):
            object.__setattr__(callspec, "params", self._with_shared_names(params))

    def _with_shared_names(self, params: dict[str, object]) -> dict[str, object]:
        """An equal table in a third of the room: Python keeps the names of a class's attributes once."""
        names = ("params", *params)
        if names not in self._known:
            self._known[names] = type("Parameters", (), {})
        return _filled(object.__new__(self._known[names]).__dict__, params)

    def _share_id(self, item: pytest.Item) -> None:
        """From pytest 9.2 the id of an item has parts, which nobody can change; the parameters are a keyword too."""
        node_id = getattr(item, "_id", None)
        names, params = getattr(node_id, "names", None), getattr(node_id, "params", None)
        if isinstance(names, tuple):
            object.__setattr__(node_id, "names", self._known.setdefault(("names", *names), names))
        if isinstance(params, str):
            equal = next((key for key in reversed(getattr(item.keywords, "_markers", {})) if key == params), params)
            object.__setattr__(node_id, "params", equal)


def _share_location(item: pytest.Item, other: pytest.Item) -> None:
    """The items of one function stand in one line of one file, which takes pytest long to find out for each."""
    if not (type(item) is type(other) is pytest.Function) or item.parent is not other.parent:
        return
    file, line, name = other.location
    if item.originalname == other.originalname and name.endswith(other.name):
        item.__dict__["location"] = (file, line, name.removesuffix(other.name) + item.name)


def free_leftovers(item: pytest.Item) -> None:
    """Free what is only of use until the item has run: how its phases went, for `tmp_path`, and room in its stash."""
    if not item.extra_keyword_matches:
        item.extra_keyword_matches = _NO_NAMES  # type: ignore[assignment]  # read only, and by `-k`, which is over
    stash = item.stash
    if _PHASES is not None and _PHASES in stash:
        del stash[_PHASES]
    if _XFAIL is not None and stash.get(_XFAIL, item) is None:
        del stash[_XFAIL]
    stored = getattr(stash, "_storage", None)
    if isinstance(stored, dict):
        # A dict does not become smaller when keys are deleted, and a copy of it is as large.
        stash._storage = {key: stored[key] for key in stored}


def free_made_text(item: pytest.Item) -> None:
    """Free the text of the item's id, if pytest makes it anew of the id's parts; until 9.1 it has no parts."""
    node_id = getattr(item, "_id", None)
    text = getattr(node_id, "_str_cache", None)
    if text is not None:
        object.__setattr__(node_id, "_str_cache", None)
        # One that was read from a text, such as that of a group of pytest-xdist, may be made otherwise.
        made = str(node_id)
        object.__setattr__(node_id, "_str_cache", None if made == text else text)


def pack_attributes(item: pytest.Item) -> None:
    """Make the table of an item's attributes small again, to which one was added for a while: 600 bytes less."""
    item.__dict__ = _filled(object.__new__(type(item)).__dict__, item.__dict__)


def _filled(table: dict[str, object], values: Mapping[str, object]) -> dict[str, object]:
    """The empty table of a new object's attributes with these values; one by one, so that it goes on sharing names."""
    for name, value in values.items():
        table[name] = value  # noqa: PERF403  # `update` would make a table that shares nothing
    return table
