"""Which questions make a task, and what it is called."""

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_rightsize.authoring.exchanges import Exchange
from pytest_rightsize.authoring.grouping import grouped, slug

TOOLS = [{"type": "function", "function": {"name": "get_weather"}}]


def tasks(*asks: Mapping[str, Any]) -> dict[str, list[int]]:
    exchanges = [Exchange(ask=ask) for ask in asks]
    return {name: [exchanges.index(each) for each in group] for name, group in grouped(exchanges).items()}


def prompts(*texts: str, **more: object) -> dict[str, list[int]]:
    return tasks(*({"prompt": text, **more} for text in texts))


def test_prompts_of_one_beginning_are_a_task() -> None:
    found = prompts(
        *("Route this ticket: late", "Sentiment: I love it", "Route this ticket: lost", "Sentiment: so bad"),
        "Route this ticket: hello",
    )
    assert found == {"route-ticket": [0, 2, 4], "sentiment": [1, 3]}


def test_prompts_of_one_end_are_a_task() -> None:
    found = prompts("Cats purr.\n\nSummarise the text above.", "Dogs bark.\n\nSummarise the text above.")
    assert found == {"summarise-text-above": [0, 1]}


def test_without_a_template_prompts_stay_together() -> None:
    assert prompts("What is 3 + 4?", "hello", "Why is the sky blue?") == {"task": [0, 1, 2]}


def test_a_rare_template_does_not_part_the_tickets_of_one_system_message() -> None:
    found = prompts(
        *("Re: order\nwhere is it", "Re: order\nstill waiting", "I was charged twice", "hi", "refund please"),
        system="You route support tickets.",
    )
    assert found == {"route-support-tickets": [0, 1, 2, 3, 4]}


def test_prompts_without_the_template_that_most_have_are_a_task_of_their_own() -> None:
    assert prompts("Sort this: b a", "Sort this: d c", "hello") == {"sort": [0, 1], "task": [2]}


def test_system_messages_part_tasks_unless_they_nearly_agree() -> None:
    one = "You are a helpful assistant. Today is 2026-01-02. Sort what the customer writes into one of the queues."
    found = tasks(
        {"system": one, "prompt": "a"},
        {"system": one.replace("01-02", "03-14"), "prompt": "b"},
        {"system": "Translate to French.", "prompt": "c"},
        {"messages": [{"role": "system", "content": "Translate to French."}, {"role": "user", "content": "d"}]},
    )
    assert list(found.values()) == [[0, 1], [2, 3]]


def test_schemas_and_tools_part_tasks_and_name_them() -> None:
    found = tasks(
        {"prompt": "a", "schema": {"title": "ContactDetails", "type": "object"}},
        {"prompt": "b", "tools": TOOLS},
        {"prompt": "c"},
        {"prompt": "d", "schema": {"title": "ContactDetails", "type": "object"}},
    )
    assert found == {"contact-details": [0, 3], "get-weather": [1], "task": [2]}


def test_two_tasks_of_one_name_are_told_apart() -> None:
    found = tasks({"system": "Sort mail.", "prompt": "a"}, {"system": "Sort mail.", "prompt": "b", "tools": TOOLS})
    assert list(found) == ["sort-mail", "sort-mail-2"]


def test_content_in_parts_counts_as_its_text() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
    asks = [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": f"Describe this: {word}"}, picture]}]}
        for word in ("x", "y")
    ]
    assert tasks(*asks) == {"describe": [0, 1]}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Route this ticket:", "route-ticket"),
        ("You are a helpful assistant.", ""),
        ("ContactDetails", "contact-details"),
        ("2 + 3 =", "task-2-3"),
        ("\u5206\u985e", ""),
        ("a" * 50, ""),
        ("Extract every invoice-number, amount, currency", "extract-every-invoice-number"),
    ],
)
def test_names_are_a_few_telling_words(text: str, name: str) -> None:
    assert slug(text) == name


def test_prompts_that_begin_alike_by_chance_stay_together() -> None:
    texts = [f"{number} is my number, dear people: {word}" for number in range(30) for word in "ab"]
    assert prompts(*texts, system="Answer letters.") == {"answer-letters": [*range(60)]}


def test_many_long_prompts_are_grouped() -> None:
    """A thousand of 20,000 characters each, with as many system messages: as where documents stand in both."""
    exchanges = []
    for number in range(1000):
        document = f"{number:04}" * 5000
        exchanges.append(
            Exchange(ask={"system": f"Use this: {document}", "prompt": f"{'Sort this. ' * 900}{document}"})
        )
    assert {name: len(group) for name, group in grouped(exchanges).items()} == {"sort-sort-sort-sort": 1000}


def test_system_messages_with_a_document_each_are_one_task() -> None:
    documents = ("a b", "c", "d e f", "g", "h", "i j")
    found = tasks(
        *(
            {"system": f"Answer from these pages:\n{document}", "prompt": str(at)}
            for at, document in enumerate(documents)
        ),
        {"system": "Say hello.", "prompt": "x"},
    )
    assert list(found.values()) == [[0, 1, 2, 3, 4, 5], [6]]


def test_many_tasks_of_one_name_are_numbered() -> None:
    schemas = [{"title": "Order", "const": number} for number in range(3)]
    second, fourth = ({"prompt": "a", "schema": {"title": f"Order-{number}"}} for number in (2, 4))
    found = tasks(second, *({"prompt": "a", "schema": schema} for schema in schemas), fourth)
    assert list(found) == ["order-2", "order", "order-3", "order-4", "order-4-2"]
