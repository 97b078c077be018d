"""Conversations are written as the model's own template says; what a template cannot do is told in its words."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pytest_rightsize.providers.llama_cpp.chat_template import (
    ChatTemplate,
    TemplateRefusalError,
    printable,
    templates_in,
)

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
USER = [{"role": "user", "content": "Hi"}]
CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>'"
    " + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def render(template: str, messages: Sequence[Mapping[str, Any]] = USER, **more: Any) -> str:
    return ChatTemplate({"default": template}, TOKENS).render(messages, **more)


def test_nothing_is_added_to_what_the_template_says() -> None:
    """llama-cpp-python's own format would add an empty system turn, and drop the tool's."""
    turns = [*USER, {"role": "assistant", "content": "ok"}, {"role": "tool", "content": "12 C"}]
    assert render(CHATML, turns) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nok<|im_end|>\n<|im_start|>tool\n12 C<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", "<s>Hi</s>"),
        ("{% if pad_token is defined %}x{% else %}none{% endif %}", "none"),
        ("  {% if true %}\n  a\n  {% endif %}\nb\n", "  a\nb"),  # trim_blocks and lstrip_blocks
        ("{% for i in range(5) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{{ {'b': '<ü>', 'a': 1} | tojson }}", '{"b": "<ü>", "a": 1}'),
        ("{{ {'a': [1]} | tojson(indent=1) }}", '{\n "a": [\n  1\n ]\n}'),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = 7 %}{% endfor %}{{ ns.n }}", "7"),
        ("{% generation %}a{% set x = 1 %}{% endgeneration %}{{ x is defined }}", "aFalse"),
        ("{{ strftime_now('%Y') | length }}", "4"),
        ("{{ dict(a=1).a }}{{ 'a' ~ 1 ~ [2] }}{{ '%s-%03d' % ('x', 7) }}{{ 'ab' * 2 }}", "1a1[2]x-007abab"),
        ("{{ 'x' | center(5) }}{{ ['a', 'b'] | join('-') }}{{ 'aXb' | replace('X', '--') }}", "  x  a-ba--b"),
        ("{{ messages[0].content is string }}{{ tools is none }}{{ documents is none }}", "TrueTrueTrue"),
    ],
)
def test_a_template_has_what_transformers_gives_it(template: str, text: str) -> None:
    assert render(template) == text


def test_messages_reach_the_template_as_plain_data_without_what_is_none() -> None:
    messages = [{"role": "assistant", "content": None, "name": None, "reasoning": "hm"}]
    assert json.loads(render("{{ messages[0] | tojson }}", messages)) == {
        "role": "assistant",
        "reasoning": "hm",
        "reasoning_content": "hm",
        "thinking": "hm",
    }


@pytest.mark.parametrize("arguments", ['{"city": "Zürich"}', {"city": "Zürich"}])
def test_a_past_call_reaches_the_template_as_an_object(arguments: Any) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": arguments}}
    messages = [{"role": "assistant", "tool_calls": [call]}]
    template = "{% for call in messages[0].tool_calls %}{{ call.function.arguments | tojson }}{% endfor %}"
    assert render(template, messages) == '{"city": "Zürich"}'


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ messages[0].content }}", "Hi\nyou"),  # transformers writes the list
        ("{{ messages[0].content | tojson }}", '"Hi\\nyou"'),
        ("{{ messages[0].content + '!' }}", "Hi\nyou!"),  # and raises
        ("{% if messages[0].content is string %}{{ messages[0].content }}{% endif %}!", "Hi\nyou!"),  # and is silent
        ("{% for part in messages[0].content %}<{{ part.text }}>{% endfor %}", "<Hi><you>"),
    ],
)
def test_contents_in_parts_reach_every_template(template: str, text: str) -> None:
    parts = [{"type": "text", "text": "Hi"}, {"type": "text", "text": "you"}]
    assert render(template, [{"role": "user", "content": parts}]) == text


def test_parts_that_are_no_text_stay_as_they_are() -> None:
    parts = [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    with pytest.raises(TemplateRefusalError, match="can only concatenate"):
        render("{{ messages[0].content + '!' }}", [{"role": "user", "content": parts}])


def test_arguments_that_are_no_object_stay_as_they_are() -> None:
    for arguments in ("not json", "[1]"):
        messages = [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}]
        assert render("{{ messages[0].tool_calls[0].function.arguments }}", messages) == arguments


def test_variables_reach_the_template() -> None:
    template = "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
    assert render(template) == ""
    assert render(template, kwargs={"enable_thinking": False}) == "<think></think>"


def test_a_template_for_tools_is_taken_where_there_are_tools() -> None:
    template = ChatTemplate({"default": "plain", "tool_use": "tools: {{ tools[0].function.name }}"})
    assert template.render(USER) == "plain"
    assert template.render(USER, tools=[TOOL]) == "tools: weather"
    assert template.takes_tools(USER, [TOOL])


def test_whether_a_template_takes_tools_shows_in_the_prompt() -> None:
    assert not ChatTemplate({"default": CHATML}).takes_tools(USER, [TOOL])
    assert ChatTemplate({"default": "{{ tools }}"}).takes_tools(USER, [TOOL])
    # One that cannot do without.
    assert ChatTemplate({"default": "{% for t in tools %}{{ t }}{% endfor %}"}).takes_tools(USER, [TOOL])


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('No\x1b[31m system\nrole') }}", r"No\x1b[31m system role"),
        ("{{ messages[0].content.nope.nope }}", "UndefinedError: 'str object' has no attribute 'nope'"),
        ("{{ messages[0].content + 1 }}", "TypeError: can only concatenate str"),
        ("{% for tool in tools %}{% endfor %}", "TypeError: 'NoneType' object is not iterable"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ cycler.__init__.__globals__ }}", "SecurityError"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{% set ns = namespace(_x=1) %}", "SecurityError"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
    ],
)
def test_whatever_a_template_raises_is_its_refusal(template: str, words: str) -> None:
    with pytest.raises(TemplateRefusalError) as caught:
        render(template)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}",
        "{{ 'x' * 10**10 }}",
        "{{ 10**9 * 'x' }}",
        "{{ [1] * 10**10 }}",
        "{{ 7**(7**9) }}",
        "{{ 'x' | center(10**9) }}",
        "{{ 'x'.rjust(10**9) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%*d' % (10**9, 1) }}",
        "{{ '%999999999d' | format(1) }}",
        "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x.replace('', ns.x) %}{% endfor %}",
        "{{ range(90000) | list | join('x' * 9000) }}",
        "{{ [1] | tojson(indent=10**9) }}",
    ],
)
def test_a_template_that_writes_without_end_is_stopped(template: str) -> None:
    with pytest.raises(TemplateRefusalError, match=r"it writes more than 10,000,000 characters"):
        render(template)


def test_a_template_that_loops_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rightsize.providers.template_rendering._SECONDS", 0.1)
    with pytest.raises(TemplateRefusalError, match=r"it was stopped after 0.1 s: does it loop without end\?"):
        render("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}")


def test_a_syntax_error_is_told_with_its_line() -> None:
    with pytest.raises(TemplateRefusalError, match="line 2 is no valid Jinja: unexpected '}'"):
        ChatTemplate({"default": "{% for m in messages %}\n{{ m.content }"})


def test_the_templates_of_a_file_have_names() -> None:
    metadata = {"tokenizer.chat_template": "a", "tokenizer.chat_template.tool_use": "b", "other": 1}
    assert templates_in(metadata) == {"default": "a", "tool_use": "b"}


def test_words_become_one_printable_line() -> None:
    assert printable("a\n b\tc\x07") == "a b c\\x07"
    assert printable("\udc80") == "\\udc80"
    assert len(printable("x" * 1000)) == 300
