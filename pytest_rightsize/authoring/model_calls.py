"""Finds the model calls of a Python file by its syntax tree: which SDK, which line, which model; pure.

A source text comes in, calls go out. A model is known where it is written out, in a constant of the file, or in an
environment variable; of anything else the expression is kept.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["ModelCall", "imports_of", "model_calls"]


@dataclass(frozen=True, kw_only=True)
class ModelCall:
    """A call of an SDK.

    `model` is the model's name, if it is known, `variable` the environment variable that holds it, and `expression`
    what stands in the source. `function` is the function around it, as in `Shop.route`; None at the top of the file.
    """

    line: int
    sdk: str
    call: str
    model: str | None = None
    variable: str | None = None
    expression: str | None = None
    function: str | None = None


# The ends of calls, however the client is called, with the package that has to be imported for a match, or a keyword
# that the call has to have, as other packages have methods of these names too.
_METHODS: Mapping[tuple[str, ...], tuple[str, str | None]] = {
    ("chat", "completions", "create"): ("openai", None),
    ("chat", "completions", "parse"): ("openai", None),
    ("chat", "completions", "stream"): ("openai", None),
    ("chat", "completions", "create_with_completion"): ("openai", None),
    ("responses", "create"): ("openai", "model"),
    ("responses", "parse"): ("openai", "model"),
    ("responses", "stream"): ("openai", "model"),
    ("messages", "create"): ("anthropic", "max_tokens"),
    ("messages", "stream"): ("anthropic", "max_tokens"),
    ("models", "generate_content"): ("google-genai", None),
    ("models", "generate_content_stream"): ("google-genai", None),
}
# Functions and classes by the package they are imported from.
_NAMES: Mapping[str, Mapping[str, str]] = {
    "ollama": dict.fromkeys(("chat", "generate"), "ollama"),
    "litellm": dict.fromkeys(("completion", "acompletion", "responses", "aresponses"), "litellm"),
    "langchain_openai": dict.fromkeys(("ChatOpenAI", "AzureChatOpenAI", "OpenAI"), "langchain"),
    "langchain_anthropic": {"ChatAnthropic": "langchain"},
    "langchain_ollama": dict.fromkeys(("ChatOllama", "OllamaLLM"), "langchain"),
    "langchain_google_genai": {"ChatGoogleGenerativeAI": "langchain"},
    "langchain": {"init_chat_model": "langchain"},
    "pydantic_ai": {"Agent": "pydantic-ai"},
    "agents": {"Agent": "openai-agents"},
}
# Clients whose methods have names that are too plain to be known by them alone.
_CLIENTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ollama": (("Client", "AsyncClient"), ("chat", "generate")),
}
# Ends of URLs by which an endpoint of each vendor is asked without an SDK.
_PATHS: Mapping[str, str] = {
    "/chat/completions": "openai",
    "/v1/responses": "openai",
    "/v1/messages": "anthropic",
    ":generateContent": "google",
    "/api/chat": "ollama",
    "/api/generate": "ollama",
}
_HTTP_CALLS = ("post", "request", "urlopen")
_MODEL_KEYWORDS = ("model", "model_name", "azure_deployment")
# Of these the first argument is the model.
_MODEL_FIRST = ("Agent", "init_chat_model", "completion", "acompletion", "chat", "generate", "aresponses")


def model_calls(source: str) -> list[ModelCall]:
    """The calls of a file, by line; raises SyntaxError (a ValueError for a text with null bytes)."""
    tree = ast.parse(source)
    return sorted(_Finder(tree).calls(), key=lambda call: call.line)


def imports_of(source: str, package: str = "") -> set[str]:
    """The modules that a file imports, with the names that may be modules of a package; `package` is the file's own."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            above = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (above, node.module or "") if part)
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found - {""}


