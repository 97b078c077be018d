"""The Jinja environment that chat templates run in, as transformers sets it up, with bounds on what one may build.

A template comes from whoever published the model. It reaches no attribute of Python's own, changes nothing it is given,
and no single operation of it makes a text of more than `MOST_CHARACTERS`.
"""

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

__all__ = ["MOST_CHARACTERS", "EndlessTemplateError", "Sandbox"]

MOST_CHARACTERS = 10_000_000
_MOST_BITS = 10_000


class EndlessTemplateError(Exception):
    """The template writes without end; the text is a clause that says what stopped it."""


def _bounded(characters: int) -> None:
    if characters > MOST_CHARACTERS:
        raise EndlessTemplateError(f"it writes more than {MOST_CHARACTERS:,} characters")


def _length(value: object) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


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
    """Compiles `~` to a bounded join."""

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

    def __init__(self) -> None:
        """Set up the filters and functions that transformers gives to templates."""
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, jinja2.ext.loopcontrols])
        for name in ("center", "format", "indent", "join", "replace"):
            self.filters[name] = _bounded_filter(name, self.filters[name])
        self.filters["tojson"] = _to_json
        self.globals |= {
            "raise_exception": _raise,
            "strftime_now": lambda form: clocks.now().astimezone().strftime(form),
            "dict": _Dict(),
            "namespace": _Namespace,
        }

    def join_texts(self, parts: Iterable[Any]) -> str:
        """The result of `a ~ b`."""
        texts = [str(part) for part in parts]
        _bounded(sum(map(len, texts)))
        return "".join(texts)

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate, unless the result could be endless."""
        if operator == "+":
            _bounded(_length(left) + _length(right))
        elif operator == "*" and (isinstance(left, int) or isinstance(right, int)):
            times = left if isinstance(left, int) else right
            _bounded((_length(left) or _length(right)) * times if _length(left) or _length(right) else 0)
            _bounded_number(left, right)
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            _bounded(MOST_CHARACTERS + 1 if left.bit_length() * max(right, 1) > _MOST_BITS else 0)
        elif operator == "%" and isinstance(left, str):
            _bounded(_widths(left, right))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **names: Any) -> Any:  # noqa: N805  # as in jinja2
        """Call what the template calls, unless a method of a text would make an endless one."""
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            _bounded_method(owner, getattr(__obj, "__name__", ""), args, names)
        return super().call(__context, __obj, *args, **names)


def _bounded_number(left: Any, right: Any) -> None:
    bits = [value.bit_length() for value in (left, right) if isinstance(value, int)]
    _bounded(MOST_CHARACTERS + 1 if len(bits) == 2 and sum(bits) > _MOST_BITS else 0)


def _widths(form: str, values: Any) -> int:
    """At least as many characters as the widths and precisions of a `%` format ask for."""
    digits = "".join(letter if letter.isdigit() else " " for letter in form).split()
    starred = values if isinstance(values, tuple) else (values,)
    stars = [value for value in starred if isinstance(value, int)] if "*" in form else []
    return sum(int(width[:10]) for width in digits) + sum(abs(value) for value in stars) if digits or stars else 0


def _bounded_method(text: str, name: str, args: tuple[Any, ...], names: Mapping[str, Any]) -> None:
    """Refuse a call whose text could have more than MOST_CHARACTERS."""
    given = [*args, *names.values()]
    numbers = [value for value in given if isinstance(value, int)]
    if name in ("center", "ljust", "rjust", "zfill"):
        _bounded(max(numbers, default=0))
    elif name == "expandtabs":
        _bounded(text.count("\t") * max(numbers, default=8))
    elif name == "replace" and len(given) > 1:
        _bounded(len(text) + (text.count(str(given[0])) * len(str(given[1]))))
    elif name == "join" and given:
        _bounded(len(text) * _length(given[0]))
    elif name in ("format", "format_map"):
        _bounded(_widths(text, tuple(given)))


def _bounded_filter(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, after the check of the method that does the same."""
    is_given_more = getattr(original, "jinja_pass_arg", None)

    def checked(*args: Any, **names: Any) -> Any:
        text, *rest = args[1:] if is_given_more is not None else args
        if name == "join":
            separator = str(rest[0]) if rest else str(names.get("d", ""))
            _bounded(len(separator) * _length(text))
        elif name == "indent":
            width = next((value for value in [*rest, *names.values()] if isinstance(value, int)), 4)
            _bounded(str(text).count("\n") * width)
        elif isinstance(text, str):
            _bounded_method(text, name, tuple(rest), names)
        return original(*args, **names)

    if is_given_more is not None:
        checked.jinja_pass_arg = is_given_more  # type: ignore[attr-defined]  # the mark of jinja2's decorators
    return checked


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as transformers writes it: jinja2's own filter escapes for HTML."""
    _bounded(indent if isinstance(indent, int) else 0)
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(str(message))
