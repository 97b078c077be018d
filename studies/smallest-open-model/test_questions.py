"""CRUXEval (what does this function return?) and GSM8K (grade-school mathematics), graded by ZeroEval's rule."""

import json
import re
from pathlib import Path

import pytest

ITEMS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "items.jsonl").read_text(encoding="utf-8").splitlines()
]
CASES = [pytest.param(each, id=each["item"], marks=pytest.mark.rightsize(task=each["task"])) for each in ITEMS]


@pytest.mark.parametrize("item", CASES)
def test_question(model, item):
    answer = answer_of(model.ask(item["prompt"]))
    assert answer is not None, "it gave no answer"
    if item["task"] == "crux":
        assert answer.strip("'\"").replace("\n", "\\n") == item["expected"].strip("'\"")
    else:
        assert first_number(answer) == first_number(item["expected"])


def answer_of(text):
    """The `answer` of the first complete JSON object, else what looks like one; None if there is none."""
    found = first_object(text)
    if isinstance(found, dict) and "answer" in found:
        return str(found["answer"])
    for pattern in (r'"answer"\s*:\s*"([^"]*?)"', r'"answer"\s*:\s*([^,\s]*)', r"answer\s*:\s*([^,\s]*)"):
        match = re.search(pattern, text)
        if match:
            return match.group(1)
    boxed = re.search(r"\\boxed{([\w\d]+)}", text) if "boxed" in text[-30:] else None
    return boxed and boxed.group(1)


def first_object(text):
    """The first text in balanced braces, if it is JSON."""
    depth = start = 0
    for at, char in enumerate(text):
        if char == "{":
            start = at if depth == 0 else start
            depth += 1
        elif char == "}" and depth:
            depth -= 1
            if depth == 0:
                try:
                    return json.loads(text[start : at + 1].replace("\n", ""))
                except json.JSONDecodeError:
                    return None
    return None


def first_number(text):
    """The first number, after signs of money and thousands; a fraction is divided."""
    text = text.replace("$", "").strip().replace(",", "")
    fraction = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)", text)
    if fraction:
        return float(fraction.group(1)) / float(fraction.group(2))
    match = re.search(r"-?\d+(\.\d+)?", text)
    return match and float(match.group())
