"""Where a rung's model runs, as its provider says it: may a private prompt go there, whose memory does it take?

Both questions have answers for a provider that does not say: it is asked whether a request leaves this machine.
"""

from typing import Literal

from pytest_rightsize.providers import Provider
from pytest_rightsize.records import Rung

__all__ = ["Room", "answers_are_free", "is_trusted", "keeps_private", "opens_to_identify", "room_of"]

Room = Literal["machine", "cluster"]
"""Whose memory a loaded model takes: that of this machine, or that of a cluster, which has its own places for it."""


def is_trusted(provider: Provider, rung: Rung | None = None) -> bool:
    """Whether private tasks may be sent there although that is beyond this machine: the user says so of a rung.

    A provider may say it too, where the user declared the place it runs at as trusted.
    """
    return bool(rung is not None and rung.trusted) or bool(getattr(provider, "trusted", False))


def keeps_private(provider: Provider, rung: Rung | None = None) -> bool:
    """Whether the rung may be given a private task: nothing leaves this machine, or the place is trusted."""
    return not provider.leaves_machine or is_trusted(provider, rung)


def room_of(provider: Provider) -> Room | None:
    """Whose memory the model takes while it is loaded; None where it takes none that this session could free."""
    room: Room | None = getattr(provider, "takes_room_of", None if provider.leaves_machine else "machine")
    return room


def answers_are_free(provider: Provider) -> bool:
    """Whether one more answer costs nothing, as there is no model and answers are recorded ones."""
    return bool(getattr(provider, "answers_are_free", False))


def opens_to_identify(provider: Provider) -> bool:
    """Whether the model must be loaded where it runs before its fingerprint is known: it is not, and runs elsewhere."""
    return bool(getattr(provider, "opens_to_identify", False))
