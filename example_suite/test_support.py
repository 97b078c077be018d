"""Sorting what customers write: a label comes back."""

from __future__ import annotations

import pytest

from example_suite.cases import cases
from pytest_rightsize import containing, one_of
from pytest_rightsize.model import Model

QUEUES = ("billing", "account", "shipping", "returns", "technical", "sales")


@pytest.mark.rightsize(task="route-ticket", pass_rate=0.6)
@cases("route-ticket")
def test_a_ticket_reaches_its_queue(model: Model, text: str, expected: str) -> None:
    answer = model.ask(f"Route this ticket: {text}")
    assert answer == one_of(*QUEUES)
    assert answer == expected


@pytest.mark.rightsize(task="sentiment", pass_rate=0.75, chosen="160k")
@cases("sentiment")
def test_an_opinion_is_understood(model: Model, text: str, expected: str) -> None:
    assert model.ask(f"Sentiment: {text}") == containing(expected)
