"""How many requests a rung may have in flight: each burst of refusals halves the number, answers let it grow again.

Comes in: that a request departed, was answered or was refused (429). Goes out: the present limit. It keeps no clock and
sends nothing.
"""

__all__ = ["AdaptiveLimit"]


class AdaptiveLimit:
    """The limit of one rung, between 1 and `most`, where it also starts.

    A request keeps the `departure` it started with. What departed before the last cut tells of the crowd that the cut
    has answered already, so it neither halves the limit again nor lets it grow.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._cuts = 0

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return self._limit

    @property
    def departure(self) -> int:
        """What a request that departs now has to hand back with its outcome."""
        return self._cuts

    def answered(self, departure: int) -> None:
        """Grow by one place, up to `most`."""
        if departure == self._cuts:
            self._limit = min(self._limit + 1, self._most)

    def refused(self, departure: int) -> None:
        """Halve, unless the limit was cut since that request departed."""
        if departure == self._cuts:
            self._limit = max(self._limit // 2, 1)
            self._cuts += 1
