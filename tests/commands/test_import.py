"""`rightsize import`: files of other tools become a test file and its cases."""

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main

LADDER = """
    [ladder.right]
    provider = "replay"
    file = "right.jsonl"
"""
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


def convert(folder: Path, name: str, text: str, *options: str) -> list[dict[str, Any]]:
    (folder / name).write_text(text, encoding="utf-8")
    assert main(["import", str(folder / name), "--dir", str(folder), *options]) == 0
    lines = (folder / f"{Path(name).stem}_cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def lines(*plain: Any) -> str:
    return "".join(json.dumps(line) + "\n" for line in plain)


def test_samples_of_openai_evals(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Sort mail."}
    text = lines(
        {"input": [system, {"role": "user", "content": "a"}], "ideal": "spam"},
        {"input": [system, {"role": "user", "content": "b"}], "ideal": ["ham", "Ham"]},
        {"input": "2 + 2", "ideal": "4"},
        {"input": "why?"},
    )
    assert convert(tmp_path, "samples.jsonl", text) == [
        {"test": "test_sort_mail", "id": "001", "ask": {"system": "Sort mail.", "prompt": "a"}}
        | {"one_of": ["spam"], "answer": "spam"},
        {"test": "test_sort_mail", "id": "002", "ask": {"system": "Sort mail.", "prompt": "b"}}
        | {"one_of": ["ham", "Ham"], "answer": ["ham", "Ham"]},
        {"test": "test_task_number", "id": "001", "ask": {"prompt": "2 + 2"}, "number": 4, "answer": "4"},
        {"test": "test_task_open", "id": "001", "ask": {"prompt": "why?"}},
    ]


def test_chats_end_in_the_right_answer(tmp_path: Path) -> None:
    user, tool = {"role": "user", "content": "q"}, {"type": "function", "function": {"name": "f"}}
    text = lines(
        {"messages": [user, {"role": "assistant", "content": "yes"}]},
        {"messages": [user, {"role": "assistant", "content": None, "tool_calls": [CALL]}], "tools": [tool]},
        {"messages": [user]},
        {"prompt": "p", "completion": " no"},
    )
    found = convert(tmp_path, "train.jsonl", text)
    assert [{name: case[name] for name in case if name in ("one_of", "tool_calls")} for case in found] == [
        *({"one_of": ["yes"]}, {"one_of": ["no"]}, {}, {"tool_calls": [["f", {"x": 1}]]}),
    ]
    assert found[3]["ask"] == {"prompt": "q", "tools": [tool]}


@pytest.mark.parametrize(
    ("header", "options", "asked"),
    [
        ("prompt,expected", (), {"prompt": "a"}),
        ("Question;Label", (), {"prompt": "a"}),
        ("text\tcategory", (), {"prompt": "a"}),
        ("ticket,queue", ("--prompt-column", "ticket", "--expect-column", "queue"), {"prompt": "a"}),
        ("input,output", ("--system", "Sort."), {"system": "Sort.", "prompt": "a"}),
    ],
)
def test_columns_are_guessed_or_told(
    header: str, options: tuple[str, ...], asked: dict[str, str], tmp_path: Path
) -> None:
    delimiter = next(mark for mark in ",;\t" if mark in header)
    (case,) = convert(tmp_path, "mail.csv", f"\ufeff{header}\na{delimiter}spam\n\n", *options)
    assert (case["test"], case["ask"], case["one_of"]) == ("test_mail", asked, ["spam"])


def test_rows_without_an_answer_are_skipped_tests(tmp_path: Path) -> None:
    found = convert(tmp_path, "q.csv", 'system,prompt\nBe kind.,"a\nb"\n,c\n', "--system", "Be brief.")
    asks = [{"system": "Be kind.", "prompt": "a\nb"}, {"system": "Be brief.", "prompt": "c"}]
    assert [case["ask"] for case in found] == asks
    assert "@pytest.mark.skip" in (tmp_path / "test_q.py").read_text(encoding="utf-8")


def test_a_promptfoo_configuration_runs_as_it_is(pytester: pytest.Pytester) -> None:
    config = {
        "prompts": ["Greet {{name}}"],
        "tests": [
            {"vars": {"name": "Bob"}, "assert": [{"type": "icontains", "value": "{{name}}"}]},
            {"vars": {"name": "Ann"}, "assert": [{"type": "equals", "value": "hi"}]},
            {"vars": {"name": "Eve"}, "assert": [{"type": "contains-json", "value": {"required": ["a"]}}]},
            {
                "vars": {"name": "Tim"},
                "assert": [{"type": "levenshtein", "value": "hello"}, {"type": "regex", "value": "l+"}],
            },
        ],
    }
    convert(pytester.path, "promptfooconfig.json", json.dumps(config))
    answers = {"Bob": "hello BOB", "Ann": "hi", "Eve": 'well: [1] {"a": 1}.', "Tim": "helo"}
    replies = lines(*({"prompt": f"Greet {name}", "text": text} for name, text in answers.items()))
    (pytester.path / "right.jsonl").write_text(replies, encoding="utf-8")
    pytester.makefile(".toml", rightsize=LADDER)
    result = pytester.runpytest("--rightsize-ladder=right")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["greet *4/4*"])


def test_a_case_that_lost_an_assertion_is_skipped_until_its_todo_has_gone(pytester: pytest.Pytester) -> None:
    """Without the assertion a wrong answer would pass: nothing is counted of it, on whichever rung."""
    rubric = {"type": "llm-rubric", "value": "polite"}
    config = {
        "prompts": ["Greet {{name}}"],
        "tests": [
            {"vars": {"name": "Bob"}, "assert": [{"type": "contains", "value": "Bob"}]},
            {"vars": {"name": "Ann"}, "assert": [{"type": "contains", "value": "Ann"}, rubric]},
            {"vars": {"name": "Tim"}, "assert": [rubric]},
        ],
    }
    found = convert(pytester.path, "p.json", json.dumps(config))
    replies = lines(
        *({"prompt": case["ask"]["prompt"], "text": f"Get lost, {case['ask']['prompt']}"} for case in found)
    )
    (pytester.path / "right.jsonl").write_text(replies, encoding="utf-8")
    pytester.makefile(".toml", rightsize=LADDER)
    result = pytester.runpytest("--rightsize-ladder=right", "-rs")
    result.stdout.fnmatch_lines(["greet *1/1*"])
    result.stdout.fnmatch_lines(["SKIPPED * write the checks in its todo, then remove the todo"])
    (ann,) = (case for case in found if "Ann" in case["ask"]["prompt"])
    assert (ann["contains"], ann.pop("todo")) == (["Ann"], ["llm-rubric"])
    (pytester.path / "p_cases.jsonl").write_text(lines(*found), encoding="utf-8")
    pytester.runpytest("--rightsize-ladder=right").stdout.fnmatch_lines(["greet *2/2*"])


def test_what_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"prompts": ["q"], "tests": [{"assert": [{"type": "llm-rubric"}]}]}
    convert(tmp_path, "p.json", json.dumps(config))
    assert capsys.readouterr().out.splitlines() == [
        "1 case in 1 task",
        "  q  1 without a check (skipped)",
        f"written: {tmp_path / 'p_cases.jsonl'} and {tmp_path / 'test_p.py'}",
        "Look through p_cases.jsonl for personal data before you commit or share it.",
        f"Then: pytest {tmp_path / 'test_p.py'} --rightsize-ladder=1b,4b,30b",
        "no counterpart: llm-rubric (1)",
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "x", "a.txt: its suffix does not say what it is: add --format=promptfoo, jsonl or csv"),
        ("a.jsonl", '{"input": "a"}\n{', "a.jsonl:2: this line is not JSON"),
        ("a.jsonl", "[1]", "a.jsonl:1: this line is no object such as"),
        ("a.jsonl", '{"question": "a"}', "a.jsonl:1: this line has the keys question; known are lines such as"),
        ("a.jsonl", '{"input": [{"role": "x", "content": "a"}]}', "a.jsonl:1: messages[0].role"),
        ("a.jsonl", '{"input": "a", "ideal": 4}', "a.jsonl:1: the right answer must be a text, or a list of texts"),
        (
            "a.jsonl",
            '{"messages": [{"role": "user", "content": "a"}], "functions": [{}]}',
            "a.jsonl:1: functions: the form",
        ),
        (
            "a.jsonl",
            '{"messages": [{"role": "assistant", "function_call": {}}]}',
            "function_call is the form before 2024",
        ),
        ("a.jsonl", "\n", "has no line: give a file of lines such as"),
        ("a.csv", "a,b\n1,2\n", "none of the columns a, b is known to hold prompts: name it by --prompt-column"),
        ("a.csv", "prompt,expected\na,b\nc\n", "a.csv:3: this row has 1 cells, and the header has 2"),
        ("a.csv", "prompt,expected\n ,b\n", "a.csv:2: the column prompt is empty: write a prompt, or remove the row"),
        ("a.csv", "prompt,prompt\n", "a.csv:1: two columns are called 'prompt'"),
        ("a.csv", "", "a.csv:1: there is no header"),
        ("a.csv", "prompt\n", "a.csv has no rows below its header"),
        ("a.csv", 'prompt\n"a"b\n', "a.csv:2: this is not CSV"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(
    name: str, text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["import", str(tmp_path / name), "--dir", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_column_that_is_not_there_is_named_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("ticket,queue\na,b\n", encoding="utf-8")
    assert main(["import", str(tmp_path / "a.csv"), "--prompt-column", "tickets"]) == 2
    assert "unknown column 'tickets': did you mean 'ticket'?" in capsys.readouterr().err


def test_a_file_is_never_written_over_by_its_own_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a_cases.jsonl"
    path.write_text('{"input": "q"}\n', encoding="utf-8")
    (tmp_path / "a.jsonl").symlink_to(path)
    assert main(["import", str(tmp_path / "a.jsonl"), "--dir", str(tmp_path), "--force"]) == 2
    assert "would be written over: name another folder with --dir" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == '{"input": "q"}\n'
