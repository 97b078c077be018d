"""The formats in which families of models write tool calls; pure.

Each reader gets an answer and the schemas of the tools' arguments, and returns the calls with the words around them, or
None where the answer is not in its format. The formats are those of the vendors' chat templates.
"""

import ast
import json
import re
from collections.abc import Callable

from pytest_rightsize.providers.llama_cpp.tool_call_values import Found, Parameters, values_in
from pytest_rightsize.providers.llama_cpp.tool_formats_by_argument import (
    by_function,
    by_invocation,
    by_key,
    kimi_k3,
    minicpm,
    minimax_m3,
    without_functions,
)
from pytest_rightsize.records import Json

__all__ = ["FORMATS"]


def _blocks(pattern: str) -> Callable[[str], tuple[list[str], str]]:
    """A function that takes the blocks out of a text: the content of each, and the text without them."""
    compiled = re.compile(pattern, re.DOTALL)

    def take(text: str) -> tuple[list[str], str]:
        return [match["body"] for match in compiled.finditer(text)], compiled.sub("", text)

    return take


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
        arguments = next(values_in(arguments), arguments)
    return [] if name is None or not isinstance(arguments, dict) else [(name, arguments)]


def _json_calls(text: str) -> list[tuple[str, Json]]:
    return [call for value in values_in(text) for call in _named(value)]


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
    r"<(?:seed:|minimax:|｜DSML｜|atem:)?(?:tool_calls?|function_calls)>(?P<body>.*?)"
    r"(?:</(?:seed:|minimax:|｜DSML｜|atem:)?(?:tool_calls?|function_calls)>|\Z)"
)


def _tagged(text: str, parameters: Parameters) -> Found | None:
    """`<tool_call>` of Hermes, Qwen, GLM, Granite 4, Seed-OSS, MiniMax and others."""
    bodies, words = _take_tagged(text)
    calls = [
        call
        for body in bodies
        for call in _json_calls(body)
        or by_function(body, parameters)
        or by_invocation(body, parameters)
        or by_key(body, parameters)
    ]
    return Found(calls=calls, words=words) if bodies else None


def _hunyuan(text: str, parameters: Parameters) -> Found | None:
    """Tencent Hy3: as GLM, with a suffix to each mark."""
    if "<tool_call:opensource>" not in text:
        return None
    return _tagged(re.sub(r"</?tool_calls>|<tool_sep>", "", text.replace(":opensource>", ">")), parameters)


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
        arguments = next(values_in(match["body"]), None)
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
        arguments = next(values_in(match["body"]), None)
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
        arguments = next(values_in(fenced if match["first"].strip() == "function" else match["body"]), None)
        if isinstance(arguments, dict):
            calls.append((name.strip() if match["first"].strip() == "function" else match["first"].strip(), arguments))
    return Found(calls=calls, words=text.partition("<｜tool▁call")[0]) if calls else None


_SOLAR = re.compile(
    r"<\|tool_call:begin\|>[^<]*<\|tool_call:name\|>(?P<name>[^<]+)<\|tool_call:args\|>(?P<body>.*?)"
    r"(?:<\|tool_call:end\|>|\Z)",
    re.DOTALL,
)


def _solar(text: str, _: Parameters) -> Found | None:
    """Solar Open."""
    calls = [(match["name"].strip(), next(values_in(match["body"]), None)) for match in _SOLAR.finditer(text)]
    whole = [(name, arguments) for name, arguments in calls if isinstance(arguments, dict)]
    return Found(calls=whole, words=text.partition("<|tool_calls|>")[0]) if whole else None


_KIMI = re.compile(
    r"<\|tool_call_begin\|>\s*(?:functions\.)?(?P<name>[\w.-]+?)(?::\d+)?\s*<\|tool_call_argument_begin\|>(?P<body>.*?)"
    r"(?:<\|tool_call_end\|>|\Z)",
    re.DOTALL,
)


def _kimi(text: str, _: Parameters) -> Found | None:
    """Kimi K2."""
    calls = [(match["name"], next(values_in(match["body"]), None)) for match in _KIMI.finditer(text)]
    whole = [(name, arguments) for name, arguments in calls if isinstance(arguments, dict)]
    return Found(calls=whole, words=text.partition("<|tool_call")[0]) if whole else None


_MARKED = (
    _blocks(r"<\|START_ACTION\|>(?P<body>.*?)(?:<\|END_ACTION\|>|\Z)"),  # Command R7B, Command A
    _blocks(r"Action:\s*```json\s*(?P<body>.*?)```"),  # Command R+
    _blocks(r"<\|tool_call_start\|>(?P<body>.*?)(?:<\|tool_call_end\|>|\Z)"),  # LFM2
    _blocks(r"<\|tool_call\|>(?P<body>.*?)(?:<\|/tool_call\|>|\Z)"),  # Granite 3, Phi 4 mini
    _blocks(r"<\|python_tag\|>(?P<body>.*)"),  # Llama 3.1 and later
    _blocks(r"<TOOLCALL>(?P<body>.*?)(?:</TOOLCALL>|\Z)"),  # Nemotron Nano 2
    _blocks(r"<\|function_call\|>(?P<body>.*?)(?:<\|message_sep\|>|\Z)"),  # GigaChat 3.1
    _blocks(r"(?:<\|message_sep\|>\s*)?function call<\|role_sep\|>(?P<body>.*?)(?:<\|message_sep\|>|\Z)"),  # GigaChat 3
    _blocks(r"functools(?P<body>\[.*\])"),  # Firefunction
    _blocks(r"<\|tools_prefix\|>(?P<body>.*?)(?:<\|tools_suffix\|>|\Z)"),  # Apertus
)


def _by_name(text: str, parameters: Parameters) -> list[tuple[str, Json]]:
    """Objects with the names of tools as keys: Apertus."""
    listed = [item for value in values_in(text) for item in (value if isinstance(value, list) else [value])]
    if not all(isinstance(item, dict) and set(item) <= set(parameters) for item in listed):
        return []
    return [(name, arguments) for item in listed for name, arguments in item.items() if isinstance(arguments, dict)]


def _marked(text: str, parameters: Parameters) -> Found | None:
    """JSON, or calls as in Python, between marks."""
    for take in _MARKED:
        bodies, words = take(text)
        calls = [
            call
            for body in bodies
            for call in _json_calls(body.strip()) or _by_name(body.strip(), parameters) or _python_calls(body)
        ]
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
        arguments = next(values_in(_GEMMA_KEY.sub(r'\g<before>"\g<key>":', quoted)), None)
        if isinstance(arguments, dict):
            calls.append((match["name"], arguments))
    return Found(calls=calls, words=_GEMMA.sub("", text)) if calls else None


def _functionary(text: str, parameters: Parameters) -> Found | None:
    """`<function=..>` of Functionary 3.1; `>>>NAME` and JSON of 3.2, whose template writes the first mark."""
    plain = by_function(text, parameters)
    if plain:
        return Found(calls=plain, words=without_functions(text))
    calls: list[tuple[str, Json]] = []
    words: list[str] = []
    for part in text.removeprefix(">>>").split(">>>"):
        name, newline, body = part.partition("\n")
        arguments = next(values_in(body), None)
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
    _harmony,
    _hunyuan,
    minimax_m3,
    _tagged,
    kimi_k3,
    minicpm,
    _solar,
    _mistral,
    _deepseek,
    _kimi,
    _gemma,
    _marked,
    _functionary,
    _bare,
)
