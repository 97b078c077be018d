"""Lets a thread end without a word, where what ends it is no failure of the test that started it."""

import contextlib
import sys
import threading

__all__ = ["end_quietly"]


def end_quietly(*quiet: type[BaseException]) -> None:
    """Have this thread end without a word if one of `quiet` ends it: pytest would warn of it in another test."""
    thread = threading.current_thread()
    # A pool keeps such an exception for who asks for the result; a thread on its own hands it to threading.excepthook.
    tell = getattr(thread, "_invoke_excepthook", None)
    if thread is threading.main_thread() or tell is None:
        return

    def tell_of_others(ended: threading.Thread) -> None:
        if not isinstance(sys.exc_info()[1], quiet):
            tell(ended)

    with contextlib.suppress(AttributeError):
        thread._invoke_excepthook = tell_of_others  # type: ignore[attr-defined]  # CPython has it
