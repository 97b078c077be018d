"""Notices an application that builds its client for each call, which costs more than all else of a served test.

In come the connections that questions arrive on, and the processor seconds that each start of a test took before its
first question; out goes one sentence for the user, once.
"""

from pytest_rightsize import clocks

__all__ = ["ClientCost"]

# A client of an SDK reads all certificates when it is built: 35 to 45 ms on today's processors.
_COSTLY_S = 0.02
_ENOUGH = 10
# After so many questions that cost little no start is measured any more: the clock itself takes some time.
_ENOUGH_CHEAP = 100


class ClientCost:
    """The processor seconds of the thread that runs the tests; `began` is called by it, all else from any thread."""

    def __init__(self) -> None:
        self._clock = clocks.own_thread_clock()
        self._since_s: float | None = None
        self._costly: list[float] = []
        self._answered = 0
        self.is_told = False

    def began(self) -> None:
        """A start begins: what is spent from now on is spent before its first question."""
        self._since_s = None if self.is_told or self._answered >= _ENOUGH_CHEAP else self._now()

    def asked(self, *, on_new_connection: bool) -> str | None:
        """A question has arrived; what to tell the user, or None."""
        since_s, self._since_s = self._since_s, None
        now_s = None if since_s is None else self._now()
        if since_s is None or now_s is None:
            return None
        if not on_new_connection or now_s - since_s < _COSTLY_S:
            self._answered += 1
            return None
        self._costly.append(now_s - since_s)
        if len(self._costly) < _ENOUGH or self._answered > len(self._costly):
            return None
        self.is_told = True
        each_ms = 1000 * sorted(self._costly)[_ENOUGH // 2]
        return (
            f"the application seems to build a client for each call: a test takes about {each_ms:.0f} ms of processor "
            f"time before its first question, which comes on a new connection. A client of an SDK reads all "
            f"certificates when it is built; build it once, as at the top of a module"
        )

    def _now(self) -> float | None:
        if self._clock is None:
            return None
        try:
            return clocks.processor_time(self._clock)
        except OSError:
            return None
