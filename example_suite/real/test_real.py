"""Three tasks that two small real models can do or cannot: `pytest example_suite/real --rightsize-ladder=135m,270m`."""

import pytest

from pytest_rightsize.model import Model

REVIEW = {"enum": ["positive", "negative"]}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


@pytest.mark.rightsize(task="capital", pass_rate=0.6, chosen="270m")
@pytest.mark.parametrize(
    ("country", "capital"),
    [
        *(("France", "Paris"), ("Japan", "Tokyo"), ("Italy", "Rome"), ("Germany", "Berlin"), ("Spain", "Madrid")),
        *(("Egypt", "Cairo"), ("Russia", "Moscow"), ("Greece", "Athens"), ("China", "Beijing"), ("Canada", "Ottawa")),
    ],
)
def test_capital(model: Model, country: str, capital: str) -> None:
    assert capital in model.ask(f"What is the capital of {country}?", max_tokens=16)


@pytest.mark.rightsize(task="review", pass_rate=0.8, chosen="270m")
@pytest.mark.parametrize(
    ("review", "opinion"),
    [
        ("I love this phone, it is wonderful.", "positive"),
        ("The food was terrible and cold.", "negative"),
        ("Best day of my life!", "positive"),
        ("I want my money back, it broke.", "negative"),
        ("Great service, thank you!", "positive"),
        ("An awful, boring film.", "negative"),
        ("Absolutely fantastic work.", "positive"),
        ("Worst hotel ever, dirty and loud.", "negative"),
    ],
)
def test_review(model: Model, review: str, opinion: str) -> None:
    answer = model.ask(f"Is this review positive or negative? {review}", schema=REVIEW, max_tokens=8)
    assert answer.json() == opinion


@pytest.mark.rightsize(task="person-json", pass_rate=0.9, chosen="270m")
@pytest.mark.parametrize(
    ("text", "name", "age"),
    [
        ("Ann is 31 years old.", "Ann", 31),
        ("Bob, aged 45, lives here.", "Bob", 45),
        ("My name is Eva and I am 8.", "Eva", 8),
        ("Tom turned 60 last week.", "Tom", 60),
    ],
)
def test_person(model: Model, text: str, name: str, age: int) -> None:
    answer = model.ask(f"Extract name and age as JSON: {text}", schema=PERSON, max_tokens=40)
    assert answer.json(PERSON) == {"name": name, "age": age}
