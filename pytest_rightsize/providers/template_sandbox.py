"""The Jinja environment that chat templates run in, as transformers sets it up, with bounds on what one may build.

A template comes from whoever published the model. It reaches no attribute of Python's own, changes nothing it is given,
and no single operation of it makes a text of more than `MOST_CHARACTERS`.
"""

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jinja2
import jinja2.ext
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from pytest_rightsize import clocks
from pytest_rightsize.providers.template_bounds import (
    MOST_CHARACTERS,
    EndlessTemplateError,
    bounded,
    bounded_items,
    bounded_method,
    bounded_number,
    bounded_power,
    bounded_value,
    length,
    percent_length,
)

__all__ = ["MOST_CHARACTERS", "EndlessTemplateError", "Sandbox"]

# No template needs more lists at once.
_MOST_LISTS = 100_000


class _GenerationTag(jinja2.ext.Extension):
    """`{% generation %}` of transformers, which marks the assistant's words there and changes no text."""

    tags = {"generation"}  # noqa: RUF012  # jinja2's own declaration

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.CallBlock:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        # A call, as in transformers: what is set within is not seen outside.
        block = jinja2.nodes.CallBlock(self.call_method("_unchanged"), [], [], body)
        block.set_lineno(line)
        return block

    def _unchanged(self, caller: Callable[[], str]) -> str:
        return caller()


