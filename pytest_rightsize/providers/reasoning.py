"""What of a model's text is reasoning, for those who count its tokens; pure."""

__all__ = ["reasoning_in"]


def reasoning_in(text: str) -> str:
    """What stands between `<think>` and `</think>`; empty where there is nothing.

    A chat template may have written the first one already, and an answer may have been cut off before the second.
    """
    before, closed, _ = text.partition("</think>")
    head, opened, rest = before.partition("<think>")
    return rest if opened else head if closed else ""
