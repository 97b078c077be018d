"""Many ways to write a thing, one way to store it."""

from __future__ import annotations

import pytest

from example_suite.cases import cases
from pytest_rightsize.model import Model


@pytest.mark.rightsize(task="iso-date", pass_rate=0.9, chosen="160k")
@cases("iso-date")
def test_a_date_becomes_iso_8601(model: Model, text: str, expected: str) -> None:
    assert model.ask(f"ISO date: {text}") == expected


@pytest.mark.rightsize(task="amount", pass_rate=0.85, chosen="160k")
@cases("amount")
def test_an_amount_becomes_a_number_and_a_currency(model: Model, text: str, expected: str) -> None:
    assert model.ask(f"Amount: {text}") == expected


@pytest.mark.rightsize(task="phone", pass_rate=0.85, chosen="160k")
@cases("phone")
def test_a_phone_number_becomes_e164(model: Model, text: str, expected: str) -> None:
    assert model.ask(f"E.164 phone: {text}") == expected
