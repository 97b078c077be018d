"""Parses the body of an answer as JSON, in the encoding that its header names."""

from pytest_rightsize.records import Json
from pytest_rightsize.strict_json import loads

__all__ = ["json_of"]


def json_of(content: bytes, content_type: str) -> Json:
    """The JSON of an answer, in the encoding that it says; RFC 8259 wants UTF-8."""
    charset = content_type.lower().partition("charset=")[2].strip("\"' ;")
    if charset in ("", "utf-8", "utf8"):
        return loads(content)
    try:
        return loads(content.decode(charset))
    except LookupError:
        return loads(content)
