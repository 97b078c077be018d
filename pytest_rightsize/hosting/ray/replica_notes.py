"""Messages for the user while replicas come and go: what happened, and what that means for the rung. Pure."""

import math

from pytest_rightsize.errors import RungError

__all__ = ["another_model", "back", "idle_time", "lost", "no_place", "out", "replaced"]


def lost(words: str, *, others: bool) -> str:
    """A replica cannot be reached, as `words` say."""
    then = "The other replicas get its requests" if others else "Its requests wait"
    return f"{words}. {then} until it answers again"


def back(who: str) -> str:
    """One that could not be reached has answered."""
    return f"{who} answers again, and gets requests"


def replaced(words: str) -> str:
    """A replica has died or failed, as `words` say, and may be started again."""
    return f"{words}. A new one is started in its place"


def out(words: str) -> str:
    """The same for one that has been started as often as `restarts` allows."""
    return f"{words}. It has no restart left, and is out for this session"


def idle_time(rung: str, replicas: int, *, up_hours: float, idle_hours: float) -> str | None:
    """How long replicas did nothing; None for one alone, and for less than a minute.

    >>> idle_time("4b", 4, up_hours=2.0, idle_hours=0.3)
    "rung '4b': its 4 replicas had nothing to do for 0.30 of 2.00 replica-hours (15 %)"
    """
    if replicas == 1 or idle_hours * 60 < 1:
        return None
    share = idle_hours / up_hours
    amount = f"{idle_hours:.2f} of {up_hours:.2f} replica-hours ({100 * share:.0f} %)"
    words = f"rung {rung!r}: its {replicas} replicas had nothing to do for {amount}"
    needed = max(1, math.ceil(replicas * (1 - share)))
    return words if needed == replicas else f"{words}. Idle machines use power too: replicas = {needed} may be enough"


def no_place(rung: str, wait_s: float, shortage: str) -> RungError:
    """The fault of a replica that got no place; `shortage` says what was wanted, and what the cluster has."""
    return RungError(
        f"rung {rung!r}: the cluster had no place for a replica within {wait_s:g} s: {shortage}. Ask for less in "
        f"resources, lower replicas, or raise place_timeout_s if machines are still starting",
        reason="load",
        permanent=True,
    )


def another_model(where: str, first: str, differing: list[str]) -> RungError:
    """The fault of a replica whose model is not that of the replica on the node `first`."""
    return RungError(
        f"{where} has another model than the replica on {first}: {', '.join(differing)} differ. All replicas of a rung "
        f"need the same model: copy one file, or one revision, to every node",
        reason="load",
        permanent=True,
    )
