"""A draft on disk: it runs as it is, on the answers it came from, and fails on others."""

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.authoring.exchanges import Case, Exchange, Task
from pytest_rightsize.authoring.proposals import proposed
from pytest_rightsize.authoring.suite_files import SuiteFiles
from pytest_rightsize.errors import ConfigError

TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
SCHEMA = {"type": "object", "properties": {"qty": {"type": "integer"}}, "required": ["qty"]}
LADDER = """
    [ladder.wrong]
    provider = "replay"
    file = "wrong.jsonl"
    [ladder.right]
    provider = "replay"
    file = "right.jsonl"
"""


def call(city: str) -> dict[str, Any]:
    arguments = json.dumps({"city": city})
    return {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}


def exchange(prompt: str, answer: str = "", *cities: str, **more: Any) -> Exchange:
    ask = {"prompt": prompt, **more}
    return Exchange(ask=ask, answers=(answer,), tool_calls=tuple(map(call, cities)), about={"answer": answer})


WORDS = ("billing", "sales", "sales", "billing")
TASKS = [
    proposed("route", [exchange(f"ticket {number}", word) for number, word in enumerate(WORDS)]),
    proposed("count", [exchange("count", "That is 12.")]),
    proposed("name", [exchange("name", "the capital of it is Paris, as ever")]),
    proposed("order", [exchange("order", '{"qty": 2, "why": "there are two of them"}', schema=SCHEMA)]),
    proposed("plain", [exchange("plain", '{"qty": 2}')]),
    proposed("weather", [exchange("weather", "", "Oslo", tools=TOOLS)]),
    proposed("search", [exchange("search", "", "the large city in Norway", tools=TOOLS)]),
    proposed("open", [exchange("open", "well, it depends on what you would like")]),
]
# By the first word of the prompt: text and tool calls of a rung that answers otherwise.
WRONG: dict[str, tuple[str, list[Any]]] = {
    "ticket": ("returns", []),
    "count": ("13", []),
    "name": ("London", []),
    "order": ('{"qty": 3}', []),
    "plain": ("{}", []),
    "weather": ("", [call("Rome")]),
    "search": ("it is Oslo", []),
    "open": ("no", []),
}


def write(folder: Path, tasks: list[Task] = TASKS, *, force: bool = False, withheld: tuple[str, ...] = ()) -> list[str]:
    files = SuiteFiles(folder, tests="test_recorded.py", cases="cases.jsonl", force=force)
    return files.write(tasks, title="A draft.", todo=("Look at it.",), withheld=withheld)


@pytest.fixture
def drafted(pytester: pytest.Pytester) -> pytest.Pytester:
    """The draft, a rung that answers as was recorded, and one that answers wrongly."""
    pytester.makefile(".toml", rightsize=LADDER)
    right, wrong = [], []
    for task in TASKS:
        for case in task.cases:
            prompt = case.ask["prompt"]
            text, calls = WRONG[prompt.partition(" ")[0]]
            wrong.append({"prompt": prompt, "text": text, "tool_calls": calls})
            heard = {"weather": [call("Oslo")], "search": [call("another city")]}.get(prompt, [])
            right.append({"prompt": prompt, "text": case.about["answer"], "tool_calls": heard})
    for rung, lines in (("right", right), ("wrong", wrong)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (pytester.path / f"{rung}.jsonl").write_text(text, encoding="utf-8")
    write(pytester.path)
    return pytester


def test_a_draft_climbs_a_ladder_as_it_is(drafted: pytest.Pytester) -> None:
    """What no check was found for is skipped, so its task is undecided, and the gate says so."""
    result = drafted.runpytest("--rightsize-ladder=wrong,right", "--rightsize-report=json:out.json")
    report = json.loads((drafted.path / "out.json").read_text(encoding="utf-8"))
    smallest = {verdict["task"]: verdict["smallest"] for verdict in report["verdicts"]}
    right = dict.fromkeys(["route", "count", "name", "order", "plain", "weather", "search"], "right")
    assert smallest == right | {"open": None}
    result.stdout.fnmatch_lines(["gate undecided: open: *its tests were skipped*"])
    assert str(result.stdout).count("gate ") == 1


def test_prompts_are_for_the_owner_and_the_test_file_for_all(tmp_path: Path) -> None:
    write(tmp_path / "new" / "folder")
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "new/folder/cases.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["cases.jsonl", "test_recorded.py"])
def test_a_file_that_is_there_is_kept_unless_told_otherwise(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"{name} is there already: name another folder with --dir, or .* --force"):
        write(tmp_path)
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"
    write(tmp_path, force=True)
    assert (tmp_path / name).read_text(encoding="utf-8") != "mine"


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be used .*: name another folder with --dir"):
        write(tmp_path / "file" / "folder")


def test_what_is_told_names_tasks_files_and_personal_data(tmp_path: Path) -> None:
    mail = proposed("mail", [exchange("write to a@b.org", "done"), exchange("hello", ""), exchange("c@d.org", "ok")])
    assert write(tmp_path, [mail]) == [
        "  mail  2 one_of, 1 without a check (skipped)",
        f"written: {tmp_path / 'cases.jsonl'} and {tmp_path / 'test_recorded.py'}",
        "Look through cases.jsonl for personal data before you commit or share it. It seems to have e-mail addresses "
        "(lines 1, 2).",
        f"Then: pytest {tmp_path / 'test_recorded.py'} --rightsize-ladder=1b,4b,30b",
    ]


def test_cases_with_a_todo_are_told_apart(tmp_path: Path) -> None:
    checks = {"contains": ["a"]}
    cases = [Case(ask={}, checks=checks), Case(ask={}, checks=checks, open_checks=("similar",)), Case(ask={})]
    assert write(tmp_path, [Task(name="t", cases=tuple(cases))])[0] == (
        "  t  1 contains, 1 contains with a todo (skipped), 1 without a check (skipped)"
    )


def test_keys_are_withheld_wherever_they_stand(tmp_path: Path) -> None:
    key = 'sk-"secret"'
    write(tmp_path, [proposed("t", [exchange(f"use {key} now", key)] * 4)], withheld=(key,))
    cases, tests = ((tmp_path / name).read_text(encoding="utf-8") for name in ("cases.jsonl", "test_recorded.py"))
    assert "secret" not in cases + tests
    assert json.loads(cases.splitlines()[0])["ask"] == {"prompt": "use [withheld] now"}
    assert tests.count("[withheld]") == 1
