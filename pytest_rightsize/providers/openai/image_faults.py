"""Faults of requests with images: an image that an endpoint does not take is no failure of its model; pure."""

import re
from collections.abc import Mapping
from dataclasses import replace

from pytest_rightsize.providers.openai.faults import Fault
from pytest_rightsize.records import Request

__all__ = ["about_images"]

_TOO_LARGE = 413
# What endpoints say of a body, or of an image in it; of a context they speak of tokens and of its length.
_OF_BYTES = re.compile(r"image_url|request.too.large|string too long|maximum size", re.IGNORECASE)
_HINT = "if this rung's model takes no images, set images = false in the ladder file"


def about_images(fault: Fault, request: Request) -> Fault:
    """The fault of a request: with images in it, one that is too large by its bytes says nothing of the context."""
    if not _has_images(request):
        return fault
    if fault.kind == "too_long" and (fault.status == _TOO_LARGE or _OF_BYTES.search(fault.words)):
        fault = replace(fault, kind="request")
    return replace(fault, words=f"{fault.words} ({_HINT})") if fault.kind == "request" else fault


def _has_images(request: Request) -> bool:
    contents = [message.get("content") for message in request.messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return any(isinstance(part, Mapping) and part.get("type") == "image_url" for part in parts)
