"""Grades a trial: from how its test ended and which answers it got, to an outcome. Pure.

A wrong answer is the model's fault; a rung that could not answer, or a test that broke before it got an answer, is not.
"""

from dataclasses import dataclass
from typing import Literal

from pytest_rightsize.answers import Transcript
from pytest_rightsize.errors import FormatError, NoAnswerError, RungError
from pytest_rightsize.records import Outcome

__all__ = ["Ending", "Grade", "grade"]

# Faults by which the user keeps a request from being sent.
_NOT_ASKED = ("budget", "offline", "private")
_UNASKED = (
    "the test passed and never asked its rung, so nothing can be said of the rung. An application asks it by [app] "
    "serve = true, or by model.client; one with a fixed base_url is not reached"
)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a test ended: `judged` says that it failed by an assertion (or `pytest.fail`), not by an accident.

    Such an accident was `raised_at` a place, as `KeyError at test_it.py:12`; `is_own_bug` says that it is plainly the
    test's own.
    """

    kind: Literal["passed", "failed", "skipped", "xfailed"]
    in_setup: bool = False
    judged: bool = False
    exception: BaseException | None = None
    is_own_bug: bool = False
    raised_at: str | None = None
    detail: str | None = None


@dataclass(frozen=True, kw_only=True)
class Grade:
    """The outcome of a trial, one word why, and a sentence for people; `raised_at` where a failure was no assertion."""

    outcome: Outcome
    reason: str | None = None
    detail: str | None = None
    raised_at: str | None = None


def grade(ending: Ending, transcript: Transcript) -> Grade:
    """Grade one trial."""
    if transcript.fault is not None:
        return _grade_fault(transcript.fault)
    if ending.kind == "xfailed":
        return Grade(outcome="not_run", reason="xfail", detail=ending.detail)
    if ending.kind == "skipped":
        return Grade(outcome="not_run", reason="skipped", detail=ending.detail)
    if ending.kind == "passed":
        return (
            Grade(outcome="passed") if transcript.answers else Grade(outcome="error", reason="unasked", detail=_UNASKED)
        )
    if transcript.refused is not None:
        return _grade_fault(transcript.refused)
    return _grade_failure(ending, transcript)


def _grade_fault(fault: BaseException) -> Grade:
    """A fault counts whatever the test made of it: it may have caught the exception and asserted on something else."""
    if isinstance(fault, NoAnswerError):
        return Grade(outcome="failed", reason=fault.reason, detail=str(fault))
    reason = getattr(fault, "reason", "crash")
    outcome: Outcome = "not_run" if reason in _NOT_ASKED else "error"
    return Grade(outcome=outcome, reason=reason, detail=str(fault))


def _grade_failure(ending: Ending, transcript: Transcript) -> Grade:
    """The model's failure or the test's own."""
    if "from pytest-timeout" in str(ending.exception):
        return Grade(outcome="error", reason="timeout", detail=ending.detail)
    has_answer = bool(transcript.answers)
    if _is_the_tests_own(ending, has_answer=has_answer):
        return Grade(outcome="error", reason="test", detail=ending.detail)
    finish_reason = transcript.answers[-1].finish_reason if has_answer else None
    if finish_reason == "length":
        return Grade(outcome="failed", reason="truncated", detail=ending.detail)
    if finish_reason == "content_filter":
        return Grade(outcome="failed", reason="refusal", detail=ending.detail)
    by_form = isinstance(ending.exception, FormatError) or not ending.judged or finish_reason == "malformed"
    place = None if isinstance(ending.exception, FormatError) else ending.raised_at
    return Grade(outcome="failed", reason="format" if by_form else "wrong", detail=ending.detail, raised_at=place)


def _is_the_tests_own(ending: Ending, *, has_answer: bool) -> bool:
    """Whether the failure says nothing about the model.

    It counts against the model only once that has given an answer which can cause it; a misspelt name, a missing module
    or a wrong use of the answer itself never does.
    """
    if ending.is_own_bug or isinstance(ending.exception, NameError | ImportError | SyntaxError | OSError | RungError):
        return True
    return not has_answer
