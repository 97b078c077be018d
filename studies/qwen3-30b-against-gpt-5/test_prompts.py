"""19 prompts in three tasks; an answer passes where the source's judge found its criterion met."""

import json
from pathlib import Path

import pytest

PROMPTS = json.loads((Path(__file__).parent / "data" / "prompts.json").read_text(encoding="utf-8"))
CASES = [
    pytest.param(each["prompt"], id=each["case"], marks=pytest.mark.rightsize(task=each["task"], chosen="gpt-5"))
    for each in PROMPTS
]


@pytest.mark.parametrize("prompt", CASES)
def test_prompt(model, prompt):
    assert model.ask(prompt) == "criterion met"
