"""Python's search for garbage while tests run: seldom, and not among what a session holds to its end."""

import gc

import pytest

__all__ = ["restore_garbage_search", "spare_garbage_search"]

_THRESHOLD = pytest.StashKey[tuple[int, int, int]]()
# So many new objects, and garbage is searched for. Trials and reports stay to the end: with Python's own 700 they are
# looked at again and again.
_SEARCH_AFTER = 5_000


def spare_garbage_search(config: pytest.Config) -> None:
    """Leave out what was collected so far, and search less often, until `restore_garbage_search`."""
    config.stash[_THRESHOLD] = threshold = gc.get_threshold()
    gc.set_threshold(_SEARCH_AFTER, *threshold[1:])
    gc.freeze()


def restore_garbage_search(config: pytest.Config) -> None:
    """Search as before, if `spare_garbage_search` was called for this session."""
    if _THRESHOLD in config.stash:
        gc.set_threshold(*config.stash[_THRESHOLD])
        gc.unfreeze()
