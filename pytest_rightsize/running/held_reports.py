"""Holds back pytest's reports of a test until that start of the test is known to be its last."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

import pluggy

__all__ = ["HeldWarning", "Hold", "HoldingRelay", "not_told_again"]

Hold = Callable[[Callable[[], object]], None]
"""Keeps a call for later, or makes it at once where no item runs."""

_BUFFERED = ("pytest_runtest_logstart", "pytest_runtest_logreport", "pytest_runtest_logfinish")


class _HeldHook:
    """A hook whose calls are held back; all else is the hook's own, as who implements it: an item may keep it."""

    def __init__(self, hook: pluggy.HookCaller, hold: Hold) -> None:
        self._hook = hook
        self._hold = hold

    def __call__(self, **kwargs: object) -> None:
        self._hold(partial(self._hook, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hook, name)


class HoldingRelay:
    """pytest's hooks, with those that report a test's progress held back."""

    def __init__(self, relay: pluggy.HookRelay, hold: Hold) -> None:
        self._relay = relay
        self._hold = hold

    def __getattr__(self, name: str) -> Any:
        """Find a hook once; the next time it stands in the instance."""
        hook = getattr(self._relay, name)
        if name in _BUFFERED:
            hook = _HeldHook(hook, self._hold)
        self.__dict__[name] = hook
        return hook

    @property
    def pytest_warning_recorded(self) -> Any:
        """The hook of warnings, which pytest calls by another method."""
        hook, hold = self._relay.pytest_warning_recorded, self._hold

        class Held:
            @staticmethod
            def call_historic(kwargs: dict[str, Any]) -> None:
                hold(HeldWarning(hook, kwargs))

        return Held


class HeldWarning:
    """A warning that is held back."""

    def __init__(self, hook: pluggy.HookCaller, kwargs: dict[str, Any]) -> None:
        self._hook, self._kwargs = hook, kwargs
        warning = kwargs["warning_message"]
        self.place = (warning.category, str(warning.message), warning.filename, warning.lineno)

    def __call__(self) -> None:
        """Tell it."""
        self._hook.call_historic(kwargs=self._kwargs)


def not_told_again(
    dropped: Collection[Iterable[HeldWarning]], held: Iterable[Callable[[], object]]
) -> list[HeldWarning]:
    """The warnings of dropped starts that the last start did not give: those of a fixture that is set up only once."""
    if not dropped:
        return []
    last = Counter(tell.place for tell in held if isinstance(tell, HeldWarning))
    missing = []
    for start in dropped:
        again = last.copy()
        for warning in start:
            again[warning.place] -= 1
            if again[warning.place] < 0:
                missing.append(warning)
    return missing
