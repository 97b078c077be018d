"""Tokens apart, and which counts of reasoning can be believed."""

import pytest

from pytest_rightsize.answers import answer_record
from pytest_rightsize.judging.economy import economy
from pytest_rightsize.judging.token_counts import rung_tokens, says_it_reasons
from pytest_rightsize.judging.usage import usage_of
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import AnswerRecord, Policy, Reply, Run, Rung, Tokens, Trial, TrialKey
from pytest_rightsize.reports.markdown import MarkdownReport

Counts = tuple[int | None, int | None, int | None]


def trials(rung: str, *answers: Counts, passed: str | None = None) -> list[Trial]:
    """A trial for each answer's counts of prompt, completion and reasoning; each is another case."""
    marks = passed or "1" * len(answers)
    return [
        Trial(
            key=TrialKey(task="t", case=f"c{place}", rung=rung),
            outcome="passed" if mark == "1" else "failed",
            answers=(AnswerRecord(text="x", tokens=Tokens(prompt=prompt, completion=completion, reasoning=reasoning)),),
        )
        for place, ((prompt, completion, reasoning), mark) in enumerate(zip(answers, marks, strict=True))
    ]


def test_each_kind_has_a_mean_and_what_a_passed_case_takes_is_a_total() -> None:
    found = rung_tokens(trials("r", (10, 6, 4), (20, 2, 0), passed="10"))
    assert (found.prompt, found.completion, found.reasoning) == (15, 4, 2)
    assert (found.completion_per_pass, found.reasoning_share, found.doubt) == (8, 0.5, None)
    assert found.to_dict()["completion_tokens_per_trial"] == 4


@pytest.mark.parametrize(
    ("answers", "reasons", "share", "doubt"),
    [
        ([(1, 100, 120)], False, None, "120 reasoning tokens are reported of 100 completion tokens"),
        ([(1, 100, 0)], True, None, "it reasons, and reports 0 reasoning tokens"),
        ([(1, 100, 0)], False, 0.0, None),
        ([(1, 100, 0), (1, 100, 50)], True, 0.25, None),  # it need not reason each time
        ([(1, 100, None)], True, None, None),
        ([(1, None, 5)], False, None, None),
        ([(1, 100, 120), (1, 300, 20)], False, 0.35, None),
    ],
)
def test_a_share_that_cannot_be_is_unknown_and_never_0(
    answers: list[Counts], reasons: bool, share: float | None, doubt: str | None
) -> None:
    found = rung_tokens(trials("r", *answers), reasons=reasons)
    assert (found.reasoning_share, found.doubt) == (share, doubt)
    assert found.impossible == sum((reasoning or 0) > (completion or 10**9) for _, completion, reasoning in answers)
    options = {"reasoning": True} if reasons else {}
    run = Run(rungs=[Rung(name="r", provider="replay", options=options)], trials=trials("r", *answers))
    for usage in (usage_of(run).by_task_rung["t", "r"], usage_of(run).by_rung["r"]):
        assert (usage.reasoning_share, usage.reasoning_doubt) == (share, doubt)
        if doubt is not None:
            assert (usage.answer_tokens, usage.reasoning.complete) == (None, None)
    if doubt is not None:
        assert usage_of(run).total.reasoning.complete is None


def test_ratios_of_each_kind_have_intervals_and_a_doubtful_one_has_a_reason() -> None:
    a = {trial.key.case: [trial] for trial in trials("a", (10, 40, 20), (10, 90, 45), (10, 20, 10))}
    b = {trial.key.case: [trial] for trial in trials("b", (10, 20, 30), (10, 30, 35), (10, 10, 12))}
    found = economy(a, b, names=("a", "b"))
    assert found.ratios["prompt_tokens"].value == 1
    assert found.ratios["completion_tokens"].value == pytest.approx(12 ** (1 / 3))
    assert found.ratios["completion_tokens"].low is not None
    assert found.to_dict()["completion_tokens"]["of_totals"] == 2.5
    assert found.unknown["reasoning_tokens"] == (
        "not known: of b, 77 reasoning tokens are reported of 60 completion tokens"
    )


def test_a_few_impossible_counts_are_a_caution() -> None:
    a = {trial.key.case: [trial] for trial in trials("a", (10, 40, 20), (10, 90, 91))}
    b = {trial.key.case: [trial] for trial in trials("b", (10, 20, 10), (10, 30, 15))}
    found = economy(a, b, names=("a", "b"))
    assert "reasoning_tokens" in found.ratios
    assert found.cautions == {"reasoning_tokens": "1 of 2 answers of a report more reasoning than completion tokens"}


@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        ({}, False),
        ({"reasoning": True}, True),
        ({"reasoning": {"open": "<a>", "close": "</a>"}}, True),
        ({"reasoning": False}, False),
        ({"reasoning_effort": "high"}, True),
        ({"reasoning_effort": "none"}, False),
        ({"chat_template_kwargs": {"enable_thinking": True}}, True),
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
    ],
)
def test_the_ladder_file_says_which_models_reason(options: dict[str, object], reasons: bool) -> None:
    assert says_it_reasons(Rung(name="r", provider="openai", options=options)) is reasons


def test_reasoning_that_is_there_was_not_0_tokens() -> None:
    rung = Rung(name="r", provider="openai")
    counted = Tokens(prompt=1, completion=9, reasoning=0, source="reported")
    assert answer_record(Reply(text="4", reasoning="hm", tokens=counted), rung).tokens.reasoning is None
    assert answer_record(Reply(text="4", tokens=counted), rung).tokens.reasoning == 0


def test_markdown_has_a_row_of_each_model() -> None:
    options = {"reasoning": True}
    run = Run(
        rungs=[Rung(name="a", provider="replay"), Rung(name="b", provider="replay", options=options)],
        trials=[*trials("a", (10, 40, 10), (10, 60, 15)), *trials("b", (None, 40, 0))],
        policies={"t": Policy(task="t")},
    )
    text = MarkdownReport().render(run, judge(run))
    assert "| a | 2 | 10 | 50 | 12.5 | 25 % |" in text
    assert "| b | 1 | not known | 40 | not known | not known |" in text


def test_what_a_passed_case_takes_is_the_total_over_those_that_passed() -> None:
    assert rung_tokens(trials("r", (1, 6, 0), (1, 3, 0), (1, 3, 0), passed="101")).completion_per_pass == 6
    assert rung_tokens(trials("r", (1, 6, 0), passed="0")).completion_per_pass is None


def test_a_rung_is_not_taken_for_a_reasoning_model_and_may_reason_only() -> None:
    assert rung_tokens(trials("r", (1, 100, 0))).doubt is None
    assert rung_tokens(trials("r", (1, 100, 100))).impossible == 0
    assert rung_tokens(trials("r", (1, 100, 101), (1, 9, 1))).impossible == 1


def test_there_is_no_caution_about_a_ratio_that_is_not_known() -> None:
    a = {trial.key.case: [trial] for trial in trials("a", (10, 40, 20), (10, 90, 91))}
    b = {trial.key.case: [trial] for trial in trials("b", (10, 20, None), (10, 30, None))}
    found = economy(a, b, names=("a", "b"))
    assert "reasoning_tokens" in found.unknown
    assert found.cautions == {}
