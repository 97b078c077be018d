"""For the suites of SDKs: what they ask, and a note of every start."""

from pathlib import Path

import pytest
from pydantic import BaseModel

HI = [{"role": "user", "content": "hi"}]
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": CITY}}
# One white pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII="


class Place(BaseModel):
    city: str


@pytest.fixture
def said(model):
    """What the rung of this test says to a text; another rung says it by its own name."""
    return lambda text: f"{model.rung} says {text}"


@pytest.fixture
def refused(request):
    """Note that the SDK has told a refusal as its own error; the trial itself is an error by then."""

    def note(error):
        with Path("refused.txt").open("a") as notes:
            notes.write(f"{request.node.originalname} {type(error).__name__}: {error}\n")

    return note


def pytest_runtest_setup(item):
    with Path("starts.txt").open("a") as starts:
        starts.write(f"{item.nodeid}\n")
