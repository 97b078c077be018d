"""From a Request to a Reply: opens a rung when it is first asked, closes it when another takes its place.

One request is in flight at a time. A rung that has failed for good is not asked again in this session.
"""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers import Provider
from pytest_rightsize.records import Reply, Request

__all__ = ["Engine"]

# So many requests in a row without an answer, each after its own retries, and the rung counts as down.
_FAULTS_UNTIL_DOWN = 3


class Engine:
    """The rungs of a session. With `one_at_a_time` only one local model is held in memory."""

    def __init__(self, providers: Mapping[str, Provider], *, one_at_a_time: bool) -> None:
        """Take the providers by rung name; none is opened yet."""
        self._providers = providers
        self._one_at_a_time = one_at_a_time
        self._open: set[str] = set()
        self._faults_in_a_row: Counter[str] = Counter()
        self._down: dict[str, RungError] = {}

    def ask(self, rung: str, request: Request) -> Reply:
        """Have `rung` answer, and wait for it; raises RungError or TooLongError."""
        if rung in self._down:
            raise self._down[rung]
        self._make_room_for(rung)
        future: Future[Reply] = self._providers[rung].submit(request)
        try:
            reply = future.result()
        except RungError as fault:
            self._count_fault(rung, fault)
            raise
        except BaseException:
            future.cancel()
            raise
        self._faults_in_a_row[rung] = 0
        return reply

    def down(self, rung: str) -> RungError | None:
        """The fault that took the rung out of this session, or None while it is up."""
        return self._down.get(rung)

    def mark_down(self, rung: str, fault: RungError) -> None:
        """Do not ask the rung in this session."""
        self._down[rung] = fault

    def close(self) -> None:
        """Close every rung that was opened."""
        for rung in sorted(self._open):
            self._providers[rung].close()
        self._open.clear()

    def _make_room_for(self, rung: str) -> None:
        """Close other local models: two of them rarely fit a machine that one fits."""
        if rung not in self._open and self._one_at_a_time and not self._providers[rung].leaves_machine:
            for other in [name for name in self._open if not self._providers[name].leaves_machine]:
                self._providers[other].close()
                self._open.remove(other)
        self._open.add(rung)

    def _count_fault(self, rung: str, fault: RungError) -> None:
        self._faults_in_a_row[rung] += 1
        if fault.permanent or self._faults_in_a_row[rung] >= _FAULTS_UNTIL_DOWN:
            self._down[rung] = fault
