"""Stretches of time with answers in flight: their tokens and joules, from which `phases.py` learns what tokens take.

A stretch ends where no request is in flight across its end; where requests always overlap, after a few answers' length.
A stretch is kept only if its tokens are known and its counters resolve it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_rightsize.meters.attribution.flight import Flight
from pytest_rightsize.meters.attribution.pieces import Piece
from pytest_rightsize.meters.attribution.timeline import Timeline

__all__ = ["Stretch", "StretchCollector"]

# Where answers always overlap, a stretch ends after this many times the mean length of its answers.
_ANSWER_LENGTHS = 2.0
_MOST_STRETCHES = 5000
# The largest error, as a fraction of its joules, at which a stretch still teaches something.
_LARGEST_ERROR = 0.25


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A time with answers in flight: the tokens read and written in it, and each device's joules.

    `answers` is how many there were; answers that reach beyond it count by the part that lies in it.
    """

    prompt: float
    completion: float
    answers: float
    joules: tuple[float, ...]


@dataclass(kw_only=True)
class _OpenStretch:
    """A stretch that is not over. `edges` are the least and the most that each counter can have been at its start."""

    start: float
    edges: list[tuple[float, float] | None]
    prompt: float = 0.0
    completion: float = 0.0
    answers: float = 0.0
    flight_s: float = 0.0
    joules: list[float]
    is_spoilt: bool = False

    def add(self, piece: Piece, joules: Sequence[float | None]) -> None:
        """Add one piece's tokens and joules; it is spoilt if any of them are unknown."""
        for flight in piece.flights:
            if flight.written is None or flight.end is None or flight.end <= flight.start or flight.outcome == "lost":
                self.is_spoilt = True
                continue
            part = piece.seconds / (flight.end - flight.start)
            self.answers += part
            self.flight_s += piece.seconds
            self.completion += part * flight.written
            self.prompt += part * flight.read
        for place, amount in enumerate(joules):
            self.is_spoilt = self.is_spoilt or amount is None
            self.joules[place] += amount or 0.0

    def is_long(self, end: float) -> bool:
        """Whether it is so long that the answers cut off at its ends matter little."""
        return self.answers > 0 and end - self.start >= _ANSWER_LENGTHS * self.flight_s / self.answers


class StretchCollector:
    """Joins pieces into stretches; those worth keeping are in `stretches`."""

    def __init__(self, timelines: Sequence[Timeline]) -> None:
        self.stretches: list[Stretch] = []
        self._timelines = timelines
        self._open: _OpenStretch | None = None

    def add(self, piece: Piece, joules: Sequence[float | None], every_flight: Sequence[Flight]) -> None:
        """Add a piece and the joules of its requests on each device, None where unknown."""
        if piece.is_loading or not piece.flights:
            self._open = None
            return
        if self._open is None:
            edges = [_edge(line, piece.start) for line in self._timelines]
            self._open = _OpenStretch(start=piece.start, edges=edges, joules=[0.0] * len(joules))
        self._open.add(piece, joules)
        is_crossed = any(
            flight.start < piece.end and (flight.end is None or flight.end > piece.end) for flight in every_flight
        )
        if not is_crossed or self._open.is_long(piece.end):
            self._keep(self._open, piece.end)
            self._open = None

    def _keep(self, stretch: _OpenStretch, end: float) -> None:
        if stretch.is_spoilt or len(self.stretches) >= _MOST_STRETCHES:
            return
        for line, first, joules in zip(self._timelines, stretch.edges, stretch.joules, strict=True):
            last = _edge(line, end)
            if first is None or last is None or last[1] - first[0] - (last[0] - first[1]) > 2 * _LARGEST_ERROR * joules:
                return
        self.stretches.append(
            Stretch(
                prompt=stretch.prompt,
                completion=stretch.completion,
                answers=stretch.answers,
                joules=tuple(stretch.joules),
            )
        )


def _edge(line: Timeline, moment: float) -> tuple[float, float] | None:
    """The least and the most, in joules, that the counter can have been at a moment."""
    least, most = line.least(moment), line.most(moment)
    return None if least is None or most is None else (least.joules, most.joules)
