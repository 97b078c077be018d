"""Extracts the reasoning from a model's text, so that its tokens can be counted; pure."""

__all__ = ["reasoning_in"]


def reasoning_in(text: str) -> str:
    """The text between `<think>` and `</think>`; empty where there is none.

    A chat template may already have written the opening tag, and an answer may be cut off before the closing one.
    """
    before, closed, _ = text.partition("</think>")
    head, opened, rest = before.partition("<think>")
    return rest if opened else head if closed else ""
