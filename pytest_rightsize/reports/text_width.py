"""How many columns of a terminal a text takes: letters of East Asia and most emoji take two. Pure."""

import unicodedata

__all__ = ["columns", "cut", "filled"]


def columns(text: str) -> int:
    """The number of columns that a line takes."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """The beginning of a line that fits into `width` columns, with an ellipsis in its last one where it is cut."""
    if columns(text) <= width:
        return text
    kept = text[: max(0, width - 1)]
    while columns(kept) > width - 1 and kept:
        kept = kept[:-1]
    return f"{kept}…" if width > 0 else ""


def filled(text: str, width: int) -> str:
    """The line with spaces after it, up to `width` columns."""
    return text + " " * (width - columns(text))
