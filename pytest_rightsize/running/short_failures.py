"""Short representations of wrong answers: the assertion's own words and where it stands, without the source around it.

For the source of a failure pytest parses the whole file, so that each failure costs more the longer the file is. A
trial that is data is not shown as pytest shows a failure; an error, or a session that asks for tracebacks, gets all.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any

import pytest

from pytest_rightsize.answers import Transcript
from pytest_rightsize.running.full_story import is_asked_for
from pytest_rightsize.running.grading import Ending, grade
from pytest_rightsize.running.lean_items import pack_attributes

__all__ = ["asks_for_tracebacks", "short_failure", "show_whole"]

# Styles of --tb that show no source, and the one that pytest takes where none is given.
_STYLES_WITHOUT_SOURCE = ("auto", "line", "no")
# Options that show more of a failure than pytest does by itself.
_OPTIONS = ("fulltrace", "showlocals", "usepdb", "xfail_tb")


def asks_for_tracebacks(config: pytest.Config) -> bool:
    """Whether options ask for the source of what is too small: --tb=long, --showlocals, --pdb, -rt and the like."""
    return (
        is_asked_for(config)
        or config.getoption("tbstyle", "auto") not in _STYLES_WITHOUT_SOURCE
        or any(config.getoption(option, False) for option in _OPTIONS)
    )


@contextmanager
def short_failure(item: pytest.Item, call: pytest.CallInfo[None], transcript: Transcript | None) -> Iterator[None]:
    """Let a report that is made within be short, if the failure in `call` is a wrong answer and nobody asked for more.

    `transcript` holds what the test was answered; None for a test that is no trial.
    """
    if transcript is None or not _is_data(call, transcript) or not _is_pytests_own(item):
        yield
        return
    if asks_for_tracebacks(item.config):
        yield
        return
    item.__dict__["_repr_failure_py"] = partial(_short, item)  # of this item, until its report is made
    try:
        yield
    finally:
        del item.__dict__["_repr_failure_py"]
        pack_attributes(item)


def show_whole(report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Make the representation whole of a failure that is the test's own after all."""
    shown = getattr(report.longrepr, "reprtraceback", None)
    is_short = shown is not None and shown.style == "line" and item.config.getoption("tbstyle", "auto") == "auto"
    if is_short and call.excinfo is not None:
        report.longrepr = item.repr_failure(call.excinfo)


def _is_data(call: pytest.CallInfo[None], transcript: Transcript) -> bool:
    """Whether the test failed, and the failure is graded as the model's."""
    exception = None if call.excinfo is None else call.excinfo.value
    if exception is None or isinstance(exception, pytest.skip.Exception | pytest.xfail.Exception):
        return False
    judged = isinstance(exception, AssertionError | pytest.fail.Exception)
    end = Ending(kind="failed", in_setup=call.when == "setup", judged=judged, exception=exception)
    return grade(end, transcript).outcome == "failed"


def _is_pytests_own(item: pytest.Item) -> bool:
    """Whether the item is shown as pytest shows a function: an item of another plugin may show itself otherwise."""
    return (
        isinstance(item, pytest.Function)
        and type(item).repr_failure is pytest.Function.repr_failure
        and type(item)._repr_failure_py is pytest.Function._repr_failure_py
    )


def _short(item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> Any:  # noqa: ARG001  # pytest gives it
    """The exception's type and text, and the line that raised it: what `--tb=line` shows.

    Of the frames that called the test nothing is shown, and to go through them takes most of the time.
    """
    shown = pytest.ExceptionInfo.from_exc_info((excinfo.type, excinfo.value, _own_part(item, excinfo.tb)))
    short = shown.getrepr(style="line", abspath=True)
    return short if short.reprcrash is not None else excinfo.getrepr(style="line", abspath=True)


def _own_part(item: pytest.Item, traceback: TracebackType) -> TracebackType:
    """The traceback from the test's function on; the whole where that is not in it, as where a fixture has raised."""
    code = getattr(inspect.unwrap(item.obj), "__code__", None)  # type: ignore[attr-defined]  # a function has it
    own: TracebackType | None = traceback
    while own is not None and own.tb_frame.f_code is not code:
        own = own.tb_next
    return traceback if own is None else own
