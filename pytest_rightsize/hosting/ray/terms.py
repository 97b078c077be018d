"""What the replicas of a rung are opened for: how they are started, and who is told what becomes of them."""

from collections.abc import Callable
from dataclasses import dataclass

from pytest_rightsize.hosting.ray.greetings import Greetings
from pytest_rightsize.hosting.ray.replicas import Start

__all__ = ["Terms"]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a pool is opened for; `shortage` tells what was wanted of the cluster, and what it has."""

    rung: str
    place_timeout_s: float
    start: Start
    greetings: Greetings
    shortage: Callable[[], str]
    on_note: Callable[[str], object]
    is_metered: bool = True
