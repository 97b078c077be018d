"""One request between its submission and its reply: where the reply goes, and what its energy is made of."""

from concurrent.futures import Future
from dataclasses import dataclass, replace

from pytest_rightsize.energy import Energy
from pytest_rightsize.meters.attribution.repetition import Row
from pytest_rightsize.meters.attribution.shares import Share
from pytest_rightsize.providers.futures import resolve
from pytest_rightsize.records import Reply, Request

__all__ = ["Pending"]


@dataclass(kw_only=True)
class Pending:
    """A request whose caller waits for `outer`; `reply` is the provider's, still without its energy.

    `share` is its part of the joules once that is settled, `row` its repetitions if it is repeated.
    """

    request: Request
    outer: Future[Reply]
    reply: Reply | None = None
    share: Share | None = None
    row: Row | None = None

    @property
    def is_settled(self) -> bool:
        """Whether all that its energy is made of is there."""
        return self.share is not None and (self.row is None or self.row.is_complete)

    def hand_on(self, energy: Energy) -> None:
        """Give the caller the reply with this energy; nothing happens where there is no reply."""
        if self.reply is not None:
            resolve(self.outer, replace(self.reply, energy=energy))
