"""The tests of an application: they call its functions, and say nothing of how these ask a model."""

from __future__ import annotations

from typing import Any

import pytest

from example_suite.app import helpdesk
from example_suite.cases import cases
from pytest_rightsize.model import Model

PRICES = {
    "backpack": 8,
    "binder": 2,
    "bowl": 3,
    "brush": 1,
    "cap": 4,
    "charger": 6,
    "curtain": 7,
    "desk": 9,
    "flask": 5,
    "grill": 9,
    "jumper": 8,
    "lantern": 3,
    "laptop": 9,
    "monitor": 8,
    "napkin": 1,
    "notebook": 2,
    "pencil": 1,
    "rug": 7,
    "sandal": 6,
    "saw": 5,
    "scanner": 9,
    "shovel": 4,
    "skirt": 6,
    "sofa": 9,
    "teapot": 3,
    "toaster": 5,
    "trolley": 8,
    "vase": 3,
    "visor": 2,
    "wrench": 4,
}


def total_of(expected: dict[str, Any]) -> int:
    prices: list[int] = [PRICES[line["item"]] * line["qty"] for line in expected["items"]]
    return helpdesk.SHIPPING + sum(prices)


@pytest.mark.rightsize(task="app-route", pass_rate=0.6, chosen="frontier")
@cases("route-ticket", 12)
def test_a_ticket_is_routed(model: Model, text: str, expected: str) -> None:
    assert helpdesk.route(text) == expected


@pytest.mark.rightsize(task="app-order", pass_rate=0.5, chosen="frontier")
@cases("order-json", 12)
def test_an_order_is_placed(model: Model, text: str, expected: dict[str, Any]) -> None:
    order = helpdesk.read_order(text)
    assert order.customer == expected["customer"]
    assert [vars(line) for line in order.lines] == expected["items"]


@pytest.mark.rightsize(task="app-quote", pass_rate=0.5, chosen="frontier")
@cases("order-json", 12)
def test_an_order_is_quoted(model: Model, text: str, expected: dict[str, Any]) -> None:
    quote = helpdesk.quote(text, PRICES)
    assert quote.total == total_of(expected)
    # The application's own calls, without a word about them in it.
    assert len(model.answers) == quote.turns
