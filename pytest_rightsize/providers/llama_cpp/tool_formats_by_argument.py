"""The formats of tool calls in which each argument stands between marks of its own; pure.

A text and the schemas of the tools' arguments come in, calls by name and arguments go out.
"""

import html
import re

from pytest_rightsize.providers.llama_cpp.tool_call_values import Found, Parameters, typed, values_in
from pytest_rightsize.records import Json

__all__ = ["by_function", "by_invocation", "by_key", "kimi_k3", "minicpm", "minimax_m3", "without_functions"]

_FUNCTION = re.compile(r"<function=(?P<name>[^>\s]+)>(?P<body>.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=(?P<name>[^>\s]+)>(?P<value>.*?)</parameter>", re.DOTALL)
_INVOKE = re.compile(
    r"<(?:｜DSML｜|atem:)?invoke name=\"(?P<name>[^\"]+)\">(?P<body>.*?)</(?:｜DSML｜|atem:)?invoke>", re.DOTALL
)
_INVOKED = re.compile(
    r"<(?:｜DSML｜|atem:)?parameter name=\"(?P<name>[^\"]+)\"(?P<how>[^>]*)>(?P<value>.*?)</", re.DOTALL
)
_ARGUMENT = re.compile(
    r"<arg_key>(?P<name>.*?)</arg_key>\s*<arg_value>(?P<value>.*?)</arg_value>",
    re.DOTALL,
)


def by_function(text: str, parameters: Parameters) -> list[tuple[str, Json]]:
    """`<function=NAME>`, with `<parameter=..>` (Qwen 3 Coder, Seed-OSS) or JSON (Functionary 3.1, Llama 3.1) in it."""
    calls: list[tuple[str, Json]] = []
    for match in _FUNCTION.finditer(text):
        schema = parameters.get(match["name"], {})
        values = {
            each["name"]: typed(each["value"].removeprefix("\n").removesuffix("\n"), each["name"], schema)
            for each in _PARAMETER.finditer(match["body"])
        }
        body = next(values_in(match["body"]), None)
        calls.append((match["name"], body if isinstance(body, dict) and not values else values))
    return calls


def without_functions(text: str) -> str:
    """What a text says beside what `by_function` reads."""
    return _FUNCTION.sub("", text)


def by_invocation(text: str, parameters: Parameters) -> list[tuple[str, Json]]:
    """`<invoke name="..">`: MiniMax M2, DeepSeek V3.2, Muse Glimmer."""
    return [
        (
            match["name"],
            {
                each["name"]: each["value"]
                if 'string="true"' in each["how"]
                else typed(each["value"], each["name"], parameters.get(match["name"], {}))
                for each in _INVOKED.finditer(match["body"])
            },
        )
        for match in _INVOKE.finditer(text)
    ]


def by_key(text: str, parameters: Parameters) -> list[tuple[str, Json]]:
    """GLM 4.5 and later: the name, then `<arg_key>` and `<arg_value>` in turns."""
    name = text.partition("<arg_key>")[0].strip()
    if not re.fullmatch(r"[\w.:-]+", name):
        return []
    schema = parameters.get(name, {})
    return [(name, {each["name"]: typed(each["value"], each["name"], schema) for each in _ARGUMENT.finditer(text)})]


_K3_CALL = re.compile(
    r"<\|open\|>call tool=\"(?P<name>[^\"]*)\"[^<]*<\|sep\|>(?P<body>.*?)(?:<\|close\|>call<\|sep\|>|\Z)", re.DOTALL
)
_K3_ARGUMENT = re.compile(
    r"<\|open\|>argument key=\"(?P<name>[^\"]*)\" type=\"(?P<type>\w+)\"<\|sep\|>"
    r"(?P<value>.*?)<\|close\|>argument<\|sep\|>",
    re.DOTALL,
)
_K3_JSON = re.compile(r"<\|open\|>json[^<]*<\|sep\|>(?P<body>.*?)<\|close\|>json<\|sep\|>", re.DOTALL)


def kimi_k3(text: str, _: Parameters) -> Found | None:
    """Kimi K3: an argument with its type at a time, or all as JSON."""
    calls: list[tuple[str, Json]] = []
    for match in _K3_CALL.finditer(text):
        whole = _K3_JSON.search(match["body"])
        arguments: Json = {
            html.unescape(each["name"]): each["value"]
            if each["type"] == "string"
            else next(values_in(each["value"]), each["value"])
            for each in _K3_ARGUMENT.finditer(match["body"])
        }
        calls.append((html.unescape(match["name"]), next(values_in(whole["body"]), {}) if whole else arguments))
    words = text.partition("<|open|>tools<|sep|>")[0].replace("<|close|>response<|sep|>", "")
    return Found(calls=calls, words=words) if calls else None


# MiniMax M3 writes this before each mark, so that no argument can hold one.
_M3 = "]<]minimax[>["
_M3_INVOKE = re.compile(
    rf"{re.escape(_M3)}<invoke name=\"(?P<name>[^\"]+)\">(?P<body>.*?){re.escape(_M3)}</invoke>", re.DOTALL
)
_M3_ARGUMENT = re.compile(rf"{re.escape(_M3)}<(?P<name>[\w.-]+)>(?P<value>.*?){re.escape(_M3)}</(?P=name)>", re.DOTALL)


def minimax_m3(text: str, parameters: Parameters) -> Found | None:
    """MiniMax M3: an argument in marks of its name; of lists and objects in one, only JSON is read."""
    if _M3 not in text:
        return None
    calls: list[tuple[str, Json]] = []
    for match in _M3_INVOKE.finditer(text):
        schema = parameters.get(match["name"], {})
        arguments = {each["name"]: each["value"] for each in _M3_ARGUMENT.finditer(match["body"])}
        if any(_M3 in value for value in arguments.values()):
            return None
        calls.append((match["name"], {name: typed(value, name, schema) for name, value in arguments.items()}))
    return (
        Found(calls=calls, words=text.partition(f"{_M3}<tool_call>")[0].removeprefix("</mm:think>")) if calls else None
    )


_MINICPM = re.compile(r"<function name=\"(?P<name>[^\"]+)\">(?P<body>.*?)</function>", re.DOTALL)
_MINICPM_PARAMETER = re.compile(r"<param name=\"(?P<name>[^\"]+)\">(?P<value>.*?)</param>", re.DOTALL)


def minicpm(text: str, parameters: Parameters) -> Found | None:
    """MiniCPM 5."""
    calls: list[tuple[str, Json]] = [
        (
            match["name"],
            {
                each["name"]: typed(each["value"], each["name"], parameters.get(match["name"], {}))
                for each in _MINICPM_PARAMETER.finditer(match["body"])
            },
        )
        for match in _MINICPM.finditer(text)
    ]
    return Found(calls=calls, words=_MINICPM.sub("", text)) if calls else None
