"""Messages for the user while replicas come and go: what happened, and what that means for the rung. Pure."""

from pytest_rightsize.errors import RungError

__all__ = ["another_model", "back", "lost", "no_place", "out", "replaced"]


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
