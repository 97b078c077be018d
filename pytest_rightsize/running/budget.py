"""Keeps a session within its budget: each request takes its part before it is sent, and settles it when it has ended.

A request in flight counts as the most expensive answer its rung has given so far; until a rung has given one, it is
asked one request at a time. So a budget is exceeded by no more than the last answers cost above all before them. A rung
that does not say what its answers took is asked no further, as no budget can be kept on it.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from pytest_rightsize.records import Reply, Rung

__all__ = ["Budget"]

# Ten times 0.9 USD is 9, and a sum of floats is a little more.
_ROUNDING = 1 + 1e-9


class Budget:
    """Limits by unit: USD, tokens, joules, and wall seconds since the first request, as `clock` tells them.

    Recorded answers are free, and so is a request that brought no answer. A rung on this machine without a price costs
    no USD. `on_spent` is called once, when the budget is spent.
    """

    def __init__(
        self,
        limits: Mapping[str, float],
        *,
        clock: Callable[[], float],
        on_spent: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Nothing is spent yet."""
        self._limits = limits
        self._clock = clock
        self._on_spent = on_spent
        self._started_s: float | None = None
        self._spent: dict[str, float] = defaultdict(float)
        self._in_flight: Counter[str] = Counter()
        self._most_expensive: dict[str, dict[str, float]] = defaultdict(dict)
        self._unknown: dict[str, str] = {}
        self._why_spent: str | None = None
        self._changed = threading.Condition()

    def take(self, rung: str) -> str | None:
        """Count a request to `rung` as in flight; where there is no room for it, wait for answers, or say why not."""
        with self._changed:
            while True:
                if rung in self._unknown:
                    return self._unknown[rung]
                full = self._why_spent or self._full(rung)
                if full is None:
                    self._in_flight[rung] += 1
                    return None
                if self._why_spent or not self._in_flight.total() or full == "seconds":
                    return self._report_spent(full)
                # An answer may turn out cheaper than it counted; time never comes back.
                self._changed.wait(timeout=self._seconds_left())

    def give_back(self, rung: str) -> None:
        """A request that was taken has not been sent."""
        with self._changed:
            self._in_flight[rung] -= 1
            self._changed.notify_all()

    def settle(self, rung: Rung, future: Future[Reply], *, leaves_machine: bool) -> None:
        """A request has ended; called by whichever thread it ended in."""
        with self._changed:
            self._in_flight[rung.name] -= 1
            if not future.cancelled() and future.exception() is None and not future.result().replayed:
                self._count(rung, future.result(), leaves_machine=leaves_machine)
            self._changed.notify_all()

    def _count(self, rung: Rung, reply: Reply, *, leaves_machine: bool) -> None:
        most_expensive = self._most_expensive[rung.name]
        amounts = {
            "usd": rung.price.cost_usd(reply.tokens) if rung.price else None if leaves_machine else 0.0,
            "tokens": reply.tokens.total,
            "joules": None if reply.energy is None else reply.energy.joules,
        }
        for unit in set(amounts) & set(self._limits):
            amount = amounts[unit]
            if amount is None:
                self._unknown[rung.name] = (
                    f"a budget in {unit} cannot be kept on the rung {rung.name!r}, which does not tell its {unit}"
                )
            else:
                self._spent[unit] += amount
                most_expensive[unit] = max(most_expensive.get(unit, 0.0), amount)

    def _full(self, rung: str) -> str | None:
        """The unit that another request to `rung` could take beyond its limit, or of which it is not known."""
        if self._started_s is None:
            self._started_s = self._clock()
        for unit, limit in self._limits.items():
            if unit == "seconds":
                if self._clock() - self._started_s >= limit:
                    return unit
                continue
            if self._spent[unit] >= limit:
                return unit
            if unit not in self._most_expensive[rung]:
                if self._in_flight[rung]:
                    return unit
                continue
            ahead = self._spent[unit] + self._most_expensive[rung][unit]
            ahead += sum(count * self._most_expensive[other].get(unit, 0.0) for other, count in self._in_flight.items())
            if ahead > limit * _ROUNDING:
                return unit
        return None

    def _seconds_left(self) -> float | None:
        if "seconds" not in self._limits or self._started_s is None:
            return None
        return max(0.0, self._limits["seconds"] - (self._clock() - self._started_s))

    def _report_spent(self, unit: str) -> str:
        if self._why_spent is None:
            started = self._clock() if self._started_s is None else self._started_s
            spent = self._clock() - started if unit == "seconds" else self._spent[unit]
            self._why_spent = (
                f"the budget of {self._limits[unit]:,g} {unit} is spent ({spent:,.6g}, and another request may take "
                f"more than is left)"
            )
            self._on_spent(f"{self._why_spent}: the rest is not run")
        return self._why_spent
