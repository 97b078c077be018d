"""Makes items smaller, each of which pytest keeps to the end of the session: what equals that of others, and leftovers.

In go the items of trials: all of them once they are collected, and each when it has ended. Nothing that a plugin can
see changes: tables of pytest's own that nobody writes to, and its notes for fixtures that are finished.
"""

from collections.abc import Iterable

import pytest
from _pytest import tmpdir

__all__ = ["free_leftovers", "share_tables"]

# Of a parametrized test: the scope of each argument, and which of its values it is. For pytest, which only reads them.
_TABLES = ("_arg2scope", "indices")
# How the phases of a test went; where a later pytest has it no more, nothing is to be freed.
_PHASES = getattr(tmpdir, "tmppath_result_key", None)


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
    """Free what is only of use while the item runs: how its phases went, for `tmp_path`, and room in its stash."""
    stash = item.stash
    if _PHASES is not None and _PHASES in stash:
        del stash[_PHASES]
    stored = getattr(stash, "_storage", None)
    if isinstance(stored, dict):
        stash._storage = dict(stored)  # a dict does not become smaller when keys are deleted
