"""Conclusions from usage: the rung that takes least, false economies, savings, and where nothing is claimed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.judging.conclusions import Conclusion, conclude, idle_note
from pytest_rightsize.judging.rung_amounts import meter_errors
from pytest_rightsize.judging.usage import usage_of
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.records import AnswerRecord, Policy, Run, Rung, Tokens, Trial, TrialKey
from pytest_rightsize.reports.saving_words import saving_words
from pytest_rightsize.statistics import mean_difference, ratio_per_success

Amounts = Sequence[float | None]


def energy(joules: float | None, **more: Any) -> Energy:
    if joules is None:
        return Energy(reason="the counter was reset")
    given: dict[str, Any] = {
        "low": joules,
        "high": joules,
        "provenance": "measured",
        "boundary": frozenset({"gpu.board"}),
    }
    return Energy(joules=joules, **(given | more))


def ladder(
    joules: Mapping[str, Amounts],
    *,
    passes: Mapping[str, str] | None = None,
    chosen: str | None = None,
    kinds: Mapping[str, dict[str, Any]] | None = None,
    meters: Sequence[Metering] = (),
) -> Run:
    """A run of one task: for each rung the joules of its cases, and which of them passed."""
    trials = []
    for rung, amounts in joules.items():
        marks = (passes or {}).get(rung, "1" * len(amounts))
        for number, (amount, mark) in enumerate(zip(amounts, marks, strict=True)):
            answer = AnswerRecord(
                text="x",
                tokens=Tokens(prompt=1, completion=1, source="counted"),
                seconds=1.0,
                energy=energy(amount, **(kinds or {}).get(rung, {})),
            )
            outcome: Any = "passed" if mark == "1" else "failed"
            trials.append(
                Trial(key=TrialKey(task="t", case=f"c{number}", rung=rung), outcome=outcome, answers=(answer,))
            )
    return Run(
        rungs=[Rung(name=rung, provider="replay") for rung in joules],
        trials=trials,
        policies={"t": Policy(task="t", pass_rate=0.5, chosen=chosen)},
        planned={("t", rung): len(amounts) for rung, amounts in joules.items()},
        strategy="full",
        meters=meters,
    )


def concluded(run: Run, objective: Any = "size") -> Conclusion:
    return conclude(run, judge(run), objective=objective)[0]


SMALL, LARGE = [8.0, 10.0, 12.0, 9.0], [2.0, 3.0, 2.5, 2.2]


def test_a_smaller_rung_that_takes_more_is_a_false_economy() -> None:
    found = concluded(ladder({"small": SMALL, "large": LARGE})).false_economies
    assert [(one.quantity, one.smaller, one.larger) for one in found] == [("energy", "small", "large")]
    assert found[0].ratio.low is not None
    assert found[0].ratio.low > 1
    assert str(found[0]).startswith("false economy: small takes 4.0")


@pytest.mark.parametrize(
    "run",
    [
        ladder({"small": [5, 1, 5, 1], "large": [1, 5, 1, 5]}),
        ladder({"small": [9], "large": [1]}),
        ladder({"small": LARGE, "large": SMALL}),
        ladder({"small": SMALL, "large": LARGE}, kinds={"large": {"provenance": "modelled"}}),
        ladder({"small": SMALL, "large": LARGE}, kinds={"large": {"boundary": frozenset({"cpu.package"})}}),
        ladder({"small": [*SMALL[:3], None], "large": LARGE}),
        ladder({"small": SMALL, "large": LARGE}, passes={"large": "0001"}),
        ladder({"small": [10, 10.1, 10], "large": [9, 9.1, 9]}, kinds={"small": {"low": 5, "high": 15}}),
    ],
    ids=["tie", "one case", "leaner", "modelled", "another boundary", "unknown", "larger fails", "wide meter"],
)
def test_what_is_not_shown_is_no_false_economy(run: Run) -> None:
    assert concluded(run).false_economies == ()


def test_failures_are_paid_by_what_passes() -> None:
    """A rung that takes 1.5 times as much for a case, but passes twice as often, takes less for a passed case."""
    rows = [(3.0, 2.0, 1.0, float(number % 2)) for number in range(40)]
    ratio = ratio_per_success(rows)
    assert ratio is not None
    assert ratio.value == pytest.approx(0.75)
    assert ratio.low is not None
    assert ratio.low < 0.75 < (ratio.high or 0)


def test_the_leanest_rung_is_named_with_those_it_is_tied_with() -> None:
    leader = concluded(ladder({"a": SMALL, "b": [2.0, 3.1, 2.4, 2.2], "c": LARGE})).leaders[0]
    assert leader.quantity == "energy"
    assert {leader.rung, *leader.tied} == {"b", "c"}
    assert leader.compared == ("a", "b", "c")


def test_what_cannot_be_compared_is_left_out_by_name() -> None:
    run = ladder({"a": SMALL, "b": LARGE, "c": [1, None, 1, 1]}, kinds={"b": {"provenance": "modelled"}})
    leader = concluded(run).leaders[0]
    assert (leader.rung, leader.compared) == ("a", ("a",))
    assert leader.left_out["c"] == "the counter was reset"
    assert "not comparable" in leader.left_out["b"]


def test_recommended_follows_the_objective_and_says_what_it_could_not_compare() -> None:
    run = ladder({"small": SMALL, "large": LARGE, "huge": [None] * 4})
    assert concluded(run).recommended == "small"
    by_energy = concluded(run, "energy")
    assert by_energy.recommended == "large"
    assert by_energy.why == "not compared: huge: the counter was reset"
    assert concluded(run, "cost").recommended is None
    assert "its price is not known" in str(concluded(run, "cost").why)


def test_of_tied_rungs_the_smallest_is_recommended() -> None:
    result = concluded(ladder({"small": [2.0, 3.1, 2.4, 2.2], "large": LARGE}), "energy")
    assert (result.recommended, result.why) == ("small", "tied with large")


def test_a_saving_has_an_interval_over_cases() -> None:
    savings = concluded(ladder({"small": LARGE, "large": SMALL}, chosen="large")).savings
    by = {saving.quantity: saving for saving in savings}
    saved = by["energy"]
    mean = 1000 * (sum(SMALL) - sum(LARGE)) / 4
    interval = mean_difference(zip(SMALL, LARGE, strict=True))
    assert interval is not None
    assert (saved.chosen, saved.instead) == ("large", "small")
    assert saved.per_1000 == pytest.approx(mean)
    assert [saved.low, saved.high] == pytest.approx([1000 * interval.low, 1000 * interval.high])
    assert saving_words(saved).startswith("small instead of large saves 7.33 kJ per 1,000 cases (95 % interval ")
    assert saving_words(saved).endswith("; measured)")
    assert by["prompt_tokens"].per_1000 == by["completion_tokens"].per_1000 == 0


def test_a_saving_holds_what_the_meter_leaves_open() -> None:
    """Shares of a total may be far off each, but their sum is as sure as the total."""
    shares = {"low": 0.0, "high": 40.0, "provenance": "measured_shared"}
    served = {"low": 36.0, "high": 44.0, "provenance": "measured_shared"}
    kinds = {"small": shares, "large": shares}
    loose = concluded(ladder({"small": LARGE, "large": SMALL}, chosen="large", kinds=kinds)).savings[0]
    meters = [Metering(rung=rung, meter="nvml", served=energy(40.0, **served)) for rung in ("small", "large")]
    tight = concluded(ladder({"small": LARGE, "large": SMALL}, chosen="large", kinds=kinds, meters=meters)).savings[0]
    assert loose.low is not None
    assert tight.low is not None
    assert loose.low < 0 < tight.low


def test_a_chosen_rung_that_was_not_run_saves_nothing_that_is_known() -> None:
    result = concluded(ladder({"small": SMALL, "large": []}, chosen="large"))
    assert result.savings == ()
    assert "large was not run" in str(result.no_savings)


def test_conclusions_are_json() -> None:
    run = ladder({"small": SMALL, "large": LARGE}, chosen="large")
    assert json.loads(json.dumps(concluded(run, "energy").to_dict(), allow_nan=False))["recommended"] == "large"


@pytest.mark.parametrize(("idle_w", "said"), [(1.0, False), (10.0, True), (None, False)])
def test_a_ranking_that_idle_power_turns_round_is_told(idle_w: float | None, said: bool) -> None:
    """The slow rung holds a board of 10 W for 6 s and takes 70 J, the fast one for 1 s and takes 40 J."""
    run = ladder({"slow": [17.5] * 4, "fast": [10.0] * 4})
    meters = [
        Metering(rung="slow", meter="nvml", served=energy(70.0), busy_s=6.0, idle_w=idle_w),
        Metering(rung="fast", meter="nvml", served=energy(40.0), busy_s=1.0, idle_w=idle_w),
    ]
    note = idle_note(replace(run, meters=meters), usage_of(run))
    assert (note is not None) == said
    if said:
        assert "above idle power the order is slow < fast, by all joules fast < slow" in str(note)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"served": energy(30.0), "busy_s": 2.5, "idle_w": 10.0, "answers": 2}, True),
        ({"served": energy(30.0), "busy_s": 2.5, "idle_w": None, "answers": 2}, False),
        ({"served": energy(None), "busy_s": 2.5, "idle_w": 10.0, "answers": 2}, False),
        ({"served": None, "busy_s": 2.5, "idle_w": 10.0, "answers": 2}, False),
        ({"served": energy(30.0, provenance="modelled"), "busy_s": 2.5, "idle_w": 10.0, "answers": 2}, False),
    ],
)
def test_idle_power_ranks_a_rung_by_all_of_its_replicas(second: dict[str, Any], said: bool) -> None:
    """Together they hold a board of 10 W for 6 s and take 70 J. By one alone slow would be first by both."""
    run = ladder({"slow": [17.5] * 4, "fast": [10.0] * 4})
    meters = [
        Metering(rung="slow", meter="nvml", served=energy(40.0), busy_s=3.5, idle_w=10.0, answers=2, replica=1),
        Metering(rung="slow", meter="nvml", replica=2, **second),
        Metering(rung="slow", meter="unknown", total=energy(None), replica=3),  # it was asked nothing
        Metering(rung="fast", meter="nvml", served=energy(40.0), busy_s=1.0, idle_w=10.0, answers=4),
    ]
    note = idle_note(replace(run, meters=meters), usage_of(run))
    assert (note is not None) == said
    if said:
        assert "above idle power the order is slow < fast, by all joules fast < slow" in str(note)


def test_the_error_of_a_rung_is_that_of_all_its_replicas() -> None:
    """One knows its 30 J to 10 %, the other its 10 J to 50 %: 40 J to 20 %."""
    run = ladder({"small": SMALL, "large": LARGE})
    exact, loose = energy(30.0, low=27.0, high=33.0), energy(10.0, low=5.0, high=15.0)
    for served in ((exact, loose), (loose, exact)):
        meters = [Metering(rung="small", meter="nvml", served=each) for each in served]
        (factors,) = meter_errors(replace(run, meters=meters)).of.values()
        assert factors == pytest.approx((0.8, 1.2))


def test_rungs_of_which_nothing_is_known_do_not_hide_what_the_others_show() -> None:
    """The first metering has no joules, and the rungs take little: 0.7 J and 0.4 J for each of four passes."""
    run = ladder({"lost": [1.0] * 4, "slow": [0.7] * 4, "fast": [0.4] * 4})
    meters = [
        Metering(rung="lost", meter="nvml", served=energy(None), busy_s=6.0, idle_w=0.1),
        Metering(rung="slow", meter="nvml", served=energy(2.8), busy_s=24.0, idle_w=0.1),
        Metering(rung="fast", meter="nvml", served=energy(1.6), busy_s=4.0, idle_w=0.1),
    ]
    note = idle_note(replace(run, meters=meters), usage_of(run))
    assert note is not None
    assert "above idle power the order is slow < fast, by all joules fast < slow" in note


def test_a_larger_rung_without_joules_does_not_hide_the_false_economy_beyond_it() -> None:
    found = concluded(ladder({"small": SMALL, "middle": [None] * 4, "large": LARGE})).false_economies
    assert [(one.smaller, one.larger) for one in found] == [("small", "large")]


def test_only_larger_rungs_show_a_false_economy() -> None:
    """The one below passes too little, and takes less for each pass."""
    run = ladder({"tiny": LARGE, "small": SMALL, "large": SMALL}, passes={"tiny": "0001"})
    assert concluded(run).smallest == "small"
    assert concluded(run).false_economies == ()


def test_cases_that_only_the_larger_rung_answered_are_no_part_of_the_ratio_which_is_said() -> None:
    run = ladder({"small": SMALL, "large": [*LARGE, 2.4]})
    (claim,) = concluded(run).false_economies
    assert claim.on_common
    run = ladder({"small": [*SMALL, 9.5], "large": LARGE})
    (claim,) = concluded(run).false_economies
    assert claim.on_common


def test_a_chosen_rung_that_fails_is_compared_by_what_it_took() -> None:
    run = ladder({"small": [1.0, 2.0, 3.0, 4.0], "large": [10.0] * 4}, passes={"large": "0001"}, chosen="large")
    (saving,) = [saving for saving in concluded(run).savings if saving.quantity == "energy"]
    assert (saving.per_1000, saving.chosen_per_1000, saving.estimate) == (7500.0, 10_000.0, None)


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (("undecided", "passes", "undecided"), "large was left after 2 trials"),
        (("undecided", "passes", "fails"), "it is the only passing rung that was run"),
        (("fails", "passes", "undecided"), "large was left after 2 trials"),
    ],
)
def test_why_only_one_rung_is_compared_is_said_of_larger_ones(states: tuple[Any, ...], said: str) -> None:
    run = ladder({"tiny": [1.0, 1.0], "small": [2.0, 2.0], "large": [3.0, 3.0]})
    (verdict,) = judge(run)
    standing = {
        rung: replace(verdict.standing[rung], state=state)
        for rung, state in zip(("tiny", "small", "large"), states, strict=True)
    }
    (found,) = conclude(run, [replace(verdict, standing=standing, smallest="small")], objective="energy")
    assert (found.recommended, found.why) == ("small", said)
