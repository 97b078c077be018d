"""The compatibility table of docs/sdks.md: from the outcomes of the suites to Markdown, and back.

`RIGHTSIZE_SDKS=write` has the tests of this folder write it; `tox run -e sdks` prints it.
"""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "COLUMNS",
    "SUITES",
    "Suite",
    "cells_of",
    "functions_in",
    "in_page",
    "name_of",
    "read",
    "with_table",
    "written",
]

FOLDER = Path(__file__).parent / "suites"
# Each column's heading, by the beginning of its tests' names.
COLUMNS = {
    "ask": "ask",
    "stream": "stream",
    "tool_call": "tool call",
    "json_schema": "JSON schema",
    "async": "async",
    "responses": "Responses",
    "refused": "refused",
}
_BEGIN, _END = "<!-- table: printed by `tox run -e sdks` -->", "<!-- end of table -->"
Cells = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One row: a file of `suites/`, the package whose version is told, and how the application finds the endpoint."""

    name: str
    package: str | None
    by: str
    needs: Sequence[str] = field(default=())

    @property
    def file(self) -> Path:
        """The suite's tests."""
        return FOLDER / f"{self.name}_suite.py"


SUITES = (
    Suite(name="model_client", package="openai", by="`model.client`"),
    Suite(name="openai", package="openai", by="variables"),
    Suite(name="anthropic", package="anthropic", by="variables"),
    Suite(name="google_genai", package="google-genai", by="variables"),
    Suite(name="ollama", package="ollama", by="variables"),
    Suite(name="langchain_openai", package="langchain-openai", by="variables"),
    Suite(name="pydantic_ai", package="pydantic-ai-slim", by="variables"),
    Suite(name="openai_agents", package="openai-agents", by="variables"),
    Suite(name="instructor", package="instructor", by="variables"),
    Suite(name="litellm", package="litellm", by="variables; openai/, anthropic/, gemini/ and ollama_chat/"),
    Suite(name="http", package=None, by="a URL", needs=("requests",)),
)


def name_of(suite: Suite, version: str | None = None) -> str:
    """What stands in the first column; without a version, how that begins."""
    if suite.package is None:
        return "requests, urllib, aiohttp, node, a child process"
    return f"{suite.package} {version or ''}"


def functions_in(suite: Suite) -> list[str]:
    """The names of a suite's tests, in order."""
    tree = ast.parse(suite.file.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.name for node in tree.body if isinstance(node, kinds) and node.name.startswith("test_")]


def cells_of(functions: Iterable[str], failed: Iterable[str] = ()) -> dict[str, str]:
    """What stands under each heading: `ok` and what was tried beside the plain thing, or what fails."""
    failures = set(failed)
    cells: dict[str, str] = {}
    for prefix, heading in COLUMNS.items():
        names = [name for name in functions if re.match(rf"test_{prefix}(_|$)", name)]
        tried = [_words(name, prefix) for name in names]
        broken = [_words(name, prefix) or "plain" for name in names if name in failures]
        if broken:
            cells[heading] = f"fails: {', '.join(broken)}"
        elif names:
            more = [words for words in tried if words]
            cells[heading] = f"ok ({', '.join(more)})" if more else "ok"
        else:
            cells[heading] = ""
    return cells


def _words(function: str, prefix: str) -> str:
    return function.removeprefix(f"test_{prefix}").strip("_").replace("_", " ")


def written(rows: Sequence[tuple[str, str, Cells]]) -> str:
    """The table of rows, each with its name and version, the way in, and its cells by heading."""
    headings = ["SDK", "by", *COLUMNS.values()]
    lines = [headings, ["---"] * len(headings)]
    lines += [[name, by, *(cells[heading] for heading in COLUMNS.values())] for name, by, cells in rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |").replace("|  |", "| |") for line in lines)


def read(table: str) -> list[tuple[str, str, Cells]]:
    """The rows of a table; raises ValueError if it has other headings."""
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    if head != ["SDK", "by", *COLUMNS.values()]:
        raise ValueError(f"the table has the headings {head}")
    return [(name, by, dict(zip(COLUMNS.values(), cells, strict=True))) for name, by, *cells in rows]


def in_page(page: str) -> str:
    """The table that stands in a page; raises ValueError where there is none."""
    _, begin, rest = page.partition(f"{_BEGIN}\n")
    table, end, _ = rest.partition(f"\n{_END}")
    if not begin or not end:
        raise ValueError(f"the page has no {_BEGIN} with {_END} after it")
    return table


def with_table(page: str, table: str) -> str:
    """The page with another table."""
    return page.replace(f"{_BEGIN}\n{in_page(page)}\n{_END}", f"{_BEGIN}\n{table}\n{_END}")
