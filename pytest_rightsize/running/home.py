"""The process that a session's rungs are asked in: one forked from it has none of the threads that bring answers."""

import os

from pytest_rightsize.providers import Provider

__all__ = ["Home"]

__tracebackhide__ = True  # a traceback ends where the test asks


class Home:
    """Where rungs were asked first; who asks elsewhere is told so, and does not wait for ever."""

    def __init__(self) -> None:
        self._process: int | None = None

    def check(self, provider: Provider, test: str) -> None:
        """Raises RuntimeError where the provider's threads, connections or recorded answers are another process's.

        A provider of no `site` has none, and answers in any process.
        """
        if getattr(provider, "site", "machine") is None:
            return
        here = os.getpid()
        self._process = self._process or here
        if self._process != here:
            raise RuntimeError(
                f"{test or 'the test'} asks its model in a process that was forked after other tests had asked, where "
                f"no answer would ever come: fork all tests that ask a model, as by --forked, or none of them"
            )
