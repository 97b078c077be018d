"""Progress of a session in two lines that fit the terminal: the ladder, and the rung that is in use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize.reports.text_width import columns, cut
from pytest_rightsize.reports.units import count, joules, seconds, size, usd

__all__ = ["RungProgress", "progress_lines"]


@dataclass(kw_only=True)
class RungProgress:
    """Progress of one rung: `left` trials of `planned` have not ended; sums are None once one answer's are unknown.

    `tokens_per_s` and `trials_per_s` are recent rates, None while they are not known. `is_loading` says that its model
    of `size_bytes` is being loaded, `is_down` that it could not answer.
    """

    name: str
    planned: int = 0
    ended: int = 0
    in_flight: int | None = None
    joules: float | None = 0.0
    usd: float | None = 0.0
    answers: int = 0
    tokens_per_s: float | None = None
    trials_per_s: float | None = None
    is_loading: bool = False
    size_bytes: int | None = None
    is_down: bool = False

    @property
    def left(self) -> int:
        """The number of trials that have not ended."""
        return max(0, self.planned - self.ended)


def progress_lines(rungs: Mapping[str, RungProgress], current: str | None, *, width: int) -> list[str]:
    """The ladder with the trials that have ended on each rung, and details of the current one, within `width`."""
    lines = [_ladder(rungs, current, width)]
    if current is not None:
        lines.append(_fitting(_details(rungs[current]), " · ", width))
    return [line for line in lines if line]


def _ladder(rungs: Mapping[str, RungProgress], current: str | None, width: int) -> str:
    """All rungs, or where they have no room those from the first on that has the current one in the line."""
    ladder = [_ended(rung, is_current=name == current) for name, rung in rungs.items()]
    here = [*rungs].index(current) if current is not None and current in rungs else 0
    for first in range(here):
        line = _fitting(["rightsize:", *ladder[first:]], "  ", width)
        if ladder[here] in line:
            return line
    return _fitting(["rightsize:", *ladder[here:]], "  ", width)


def _ended(rung: RungProgress, *, is_current: bool) -> str:
    """`60k 123/440`, in brackets for the current rung; no count of a rung that could not answer."""
    text = f"{rung.name} down" if rung.is_down else f"{rung.name} {rung.ended:,}/{rung.planned:,}"
    return f"[{text}]" if is_current else text


def _details(rung: RungProgress) -> list[str]:
    """The details that are known, the most useful first: those at the end are left out where space is short."""
    if rung.is_loading:
        model_size = size(rung.size_bytes)
        return [f"  loading {rung.name}{f' ({model_size})' if model_size else ''}"]
    if rung.is_down:
        return [f"  {rung.name} could not answer"]
    # Rounded, as it is no more than an estimate.
    time_left = seconds(max(1.0, round(rung.left / rung.trials_per_s))) if rung.trials_per_s and rung.left else None
    in_flight = None if rung.in_flight is None else f"{rung.in_flight} in flight"
    speed = None if rung.tokens_per_s is None else f"{count(rung.tokens_per_s)} tokens/s"
    energy = joules(rung.joules) if rung.answers else None
    money = usd(rung.usd) if rung.answers else None
    parts = [f"{rung.left:,} left", f"about {time_left}" if time_left else None, in_flight, speed, energy, money]
    return [f"  {rung.name}: {parts[0]}", *(part for part in parts[1:] if part)]


def _fitting(parts: Sequence[str], separator: str, width: int) -> str:
    """As many of the parts as fit into `width` columns, in one line."""
    line = ""
    for part in parts:
        longer = f"{line}{separator}{part}" if line else part
        if columns(longer) > width:
            break
        line = longer
    return line or cut("".join(parts[:1]), width)
