"""The line of a key that a person has to change."""

import pytest

from pytest_rightsize.locations import key_line, place

TOML = """default = "b"
[ladder.a]
model = "x"

[tasks.route]
pass_rate = 0.9
chosen = "b"    # line 7
[tasks."with space"]
"chosen" = { file = "a.toml", key = "x.y" }
[tasks]
inline = { chosen = "b" }
dotted.chosen = "b"
"""
JSON = '{\n "other": {"model": "no"},\n "llm": {\n  "size": 3,\n  "model": "b"\n }\n}\n'
YAML = "other:\n  model: no\nllm:\n  size: 3\n  model: b\n"


@pytest.mark.parametrize(
    ("text", "keys", "suffix", "line"),
    [
        (TOML, ["tasks", "route", "chosen"], ".toml", 7),
        (TOML, ["tasks", "with space", "chosen"], ".toml", 9),
        (TOML, ["tasks", "inline", "chosen"], ".toml", 11),
        (TOML, ["tasks", "dotted", "chosen"], ".toml", 12),
        (TOML, ["tasks", "none", "chosen"], ".toml", None),
        (JSON, ["llm", "model"], ".json", 5),
        (JSON, ["llm", "none"], ".json", None),
        (YAML, ["llm", "model"], ".yaml", 5),
    ],
)
def test_a_key_is_found_at_its_line(text: str, keys: list[str], suffix: str, line: int | None) -> None:
    assert key_line(text, keys, suffix=suffix) == line


def test_a_place_without_a_line_is_none() -> None:
    assert place("a.toml", 3) == "a.toml:3"
    assert place("a.toml", None) is None
