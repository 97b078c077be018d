"""The held-out cases on disk: one JSON object a line, a text and the answer expected of a model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .tasks import TASKS, Case, held_out_cases

CASES = Path(__file__).parents[2] / "cases"
CASES_PER_TASK = 200


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """A question's text, without the instruction, and its answer: words, or the value that JSON stands for."""

    text: str
    answer: object


def final(answer: str) -> str:
    """The answer without its thinking."""
    return answer.rpartition("</think>")[2].strip()


def passes(expected: object, answer: str) -> bool:
    """Whether an answer says what is expected: word for word, or as a JSON value."""
    if isinstance(expected, str):
        return final(answer) == expected
    try:
        return bool(json.loads(final(answer)) == expected)
    except ValueError:
        return False


def held_out(case: Case) -> HeldOut:
    """What the suite keeps of a case."""
    answer = final(case.expected)
    return HeldOut(text=case.text, answer=json.loads(answer) if answer.startswith("{") else answer)


def read_cases(path: Path) -> list[HeldOut]:
    return [HeldOut(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def render_cases(task_name: str) -> str:
    """The file of one task, the same for the same seed."""
    cases = map(held_out, held_out_cases(TASKS[task_name], CASES_PER_TASK))
    lines = (json.dumps({"text": case.text, "answer": case.answer}, ensure_ascii=False) for case in cases)
    return "".join(f"{line}\n" for line in lines)


def write_all() -> None:
    CASES.mkdir(exist_ok=True)
    for name in TASKS:
        (CASES / f"{name}.jsonl").write_text(render_cases(name), encoding="utf-8")
