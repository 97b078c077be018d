"""Keeps the variable PYTEST_CURRENT_TEST from taking more memory with each test.

Pytest sets it three times a test, and glibc keeps every text that a variable ever had: 340 bytes a test. Here its texts
are written to a few places in turn. What this process and its children see of the variable is the same.
"""

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import pytest

__all__ = ["CurrentTest", "kept_small"]

_NAME = b"PYTEST_CURRENT_TEST"
# Fewer tests are not worth it.
_FROM_TESTS = 1_000
# Whoever reads the variable in another thread has until it is set so many times more.
_PLACES = 32
_ROOM_BYTES = 2_000


class CurrentTest:
    """The hook around all tests of a session."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Keep the variable small while the tests of a large session run."""
        if len(session.items) < _FROM_TESTS:
            return (yield)
        with kept_small():
            return (yield)


@contextmanager
def kept_small() -> Iterator[None]:
    """Let the variable be set without a trace of its earlier texts; where its library keeps none, do nothing."""
    original = os.putenv
    if not _is_glibc() or original.__module__ != "posix":
        yield
        return
    os.putenv = _putenv(original)  # type: ignore[assignment]  # `os.environ` calls it by this name
    try:
        yield
    finally:
        os.putenv = original


def _is_glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, ValueError, OSError):
        return False


def _putenv(original: Callable[[bytes, bytes], None]) -> Callable[[bytes, bytes], None]:
    """In place of `original`: the C function of that name takes the place of a text, and copies nothing."""
    import ctypes

    libc = ctypes.PyDLL(None)  # which keeps Python's lock: no other thread of it reads what is half written
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.putenv.argtypes = [ctypes.c_void_p]
    before = len(_NAME) + 1
    # Never freed: the last text stays in the environment, which libraries may read after Python has ended.
    places = [libc.malloc(before + _ROOM_BYTES + 1) for _ in range(_PLACES)]
    for place in places:
        ctypes.memmove(place, _NAME + b"=\0", before + 1)
    following = cycle(places)

    def putenv(name: bytes, value: bytes) -> None:
        if name != _NAME or type(value) is not bytes or len(value) > _ROOM_BYTES or b"\0" in value:
            original(name, value)
            return
        sys.audit("os.putenv", name, value)
        place = next(following)
        ctypes.memmove(place + before, value + b"\0", len(value) + 1)
        libc.putenv(place)

    return putenv
