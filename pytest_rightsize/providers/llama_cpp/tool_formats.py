"""The formats in which families of models write tool calls; pure.

Each reader gets an answer and the schemas of the tools' arguments, and returns the calls with the words around them, or
None where the answer is not in its format. The formats are those of the vendors' chat templates.
"""

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pytest_rightsize.records import Json

__all__ = ["FORMATS", "Found"]

Parameters = Mapping[str, Mapping[str, Json]]


@dataclass(frozen=True, kw_only=True)
class Found:
    """Calls as name and arguments, in order, and what else the answer says."""

    calls: list[tuple[str, Json]]
    words: str


def _blocks(pattern: str) -> Callable[[str], tuple[list[str], str]]:
    """A function that takes the blocks out of a text: the content of each, and the text without them."""
    compiled = re.compile(pattern, re.DOTALL)

    def take(text: str) -> tuple[list[str], str]:
        return [match["body"] for match in compiled.finditer(text)], compiled.sub("", text)

    return take


def _values(text: str) -> Iterator[Json]:
    """The JSON values that follow each other in a text, up to what is none."""
    decoder, at = json.JSONDecoder(), 0
    while True:
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,;"))
        if at >= len(text):
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield value


def _named(value: Json) -> list[tuple[str, Json]]:
    """The calls in a JSON value: an object with a name and arguments, under any of their names, or a list of those."""
    if isinstance(value, list):
        return [call for item in value for call in _named(item)]
    if not isinstance(value, dict):
        return []
    inner = value.get("function")
    if isinstance(inner, dict):
        return _named(inner)
    name = next((value[key] for key in ("name", "tool_name", "function") if isinstance(value.get(key), str)), None)
    arguments: Json = next((value[key] for key in ("arguments", "parameters", "args") if key in value), {})
    if isinstance(arguments, str):
        arguments = next(_values(arguments), arguments)
    return [] if name is None or not isinstance(arguments, dict) else [(name, arguments)]


def _json_calls(text: str) -> list[tuple[str, Json]]:
    return [call for value in _values(text) for call in _named(value)]


def _typed(text: str, name: str, parameters: Mapping[str, Json]) -> Json:
    """An argument that was written as text: a string where the schema wants one, else the JSON it reads as."""
    schema = (parameters.get("properties") or {}).get(name)
    kinds = schema.get("type") if isinstance(schema, Mapping) else None
    if kinds == "string":
        return text
    value = next(_values(text), text)
    return text if isinstance(value, str) and not text.strip().startswith('"') else value


_FUNCTION = re.compile(r"<function=(?P<name>[^>\s]+)>(?P<body>.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=(?P<name>[^>\s]+)>(?P<value>.*?)</parameter>", re.DOTALL)
_INVOKE = re.compile(
    r"<(?P<mark>｜DSML｜)?invoke name=\"(?P<name>[^\"]+)\">(?P<body>.*?)</(?P=mark)?(?:｜DSML｜)?invoke>", re.DOTALL
)
_INVOKED = re.compile(r"<(?:｜DSML｜)?parameter name=\"(?P<name>[^\"]+)\"(?P<how>[^>]*)>(?P<value>.*?)</", re.DOTALL)
_ARGUMENT = re.compile(
    r"<arg_key>(?P<name>.*?)</arg_key>\s*<arg_value>(?P<value>.*?)</arg_value>",
    re.DOTALL,
)


def _functions(text: str, parameters: Parameters) -> list[tuple[str, Json]]:
    """`<function=NAME>`, with `<parameter=..>` (Qwen 3 Coder, Seed-OSS) or JSON (Functionary 3.1, Llama 3.1) in it."""
    calls: list[tuple[str, Json]] = []
    for match in _FUNCTION.finditer(text):
        schema = parameters.get(match["name"], {})
        values = {
            each["name"]: _typed(each["value"].removeprefix("\n").removesuffix("\n"), each["name"], schema)
            for each in _PARAMETER.finditer(match["body"])
        }
        body = next(_values(match["body"]), None)
        calls.append((match["name"], body if isinstance(body, dict) and not values else values))
    return calls


def _invocations(text: str, parameters: Parameters) -> list[tuple[str, Json]]:
    """`<invoke name="..">`: MiniMax M2, DeepSeek V3.2."""
    return [
        (
            match["name"],
            {
                each["name"]: each["value"]
                if 'string="true"' in each["how"]
                else _typed(each["value"], each["name"], parameters.get(match["name"], {}))
                for each in _INVOKED.finditer(match["body"])
            },
        )
        for match in _INVOKE.finditer(text)
    ]


