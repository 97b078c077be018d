"""Hostile text made harmless to read: control and direction characters are shown by their names instead of working."""

import re

__all__ = ["visible"]

# C0 and C1 controls but tab and newline; what turns the direction of the text around it; what takes no place on a line.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def visible(text: str) -> str:
    """The text with each such character as `[U+202E]`."""
    return _HIDDEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text.replace("\r\n", "\n"))
