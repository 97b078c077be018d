"""Makes foreign text harmless to read: an answer, an error body, a template's words, the name of a task. Pure.

Control characters and those that change the direction of text are shown by name and have no effect. Every writer of a
terminal, a log line or a file for people uses one of these functions.
"""

import re

__all__ = ["json_escaped", "one_line", "printable", "visible"]

# C0 and C1 controls except tab and newline, marks of direction, characters without width, and lone surrogates.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_BREAK = re.compile("[\t\n]")
# GitHub Actions takes a line that begins with `::` for a command, and `##[` anywhere in a line.
_COMMAND = re.compile(r"^(\s*):(?=:)|#(?=#\[)", re.MULTILINE)


def visible(text: str) -> str:
    """The text with each such character as `[U+202E]`; it keeps its lines."""
    return _HIDDEN.sub(_by_name, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """`visible`, with tabs and ends of lines by their names too: for a name, which stands within a line."""
    return _BREAK.sub(_by_name, visible(text))


def printable(text: str) -> str:
    """`visible`, and no line is a command to the CI system that reads the output."""
    return _COMMAND.sub(_command_by_name, visible(text))


def json_escaped(line: str) -> str:
    """A line of JSON whose strings have such characters by their numbers, as JSON writes them: the same data."""
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def _by_name(match: re.Match[str]) -> str:
    return f"[U+{ord(match[0]):04X}]"


def _command_by_name(match: re.Match[str]) -> str:
    return f"{match[1] or ''}[U+{ord(match[0][-1]):04X}]"
