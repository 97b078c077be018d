"""Reads the blocks of a page of the documentation: what is a file, what is run, and what is shown only, and why.

A comment before a block says what becomes of it: `<!-- file: NAME -->` writes it, `<!-- not run: REASON -->` shows it
only. Any other block of `console` is run, of `python` executed, and of `toml`, `yaml` and `json` read.
"""

import doctest
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "Command", "blocks_of", "commands_in", "shows"]

_BLOCK = re.compile(
    r"(?:<!-- (?P<note>(?:file|not run): [^\n]*?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block: its language, text and line; `file` is where it is written, `reason` why it is only shown."""

    language: str
    text: str
    line: int
    file: str | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of a console block, and the output that the page shows of it."""

    words: str
    output: str


def blocks_of(path: Path) -> Iterator[Block]:
    """The blocks of a page, from top to bottom."""
    text = path.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        kind, _, value = (found["note"] or "").partition(": ")
        indent = len(found["indent"])
        yield Block(
            language=found["language"],
            text="".join(line[indent:] for line in found["text"].splitlines(keepends=True)),
            line=text.count("\n", 0, found.start("language")) + 1,
            file=value if kind == "file" else None,
            reason=value if kind == "not run" else None,
        )


def commands_in(block: Block) -> Iterator[Command]:
    """The commands of a console block: `$ command`, and the lines below it up to the next one."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        words, _, output = part.replace("\\\n", " ").partition("\n")
        yield Command(words=words, output=output)


def shows(said: str, shown: str, folder: Path) -> bool:
    """Whether the output that a page shows is that of a command in the folder.

    `...` stands for any text, and no output for any.
    """
    if not shown.strip():
        return True
    plain = "\n".join(line.rstrip() for line in said.replace(str(folder), "").splitlines())
    return doctest.OutputChecker().check_output(shown.strip() + "\n", plain.strip() + "\n", _SAME)
