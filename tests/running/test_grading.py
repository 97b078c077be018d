"""Grading of a trial by how its test ended and by its answers."""

import pytest

from pytest_rightsize.answers import Transcript
from pytest_rightsize.errors import FormatError, NoAnswerError, RungError, TooLongError
from pytest_rightsize.records import AnswerRecord
from pytest_rightsize.running.grading import Ending, grade

HEARD = AnswerRecord(text="x", finish_reason="stop")
CUT = AnswerRecord(text="x", finish_reason="length")
REFUSED = AnswerRecord(text="no", finish_reason="content_filter")


def failed(exception: BaseException, *, judged: bool = False, in_setup: bool = False) -> Ending:
    """A test that ended by an exception."""
    return Ending(kind="failed", exception=exception, judged=judged, in_setup=in_setup)


@pytest.mark.parametrize(
    ("ending", "answers", "outcome", "reason"),
    [
        (Ending(kind="passed"), [HEARD], "passed", None),
        (Ending(kind="passed"), [], "error", "unasked"),
        (failed(AssertionError(), judged=True), [HEARD], "failed", "wrong"),
        (failed(AssertionError(), judged=True), [CUT], "failed", "truncated"),
        (failed(AssertionError(), judged=True), [REFUSED], "failed", "refusal"),
        (failed(FormatError("x")), [HEARD], "failed", "format"),
        (failed(KeyError("name")), [HEARD], "failed", "format"),
        (failed(ValueError("int('x')")), [HEARD], "failed", "format"),
        (failed(KeyError("before any answer")), [], "error", "test"),
        (failed(NameError("answr")), [HEARD], "error", "test"),
        (failed(FileNotFoundError("cases.csv")), [HEARD], "error", "test"),
        (failed(AssertionError(), judged=True), [], "error", "test"),
        (failed(AssertionError(), judged=True, in_setup=True), [], "error", "test"),
        (failed(AssertionError(), judged=True, in_setup=True), [HEARD], "failed", "wrong"),
        (failed(Exception("Timeout (>1.0s) from pytest-timeout."), judged=True), [HEARD], "error", "timeout"),
        (Ending(kind="skipped"), [HEARD], "not_run", "skipped"),
        (Ending(kind="xfailed"), [HEARD], "not_run", "xfail"),
    ],
)
def test_grade(ending: Ending, answers: list[AnswerRecord], outcome: str, reason: str | None) -> None:
    result = grade(ending, Transcript(answers=answers))
    assert (result.outcome, result.reason) == (outcome, reason)


@pytest.mark.parametrize(
    "ending", [Ending(kind="passed"), failed(AssertionError(), judged=True), Ending(kind="skipped")]
)
def test_a_fault_is_an_error_whatever_the_test_made_of_it(ending: Ending) -> None:
    """A test that catches the exception and passes, or asserts on nothing, has still not heard the model."""
    result = grade(ending, Transcript(fault=RungError("refused", reason="transport")))
    assert (result.outcome, result.reason, result.detail) == ("error", "transport", "refused")


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("budget", "not_run"),
        ("offline", "not_run"),
        ("private", "not_run"),
        ("down", "error"),
        ("transport", "error"),
        ("missing", "error"),
    ],
)
def test_a_request_that_the_user_forbids_is_not_run_and_any_other_fault_is_an_error(reason: str, outcome: str) -> None:
    result = grade(Ending(kind="passed"), Transcript(fault=RungError("no answer", reason=reason)))
    assert (result.outcome, result.reason) == (outcome, reason)


def test_a_fault_without_a_reason_is_a_crash() -> None:
    fault = Transcript(fault=ZeroDivisionError("division by zero"))  # type: ignore[arg-type]  # a third party's provider
    result = grade(Ending(kind="passed"), fault)
    assert (result.outcome, result.reason, result.detail) == ("error", "crash", "division by zero")


def test_a_failure_is_in_the_tests_body_and_no_assertion_unless_it_says_so() -> None:
    ending = Ending(kind="failed", exception=ValueError("x"))
    assert (ending.in_setup, ending.judged) == (False, False)
    assert grade(ending, Transcript(answers=[HEARD])).reason == "format"


def test_only_the_last_answer_says_whether_the_model_was_cut_off() -> None:
    for answers, reason in (([CUT, HEARD], "wrong"), ([HEARD, CUT], "truncated")):
        assert grade(failed(AssertionError(), judged=True), Transcript(answers=answers)).reason == reason


@pytest.mark.parametrize("reason", ["refusal", "format", "truncated"])
def test_what_the_model_did_instead_of_answering_is_held_against_it(reason: str) -> None:
    fault = NoAnswerError("no", reason=reason)
    for end in (failed(fault), Ending(kind="passed")):  # a test that catches the error has not been answered either
        result = grade(end, Transcript(fault=fault))
        assert (result.outcome, result.reason) == ("failed", reason)


def test_a_call_that_the_model_wrote_wrongly_is_a_fault_of_form() -> None:
    result = grade(
        failed(AssertionError("x"), judged=True), Transcript(answers=[AnswerRecord(text="", finish_reason="malformed")])
    )
    assert (result.outcome, result.reason) == ("failed", "format")


@pytest.mark.parametrize(("exception", "place"), [(KeyError("name"), "app.py:12"), (FormatError("no JSON"), None)])
def test_the_place_of_an_accident_is_told_but_not_that_of_an_answer_of_the_wrong_form(
    exception: Exception, place: str | None
) -> None:
    """A KeyError may be the application's; a FormatError is raised by the plugin, which says all there is to say."""
    ending = Ending(kind="failed", exception=exception, raised_at="app.py:12")
    result = grade(ending, Transcript(answers=[HEARD]))
    assert (result.outcome, result.reason, result.raised_at) == ("failed", "format", place)


def test_a_prompt_too_long_is_held_against_the_rung() -> None:
    result = grade(failed(TooLongError("300 tokens")), Transcript(fault=TooLongError("300 tokens")))
    assert (result.outcome, result.reason) == ("failed", "too_long")
