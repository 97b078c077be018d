"""The generated reference says what the code does."""

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from pytest_rightsize.config import options
from pytest_rightsize.config.key_descriptions import DESCRIPTIONS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    sys.path.insert(0, str(ROOT / "docs"))
    module = import_module("generate_reference")
    sys.path.remove(str(ROOT / "docs"))
    return module


def test_every_option_key_and_command_has_its_line(reference: ModuleType) -> None:
    pages = {name: page() for name, page in reference.PAGES.items()}
    assert all(f"| `--rightsize-{name}=" in pages["options"] for name in options.OPTIONS)
    keys = ["n_ctx", "chat_format", "max_in_flight", "base_url_env", "price", "file", "waive", "serve", "tdp_w"]
    assert [key for key in keys if f"| `{key}` |" not in pages["ladder"]] == []
    assert DESCRIPTIONS["retries"] in pages["ladder"]
    assert all(f"## rightsize {name}\n" in pages["commands"] for name in ("cache", "compare", "import", "show"))
    assert "| `pass_rate` | `1.0` | The bar" in pages["marker"]
    assert [line for line in pages["marker"].splitlines() if line.endswith("|  |")] == []
    assert "`TooLongError`" in pages["errors"]


def test_lines_of_a_real_run_are_as_the_schemas_say(reference: ModuleType, suite: pytest.Pytester) -> None:
    suite.runpytest_inprocess("--rightsize-ladder=tiny,small,big", "--rightsize-results=run.jsonl")
    schema = reference.results_schema()
    lines = [json.loads(line) for line in (suite.path / "run.jsonl").read_text("utf-8").splitlines()]
    seen = {line["kind"] for line in lines}
    assert {"trial", "verdict", "end"} <= seen
    for line in lines:
        if line["kind"] in schema["$defs"]:
            validator = jsonschema.Draft202012Validator({**schema, "$ref": f"#/$defs/{line['kind']}"})
            assert list(validator.iter_errors(line)) == []
            assert _unknown(line, schema, line["kind"]) == []


def _unknown(value: dict[str, Any], schema: dict[str, Any], name: str) -> list[str]:
    """The fields of a record, and of the answers in it, that the schema does not name."""
    known = schema["$defs"][name]["properties"]
    inner = [field for answer in value.get("answers", ()) for field in _unknown(answer, schema, "AnswerRecord")]
    return [field for field in value if field not in known] + inner
