"""The public names of the package, as the page of the Python API lists them, and the examples they have."""

import doctest
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["examples_of", "members_without_example", "public_names", "resolved"]

_DIRECTIVE = re.compile(
    r"^\.\. auto(?P<kind>\w+):: (?P<name>[\w.]+)(?:\(\))?\n(?P<options>(?:   :.*\n)*)", re.MULTILINE
)


def public_names(page: Path) -> dict[str, frozenset[str]]:
    """Every object that the page documents by its full name, with those of its members that the page leaves out."""
    names: dict[str, frozenset[str]] = {}
    for found in _DIRECTIVE.finditer(page.read_text(encoding="utf-8")):
        options = dict(re.findall(r":([\w-]+): ?(.*)", found["options"]))
        hidden = frozenset(re.findall(r"\w+", options.get("exclude-members", "")))
        if found["kind"] == "module":
            names |= {f"{found['name']}.{name}": hidden for name in re.findall(r"\w+", options["members"])}
        else:
            names[found["name"]] = hidden
    return names


def resolved(name: str) -> Any:
    """The object of a full name, as an import finds it."""
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def examples_of(thing: Any, name: str) -> list[doctest.DocTest]:
    """The examples in the docstring of a function, or of a class and its members."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [found for found in finder.find(thing, name, module=import_module(thing.__module__)) if found.examples]


def members_without_example(thing: Any, hidden: frozenset[str] = frozenset()) -> list[str]:
    """What no example uses: the thing itself (as ""), or a public method or property of a class."""
    examples = examples_of(thing, "it")
    if not examples:
        return [""]
    source = "".join(example.source for found in examples for example in found.examples)
    used = {*re.findall(r"\w+", source)}
    return [member for member in _members(thing) if member not in used | hidden]


def _members(thing: Any) -> Iterator[str]:
    """The public methods and properties that a class has from this package."""
    if not isinstance(thing, type):
        return
    for kind in thing.__mro__:
        if kind.__module__.partition(".")[0] in ("pytest_rightsize", "tests"):
            for name, value in vars(kind).items():
                if not name.startswith("_") and (callable(value) or isinstance(value, property | classmethod)):
                    yield name
