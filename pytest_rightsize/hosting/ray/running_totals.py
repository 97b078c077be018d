"""The accounts of a rung's replicas: their joules, their answers, and how long they did nothing.

In go what replicas tell and how their lives ended, out come meterings and a sentence for the user. Pure; used with the
pool's lock held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_rightsize.energy import Energy
from pytest_rightsize.hosting.ray.accounts_of_replicas import of_dead, of_unmeasured
from pytest_rightsize.hosting.ray.replica_notes import idle_time
from pytest_rightsize.hosting.ray.replicas import Asked, Host, Outcome
from pytest_rightsize.hosting.totals import total_of_answers
from pytest_rightsize.meter_records import Metering

__all__ = ["RunningTotals"]

_HOUR_S = 3600.0


class RunningTotals:
    """See the module's docstring."""

    def __init__(self, rung: str, *, replicas: int, is_metered: bool) -> None:
        """Take the rung's name, and how many replicas it has."""
        self._rung = rung
        self._replicas = replicas
        self.is_metered = is_metered
        self._ended: list[Metering] = []
        self._has_measured = False
        self.has_answered = False
        self._up_s = 0.0
        self._busy_s = 0.0

    @property
    def meterings(self) -> list[Metering]:
        """Those of replicas that have ended; none where no replica has measured anything, as its answers then say."""
        return [*self._ended] if self._has_measured else []

    @property
    def idle_note(self) -> str | None:
        """How long the replicas that have ended did nothing, in replica-hours; None where that is no matter."""
        return idle_time(
            self._rung, self._replicas, up_hours=self._up_s / _HOUR_S, idle_hours=(self._up_s - self._busy_s) / _HOUR_S
        )

    def told(self, host: Host, plain: Sequence[Mapping[str, Any]], *, at: str) -> None:
        """A replica has told its totals so far, at the time `at`."""
        host.totals = [Metering.from_dict(each) for each in plain]
        host.totals_at = at

    def counted(self, host: Host, asked: Asked, outcome: Outcome) -> Outcome:
        """The outcome, whose reply says how often the request was lost before; its joules are noted."""
        self.has_answered = True
        host.waiting_room = outcome.get("waiting_room", host.waiting_room)
        if "reply" not in outcome:
            return outcome
        reply = outcome["reply"]
        energy = reply.get("energy")
        host.answers += 1
        host.answered = total_of_answers(host.answered, None if energy is None else Energy.from_dict(energy))
        return {**outcome, "reply": {**reply, "retries": reply["retries"] + asked.tries}}

    def rested(self, host: Host, plain: Sequence[Mapping[str, Any]], *, now: float) -> None:
        """A replica has ended, and told its totals."""
        self._end(host, [Metering.from_dict(each) for each in plain], now)

    def gone(self, host: Host, *, ended: str, now: float) -> None:
        """A replica that had a place says nothing any more: what is known of its joules."""
        if host.up_since is None:
            self._end(host, [], now)
            return
        known = of_dead(
            self._rung,
            host.name,
            last=host.totals,
            last_at=host.totals_at,
            answers=host.answers,
            answered=host.answered,
            ended=ended,
        )
        self._end(host, known, now)

    def _end(self, host: Host, meterings: Sequence[Metering], now: float) -> None:
        if host.up_since is not None:
            up_s, busy_s = now - host.up_since, host.busy_until(now)
            self._up_s += up_s
            self._busy_s += busy_s
        if not self.is_metered:
            return
        told = [*meterings] or [self._unmeasured(host)]
        if host.up_since is not None:
            note = f"had nothing to do for {up_s - busy_s:.0f} s of the {up_s:.0f} s that it was there"
            told[0] = replace(told[0], notes=(note, *told[0].notes))
        self._ended += [replace(each, replica=host.number, node=host.node) for each in told]
        self._has_measured = self._has_measured or bool(meterings)

    def _unmeasured(self, host: Host) -> Metering:
        """Of a replica that has no totals, for one of three reasons."""
        if host.up_since is None:
            why = "was still starting when it ended"
        else:
            why = "has no counter there that shows joules" if host.was_asked else "was asked nothing"
        return of_unmeasured(self._rung, host.name, why, answers=host.answers, answered=host.answered)
