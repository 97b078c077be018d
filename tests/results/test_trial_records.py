"""What a trial says of itself: how it ended, whose fault it was, and its line in a results file."""

from dataclasses import replace
from typing import Any

import pytest

from pytest_rightsize.records import AnswerRecord, Reply, Run, Rung, Trial, TrialKey

KEY = TrialKey(task="t", case="test_it.py::test_it[a]", rung="1b", sample=2)


def trial(**facts: Any) -> Trial:
    known: dict[str, Any] = {"key": KEY, "outcome": "passed"}
    return Trial(**known | facts)


@pytest.mark.parametrize(
    ("outcome", "sampled", "ended"),
    [
        ("passed", None, "passed"),
        ("failed", None, "failed"),
        ("error", None, None),
        ("skipped", None, None),
        ("given_up", None, None),
        ("not_run", None, None),
        ("not_run", "passed", "passed"),
        ("not_run", "failed", "failed"),
        ("not_run", "error", None),
    ],
)
def test_a_trial_ended_as_passed_or_failed_or_not_at_all(outcome: str, sampled: str | None, ended: str | None) -> None:
    assert trial(outcome=outcome, sampled=sampled).ended == ended


@pytest.mark.parametrize(
    ("facts", "is_fault"),
    [
        ({"outcome": "error", "reason": "transport"}, True),
        ({"outcome": "error", "reason": "timeout", "detail": "no answer within 5 s"}, True),
        ({"outcome": "error"}, True),
        ({"outcome": "error", "reason": "test"}, False),
        ({"outcome": "error", "reason": "unasked"}, False),
        ({"outcome": "error", "reason": "unserved"}, False),
        ({"outcome": "error", "reason": "timeout", "detail": "Timeout (>1.0s) from pytest-timeout."}, False),
        ({"outcome": "failed", "reason": "wrong"}, False),
        ({"outcome": "failed", "reason": "transport"}, False),
        ({"outcome": "passed"}, False),
    ],
)
def test_only_an_error_that_is_not_the_tests_own_is_a_fault(facts: dict[str, Any], is_fault: bool) -> None:
    assert trial(**facts).is_fault == is_fault


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"outcome": "failed", "reason": "wrong", "detail": "no", "raised_at": "KeyError at test_it.py:12"},
        {"outcome": "not_run", "reason": "settled", "sampled": "failed", "seconds": 1.5},
    ],
)
def test_a_line_of_a_results_file_holds_what_the_trial_does_and_nothing_that_it_lacks(facts: dict[str, Any]) -> None:
    line = trial(**facts).to_dict()
    assert Trial.from_dict(line) == trial(**facts)
    assert (line["task"], line["case"], line["rung"], line["sample"]) == ("t", KEY.case, "1b", 2)
    for name in ("raised_at", "sampled"):
        assert line.get(name, "absent") == facts.get(name, "absent")
    assert "judgements" not in line


def test_what_nobody_said_of_a_reply_is_unknown() -> None:
    reply = Reply(text="x")
    assert (reply.retries, reply.replayed, reply.after_s) == (0, False, 0.0)
    assert (reply.seconds, reply.energy, reply.cost_usd) == (None, None, None)
    assert AnswerRecord(text="x").retries == 0


def test_how_a_run_is_read_is_no_part_of_it() -> None:
    run = Run(rungs=(Rung(name="1b", provider="replay"),), trials=(trial(),))
    read = replace(run, read_texts=lambda one: one, read_data=lambda _: None)
    assert read == run
    assert repr(read) == repr(run)