class _Finder:
    """The calls in one tree."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._packages: dict[str, str] = {}
        self._names: dict[str, tuple[str, str]] = {}
        self._constants: dict[str, ast.expr] = {}
        self._clients: dict[str, str] = {}
        for node in ast.walk(tree):
            self._note(node)

    def _note(self, node: ast.AST) -> None:
        """Take in an import, a constant, or a client that is made."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                self._packages[alias.asname or alias.name.partition(".")[0]] = alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            package = node.module.partition(".")[0]
            for alias in node.names:
                self._names[alias.asname or alias.name] = (package, alias.name)
        elif isinstance(node, ast.FunctionDef):
            returned = next((each.value for each in node.body if isinstance(each, ast.Return) and each.value), None)
            if returned is not None:
                self._constants.setdefault(f"{node.name}()", returned)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                name = ast.unparse(target)
                self._constants.setdefault(name, node.value)
                if isinstance(node.value, ast.Call) and (owner := self._client_of(node.value)):
                    self._clients[name] = owner

    def _client_of(self, call: ast.Call) -> str | None:
        package, name = self._origin(call.func)
        return package if package in _CLIENTS and name in _CLIENTS[package][0] else None

    def _origin(self, function: ast.expr) -> tuple[str, str]:
        """The package and the name of a function that was imported, as far as that is known."""
        parts = _chain(function)
        if len(parts) == 1 and parts[0] in self._names:
            return self._names[parts[0]]
        if len(parts) > 1 and parts[0] in self._packages:
            return self._packages[parts[0]], parts[-1]
        return "", parts[-1] if parts else ""

    def calls(self) -> Iterator[ModelCall]:
        yield from self._within(self._tree, ())

    def _within(self, node: ast.AST, names: tuple[str, ...]) -> Iterator[ModelCall]:
        for child in ast.iter_child_nodes(node):
            inner = names
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = (*names, child.name)
            if isinstance(child, ast.Call) and (sdk := self._sdk(child)) is not None:
                yield self._call(child, sdk, ".".join(names) or None)
            yield from self._within(child, inner)

    def _sdk(self, call: ast.Call) -> str | None:
        parts = _chain(call.func)
        keywords = {keyword.arg for keyword in call.keywords}
        for end, (sdk, needed) in _METHODS.items():
            is_sure = needed is None or needed in keywords or None in keywords or self._has(sdk)
            if tuple(parts[-len(end) :]) == end and is_sure:
                return sdk
        package, name = self._origin(call.func)
        if name in _NAMES.get(package, {}):
            return _NAMES[package][name]
        owner = self._clients.get(".".join(parts[:-1])) if parts else None
        if owner is not None and parts[-1] in _CLIENTS[owner][1]:
            return owner
        return self._by_url(call, parts)

    def _has(self, package: str) -> bool:
        return package in self._packages.values() or package in {owner for owner, _ in self._names.values()}

    def _by_url(self, call: ast.Call, parts: list[str]) -> str | None:
        """The vendor whose endpoint is asked by its URL, as in requests.post(URL + "/chat/completions")."""
        if not parts or parts[-1] not in _HTTP_CALLS:
            return None
        texts = [
            node.value
            for argument in [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "url")]
            for node in ast.walk(self._resolved(argument))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        vendor = next((vendor for path, vendor in _PATHS.items() if any(path in text for text in texts)), None)
        return None if vendor is None else f"{vendor} (HTTP)"

    def _resolved(self, value: ast.expr) -> ast.expr:
        """What a name of the file stands for, or a call of one of its functions without arguments."""
        is_named = isinstance(value, ast.Name | ast.Attribute | ast.Call)
        return self._constants.get(ast.unparse(value), value) if is_named else value

    def _call(self, call: ast.Call, sdk: str, function: str | None) -> ModelCall:
        value = self._model(call)
        model, variable = (None, None) if value is None else self._known(value)
        return ModelCall(
            line=call.lineno,
            sdk=sdk,
            call=ast.unparse(call.func),
            model=model,
            variable=variable,
            expression=None if value is None else ast.unparse(value),
            function=function,
        )

    def _model(self, call: ast.Call) -> ast.expr | None:
        """The expression for the model: a keyword, the first argument, or a key of the JSON that is sent."""
        for keyword in call.keywords:
            if keyword.arg in _MODEL_KEYWORDS:
                return keyword.value
        name = _chain(call.func)[-1]
        if call.args and name in _MODEL_FIRST:
            return call.args[0]
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
            for node in ast.walk(self._resolved(argument)):
                if isinstance(node, ast.Dict):
                    for key, value in zip(node.keys, node.values, strict=True):
                        if isinstance(key, ast.Constant) and key.value == "model":
                            return value
        return None

    def _known(self, value: ast.expr) -> tuple[str | None, str | None]:
        """The model's name, and the variable that holds it, each where it is known."""
        value = self._resolved(value)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value, None
        if isinstance(value, ast.Subscript) and ast.unparse(value.value) in ("os.environ", "environ"):
            return None, _text(value.slice)
        if isinstance(value, ast.Call) and ast.unparse(value.func) in (
            *("os.getenv", "getenv", "os.environ.get", "environ.get"),
        ):
            default = _text(value.args[1]) if len(value.args) > 1 else None
            return default, _text(value.args[0]) if value.args else None
        return None, None


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _chain(function: ast.expr) -> list[str]:
    """The names of `a.b().c`, without calls between: `a`, `b`, `c`; empty where it is no such chain."""
    parts: list[str] = []
    node: ast.expr = function
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Name):
            return [*reversed([*parts, node.id])]
        else:
            return [*reversed(parts)]
