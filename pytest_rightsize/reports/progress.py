"""How far a session is, in two lines that fit the terminal: the ladder, and the rung that is being asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize.reports.units import count, joules, seconds, usd

__all__ = ["RungProgress", "progress_lines"]


@dataclass(kw_only=True)
class RungProgress:
    """One rung so far: `left` trials of `planned` have not ended; sums are None once an answer's share is unknown.

    `tokens_per_s` and `trials_per_s` are those of the last while, None before anything was heard.
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

    @property
    def left(self) -> int:
        """How many trials have not ended."""
        return max(0, self.planned - self.ended)


def progress_lines(rungs: Mapping[str, RungProgress], current: str | None, *, width: int) -> list[str]:
    """The ladder with what has ended on each rung, and more of the current one; no line is wider than `width`."""
    ladder = [_share(rung, is_current=name == current) for name, rung in rungs.items()]
    lines = [_fitting(["rightsize:", *ladder], "  ", width)]
    if current is not None:
        lines.append(_fitting(_details(rungs[current]), " · ", width))
    return [line for line in lines if line]


def _share(rung: RungProgress, *, is_current: bool) -> str:
    """`60k 123/440`, in brackets where it is being asked."""
    text = f"{rung.name} {rung.ended:,}/{rung.planned:,}"
    return f"[{text}]" if is_current else text


def _details(rung: RungProgress) -> list[str]:
    """What is known, the most telling first: what does not fit is left out from the end."""
    left = seconds(rung.left / rung.trials_per_s) if rung.trials_per_s and rung.left else None
    flying = None if rung.in_flight is None else f"{rung.in_flight} in flight"
    speed = None if rung.tokens_per_s is None else f"{count(rung.tokens_per_s)} tokens/s"
    energy = joules(rung.joules) if rung.answers else None
    money = usd(rung.usd) if rung.answers else None
    parts = [f"{rung.left:,} left", f"about {left}" if left else None, flying, speed, energy, money]
    return [f"  {rung.name}: {parts[0]}", *(part for part in parts[1:] if part)]


def _fitting(parts: Sequence[str], between: str, width: int) -> str:
    """As many of the parts as fit."""
    line = ""
    for part in parts:
        longer = f"{line}{between}{part}" if line else part
        if len(longer) > width:
            break
        line = longer
    return line or "".join(parts[:1])[:width]
