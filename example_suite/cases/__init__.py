"""The held-out cases of every task, as parameters for a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def cases(task: str, first: int = 40) -> pytest.MarkDecorator:
    """Runs a test once for each of the task's first cases, with its `text` and its `expected` answer."""
    lines = Path(__file__).with_name(f"{task}.jsonl").read_text(encoding="utf-8").splitlines()[:first]
    loaded: list[dict[str, Any]] = [json.loads(line) for line in lines]
    parameters = [pytest.param(case["text"], case["answer"], id=f"{number:03}") for number, case in enumerate(loaded)]
    return pytest.mark.parametrize(("text", "expected"), parameters)
