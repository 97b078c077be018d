"""What a smaller rung saves against a chosen one that was not run: an estimate, called one, or nothing."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pytest_rightsize.judging.conclusions import Conclusion, conclude
from pytest_rightsize.judging.estimated_savings import MeanLengths
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import AnswerRecord, Policy, Price, Run, Rung, Tokens, Trial, TrialKey
from pytest_rightsize.reports.facts import gather, headline
from pytest_rightsize.reports.html.report import HtmlReport
from pytest_rightsize.reports.markdown import MarkdownReport
from pytest_rightsize.reports.saving_words import saving_words

SMALL = Rung(name="small", provider="openai", price=Price(prompt=1.0, completion=2.0))
LARGE = Rung(name="large", provider="openai", price=Price(prompt=10.0, completion=100.0, cached=1.0))
COUNTED = Tokens(prompt=1000, completion=100, source="reported")


def trial(task: str, case: str, rung: Rung, tokens: Tokens | None, sample: int = 0) -> Trial:
    """A passed trial of one answer, or one that was not run."""
    key = TrialKey(task=task, case=case, rung=rung.name, sample=sample)
    if tokens is None:
        return Trial(key=key, outcome="not_run", reason="settled", detail="settled: small passes")
    cost = rung.price.cost_usd(tokens) if rung.price else None
    return Trial(key=key, outcome="passed", answers=(AnswerRecord(text="x", tokens=tokens, cost_usd=cost),))


def run_of(*trials: Trial, rungs: tuple[Rung, ...] = (SMALL, LARGE), samples: int = 1) -> Run:
    """A climb over these trials; `large` is what each task has chosen."""
    tasks = dict.fromkeys(trial.key.task for trial in trials)
    return Run(
        rungs=rungs,
        trials=trials,
        policies={task: Policy(task=task, pass_rate=0.5, chosen="large", samples=samples) for task in tasks},
        planned={
            (task, rung.name): sum((trial.key.task, trial.key.rung) == (task, rung.name) for trial in trials)
            for task in tasks
            for rung in rungs
        },
    )


def concluded(run: Run) -> Conclusion:
    return conclude(run, judge(run))[0]


CLIMB = run_of(
    trial("t", "a", SMALL, COUNTED),
    trial("t", "b", SMALL, Tokens(prompt=3000, completion=300, cached=2000, source="reported")),
    trial("t", "a", LARGE, None),
    trial("t", "b", LARGE, None),
)


def test_its_price_at_the_counts_of_the_smaller_rung_is_an_estimate() -> None:
    """Per case: large 2,000 x 10 + 200 x 100 = 40,000 millionths of a dollar, small 2,000 x 1 + 200 x 2 = 2,400."""
    (saving,) = concluded(CLIMB).savings
    assert saving.per_1000 == pytest.approx(40 - 2.4)
    assert saving.chosen_per_1000 == pytest.approx(40)
    assert (saving.quantity, saving.low, saving.high, saving.cases) == ("cost", None, None, 2)
    assert saving.estimate == "its price at the token counts of small"
    assert saving_words(saving) == (
        "small instead of large saves about $37.6 per 1,000 cases "
        "(estimate, as large was not run: its price at the token counts of small)"
    )
    assert concluded(CLIMB).no_savings is None


def test_an_answer_that_costs_nothing_is_taken_for_nothing() -> None:
    """One of two cases has no tokens: per case large takes 500 x 10 + 50 x 100 = 10,000 millionths, small 600."""
    run = run_of(
        trial("t", "a", SMALL, COUNTED),
        trial("t", "b", SMALL, Tokens(prompt=0, completion=0, source="reported")),
        trial("t", "a", LARGE, None),
        trial("t", "b", LARGE, None),
    )
    (saving,) = concluded(run).savings
    assert saving.per_1000 == pytest.approx(10 - 0.6)


def test_how_much_it_writes_is_taken_from_its_answers_to_other_tasks() -> None:
    """It wrote 500 tokens in the other task: 2,000 x 10 + 500 x 100 = 70,000."""
    other = [trial("u", "c", SMALL, COUNTED), trial("u", "c", LARGE, replace(COUNTED, completion=500))]
    (saving,) = concluded(run_of(*CLIMB.trials, *other)).savings
    assert saving.per_1000 == pytest.approx(70 - 2.4)
    assert saving.estimate == "its price at the prompt tokens of small and the length of its other answers"


def test_samples_of_a_case_count_as_one_case() -> None:
    run = run_of(
        trial("t", "a", SMALL, COUNTED),
        trial("t", "a", SMALL, replace(COUNTED, completion=300), sample=1),
        trial("t", "b", SMALL, COUNTED),
        trial("t", "b", SMALL, COUNTED, sample=1),
        trial("t", "a", LARGE, None),
        samples=2,
    )
    (saving,) = concluded(run).savings
    assert saving.cases == 2
    assert saving.per_1000 == pytest.approx((10 + 20 + 10 + 10) / 2 - (1.4 + 1.2) / 2)


def test_a_rung_that_was_run_is_measured_and_not_estimated() -> None:
    run = run_of(*(trial("t", case, rung, COUNTED) for rung in (SMALL, LARGE) for case in "ab"))
    assert {saving.estimate for saving in concluded(run).savings} == {None}


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (
            replace(CLIMB, rungs=(SMALL, replace(LARGE, price=None))),
            "large was not run, and its price is not known: --rightsize-savings=sample shows what small saves",
        ),
        (
            run_of(trial("t", "a", SMALL, replace(COUNTED, completion=None)), trial("t", "a", LARGE, None)),
            "large was not run, and the tokens of small, by which it could be estimated, are not known: --rightsize-",
        ),
        (
            run_of(trial("t", "a", SMALL, replace(COUNTED, prompt=None)), trial("t", "a", LARGE, None)),
            "large was not run, and the tokens of small, by which it could be estimated, are not known: --rightsize-",
        ),
        (
            run_of(
                trial("t", "a", replace(SMALL, price=None), COUNTED),
                trial("t", "a", LARGE, None),
                rungs=(replace(SMALL, price=None), LARGE),
            ),
            "large was not run and would take about $20 per 1,000 cases (estimate: its price at the token counts of "
            "small); what small takes is not known: its price is not known",
        ),
    ],
)
def test_what_is_not_known_is_not_made_up(run: Run, words: str) -> None:
    assert concluded(run).savings == ()
    assert str(concluded(run).no_savings).startswith(words)


def test_reports_call_it_an_estimate_and_no_headline_counts_on_it() -> None:
    verdicts = judge(CLIMB)
    assert headline(gather(CLIMB, verdicts)) == "1 of 1 task could use a smaller model (provisional)"
    for text in (MarkdownReport().render(CLIMB, verdicts), HtmlReport().render(CLIMB, verdicts)):
        words = text.replace("<b>", "").replace("</b> <small>", " ")
        assert "about $37.6 per 1,000 cases (estimate, as large was not run: its price at the token " in words


class CountedPasses(tuple[Trial, ...]):
    """Trials that count how often somebody goes through all of them."""

    passes = 0

    def __iter__(self) -> Iterator[Trial]:
        CountedPasses.passes += 1
        return super().__iter__()


def test_the_trials_of_a_run_are_gone_through_as_often_for_many_tasks_as_for_one() -> None:
    passes = []
    for tasks in (1, 40):
        small = [trial(f"t{task}", case, SMALL, COUNTED) for task in range(tasks) for case in "ab"]
        large = [trial(f"t{task}", case, LARGE, None) for task in range(tasks) for case in "ab"]
        one = run_of(*small, *large)
        run = replace(one, trials=CountedPasses(one.trials))
        CountedPasses.passes = 0
        found = conclude(run, judge(run))
        assert all(conclusion.savings[0].estimate for conclusion in found)
        passes.append(CountedPasses.passes)
    assert passes[0] == passes[1]


def test_the_mean_length_of_a_rung_is_over_its_answers_whose_length_is_known() -> None:
    run = run_of(
        trial("t", "a", SMALL, Tokens(prompt=1, completion=10)),
        trial("t", "b", SMALL, Tokens(prompt=1, completion=20)),
        trial("u", "a", SMALL, Tokens(prompt=1, completion=60)),
        trial("u", "b", SMALL, Tokens(prompt=1)),
        trial("u", "a", LARGE, Tokens(prompt=1)),
    )
    lengths = MeanLengths(run)
    assert (lengths.of("small"), lengths.of("large"), lengths.of("elsewhere")) == (30.0, None, None)
