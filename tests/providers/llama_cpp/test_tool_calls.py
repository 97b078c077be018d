"""Tool calls in the formats of the vendors become those of the OpenAI API."""

import json
from typing import Any

import pytest

from pytest_rightsize.providers.llama_cpp.tool_calls import ToolChoice, calls_in
from pytest_rightsize.providers.reasoning import separate
from pytest_rightsize.records import Request

CITY = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
TIME = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}
PARIS = ("weather", {"city": "Paris"})


def choice(**extra: Any) -> ToolChoice:
    return ToolChoice.of(Request(messages=({"role": "user", "content": "?"},), tools=(WEATHER, TIME), extra=extra))


def found(text: str, chosen: ToolChoice | None = None) -> tuple[list[tuple[str, Any]], str]:
    calls, words = calls_in(text, chosen or choice())
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls], words


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        # Hermes, Qwen 2.5 and 3, Granite 4
        ('<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>', [PARIS]),
        ('<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}', [PARIS]),
        (
            '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>\n'
            '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>',
            [PARIS, ("get_time", {})],
        ),
        # Qwen 3 Coder, Qwen 3.5, Nemotron 3
        (
            "<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
            "</function>\n</tool_call>",
            [("weather", {"city": "Paris", "days": 3})],
        ),
        # A text stays one, whatever it looks like.
        (
            "<tool_call><function=weather><parameter=city>75001</parameter></function></tool_call>",
            [("weather", {"city": "75001"})],
        ),
        # GLM 4.5 and later
        (
            "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days</arg_key>\n"
            "<arg_value>3</arg_value>\n</tool_call>",
            [("weather", {"city": "Paris", "days": 3})],
        ),
        # Seed-OSS
        (
            "<seed:tool_call>\n<function=weather>\n<parameter=city>Paris</parameter>\n</function>\n</seed:tool_call>",
            [PARIS],
        ),
        # Tencent Hy3
        (
            "<tool_calls:opensource>\n<tool_call:opensource>weather<tool_sep:opensource>\n<arg_key:opensource>city"
            "</arg_key:opensource>\n<arg_value:opensource>Paris</arg_value:opensource>\n</tool_call:opensource>\n"
            "<tool_call:opensource>get_time<tool_sep:opensource>\n</tool_call:opensource>\n</tool_calls:opensource>",
            [PARIS, ("get_time", {})],
        ),
        # Kimi K3
        (
            '<|open|>tools<|sep|><|open|>call tool="weather" index="1"<|sep|><|open|>argument key="city" type="string"'
            '<|sep|>Paris<|close|>argument<|sep|><|open|>argument key="days" type="number"<|sep|>3<|close|>argument'
            "<|sep|><|close|>call<|sep|><|close|>tools<|sep|>",
            [("weather", {"city": "Paris", "days": 3})],
        ),
        (
            '<|open|>tools<|sep|><|open|>call tool="weather" index="1"<|sep|><|open|>json type="object"<|sep|>'
            '{"city": "Paris"}<|close|>json<|sep|><|close|>call<|sep|><|close|>tools<|sep|>',
            [PARIS],
        ),
        # Muse Glimmer
        (
            '<atem:function_calls>\n<atem:invoke name="weather">\n<atem:parameter name="city">Paris</atem:parameter>\n'
            "</atem:invoke>\n</atem:function_calls>",
            [PARIS],
        ),
        # MiniMax M3
        (
            ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="weather">]<]minimax[>[<city>Paris]<]minimax[>[</city>'
            "]<]minimax[>[<days>3]<]minimax[>[</days>]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>",
            [("weather", {"city": "Paris", "days": 3})],
        ),
        # MiniCPM 5
        ('<function name="weather"><param name="city">Paris</param></function>', [PARIS]),
        # Solar Open
        (
            "<|tool_calls|><|tool_call:begin|>a1<|tool_call:name|>weather<|tool_call:args|>"
            '{"city": "Paris"}<|tool_call:end|>',
            [PARIS],
        ),
        # Nemotron Nano 2, GigaChat 3.1 and 3, Apertus
        ('<TOOLCALL>[{"name": "weather", "arguments": {"city": "Paris"}}]</TOOLCALL>', [PARIS]),
        ('<|function_call|>{"name": "weather", "arguments": {"city": "Paris"}}<|message_sep|>\n\n', [PARIS]),
        ('<|message_sep|>\n\nfunction call<|role_sep|>\n{"name": "weather", "arguments": {"city": "Paris"}}', [PARIS]),
        ('<|tools_prefix|>[{"weather": {"city": "Paris"}}]<|tools_suffix|>', [PARIS]),
        # MiniMax M2
        (
            '<minimax:tool_call>\n<invoke name="weather">\n<parameter name="city">Paris</parameter>\n</invoke>\n'
            "</minimax:tool_call>",
            [PARIS],
        ),
        # DeepSeek V3.2
        (
            '<｜DSML｜function_calls>\n<｜DSML｜invoke name="weather">\n<｜DSML｜parameter name="city" string="true">'  # noqa: RUF001  # its marks
            "Paris</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",  # noqa: RUF001
            [PARIS],
        ),
        # Llama 3.1 and later
        ('<|python_tag|>{"name": "weather", "parameters": {"city": "Paris"}}', [PARIS]),
        ('<|python_tag|>weather.call(city="Paris")', [PARIS]),
        ('{"name": "weather", "parameters": {"city": "Paris"}}', [PARIS]),
        ('{"type": "function", "function": "weather", "parameters": {"city": "Paris"}}', [PARIS]),
        # Mistral
        ('[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Paris"}, "id": "abc123def"}]', [PARIS]),
        ('[TOOL_CALLS]weather[ARGS]{"city": "Paris"}[TOOL_CALLS]get_time[ARGS]{}', [PARIS, ("get_time", {})]),
        ('[TOOL_CALLS]weather[CALL_ID]abc123def[ARGS]{"city": "Paris"}', [PARIS]),
        # Functionary 3.1 and 3.2
        ('<function=weather>{"city": "Paris"}</function>', [PARIS]),
        ('weather\n{"city": "Paris"}', [PARIS]),
        ('all\nLet me see.>>>weather\n{"city": "Paris"}', [PARIS]),
        # DeepSeek R1, V3 and V3.1
        (
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n"  # noqa: RUF001
            '{"city": "Paris"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',  # noqa: RUF001
            [PARIS],
        ),
        (
            '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜>',  # noqa: RUF001
            [PARIS],
        ),
        # Kimi K2
        (
            "<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>"
            '{"city": "Paris"}<|tool_call_end|><|tool_calls_section_end|>',
            [PARIS],
        ),
        # Command R7B and R+
        (
            '<|START_ACTION|>[\n{"tool_call_id": "0", "tool_name": "weather", "parameters": {"city": "Paris"}}\n]'
            "<|END_ACTION|>",
            [PARIS],
        ),
        ('Action: ```json\n[{"tool_name": "weather", "parameters": {"city": "Paris"}}]\n```', [PARIS]),
        # LFM2, Granite 3, Firefunction, Gemma 4
        ('<|tool_call_start|>[weather(city="Paris")]<|tool_call_end|>', [PARIS]),
        ('<|tool_call|>[{"name": "weather", "arguments": {"city": "Paris"}}]', [PARIS]),
        (' functools[{"name": "weather", "arguments": {"city": "Paris"}}]', [PARIS]),
        (
            '<|tool_call>call:weather{city:<|"|>Paris: {a}<|"|>,days:3}<tool_call|>',
            [("weather", {"city": "Paris: {a}", "days": 3})],
        ),
    ],
)
def test_a_call_in_a_vendors_format_is_a_call(text: str, calls: list[tuple[str, Any]]) -> None:
    assert found(text)[0] == calls


