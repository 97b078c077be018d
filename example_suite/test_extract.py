"""From a sentence to JSON that a program can use."""

from __future__ import annotations

from typing import Any

import pytest

from example_suite.cases import cases
from pytest_rightsize import fuzzy, json_matching
from pytest_rightsize.model import Model

CONTACT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "city": {"type": "string"},
        "email": {"type": "string", "pattern": "^[^@ ]+@[^@ ]+$"},
    },
    "required": ["name", "age", "city", "email"],
    "additionalProperties": False,
}
ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "customer": {"type": "string"},
        "items": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"item": {"type": "string"}, "qty": {"type": "integer", "minimum": 1}},
                "required": ["item", "qty"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["customer", "items"],
    "additionalProperties": False,
}


@pytest.mark.rightsize(task="contact-json", pass_rate=0.8, chosen="frontier")
@cases("contact-json")
def test_a_contact_is_extracted(model: Model, text: str, expected: dict[str, Any]) -> None:
    answer = model.ask(f"Contact as JSON: {text}")
    assert answer == json_matching(CONTACT)
    assert answer.json() == expected


@pytest.mark.rightsize(task="order-json", pass_rate=0.5, chosen="frontier")
@cases("order-json")
def test_an_order_is_extracted_with_its_lines(model: Model, text: str, expected: dict[str, Any]) -> None:
    order = model.ask(f"Order as JSON: {text}").json(schema=ORDER)
    assert order["customer"] == fuzzy(expected["customer"], at_least=90)
    assert order["items"] == expected["items"]
