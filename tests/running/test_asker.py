"""What a start of a test asks its rung by refuses to ask where no answer can come."""

import os

import pytest

from pytest_rightsize.records import Request, Rung
from pytest_rightsize.running.asker import Asker
from pytest_rightsize.running.engine import Engine
from pytest_rightsize.running.interception import Interception
from pytest_rightsize.running.ticket import Ticket


def test_a_forked_process_is_refused_in_words() -> None:
    """Its threads are gone, so that it would wait for ever. This process stands for the fork."""
    ticket = Ticket(test="test_it", process=os.getpid() + 1)
    asker = Asker(Engine({}, one_at_a_time=False), Rung(name="small", provider="replay"), ticket, Interception())
    request = Request(messages=({"role": "user", "content": "a"},))
    for ask in (asker.ask, asker.submit):
        with pytest.raises(RuntimeError, match=r"^test_it asks its model in a process that was forked.*model\.env"):
            ask(request)
    assert ticket.runs == [[]]