class _Generator(CodeGenerator):
    """Compiles `~` to a bounded join, and lists and mappings to bounded ones."""

    def visit_List(self, node: jinja2.nodes.List, frame: Frame) -> None:  # noqa: N802  # jinja2's name
        """Write `environment.bounded_value([a, b])`."""
        self._write_bounded(super().visit_List, node, frame)

    def visit_Dict(self, node: jinja2.nodes.Dict, frame: Frame) -> None:  # noqa: N802  # jinja2's name
        """Write `environment.bounded_value({a: b})`."""
        self._write_bounded(super().visit_Dict, node, frame)

    def visit_Tuple(self, node: jinja2.nodes.Tuple, frame: Frame) -> None:  # noqa: N802  # jinja2's name
        """Write `environment.bounded_value((a, b))`, unless it is assigned to."""
        if node.ctx == "load":
            self._write_bounded(super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def _write_bounded(self, visit: Callable[[Any, Frame], None], node: jinja2.nodes.Node, frame: Frame) -> None:
        self.write("environment.bounded_value(")
        visit(node, frame)
        self.write(")")

    def visit_Concat(self, node: jinja2.nodes.Concat, frame: Frame) -> None:  # noqa: N802  # jinja2's name
        """Write `environment.join_texts((a, b))`."""
        self.write("environment.join_texts((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Namespace(Namespace):
    """A namespace without names that begin with an underscore."""

    def __init__(*args: Any, **names: Any) -> None:  # as in jinja2: `namespace(self=1)` is allowed
        self, values = args[0], dict(*args[1:], **names)
        for name in values:
            _refuse_private(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)


def _refuse_private(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a name in a namespace begins with an underscore: {name!r}")


class _Dict:
    """`dict(...)`, which has no attributes of Python's class."""

    def __call__(self, *args: Any, **names: Any) -> dict[Any, Any]:
        return dict(*args, **names)

    def fromkeys(self, keys: Iterable[Any], value: Any = None) -> dict[Any, Any]:
        return dict.fromkeys(keys, value)


class Sandbox(ImmutableSandboxedEnvironment):
    """Where chat templates are compiled and rendered."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    code_generator_class = _Generator

    def __init__(self, **settings: Any) -> None:
        """Set up the filters and functions that transformers gives to templates; `settings` are jinja2's own."""
        usual = {"trim_blocks": True, "lstrip_blocks": True}
        super().__init__(**usual | settings, extensions=[_GenerationTag, jinja2.ext.loopcontrols])
        self.filters["tojson"] = _to_json
        for name in self.filters:
            self.filters[name] = _bounded_filter(name, self.filters[name])
        self.globals |= {
            "raise_exception": _raise,
            "strftime_now": lambda form: clocks.now().astimezone().strftime(form),
            "dict": _Dict(),
            "namespace": _Namespace,
        }
        del self.globals["lipsum"]  # texts by chance
        self.bounded_value = bounded_value

    @staticmethod
    def concat(pieces: Iterable[str]) -> str:
        """What a macro, or a block that is set, writes."""
        texts = list(pieces)
        bounded(sum(map(len, texts)))
        return "".join(texts)

    def join_texts(self, parts: Iterable[Any]) -> str:
        """The result of `a ~ b`."""
        texts = [str(part) for part in parts]
        bounded(sum(map(len, texts)))
        return "".join(texts)

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate, unless the result could be endless."""
        if operator == "+":
            bounded(length(left) + length(right))
        elif operator == "*" and (isinstance(left, int) or isinstance(right, int)):
            times = left if isinstance(left, int) else right
            bounded((length(left) or length(right)) * times)
            bounded_number(left, right)
        elif operator == "**":
            bounded_power(left, right)
        elif operator == "%" and isinstance(left, str | bytes):
            bounded(percent_length(left if isinstance(left, str) else left.decode("latin-1"), right))
        return bounded_value(super().call_binop(context, operator, left, right))

    def call(__self, __context: Any, __obj: Any, *args: Any, **names: Any) -> Any:  # noqa: N805  # as in jinja2
        """Call what the template calls, unless it could make something endless."""
        method = getattr(__obj, "__wrapped__", __obj)  # jinja2 hands out str.format in a wrapper of its own
        owner = getattr(method, "__self__", None)
        if isinstance(owner, str | bytes | int):
            bounded_method(owner, getattr(method, "__name__", ""), args, names)
        bounded_value(args)
        bounded_value(names)
        return bounded_value(super().call(__context, __obj, *args, **names))


def _bounded_filter(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, between a check of what it could make and one of what it made."""
    first = 1 if getattr(original, "jinja_pass_arg", None) is not None else 0

    @functools.wraps(original)
    def checked(*args: Any, **names: Any) -> Any:
        before, value, rest = args[:first], args[first], args[first + 1 :]
        if name in ("join", "list"):
            separator = str(rest[0] if rest else names.get("d", "")) if name == "join" else ""
            value = list(bounded_items(value, each=len(separator)))
        else:
            _check_filter(name, value, rest, names)
        result = original(*before, value, *rest, **names)
        bounded(length(result))
        return bounded_value(result)

    return checked


def _check_filter(name: str, value: Any, rest: tuple[Any, ...], names: Mapping[str, Any]) -> None:
    """Refuse a filter whose result could be endless."""
    numbers = [one for one in [*rest, *names.values()] if isinstance(one, int)]
    widest = max([len(one) for one in [*rest, *names.values()] if isinstance(one, str)] + [0])
    if name in ("batch", "slice"):
        bounded(MOST_CHARACTERS + 1 if max(numbers, default=0) > _MOST_LISTS else 0)
    elif name == "indent":
        bounded((str(value).count("\n") + 1) * max([*numbers, widest, 4]) + len(str(value)))
    elif name == "format":
        bounded(percent_length(str(value), tuple(rest) or dict(names)))
    elif name == "wordwrap":
        bounded(len(str(value)) * (1 + widest))
    elif isinstance(value, str):
        bounded_method(value, name, rest, names)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as transformers writes it: jinja2's own filter escapes for HTML."""
    bounded(_json_length(value, indent, separators))
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _json_length(value: Any, indent: int | None, separators: tuple[str, str] | None) -> int:
    """At least as many characters as the space that JSON has between its values."""
    widest = max([len(text) for text in separators or ()] + [indent if isinstance(indent, int) else 0, 0])
    return widest * (len(bounded_value(value)) + 1 if isinstance(value, list | tuple | dict) else 1)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(str(message))
