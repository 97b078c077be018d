"""Tickets of a shop that belong to one of five queues; tickets.py has them, and trains the classifier on others."""

import json
from pathlib import Path

import pytest

TICKETS = json.loads((Path(__file__).parent / "data" / "tickets.json").read_text(encoding="utf-8"))
QUEUES = ("account", "billing", "returns", "shipping", "technical")
INSTRUCTION = (
    "You route tickets of customers. Answer with the name of one queue, and nothing else: "
    "account (login, profile), billing (payments, invoices), returns (sending back, refunds, exchanges), "
    "shipping (parcels, delivery), technical (the app and the website)."
)


@pytest.mark.rightsize(task="route-ticket", pass_rate=0.7, chosen="smollm2-135m")
@pytest.mark.parametrize(("text", "queue"), [(each["text"], each["queue"]) for each in TICKETS])
def test_the_first_queue_it_names_is_right(model, text, queue):
    words = model.ask(text, system=INSTRUCTION, temperature=0).lower().replace(".", " ").replace(",", " ").split()
    assert [word for word in words if word in QUEUES][:1] == [queue]
