"""The application: it reads the mail of a shop with a language model, through the SDK of OpenAI.

It knows nothing of tests, and nothing in it was changed for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionFunctionToolParam

MODEL = "gpt-4o-mini"
SHIPPING = 5

client = openai.OpenAI()


@dataclass(frozen=True)
class Line:
    """One line of an order."""

    item: str
    qty: int


@dataclass(frozen=True)
class Order:
    """Who orders what."""

    customer: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Quote:
    """What an order costs, in whole euros, with shipping; `turns` counts what the model was asked for it."""

    order: Order
    total: int
    turns: int


PLACE_ORDER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "place_order",
        "description": "Place an order of the shop.",
        "parameters": {
            "type": "object",
            "properties": {
                "customer": {"type": "string"},
                "items": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "properties": {"item": {"type": "string"}, "qty": {"type": "integer"}},
                        "required": ["item", "qty"],
                        "additionalProperties": False,
                    },
                },
            },
            "required": ["customer", "items"],
            "additionalProperties": False,
        },
    },
}


def route(ticket: str) -> str:
    """The queue that a ticket belongs to."""
    return _ask(f"Route this ticket: {ticket}")


def read_order(mail: str) -> Order:
    """The order in a mail, which the model places by calling a tool."""
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": f"Order as JSON: {mail}"}],
        tools=[PLACE_ORDER],
        tool_choice={"type": "function", "function": {"name": "place_order"}},
        temperature=0,
        max_tokens=150,
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    placed: dict[str, Any] = json.loads(call.function.arguments)
    return Order(placed["customer"], tuple(Line(line["item"], line["qty"]) for line in placed["items"]))


def quote(mail: str, prices: Mapping[str, int]) -> Quote:
    """An agent of two to four turns: has the order placed, looks the prices up, and has them added one by one."""
    order = read_order(mail)
    total = SHIPPING
    for line in order.lines:
        total = int(_ask(f"Add: {total} + {prices[line.item] * line.qty}"))
    return Quote(order, total, turns=1 + len(order.lines))


def _ask(question: str) -> str:
    """One question, streamed as a chat window would show it."""
    chunks = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": question}], temperature=0, max_tokens=64, stream=True
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices).strip()
