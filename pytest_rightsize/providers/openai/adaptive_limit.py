"""Limit on the requests that one rung may have in flight: a burst of refusals halves it, each answer raises it by one.

The outcome of each request comes in (answered, or refused with 429), the present limit goes out. It keeps no clock and
sends nothing.
"""

__all__ = ["AdaptiveLimit"]


class AdaptiveLimit:
    """The limit of one rung, between 1 and `most`, where it also starts.

    An epoch begins with each cut. A request reports its outcome with the epoch it was sent in; outcomes of an earlier
    epoch describe the load before the cut, so they neither halve the limit again nor raise it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._epoch = 0

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
        if epoch == self._epoch:
            self._limit = min(self._limit + 1, self._most)

    def refused(self, epoch: int) -> None:
        """Halve the limit, unless it was cut since that request was sent."""
        if epoch == self._epoch:
            self._limit = max(self._limit // 2, 1)
            self._epoch += 1
