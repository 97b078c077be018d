"""Whole configurations of promptfoo, with the files that they refer to."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_rightsize.authoring.exchanges import Case
from pytest_rightsize.authoring.promptfoo_config import Imported, read_promptfoo
from pytest_rightsize.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def put(folder: Path, **files: str) -> None:
    """Write files; an underscore in a name stands for its dot."""
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")


def read(folder: Path, config: dict[str, Any]) -> Imported:
    path = folder / "promptfooconfig.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return read_promptfoo(path)


def cases(folder: Path, config: dict[str, Any]) -> list[Case]:
    return [case for task in read(folder, config).tasks for case in task.cases]


def prompts(folder: Path, config: dict[str, Any]) -> list[str]:
    return [case.ask["prompt"] for case in cases(folder, config)]


def contains(text: str) -> list[dict[str, str]]:
    return [{"type": "contains", "value": text}]


def test_each_prompt_is_a_task_with_every_test(folder: Path) -> None:
    tests = [{"vars": {"name": "Bob"}, "assert": contains("{{name}}")}, {"vars": {"name": "Ann"}}]
    imported = read(folder, {"prompts": ["Greet {{name}}", "Say goodbye to {{ name | upper }}"], "tests": tests})
    assert [(task.name, [case.ask["prompt"] for case in task.cases]) for task in imported.tasks] == [
        ("greet", ["Greet Bob", "Greet Ann"]),
        ("say-goodbye", ["Say goodbye to BOB", "Say goodbye to ANN"]),
    ]
    assert [case.checks for case in imported.tasks[0].cases] == [{"contains": ["Bob"]}, {}]


def test_prompts_come_from_files_of_every_kind(folder: Path) -> None:
    put(folder, a_txt="One {{x}}\n---\nTwo {{x}}\n", b_md="Three\n---\n{{x}}", c_jsonl='"Four"\n"Five"\n', d_txt="Six")
    config = {
        "prompts": ["file://a.txt", "file://b.md", "file://c.jsonl", "d.txt", {"raw": "Seven", "label": "Own name"}],
        "tests": [{"vars": {"x": 1}}],
    }
    assert prompts(folder, config) == ["One 1", "Two 1", "Three\n---\n1", '"Four"', '"Five"', "Six", "Seven"]
    assert read(folder, config).tasks[-1].name == "own-name"


def test_a_glob_is_every_file_like_it(folder: Path) -> None:
    put(folder, a1_txt="One", a2_txt="Two", v1_txt="x", v2_txt="y")
    config = {"prompts": "file://a*.txt", "tests": [{"vars": {"v": "file://v*.txt"}}]}
    assert prompts(folder, config) == ["One", "One", "Two", "Two"]


def test_chat_prompts_are_messages(folder: Path) -> None:
    """Filled in after they are parsed: a quotation mark in a variable breaks nothing."""
    chat = '[{"role": "system", "content": "Be {{how}}."}, {"role": "user", "content": "{{q}}"}]'
    put(folder, a_json=chat, b_yaml="- role: user\n  content: Hi {{how}}\n")
    config = {"prompts": ["file://a.json", chat, "file://b.yaml"], "tests": [{"vars": {"how": 'so "kind"', "q": "?"}}]}
    asked = [case.ask["messages"] for case in cases(folder, config)]
    both = [{"role": "system", "content": 'Be so "kind".'}, {"role": "user", "content": "?"}]
    assert asked == [both, both, [{"role": "user", "content": 'Hi so "kind"'}]]


def test_variables_that_are_lists_are_tests_of_every_combination(folder: Path) -> None:
    test = {"vars": {"a": ["x", "y"], "b": [1, 2], "c": "z"}}
    assert prompts(folder, {"prompts": ["{{a}}{{b}}{{c}}"], "tests": [test]}) == ["x1z", "x2z", "y1z", "y2z"]
    whole = {**test, "options": {"disableVarExpansion": True}}
    assert prompts(folder, {"prompts": ["{{a}}{{b}}"], "tests": [whole]}) == ['["x", "y"][1, 2]']


def test_variables_come_from_files(folder: Path) -> None:
    put(folder, a_txt="  text \n", b_yaml="k: v", vars_yaml="a: file://a.txt\nb: file://b.yaml")
    config = {"prompts": ["{{a}} {{b.k}} {{b}}"], "tests": [{"vars": "file://vars.yaml"}]}
    assert prompts(folder, config) == ['text v {"k": "v"}']


def test_the_default_test_and_scenarios_are_put_together(folder: Path) -> None:
    config = {
        "prompts": ["{{lang}} {{word}} {{tone}}"],
        "defaultTest": {"vars": {"tone": "kind"}, "assert": contains("d")},
        "scenarios": [
            {
                "config": [{"vars": {"lang": "fr"}, "assert": contains("s")}, {"vars": {"lang": "de", "tone": "curt"}}],
                "tests": [{"vars": {"word": "one"}}, {"vars": {"word": "two"}, "assert": contains("t")}],
            }
        ],
    }
    found = cases(folder, config)
    assert [case.ask["prompt"] for case in found] == ["fr one kind", "fr two kind", "de one curt", "de two curt"]
    assert [case.checks["contains"] for case in found] == [["d", "s"], ["d", "s", "t"], ["d"], ["d", "t"]]


def test_tests_come_from_files(folder: Path) -> None:
    put(
        folder,
        a_csv="x,__expected,__expected2,__description\n1,contains: a,starts-with: b,first\n2,,,\n",
        b_jsonl='{"vars": {"x": 3}}\n\n{"vars": {"x": 4}, "description": "fourth"}\n',
        c_yaml="- vars: {x: 5}\n- vars: {x: 6}\n",
        d_json='[{"vars": {"x": 7}}]',
    )
    config = {"prompts": ["{{x}}"], "tests": ["file://a.csv", "b.jsonl", "file://c.yaml", "file://d.json"]}
    found = cases(folder, config)
    assert [case.ask["prompt"] for case in found] == ["1", "2", "3", "4", "5", "6", "7"]
    assert found[0].checks == {"contains": ["a"], "starts_with": "b"}
    assert [found[0].about, found[3].about] == [{"description": "first"}, {"description": "fourth"}]


@pytest.mark.parametrize(
    ("columns", "cells", "checks", "open_checks", "left_out"),
    [
        ("__expected1,__expected2", "contains: a,contains: b", {"contains": ["a", "b"]}, (), []),
        ("__threshold", "0.5", {}, ("threshold",), ["threshold"]),
        ("__threshold", "1", {}, (), []),
        ("__expected,__config:__expected:threshold", "levenshtein: a,2", {"edits": ["a", 2]}, (), []),
        ("__config:__expected2:threshold,__expected2", "3,levenshtein: a", {"edits": ["a", 3]}, (), []),
        ("__metric,__metadata:x", "m,1", {}, (), ["__metric of a test"]),
        ("__config:__expected2:threshold", "3", {}, (), ["__config:__expected2:threshold of a test"]),
    ],
)
def test_columns_of_settings(
    columns: str,
    cells: str,
    checks: dict[str, Any],
    open_checks: tuple[str, ...],
    left_out: list[str],
    folder: Path,
) -> None:
    put(folder, a_csv=f"x,{columns}\n1,{cells}\n")
    imported = read(folder, {"prompts": ["{{x}}"], "tests": "file://a.csv"})
    (case,) = imported.tasks[0].cases
    assert (case.checks, case.open_checks, [*imported.left_out]) == (checks, open_checks, left_out)


def test_tests_without_a_list(folder: Path) -> None:
    put(folder, a_csv="x\n1\n")
    assert prompts(folder, {"prompts": "{{x}}", "tests": "file://a.csv"}) == ["1"]


def test_values_come_from_files_templates_and_references(folder: Path) -> None:
    put(folder, schema_json='{"type": "object"}', text_txt="hello\n")
    config = {
        "prompts": ["q"],
        "assertionTemplates": {"short": {"type": "contains", "value": "{{x}}"}},
        "tests": [
            {
                "vars": {"x": "word"},
                "assert": [
                    {"type": "is-json", "value": "file://schema.json"},
                    {"type": "contains", "value": "file://text.txt"},
                    {"$ref": "#/assertionTemplates/short"},
                    {"type": "javascript", "value": "file://check.js:run"},
                ],
            }
        ],
    }
    (case,) = cases(folder, config)
    assert case.checks == {"schema": {"type": "object"}, "contains": ["hello", "word"]}
    assert case.open_checks == ("javascript by code",)


@pytest.mark.parametrize(
    ("test", "more", "open_checks"),
    [
        ({}, {}, ()),
        ({"threshold": 1}, {}, ()),
        ({"threshold": 0.5}, {}, ("threshold",)),
        ({"threshold": 0}, {}, ("threshold",)),
        ({}, {"defaultTest": {"threshold": 0.5}}, ("threshold",)),
        ({"threshold": 1}, {"defaultTest": {"threshold": 0.5}}, ()),
        ({"assertScoringFunction": "file://score.js"}, {}, ("assertScoringFunction",)),
        ({"options": {"transform": "x"}}, {}, ("contains after a transform",)),
        ({"options": {"transformVars": "x"}}, {}, ("contains after a transform",)),
        ({}, {"defaultTest": {"options": {"postprocess": "x"}}}, ("contains after a transform",)),
        ({}, {"providers": ["openai:x", {"id": "openai:y", "transform": "x"}]}, ("contains after a transform",)),
        ({}, {"targets": {"openai:y": {"transform": "x"}}}, ("contains after a transform",)),
        ({}, {"providers": [{"id": "openai:y", "config": {"temperature": 0}}]}, ()),
    ],
)
def test_what_decides_whether_a_test_passes_is_never_lost(
    test: dict[str, Any], more: dict[str, Any], open_checks: tuple[str, ...], folder: Path
) -> None:
    config = {"prompts": ["q"], "tests": [{"assert": contains("a"), **test}], **more}
    (case,) = cases(folder, config)
    assert case.open_checks == open_checks


def test_settings_that_are_not_read_are_counted(folder: Path) -> None:
    tests = [{"prompts": ["a"], "metadata": {"x": 1}}, {"prompts": ["b"]}]
    assert dict(read(folder, {"prompts": ["q"], "tests": tests}).left_out) == {"prompts of a test": 2}


def test_what_has_no_counterpart_is_counted(folder: Path) -> None:
    rubric = {"assert": [{"type": "llm-rubric", "value": "x"}, *contains("a")], "threshold": 0.5}
    changed = {"assert": contains("a"), "options": {"transform": "output.trim()"}}
    imported = read(folder, {"prompts": ["q"], "tests": [rubric, changed, rubric]})
    assert dict(imported.left_out) == {
        "llm-rubric": 2,
        "contains after a transform": 1,
        "threshold": 2,
    }
    first, second, _ = imported.tasks[0].cases
    assert (first.checks, first.open_checks) == ({"contains": ["a"]}, ("llm-rubric", "threshold"))
    assert (second.checks, second.open_checks) == ({}, ("contains after a transform",))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("a: 1", r"has neither prompts nor tests, and so is no promptfoo configuration"),
        ("prompts: [q]", r"promptfooconfig\.yaml has no tests"),
        ("prompts: []\ntests: [{}]", r"promptfooconfig\.yaml has no prompts"),
        ("prompts: file://t.md\ntests: [{}]", r"promptfooconfig\.yaml has no prompts"),
        ("prompts: [q]\ntests:\n- vars: [1]", r"promptfooconfig\.yaml:3: vars must be a mapping, and not \[1\]"),
        ("prompts: [q]\ntests:\n- {}\n- assert: x", r"yaml:4: assert must be a list of mappings with a type"),
        ("prompts: [q]\ntests:\n- assert: [{value: x}]", r"yaml:3: this test has an assertion without a type"),
        ("prompts: [q]\ntests: [3]", r"a test must be a mapping or a file, and not 3"),
        ("prompts:\n- {label: x}\ntests: [{}]", r"yaml:2: a prompt must be a text, or a file as in file://prompt\.txt"),
        ("prompts: file://p.py:run\ntests: [{}]", r"file://p\.py:run is code, which is not run: write down what it"),
        ("prompts: file://none.txt\ntests: [{}]", r"cannot read .*none\.txt"),
        ("prompts: file://n*.txt\ntests: [{}]", r"no file is like file://n\*\.txt"),
        ("prompts: [q]\ntests: https://docs.google.com/x", r"https://docs\.google\.com/x is elsewhere: save it as a"),
        ("prompts: [q]\ntests:\n- path: file://t.py", r"yaml:3: tests that code makes cannot be read"),
        ("prompts: ['{% if %}']\ntests: [{}]", r"this template cannot be filled in \(Expected an expression"),
        ("prompts: [q]\ntests: [{assert: [{$ref: '#/assertionTemplates/x'}]}]", r"assertionTemplates has no 'x'"),
        ("prompts: ['{{ x.__class__.__mro__ }}']\ntests: [{vars: {x: a}}]", r"cannot be filled in .*unsafe"),
        ("prompts: [q]\ntests: file://t.csv", r"t\.csv:2: the column __prefix has no counterpart here"),
        ("prompts: [q]\ntests: file://t.jsonl", r"t\.jsonl:1: this line is not JSON"),
        ("prompts: [q]\ntests: file://u.jsonl", r"u\.jsonl:1: a test must be an object"),
        ("prompts: [q]\ntests: file://t.txt", r"t\.txt: tests are read from CSV, JSON, JSON Lines and YAML"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(folder: Path, config: str, message: str) -> None:
    put(folder, t_csv="x,__prefix\n1,p\n", t_jsonl="{", u_jsonl="[1]", t_txt="x", t_md=" \n")
    put(folder, promptfooconfig_yaml=config)
    with pytest.raises(ConfigError, match=message):
        read_promptfoo(folder / "promptfooconfig.yaml")