def _keyed(text: str, parameters: Parameters) -> list[tuple[str, Json]]:
    """GLM 4.5 and later: the name, then `<arg_key>` and `<arg_value>` in turns."""
    name = text.partition("<arg_key>")[0].strip()
    if not re.fullmatch(r"[\w.:-]+", name):
        return []
    schema = parameters.get(name, {})
    return [(name, {each["name"]: _typed(each["value"], each["name"], schema) for each in _ARGUMENT.finditer(text)})]


def _python_calls(text: str) -> list[tuple[str, Json]]:
    """`[name(key="value")]` of LFM2, `name.call(key="value")` of Llama's own tools."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    calls = tree.elts if isinstance(tree, ast.List | ast.Tuple) else [tree]
    found: list[tuple[str, Json]] = []
    for call in calls:
        if not isinstance(call, ast.Call) or call.args:
            return []
        try:
            arguments = {each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg is not None}
            json.dumps(arguments)
        except (ValueError, TypeError):
            return []
        found.append((ast.unparse(call.func).removesuffix(".call"), arguments))
    return found


_take_tagged = _blocks(
    r"<(?:seed:|minimax:|｜DSML｜)?(?:tool_calls?|function_calls)>(?P<body>.*?)"
    r"(?:</(?:seed:|minimax:|｜DSML｜)?(?:tool_calls?|function_calls)>|\Z)"
)


def _tagged(text: str, parameters: Parameters) -> Found | None:
    """`<tool_call>` of Hermes, Qwen, GLM, Granite 4, Seed-OSS, MiniMax and others."""
    bodies, words = _take_tagged(text)
    calls = [
        call
        for body in bodies
        for call in _json_calls(body)
        or _functions(body, parameters)
        or _invocations(body, parameters)
        or _keyed(body, parameters)
    ]
    return Found(calls=calls, words=words) if bodies else None


_HARMONY = re.compile(
    r"(?:<\|start\|>assistant)?(?P<before>[^<]*)<\|channel\|>(?P<after>[^<]*)(?:<\|constrain\|>[^<]*)?<\|message\|>"
    r"(?P<body>.*?)(?:<\|call\|>|<\|end\|>|<\|return\|>|\Z)",
    re.DOTALL,
)
_RECIPIENT = re.compile(r"to=functions\.(?P<name>[\w.-]+)")


def _harmony(text: str, _: Parameters) -> Found | None:
    """gpt-oss: a message to a function."""
    if "<|channel|>" not in text:  # the search would take long
        return None
    calls = []
    for match in _HARMONY.finditer(text):
        recipient = _RECIPIENT.search(f"{match['before']} {match['after']}")
        arguments = next(_values(match["body"]), None)
        if recipient is not None and isinstance(arguments, dict):
            calls.append((recipient["name"], arguments))
    return Found(calls=calls, words=_HARMONY.sub("", text)) if calls else None


_MISTRAL = re.compile(
    r"\[TOOL_CALLS\]\s*(?P<name>[\w.-]+)\s*(?:\[CALL_ID\][^\[{]*)?(?:\[ARGS\])?\s*(?P<body>\{.*?)(?=\[TOOL_CALLS\]|\Z)",
    re.DOTALL,
)


def _mistral(text: str, _: Parameters) -> Found | None:
    """`[TOOL_CALLS]` with a list of calls, or with a name and `[ARGS]`."""
    words, mark, rest = text.partition("[TOOL_CALLS]")
    if not mark:
        return None
    calls: list[tuple[str, Json]] = []
    for match in _MISTRAL.finditer(mark + rest):
        arguments = next(_values(match["body"]), None)
        if isinstance(arguments, dict):
            calls.append((match["name"], arguments))
    return Found(calls=calls or _json_calls(rest.strip()), words=words)


_DEEPSEEK = re.compile(
    r"<｜tool▁call▁begin｜>(?P<first>[^<]*)<｜tool▁sep｜>(?P<body>.*?)(?:<｜tool▁call▁end｜>|\Z)", re.DOTALL
)


def _deepseek(text: str, _parameters: Parameters) -> Found | None:
    """DeepSeek R1 and V3 (`function`, then the name and fenced JSON) and V3.1 (the name, then JSON)."""
    calls: list[tuple[str, Json]] = []
    for match in _DEEPSEEK.finditer(text):
        name, _, rest = match["body"].strip().partition("\n")
        fenced = rest.strip().removeprefix("```json").removesuffix("```").strip()
        arguments = next(_values(fenced if match["first"].strip() == "function" else match["body"]), None)
        if isinstance(arguments, dict):
            calls.append((name.strip() if match["first"].strip() == "function" else match["first"].strip(), arguments))
    return Found(calls=calls, words=text.partition("<｜tool▁call")[0]) if calls else None


_KIMI = re.compile(
    r"<\|tool_call_begin\|>\s*(?:functions\.)?(?P<name>[\w.-]+?)(?::\d+)?\s*<\|tool_call_argument_begin\|>(?P<body>.*?)"
    r"(?:<\|tool_call_end\|>|\Z)",
    re.DOTALL,
)


def _kimi(text: str, _: Parameters) -> Found | None:
    """Kimi K2."""
    calls = [(match["name"], next(_values(match["body"]), None)) for match in _KIMI.finditer(text)]
    whole = [(name, arguments) for name, arguments in calls if isinstance(arguments, dict)]
    return Found(calls=whole, words=text.partition("<|tool_call")[0]) if whole else None


_MARKED = (
    _blocks(r"<\|START_ACTION\|>(?P<body>.*?)(?:<\|END_ACTION\|>|\Z)"),  # Command R7B, Command A
    _blocks(r"Action:\s*```json\s*(?P<body>.*?)```"),  # Command R+
    _blocks(r"<\|tool_call_start\|>(?P<body>.*?)(?:<\|tool_call_end\|>|\Z)"),  # LFM2
    _blocks(r"<\|tool_call\|>(?P<body>.*?)(?:<\|/tool_call\|>|\Z)"),  # Granite 3, Phi 4 mini
    _blocks(r"<\|python_tag\|>(?P<body>.*)"),  # Llama 3.1 and later
    _blocks(r"functools(?P<body>\[.*\])"),  # Firefunction
    _blocks(r"<\|tools_prefix\|>(?P<body>.*?)(?:<\|tools_suffix\|>|\Z)"),  # Apertus
)


def _marked(text: str, _: Parameters) -> Found | None:
    """JSON, or calls as in Python, between marks."""
    for take in _MARKED:
        bodies, words = take(text)
        calls = [call for body in bodies for call in _json_calls(body.strip()) or _python_calls(body)]
        if calls:
            return Found(calls=calls, words=words)
    return None


_GEMMA = re.compile(r"<\|tool_call>call:(?P<name>[\w.-]+)(?P<body>\{.*?\})(?:<tool_call\|>|\Z)", re.DOTALL)
_GEMMA_KEY = re.compile(r'(?P<before>[{,]\s*)(?P<key>[A-Za-z_][\w.-]*)\s*:(?=(?:[^"]|"(?:[^"\\]|\\.)*")*\Z)')


def _gemma(text: str, _: Parameters) -> Found | None:
    """Gemma 4: `call:NAME{key:<|"|>text<|"|>}`."""
    calls = []
    for match in _GEMMA.finditer(text):
        parts = match["body"].split('<|"|>')
        quoted = "".join(json.dumps(part) if index % 2 else part for index, part in enumerate(parts))
        arguments = next(_values(_GEMMA_KEY.sub(r'\g<before>"\g<key>":', quoted)), None)
        if isinstance(arguments, dict):
            calls.append((match["name"], arguments))
    return Found(calls=calls, words=_GEMMA.sub("", text)) if calls else None


def _functionary(text: str, parameters: Parameters) -> Found | None:
    """`<function=..>` of Functionary 3.1; `>>>NAME` and JSON of 3.2, whose template writes the first mark."""
    plain = _functions(text, parameters)
    if plain:
        return Found(calls=plain, words=_FUNCTION.sub("", text))
    calls: list[tuple[str, Json]] = []
    words: list[str] = []
    for part in text.removeprefix(">>>").split(">>>"):
        name, newline, body = part.partition("\n")
        arguments = next(_values(body), None)
        if newline and name.strip() in parameters and isinstance(arguments, dict):
            calls.append((name.strip(), arguments))
        else:
            words.append(body if name.strip() == "all" else part)
    return Found(calls=calls, words="".join(words)) if calls else None


def _bare(text: str, parameters: Parameters) -> Found | None:
    """Nothing but calls as JSON, of tools that there are: Llama 3.x, and calls that a grammar has forced."""
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        return None
    calls = _json_calls(stripped)
    return Found(calls=calls, words="") if calls and all(name in parameters for name, _ in calls) else None


FORMATS: tuple[Callable[[str, Parameters], Found | None], ...] = (
    *(_harmony, _tagged, _mistral, _deepseek, _kimi, _gemma, _marked, _functionary, _bare),
)
