"""Names of cases as people wrote them. Pure."""

import re

__all__ = ["readable_case"]

# pytest escapes what is not ASCII in an id, and doubles a backslash that stood there before.
_ESCAPED = re.compile(r"(?<!\\)(?:\\x([89a-f][0-9a-f])|\\u([0-9a-f]{4})|\\U(000[0-9a-f]{5}|0010[0-9a-f]{4}))")


def readable_case(case: str) -> str:
    r"""The case's name with its letters instead of pytest's escapes: `Gr\xf6\xdfe` is `Größe`."""
    return _ESCAPED.sub(lambda match: chr(int(match[1] or match[2] or match[3], 16)), case)
