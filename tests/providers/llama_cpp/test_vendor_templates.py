"""Vendors' templates are rendered as transformers renders them: those that come with llama-cpp-python's source.

`tox run -e real` gets both; elsewhere RIGHTSIZE_TEMPLATES names a folder of templates (`*.jinja`).
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.providers.llama_cpp.chat_template import ChatTemplate, TemplateRefusalError

FOLDER = os.environ.get("RIGHTSIZE_TEMPLATES")
TEMPLATES = sorted(Path(FOLDER).glob("*.jinja")) if FOLDER else []
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": 'The weather in a city, "now" <b>',
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
HELLO = {"role": "user", "content": "Hello "}
CALL: dict[str, Any] = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"id": "call1abc2", "type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich"}}}
    ],
}
RESULT = {"role": "tool", "tool_call_id": "call1abc2", "name": "weather", "content": "12 C"}
CONVERSATIONS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]] | None]] = {
    "user": ([HELLO], None),
    "system": ([{"role": "system", "content": "Be brief."}, HELLO], None),
    "empty system": ([{"role": "system", "content": ""}, HELLO], None),
    "turns": ([HELLO, {"role": "assistant", "content": " Hi"}, {"role": "user", "content": "2+2?"}], None),
    "reasoning": ([HELLO, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHi"}, HELLO], None),
    "begun answer": ([HELLO, {"role": "assistant", "content": "The answer is"}], None),
    "tools": ([HELLO], TOOLS),
    "calls": ([HELLO, CALL, RESULT, HELLO], TOOLS),
    "no content": ([HELLO, {**CALL, "content": None}, RESULT], TOOLS),
    "parts": ([{"role": "user", "content": [{"type": "text", "text": "Hello"}]}], None),
    "developer": ([{"role": "developer", "content": "Be brief."}, HELLO], None),
}


def as_transformers(
    template: str, messages: Sequence[Mapping[str, Any]], tools: list[dict[str, Any]] | None
) -> str | None:
    """Its text; None where the template refuses."""
    from transformers.utils.chat_template_utils import render_jinja_template

    # As `apply_chat_template` does before.
    plain = [{name: value for name, value in message.items() if value is not None} for message in messages]
    try:
        rendered, _ = render_jinja_template(
            [plain], tools=tools, chat_template=template, add_generation_prompt=True, **TOKENS
        )
    except Exception:
        return None
    return str(rendered[0])


@pytest.mark.skipif(not TEMPLATES, reason="RIGHTSIZE_TEMPLATES names no folder of templates; see tox run -e real")
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_vendors_templates_are_rendered_as_transformers_renders_them(path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed; see tox run -e real")
    text = path.read_text(encoding="utf-8")
    template = ChatTemplate({"default": text}, TOKENS)
    for name, (messages, tools) in CONVERSATIONS.items():
        expected = as_transformers(text, messages, tools)
        try:
            rendered: str | None = template.render(messages, tools=tools)
        except TemplateRefusalError:
            rendered = None
        assert rendered == expected, name
        if name == "calls":
            plain = json.loads(json.dumps(messages))
            plain[1]["tool_calls"][0]["function"]["arguments"] = '{"city": "Zürich"}'
            if expected is not None:
                assert template.render(plain, tools=tools) == expected