def test_a_call_of_gpt_oss_follows_its_reasoning() -> None:
    text = (
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.weather "
        '<|constrain|>json<|message|>{"city": "Paris"}<|call|>'
    )
    parts = separate(text)
    assert parts.reasoning == "hm"
    assert found(parts.answer) == ([PARIS], "")
    earlier = '<|start|>assistant to=functions.weather<|channel|>commentary json<|message|>{"city": "Paris"}<|call|>'
    assert found(separate(earlier).answer)[0] == [PARIS]


def test_words_beside_a_call_are_kept() -> None:
    text = 'Let me see.\n<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>'
    assert found(text) == ([PARIS], "Let me see.")


@pytest.mark.parametrize(
    "text",
    [
        "It is warm in Paris.",
        '{"city": "Paris"}',
        '{"name": "Ann", "parameters": {}}',  # no tool of this name
        '<tool_call>{"name": "weather", "argum',
        "<tool_call>no call</tool_call>",
        "[TOOL_CALLS]",
        "",
    ],
)
def test_what_is_no_whole_call_stays_in_the_answer(text: str) -> None:
    assert found(text) == ([], text)


def test_without_tools_everything_is_the_answer() -> None:
    text = '<tool_call>{"name": "weather", "arguments": {}}</tool_call>'
    assert calls_in(text, ToolChoice.of(Request(messages=()))) == ((), text)
    assert calls_in(text, choice(tool_choice="none")) == ((), text)


def test_a_named_tool_is_held_to_its_arguments() -> None:
    named = choice(tool_choice={"type": "function", "function": {"name": "weather"}})
    assert (named.is_forced, named.schema) == (True, CITY)
    assert found('{"city": "Paris"}', named) == ([PARIS], "")
    assert found('{"city": "Par', named) == ([], '{"city": "Par')


def test_a_required_call_is_one_of_the_tools() -> None:
    required = choice(tool_choice="required")
    names = [each["properties"]["name"]["const"] for each in required.schema["anyOf"]]
    assert names == ["weather", "get_time"]
    assert found('{"name": "weather", "arguments": {"city": "Paris"}}', required) == ([PARIS], "")
    assert not choice().is_forced


def test_ids_are_as_the_strictest_template_wants_them() -> None:
    """Mistral's: nine letters and digits, and no two calls alike."""
    text = '[{"name": "get_time", "arguments": {}}, {"name": "get_time", "arguments": {}}]'
    (first, second), _ = calls_in(text, choice(), seed="1")
    assert first["id"].isalnum()
    assert len(first["id"]) == 9
    assert first["id"] != second["id"]
    assert first == calls_in(text, choice(), seed="1")[0][0]
    assert first["id"] != calls_in(text, choice(), seed="3")[0][0]["id"]
