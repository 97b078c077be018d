"""The content of a message as text for people: its texts, and what else it has named in place of its data; pure."""

import json
from collections.abc import Iterator, Mapping

from pytest_rightsize.part_data import Reference, reference_of, with_references
from pytest_rightsize.records import Json

__all__ = ["content_words", "reference_in", "size_words"]

# A part that nobody here knows is shown as it is, unless it is longer.
_LONGEST = 300
_NAMES = {"image_url": ("image", "url"), "input_audio": ("sound", "data"), "file": ("document", "file_data")}


def content_words(content: Json) -> str:
    """The texts of a content, and each image, sound and document by its type, size and hash."""
    if isinstance(content, str):
        return content
    parts = with_references([{"content": content}])[0]["content"] if isinstance(content, list) else [content]
    return "\n".join(_part(part) for part in parts if part)


def reference_in(part: Json) -> Reference | None:
    """What the image, sound or document of a part is known by; None where it is elsewhere, or none."""
    return next(_references(part), None)


def _references(part: Json) -> Iterator[Reference]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if isinstance(kind, str) and kind in _NAMES:
        inner = part.get(kind)
        value = inner.get(_NAMES[kind][1]) if isinstance(inner, Mapping) else inner
        if (found := reference_of(value)) is not None:
            yield found


def _part(part: Json) -> str:
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    reference = reference_in(part)
    if reference is not None:
        name = _NAMES[part["type"]][0]
        return f"[{name}: {reference.media_type or 'type unknown'}, {size_words(reference.size_bytes)}, " + (
            f"SHA-256 {reference.sha256[:12]}]"
        )
    plain = json.dumps(part, ensure_ascii=False)
    if len(plain) <= _LONGEST:
        return plain
    kind = part.get("type", "part") if isinstance(part, Mapping) else "part"
    return f"[{kind}, {len(plain):,} characters]"


def size_words(size_bytes: int) -> str:
    """A size as people read it, as in `12.3 KB`."""
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f} KB"
