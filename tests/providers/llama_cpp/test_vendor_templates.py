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
from pytest_rightsize.providers.llama_cpp.tool_calls import ToolChoice, calls_in
from pytest_rightsize.providers.reasoning import opened_by, separate
from pytest_rightsize.records import Request

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


needs_templates = pytest.mark.skipif(
    not TEMPLATES, reason="RIGHTSIZE_TEMPLATES names no folder of templates; see tox run -e real"
)


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


@needs_templates
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: getattr(path, "stem", None))
def test_vendors_templates_are_rendered_as_transformers_renders_them(path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed; see tox run -e real")
    text = path.read_text(encoding="utf-8")
    template = ChatTemplate({"default": text}, TOKENS)
    for name, (messages, tools) in CONVERSATIONS.items():
        expected = as_transformers(text, messages, tools)
        if name == "parts" and (expected is None or "[{" in expected or "Hello" not in expected):
            # It reads no parts: transformers raises, writes them as data, or writes nothing. It gets one text then.
            expected = as_transformers(text, [{"role": "user", "content": "Hello"}], tools)
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


# Ways to ask a template for reasoning.
VARIABLES: list[dict[str, Any]] = [
    {},
    *({"enable_thinking": value} for value in (True, False)),
    {"thinking": True},
    {"reasoning_effort": "high"},
]


def written_answers(
    template: ChatTemplate, answer: dict[str, Any], tools: list[dict[str, Any]] | None
) -> list[tuple[str, str]]:
    """Prompts, and how the template writes this answer after them: as the model was trained to write it."""
    found = []
    for variables in VARIABLES:
        try:
            whole = template.render([HELLO, answer], tools=tools, kwargs={**variables, "add_generation_prompt": False})
            prompt = template.render([HELLO], tools=tools, kwargs=variables)
        except TemplateRefusalError:
            continue
        # Some templates begin an answer otherwise than they write a past one.
        if whole.startswith(prompt) and len(whole) > len(prompt):
            found.append((prompt, whole.removeprefix(prompt)))
    return found


@needs_templates
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: getattr(path, "stem", None))
def test_what_a_template_writes_as_reasoning_is_known_as_reasoning(path: Path) -> None:
    template = ChatTemplate({"default": path.read_text(encoding="utf-8")}, TOKENS)
    answer = {"role": "assistant", "content": "ANSWER", "reasoning_content": "REASON"}
    for prompt, written in written_answers(template, answer, None):
        if "REASON" in written and not prompt.rstrip().endswith(("</think>", "</think:opensource>")):
            parts = separate(written, opened=opened_by(prompt[-200:]), knows_prompt=True)
            assert (parts.reasoning, parts.answer.strip()[:6]) == ("REASON", "ANSWER")


@needs_templates
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: getattr(path, "stem", None))
def test_what_a_template_writes_as_a_call_is_read_as_one(path: Path) -> None:
    template = ChatTemplate({"default": path.read_text(encoding="utf-8")}, TOKENS)
    choice = ToolChoice.of(Request(messages=(HELLO,), tools=tuple(TOOLS)))
    for prompt, written in written_answers(template, CALL, TOOLS):
        if "rich" in written:  # Zürich, or with an escape
            parts = separate(written, opened=opened_by(prompt[-200:]), knows_prompt=True)
            calls, _ = calls_in(parts.answer, choice)
            assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"city": "Zürich"}]
