"""Asks the members of a cascade one after the other, and makes one Reply of what they took together.

In come a request and a way to ask a member; out goes the reply that the cascade's check accepted, or that of the last
member. A fault of a member, and of the check, is a fault of the cascade.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol, TypeVar

from pytest_rightsize.answers import answer_record
from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.errors import MixedEnergyError, NoAnswerError, RungError
from pytest_rightsize.providers.reasoning import with_reasoning_apart
from pytest_rightsize.records import AnswerRecord, Reply, Request, Rung, Tokens

__all__ = ["Ask", "Chain", "cascaded", "members_by_cascade"]

T = TypeVar("T")
Ask = Callable[[str, Request], Future[Reply]]
"""Asks a member by its name."""


class Chain(Protocol):
    """What the engine needs of a cascade: see `providers/cascade.py`."""

    @property
    def members(self) -> tuple[str, ...]:
        """The names of its rungs, in the order in which they are asked."""

    def accepts(self, request: Request, reply: Reply, ask_again: Callable[[Request], Reply]) -> bool:
        """Whether the reply is the answer."""

    def begin(self, work: Callable[[], Reply]) -> Future[Reply]:
        """Do the work in a thread of the cascade's own."""


def members_by_cascade(providers: Mapping[str, object]) -> Mapping[str, tuple[str, ...]]:
    """The names of the members of each rung that is a cascade."""
    chains = {name: provider for name, provider in providers.items() if hasattr(provider, "accepts")}
    return {name: chain.members for name, chain in chains.items()}  # type: ignore[attr-defined]  # a Chain has them


def cascaded(chain: Chain, rungs: Sequence[Rung], request: Request, ask: Ask) -> Reply:
    """The reply of the first member that is accepted, with the usage of all that were asked; waits for each.

    `rungs` are those of the members. A member that has no answer, as where the prompt is too long for it, passes the
    request on, and what it took is unknown. Raises RungError, and the last member's NoAnswerError.
    """
    taken: list[AnswerRecord | None] = []

    def answered(rung: Rung, question: Request) -> Reply:
        own = _with_defaults(question, rung)
        try:
            reply = with_reasoning_apart(ask(rung.name, own).result(), rung, own.messages)
        except RungError as fault:
            raise _named(fault, rung) from None
        except NoAnswerError:
            taken.append(None)
            raise
        taken.append(answer_record(reply, rung))
        return reply

    *others, last = rungs
    for number, rung in enumerate(others, start=1):
        try:
            reply = answered(rung, request)
            is_accepted = chain.accepts(request, reply, lambda check, rung=rung: answered(rung, check))  # type: ignore[misc]  # bound at once
        except NoAnswerError:
            continue
        if is_accepted:
            return _together(reply, taken, via=[each.name for each in rungs[:number]])
    return _together(answered(last, request), taken, via=[each.name for each in rungs])


def _named(fault: RungError, rung: Rung) -> RungError:
    """The fault with the member's name in it."""
    words = str(fault)
    shown = words if repr(rung.name) in words else f"its rung {rung.name!r}: {words}"
    return RungError(shown, reason=fault.reason, permanent=fault.permanent, alone=fault.alone)


def _with_defaults(request: Request, rung: Rung) -> Request:
    """The request as the rung itself would be asked it, so that both have one recorded answer."""
    return replace(
        request,
        max_tokens=_first(request.max_tokens, rung.max_tokens),
        temperature=_first(request.temperature, rung.temperature),
        top_p=_first(request.top_p, rung.top_p),
        seed=_first(request.seed, rung.seed),
    )


def _first(value: T | None, default: T | None) -> T | None:
    return default if value is None else value


def _together(reply: Reply, taken: Sequence[AnswerRecord | None], *, via: Sequence[str]) -> Reply:
    """The reply with what all answers took together; None where that of one is unknown."""
    known = [record for record in taken if record is not None]
    is_whole = len(known) == len(taken)
    dates = [record.recorded for record in known]
    return replace(
        reply,
        reasoning=reply.reasoning or "",  # it is apart already
        tokens=Tokens.together([record.tokens for record in known]) if is_whole else Tokens(),
        seconds=_sum([None if record is None else record.seconds for record in taken]),
        energy=_energy(taken),
        cost_usd=_sum([None if record is None else record.cost_usd for record in taken]),
        replayed=all(record.cached for record in known),
        recorded=min((date for date in dates if date is not None), default=None) if None not in dates else None,
        retries=sum(record.retries for record in known),
        margin=None,
        via=tuple(via),
    )


def _sum(amounts: Sequence[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def _energy(taken: Sequence[AnswerRecord | None]) -> Energy | None:
    """The joules of all answers; unknown, with the reason, where they make no honest sum. None where none has any."""
    energies = [None if record is None else record.energy for record in taken]
    known = [energy for energy in energies if energy is not None]
    if not known:
        return None
    if len(known) < len(energies):
        return unknown_energy("that of one of the cascade's rungs is not known")
    try:
        return Energy.total(known)
    except MixedEnergyError as error:
        return unknown_energy(f"those of the cascade's rungs make no sum: {error}")
