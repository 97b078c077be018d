"""Decides whether a fault is one request's or the whole rung's: by what else was answered, else by a plain request.

A fault comes in; out goes whether the rung is down. A rung is never down for one odd prompt.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

from pytest_rightsize.providers.openai.event_loop import sleep
from pytest_rightsize.providers.openai.faults import OWN, TREATMENTS, Fault
from pytest_rightsize.providers.openai.http import Client
from pytest_rightsize.records import Json

__all__ = ["RungCheck"]

# So many requests in a row without an answer, each after its own retries, before a plain one is tried.
_FAULTS_UNTIL_TRIED = 3
_TIMEOUT_S = 30.0
_POLL_S = 0.02
# What a plain request may meet where the rung answers others.
_ANSWERS_OTHERS = frozenset({*OWN, "crowded", "loading", "rate_limit", "request"})


class RungCheck:
    """The faults of one rung since its last answer. For the event loop thread only."""

    def __init__(self, plain_body: Callable[[], Mapping[str, Json]], read: Callable[[Json], object]) -> None:
        """Send nothing yet; `plain_body` makes a request that any rung answers, and `read` raises for no answer."""
        self._plain_body = plain_body
        self._read = read
        self._faults_in_a_row = 0
        self._answers = 0
        self._trying: asyncio.Task[Fault | None] | None = None
        self._answered_body: Mapping[str, Json] | None = None

    def note_answered(self, body: Mapping[str, Json]) -> None:
        """Keep a request that was answered: none is plainer than that."""
        self._answered_body = body

    async def is_down(self, fault: Fault, client: Client, *, answers_before: int) -> bool:
        """Whether the fault is true of every request; `answers_before` were answered when its request was begun."""
        suspect: Literal["no", "at_once", "in_a_row"] = TREATMENTS[fault.kind].suspect
        if suspect == "no":
            return False
        if client.answers != self._answers:
            self._answers, self._faults_in_a_row = client.answers, 0
        self._faults_in_a_row += 1
        if client.answers > answers_before or (suspect == "in_a_row" and self._faults_in_a_row < _FAULTS_UNTIL_TRIED):
            return False
        if self._trying is None or self._trying.done():
            body = self._answered_body or self._plain_body()
            self._trying = asyncio.ensure_future(client.try_once(body, self._read, timeout_s=_TIMEOUT_S))
        met = await asyncio.shield(self._trying)
        if met is None or met.kind in _ANSWERS_OTHERS or await _others_are_answered(client, answers_before):
            self._faults_in_a_row = 0
            return False
        return True


async def _others_are_answered(client: Client, answers_before: int) -> bool:
    """Whether one of those in flight is answered yet."""
    waited_s = 0.0
    while client.answers == answers_before and client.in_flight and waited_s < _TIMEOUT_S:
        await sleep(_POLL_S)
        waited_s += _POLL_S
    return client.answers > answers_before
