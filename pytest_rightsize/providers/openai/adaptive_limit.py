"""Limit on the requests that one rung may have in flight: a burst of refusals halves it, each answer raises it by one.

The outcome of each request comes in (answered, refused, or ended because too many shared one cache), the present limit
goes out. It keeps no clock and sends nothing.
"""

__all__ = ["AdaptiveLimit"]

# After a cache ran full, the limit grows by one for each so many answers: growing into it ends all that share it.
_ANSWERS_BEFORE_MORE = 16


class AdaptiveLimit:
    """The limit of one rung, between 1 and `most`, where it also starts.

    An epoch begins with each cut. A request reports its outcome with the epoch it was sent in; outcomes of an earlier
    epoch describe the load before the cut, so they neither halve the limit again nor raise it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._epoch = 0
        self._crowded_at: int | None = None
        self._answers = 0

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return self._limit

    @property
    def epoch(self) -> int:
        """The number of the present epoch, which a request sent now reports back with its outcome."""
        return self._epoch

    def answered(self, epoch: int) -> None:
        """Raise the limit by one, up to `most`."""
        if epoch != self._epoch:
            return
        self._answers += 1
        if self._crowded_at is not None and self._limit + 1 >= self._crowded_at:
            if self._answers % _ANSWERS_BEFORE_MORE:
                return
            self._crowded_at += 1
        self._limit = min(self._limit + 1, self._most)

    def refused(self, epoch: int) -> None:
        """Halve the limit, unless it was cut since that request was sent."""
        if epoch == self._epoch:
            self._limit = max(self._limit // 2, 1)
            self._epoch += 1
            self._answers = 0

    def crowded(self, epoch: int, in_flight: int) -> None:
        """Halve what was in flight when a shared cache ran full, and grow more slowly up to there from now on."""
        if epoch == self._epoch:
            self._crowded_at = max(min(in_flight, self._limit), 2)
            self._limit = max(self._crowded_at // 2, 1)
            self._epoch += 1
            self._answers = 0
