"""False economies and savings compare totals: they agree with the table, include their error and mix no kinds."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_rightsize.energy import Energy
from pytest_rightsize.judging.conclusions import Conclusion, FalseEconomy, Saving, conclude, idle_note
from pytest_rightsize.judging.usage import usage_of
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.records import AnswerRecord, Policy, Run, Rung, Tokens, Trial, TrialKey
from pytest_rightsize.reports.facts import gather, headline
from pytest_rightsize.reports.markdown import MarkdownReport
from pytest_rightsize.reports.saving_words import saving_words
from pytest_rightsize.reports.usage_tables import usage_lines
from pytest_rightsize.statistics import geometric_mean_ratio, mean_difference, ratio_per_success
from pytest_rightsize.statistics.estimates import Interval, Ratio

Row = tuple[float, float, float, float]


# --- the interval of a ratio of totals --------------------------------------------------------------------------------


def lognormal(sigma: float, n: int, *, median: float = 1.0) -> list[float]:
    """The quantiles of a lognormal, smallest first: `n` amounts of its very shape."""
    from statistics import NormalDist

    return [median * math.exp(sigma * NormalDist().inv_cdf((place + 0.5) / n)) for place in range(n)]


def ratio(rows: Sequence[Row], **more: Any) -> Ratio:
    found = ratio_per_success(rows, **more)
    assert found is not None
    return found


def ends(found: Ratio | Interval | None) -> tuple[float, float]:
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


amounts = st.floats(0.001, 1000)
rows = st.lists(st.tuples(amounts, amounts, st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=12)


def test_the_ratio_is_that_of_totals_per_success_and_no_mean_of_ratios() -> None:
    """(10 J / 2) / (2 J / 1): the geometric mean of the cases would say 3, or 1.5 with the rates."""
    assert ratio([(1.0, 1.0, 1, 1), (9.0, 1.0, 1, 0)]).value == pytest.approx(2.5)


def test_a_case_of_several_samples_is_one_row_of_sums() -> None:
    """3 samples of 2 J, of which 2 pass, against 2 samples of 1 J that pass: 3 J against 1 J for a pass."""
    assert ratio([(6.0, 2.0, 2, 2), (6.0, 2.0, 2, 2)]).value == pytest.approx(3.0)


@given(rows=rows, seed=st.integers(0, 99))
def test_the_interval_holds_the_ratio_whatever_the_order_of_the_cases(rows: list[Row], seed: int) -> None:
    found = ratio_per_success(rows)
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert ratio_per_success(shuffled) == found
    if found is not None:
        low, high = ends(found)
        assert 0 < low <= found.value * (1 + 1e-9)
        assert found.value * (1 - 1e-9) <= high < math.inf


@given(rows=rows)
def test_b_against_a_is_the_inverse_of_a_against_b(rows: list[Row]) -> None:
    found = ratio_per_success(rows)
    turned = ratio_per_success([(b, a, of_b, of_a) for a, b, of_a, of_b in rows])
    assert (found is None) == (turned is None)
    if found is not None and turned is not None:
        low, high = ends(turned)
        assert (found.value, *ends(found)) == pytest.approx((1 / turned.value, 1 / high, 1 / low), rel=1e-6)


@given(rows=rows, unit=st.sampled_from([1e-6, 0.5, 3600.0]))
def test_the_unit_of_both_amounts_does_not_matter(rows: list[Row], unit: float) -> None:
    found = ratio_per_success(rows)
    scaled = ratio_per_success([(unit * a, unit * b, of_a, of_b) for a, b, of_a, of_b in rows])
    assert (found is None) == (scaled is None)
    if found is not None and scaled is not None:
        assert (found.value, *ends(found)) == pytest.approx((scaled.value, *ends(scaled)), rel=1e-6)


@given(rows=rows)
def test_a_surer_interval_is_wider(rows: list[Row]) -> None:
    found = ratio_per_success(rows, confidence=0.8)
    assume(found is not None)
    narrow, wide = ends(found), ends(ratio_per_success(rows, confidence=0.99))
    assert wide[0] <= narrow[0] * (1 + 1e-9)
    assert narrow[1] <= wide[1] * (1 + 1e-9)


def test_cases_that_are_all_the_same_leave_nothing_open() -> None:
    assert ends(ratio([(3.0, 2.0, 1, 1)] * 5)) == pytest.approx((1.5, 1.5))


def test_a_single_case_has_a_ratio_and_no_interval() -> None:
    found = ratio([(3.0, 2.0, 1, 1)])
    assert (found.value, found.low, found.high, found.n) == (1.5, None, None, 1)


@pytest.mark.parametrize(
    "rows",
    [[], [(1.0, 1.0, 0, 1)] * 3, [(1.0, 1.0, 1, 0)] * 3, [(0.0, 1.0, 1, 1)] * 3, [(1.0, 0.0, 1, 1)] * 3],
    ids=["no case", "A never passes", "B never passes", "A takes nothing", "B takes nothing"],
)
def test_there_is_no_ratio_of_what_is_not_there(rows: list[Row]) -> None:
    assert ratio_per_success(rows) is None


def test_an_amount_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="an amount cannot be below 0, got -1"):
        ratio_per_success([(1.0, 1.0, 1, 1), (1.0, -1.0, 1, 1)])


def test_a_case_that_took_nothing_counts_as_zero_and_does_not_widen_without_bound() -> None:
    found = ratio([(0.0, 1.0, 1, 1), *[(2.0, 1.0, 1, 1), (2.2, 1.1, 1, 1), (1.8, 0.9, 1, 1)] * 4])
    assert found.value == pytest.approx(24 / 13)
    low, high = ends(found)
    assert 1 < low < 24 / 13 < high < 3


def test_one_case_of_next_to_nothing_is_as_good_as_one_of_nothing() -> None:
    rest = [(2.0, 1.0, 1, 1), (2.2, 1.1, 1, 1), (1.8, 0.9, 1, 1)] * 4
    nothing, almost = (ends(ratio([(least, 1.0, 1, 1), *rest])) for least in (0.0, 1e-9))
    assert nothing == pytest.approx(almost, rel=1e-6)


def test_the_t_interval_is_that_of_the_linearised_ratio() -> None:
    """Against scipy.stats, with amounts so even that no tail is modelled beyond it: at the low end of A."""
    scipy_stats = pytest.importorskip("scipy.stats")
    a, b = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    of_a, of_b = [1, 1, 0, 1, 1, 1], [1, 0, 1, 1, 0, 1]
    low, high = ends(ratio(list(zip(a, b, of_a, of_b, strict=True))))
    u = [-x / (5 / 6) + y / (4 / 6) for x, y in zip(of_a, of_b, strict=True)]
    peer = scipy_stats.ttest_1samp(u, 0).confidence_interval(0.95)
    assert (math.log(low), math.log(high)) == pytest.approx((math.log(0.8) + peer.low, math.log(0.8) + peer.high))


def test_a_long_tail_widens_the_interval_to_the_lognormal_one() -> None:
    """The mean of the amounts against that of a constant: MOVER with Student's t and chi squared of scipy.stats."""
    scipy_stats = pytest.importorskip("scipy.stats")
    tail, n = lognormal(1.5, 20), 20
    logs = [math.log(amount) for amount in tail]
    middle = sum(logs) / n
    variance = sum((one - middle) ** 2 for one in logs) / (n - 1)
    of_mean = scipy_stats.t.ppf(0.975, n - 1) * math.sqrt(variance / n)
    of_tail = variance / 2 * ((n - 1) / scipy_stats.chi2.ppf(0.025, n - 1) - 1)
    high = math.exp(middle + variance / 2 + math.hypot(of_mean, of_tail))
    assert ends(ratio([(amount, 1.0, 1, 1) for amount in tail]))[1] == pytest.approx(high)
    assert ends(mean_difference([(amount, 0.0) for amount in tail]))[1] == pytest.approx(high)


def test_amounts_that_rise_and_fall_together_leave_less_open() -> None:
    tail = lognormal(1.2, 30)
    together = [(1.3 * amount, amount, 1, 1) for amount in tail]
    apart = [(1.3 * amount, other, 1, 1) for amount, other in zip(tail, random.Random(1).sample(tail, 30), strict=True)]
    assert ends(ratio(together)) == pytest.approx((1.3, 1.3))
    assert ends(ratio(apart))[1] > 2


@given(pairs=st.lists(st.tuples(amounts, amounts), min_size=2, max_size=12), seed=st.integers(0, 99))
def test_a_mean_difference_is_within_its_interval_and_turns_its_sign(
    pairs: list[tuple[float, float]], seed: int
) -> None:
    found = mean_difference(pairs)
    low, high = ends(found)
    middle = sum(a - b for a, b in pairs) / len(pairs)
    assert low <= middle + 1e-9
    assert middle - 1e-9 <= high
    assert mean_difference(random.Random(seed).sample(pairs, len(pairs))) == found
    assert ends(mean_difference([(b, a) for a, b in pairs])) == pytest.approx((-high, -low), rel=1e-6, abs=1e-9)


def test_a_mean_difference_of_even_amounts_is_students() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    a, b = [10.0, 10.2, 9.9, 10.1, 9.8, 10.0], [5.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    peer = scipy_stats.ttest_rel(a, b).confidence_interval(0.95)
    assert ends(mean_difference(zip(a, b, strict=True))) == pytest.approx((peer.low, peer.high), rel=0.01)


def test_a_saving_on_a_shared_tail_is_as_open_as_that_tail() -> None:
    """A takes 1.3 times what B takes, case by case: the difference is 0.3 of B, and so is its upper end."""
    tail = lognormal(1.5, 20)
    alone = ends(mean_difference([(amount, 0.0) for amount in tail]))
    together = ends(mean_difference([(1.3 * amount, amount) for amount in tail]))
    assert together[1] == pytest.approx(0.3 * alone[1])


def test_tails_that_move_against_each_other_leave_more_open() -> None:
    """The opposite of a shared tail: the upper end is farther off than that of A's tail alone."""
    tail = lognormal(1.5, 20)
    alone = ends(mean_difference([(amount, 1.0) for amount in tail]))
    against = ends(mean_difference(zip(tail, reversed(tail), strict=True)))
    assert against[1] - against[0] > alone[1] - alone[0]


@pytest.mark.parametrize("pairs", [[], [(1.0, 2.0)]])
def test_fewer_than_two_pairs_have_no_mean_difference(pairs: list[tuple[float, float]]) -> None:
    assert mean_difference(pairs) is None


def test_a_typical_case_and_the_total_are_two_questions() -> None:
    """A takes 1.5 times as much for a typical case and half as much in all."""
    a, b = [1.5] * 60, lognormal(1.5, 60)
    typical = geometric_mean_ratio(zip(a, b, strict=True))
    assert typical is not None
    assert typical.value == pytest.approx(1.5)
    assert ratio([(one, other, 1, 1) for one, other in zip(a, b, strict=True)]).value < 0.6


# --- what is concluded ------------------------------------------------------------------------------------------------


def joules(amount: float | None, **more: Any) -> Energy:
    if amount is None:
        return Energy(reason="the counter was reset")
    given: dict[str, Any] = {"low": amount, "high": amount, "provenance": "measured"}
    return Energy(joules=amount, boundary=frozenset({"gpu.board"}), **(given | more))


Cells = Mapping[str, Sequence[Mapping[str, Any]]]


def run_of(cells: Cells, *, chosen: str | None = None, bar: float = 0.5, task: str = "t", **more: Any) -> Run:
    """A run of one task from rung -> trials: `case`, `sample`, `passed` and the fields of its only answer.

    The case is its place in the list unless it says otherwise.
    """
    trials = []
    for rung, listed in cells.items():
        for place, cell in enumerate(listed):
            known = {name: value for name, value in cell.items() if name not in ("case", "sample", "passed")}
            key = TrialKey(task=task, case=f"c{cell.get('case', place)}", rung=rung, sample=cell.get("sample", 0))
            outcome: Any = "passed" if cell.get("passed", True) else "failed"
            trials.append(Trial(key=key, outcome=outcome, answers=(AnswerRecord(text="x", **known),)))
    given: dict[str, Any] = {"rungs": [Rung(name=rung, provider="replay") for rung in cells], "strategy": "full"}
    return Run(
        trials=trials,
        policies={task: Policy(task=task, pass_rate=bar, chosen=chosen)},
        planned={(task, rung): len(listed) for rung, listed in cells.items()},
        **(given | more),
    )


def of_joules(amounts: Sequence[float | None], **more: Any) -> list[dict[str, Any]]:
    """Trials of these joules; `low` and `high` are factors of each."""
    low, high = more.pop("low", 1.0), more.pop("high", 1.0)
    return [
        {"energy": joules(one) if one is None else joules(one, low=low * one, high=high * one, **more)}
        for one in amounts
    ]


def of_usd(amounts: Sequence[float]) -> list[dict[str, Any]]:
    return [{"cost_usd": one} for one in amounts]


def concluded(run: Run, objective: Any = "size") -> Conclusion:
    return conclude(run, judge(run), objective=objective)[0]


def only_economy(run: Run) -> FalseEconomy:
    (found,) = concluded(run).false_economies
    return found


def savings_of(run: Run) -> dict[str, Saving]:
    return {saving.quantity: saving for saving in concluded(run).savings}


def test_a_rung_that_is_dearer_case_by_case_but_cheaper_in_all_is_no_false_economy() -> None:
    """The larger rung reasons: its typical case is cheaper, but a few are so dear that in all it takes more."""
    run = run_of({"small": of_joules([1.5] * 60), "large": of_joules(lognormal(1.5, 60))})
    found = concluded(run, "energy")
    assert found.false_economies == ()
    assert found.leaders[0].rung == "small"
    assert found.recommended == "small"


def test_the_ratio_of_a_false_economy_is_that_of_the_two_cells_of_the_table() -> None:
    cells = {
        "small": of_usd([9.0, 8.0, 10.0, 11.0]),
        "large": [{"cost_usd": 2.0, "passed": place < 3} for place in range(4)],
    }
    run = run_of(cells, rungs=priced("small", "large"))
    table = usage_of(run).by_task_rung
    small, large = table["t", "small"], table["t", "large"]
    shown = (small.per_pass(small.cost_usd) or 0) / (large.per_pass(large.cost_usd) or 1)
    assert only_economy(run).ratio.value == pytest.approx(shown) == pytest.approx(9.5 / (8 / 3))


def test_the_samples_of_a_case_are_added_up_as_in_the_table() -> None:
    """One case has three samples and the other one: 4 J and 1 pass, so 4 J for a passed case."""
    cells = {
        "small": [
            {"case": 0, "sample": 0, "passed": True, "energy": joules(1.0)},
            {"case": 0, "sample": 1, "passed": False, "energy": joules(1.0)},
            {"case": 0, "sample": 2, "passed": True, "energy": joules(1.0)},
            {"case": 1, "sample": 0, "passed": True, "energy": joules(3.0)},
        ]
    }
    leader = concluded(run_of(cells)).leaders[0]
    assert leader.per_pass == pytest.approx(2.0)


def priced(*names: str) -> list[Rung]:
    from pytest_rightsize.records import Price

    return [Rung(name=name, provider="openai", price=Price(prompt=1.0, completion=1.0)) for name in names]


marks = st.lists(st.booleans(), min_size=2, max_size=8)
cell_lists = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from([0.1, 1.0, 1.1, 1.2, 10.0]), st.booleans()), min_size=1, max_size=9
)


@given(tables=st.lists(cell_lists, min_size=2, max_size=3))
@settings(max_examples=100)
def test_no_claim_contradicts_the_table_the_leader_or_the_recommendation(
    tables: list[list[tuple[int, float, bool]]],
) -> None:
    """Whatever the cases, samples and passes of each rung, and even where two rungs have other cases."""
    names = [f"r{place}" for place in range(len(tables))]
    cells = {
        name: [
            {"case": case, "sample": place, "passed": passed, "cost_usd": usd}
            for place, (case, usd, passed) in enumerate(table)
        ]
        for name, table in zip(names, tables, strict=True)
    }
    run = run_of(cells, rungs=priced(*names), bar=0.1)
    found = concluded(run, "cost")
    leader = next(one for one in found.leaders if one.quantity == "cost")
    table = usage_of(run).by_task_rung
    per_pass = {name: table["t", name].per_pass(table["t", name].cost_usd) for name in names}
    if leader.rung is not None:
        assert leader.per_pass == pytest.approx(per_pass[leader.rung])
        assert all((per_pass[name] or math.inf) >= (leader.per_pass or 0) * (1 - 1e-9) for name in leader.compared)
    for economy in found.false_economies:
        assert (per_pass[economy.smaller] or 0) > (per_pass[economy.larger] or math.inf)
        assert economy.smaller not in (leader.rung, *leader.tied, found.recommended)
        assert economy.ratio.low is not None
        assert 1 < economy.ratio.low <= economy.ratio.value


@given(seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_conclusions_do_not_depend_on_the_order_of_the_trials(seed: int) -> None:
    source = random.Random(seed)
    cells = {
        name: [
            one | {"case": place // 2, "sample": place % 2, "seconds": source.random()}
            for place, one in enumerate(of_joules([source.uniform(1, most) for _ in range(10)], low=0.93, high=1.07))
        ]
        for name, most in (("small", 30.0), ("large", 3.0))
    }
    run = run_of(cells, chosen="large")
    shuffled = replace(run, trials=source.sample(list(run.trials), len(run.trials)))
    assert concluded(shuffled, "energy") == concluded(run, "energy")


def test_a_claim_that_the_totals_of_all_cases_deny_is_not_made() -> None:
    """On the six common cases small takes ten times as much; but large had four more, and they were very dear."""
    cells = {"small": of_joules([10.0] * 6), "large": of_joules([1.0] * 6 + [100.0] * 4)}
    found = concluded(run_of(cells), "energy")
    assert found.false_economies == ()
    assert found.recommended == "small"


def test_a_claim_on_common_cases_only_says_so() -> None:
    cells = {"small": of_joules([10.0] * 6), "large": of_joules([1.0] * 8)}
    found = only_economy(run_of(cells))
    assert found.on_common
    assert str(found) == (
        "false economy: small takes 10 times the energy of large for a passed case "
        "(95 % interval 10 to 10; on the 6 cases that both answered)"
    )
    assert not only_economy(run_of({**cells, "large": of_joules([1.0] * 6)})).on_common


def test_what_takes_surely_more_than_any_rung_is_not_tied_with_the_leader() -> None:
    """`a` is surely above `b`; of `c`, which takes least, too little is known to tell it from either."""
    cells = {
        "a": of_joules([10.0, 10.1, 9.9, 10.0]),
        "b": of_joules([5.0, 5.1, 4.9, 5.0]),
        "c": of_joules([0.1, 0.1, 0.1, 19.0]),
    }
    found = concluded(run_of(cells), "energy")
    assert [(one.smaller, one.larger) for one in found.false_economies] == [("a", "b")]
    assert (found.leaders[0].rung, found.leaders[0].tied) == ("c", ("b",))
    assert (found.recommended, found.why) == ("b", "tied with c")


def test_a_rung_that_passed_no_case_takes_nothing_for_a_passed_one() -> None:
    """With a bar of 0 it passes all the same."""
    cells = {
        "a": [{"energy": joules(1.0), "passed": False} for _ in range(4)],
        "b": of_joules([2.0] * 4),
    }
    leader = concluded(run_of(cells, bar=0.0)).leaders[0]
    assert (leader.rung, leader.compared, leader.left_out) == ("b", ("b",), {"a": "it passed no case"})


def test_a_leader_pays_for_the_cases_that_failed() -> None:
    """`a` takes less for a case and more for a passed one."""
    cells = {
        "a": [{"energy": joules(3.0), "passed": place < 2} for place in range(4)],
        "b": of_joules([4.0] * 4),
    }
    leader = concluded(run_of(cells)).leaders[0]
    assert (leader.rung, leader.per_pass) == ("b", 4.0)


def test_rungs_without_a_common_case_are_not_compared() -> None:
    cells = {
        "a": of_joules([1.0, 1.0]),
        "b": [{"case": 7, "energy": joules(1.0)}, {"case": 8, "energy": joules(1.0)}],
    }
    leader = concluded(run_of(cells)).leaders[0]
    assert (leader.compared, leader.left_out) == (("a",), {"b": "it has no case in common with a"})


def test_rungs_that_pass_no_common_case_are_not_compared() -> None:
    cells = {
        "a": [{"energy": joules(1.0), "passed": place != 0} for place in range(3)],
        "b": [{"case": 0, "energy": joules(1.0)}, {"case": 7, "energy": joules(1.0)}],
    }
    leader = concluded(run_of(cells)).leaders[0]
    assert leader.left_out == {"b": "it or a passed none of the cases that both answered"}


def test_a_rung_that_takes_nothing_is_compared_and_leads() -> None:
    """What is free is known to be free; no ratio is made of it."""
    cells = {"a": of_usd([0.0, 0.0, 0.0]), "b": of_usd([1.0, 2.0, 1.0]), "c": of_usd([0.0, 0.0, 0.0])}
    found = concluded(run_of(cells, rungs=priced(*cells)), "cost")
    leader = next(one for one in found.leaders if one.quantity == "cost")
    assert (leader.rung, leader.per_pass, leader.tied) == ("a", 0.0, ("c",))
    assert (leader.compared, leader.left_out) == (("a", "b", "c"), {})
    assert found.false_economies == ()


def test_an_unmeasured_joule_is_no_zero() -> None:
    leader = concluded(run_of({"a": of_joules([None, 1.0]), "b": of_joules([5.0, 5.0])})).leaders[0]
    assert (leader.rung, leader.left_out) == ("b", {"a": "the counter was reset"})


def test_an_unknown_price_is_not_free() -> None:
    unknown: list[dict[str, Any]] = [{"cost_usd": None}, {"cost_usd": 1.0}]
    cells = {"a": unknown, "b": of_usd([5.0, 5.0])}
    leader = concluded(run_of(cells, rungs=priced("a", "b"))).leaders[1]
    assert (leader.rung, leader.left_out) == ("b", {"a": "its price is not known"})


@pytest.mark.parametrize("amount", [-1.0, math.inf, math.nan])
def test_an_amount_that_cannot_be_is_not_compared(amount: float) -> None:
    cells = {"a": of_usd([amount, 1.0]), "b": of_usd([5.0, 5.0])}
    leader = concluded(run_of(cells, rungs=priced("a", "b"))).leaders[1]
    assert leader.left_out == {"a": f"one of its amounts is {amount:g} USD, which cannot be"}


def test_a_single_case_shows_no_false_economy() -> None:
    assert concluded(run_of({"a": of_joules([9.0]), "b": of_joules([1.0])})).false_economies == ()


# --- where only tokens are known --------------------------------------------------------------------------------------


def of_tokens(amounts: Sequence[int], **more: Any) -> list[dict[str, Any]]:
    return [{"tokens": Tokens(prompt=0, completion=one), **more} for one in amounts]


MANY, FEW = [90, 100, 110, 100], [10, 11, 9, 10]


def test_where_only_tokens_are_known_they_are_compared_and_told() -> None:
    run = run_of({"small": of_tokens(MANY), "large": of_tokens(FEW)}, chosen="large")
    lines = usage_lines(usage_of(run), conclude(run, judge(run)))
    assert lines[1].split() == ["task", "rung", "prompt", "completion"]
    leaders, false, saving = lines[-3:]
    assert leaders == "t: of those that pass: smallest small, fewest completion tokens large (10 tokens a passed case)"
    assert false.startswith("t: false economy: small takes 10 times the completion tokens of large for a passed case (")
    assert false.endswith("; each by its own tokenizer)")
    assert saving.startswith("t: small instead of large takes 90,000 completion tokens more per 1,000 cases (95")
    assert saving.endswith(" completion tokens)")
    assert "takes 90,000 completion tokens more" in MarkdownReport().render(run, judge(run))


@pytest.mark.parametrize("known", [{"cost_usd": 1.0}, {"energy": joules(1.0)}])
def test_where_it_is_known_what_tokens_cost_they_are_not_compared(known: dict[str, Any]) -> None:
    more: dict[str, Any] = {"rungs": priced("small", "large")} if "cost_usd" in known else {}
    run = run_of({"small": of_tokens(MANY, **known), "large": of_tokens(FEW, **known)}, chosen="large", **more)
    found = concluded(run)
    assert [leader.quantity for leader in found.leaders] == ["energy", "cost", "latency"]
    assert found.false_economies == ()


@pytest.mark.parametrize("known", [{"seconds": 1.0}, {"cost_usd": 1.0}, {"energy": joules(1.0)}])
def test_where_only_one_has_joules_or_a_price_or_both_only_times_tokens_are_compared(known: dict[str, Any]) -> None:
    larger = known if "seconds" in known else {}
    run = run_of({"small": of_tokens(MANY, **known), "large": of_tokens(FEW, **larger)}, chosen="large")
    assert [economy.quantity for economy in concluded(run).false_economies] == ["completion_tokens"]


def test_tokens_are_not_told_beside_what_they_cost() -> None:
    run = run_of({"small": of_tokens(MANY, seconds=1.0), "large": of_tokens(FEW, seconds=2.0)}, chosen="large")
    text = "\n".join(usage_lines(usage_of(run), conclude(run, judge(run))))
    assert "more per 1,000 cases" not in text
    assert "saves 16 min 40 s per 1,000 cases" in text


def test_a_tie_in_tokens_is_not_worth_a_line() -> None:
    run = run_of({"small": of_tokens(FEW), "large": of_tokens(FEW)}, chosen="large")
    assert not any("per 1,000 cases" in line or "1,000 cases save" in line for line in told(run))


def told(run: Run) -> list[str]:
    return usage_lines(usage_of(run), conclude(run, judge(run)))


def test_unknown_tokens_are_not_compared_either() -> None:
    unknown: list[dict[str, Any]] = [{"tokens": Tokens()}, {"tokens": Tokens()}]
    run = run_of({"small": unknown, "large": of_tokens([1, 1])})
    leader = concluded(run).leaders[-1]
    assert (leader.quantity, leader.rung, leader.left_out) == (
        *("completion_tokens", "large"),
        {"small": "its completion tokens are not known"},
    )


# --- the error of the meter -------------------------------------------------------------------------------------------


def test_both_ends_of_a_ratio_hold_what_both_meters_leave_open() -> None:
    """10 J known to -10 and +20 % against 2 J known to -20 and +10 %, without any spread."""
    cells = {
        "small": of_joules([10.0] * 4, low=0.9, high=1.2),
        "large": of_joules([2.0] * 4, low=0.8, high=1.1),
    }
    found = only_economy(run_of(cells)).ratio
    assert (found.value, found.low, found.high) == pytest.approx((5.0, 5 * 0.9 / 1.1, 5 * 1.2 / 0.8))


def test_the_error_that_one_instrument_makes_in_both_cancels_and_the_rest_stays() -> None:
    """10 % is the instrument's own: of 0.8 to 1.32 there remain 0.8 / 0.9 and 1.32 / 1.1."""
    same: dict[str, Any] = {"meter": "nvml", "devices": ("GPU-1",), "systematic": 0.1, "low": 0.8, "high": 1.32}
    run = run_of({"small": of_joules([10.0] * 4, **same), "large": of_joules([2.0] * 4, **same)})
    found = only_economy(run).ratio
    low, high = 0.8 / 0.9, 1.32 / 1.1
    assert (found.low, found.high) == pytest.approx((5 * low / high, 5 * high / low))


def test_the_error_of_two_instruments_does_not_cancel() -> None:
    cells = {
        name: of_joules([amount] * 4, meter="nvml", devices=(name,), systematic=0.1, low=0.9, high=1.1)
        for name, amount in (("small", 10.0), ("large", 2.0))
    }
    found = only_economy(run_of(cells)).ratio
    assert (found.low, found.high) == pytest.approx((5 * 0.9 / 1.1, 5 * 1.1 / 0.9))


def test_an_error_that_covers_the_difference_leaves_a_tie() -> None:
    cells = {
        "small": of_joules([11.0] * 4, low=0.9, high=1.1),
        "large": of_joules([10.0] * 4, low=0.9, high=1.1),
    }
    found = concluded(run_of(cells))
    assert found.false_economies == ()
    assert found.leaders[0].tied == ("small",)


def test_a_meter_that_may_have_seen_nothing_shows_no_false_economy() -> None:
    cells = {"small": of_joules([10.0] * 4), "large": of_joules([1.0] * 4, low=0.0, high=1.1)}
    assert concluded(run_of(cells)).false_economies == ()


def test_the_cost_of_electricity_is_as_uncertain_as_its_joules() -> None:
    """A rung without a price costs its joules; the money of one with a price has no error."""
    cells = {
        "local": [
            one | {"cost_usd": 10.0}
            for one in of_joules([1.0] * 4, low=0.9, high=1.2, devices=("GPU-1",), meter="nvml")
        ],
        "far": of_usd([2.0] * 4),
    }
    run = run_of(cells, rungs=[Rung(name="local", provider="replay"), *priced("far")])
    (found,) = (one for one in concluded(run).false_economies if one.quantity == "cost")
    assert (found.ratio.low, found.ratio.high) == pytest.approx((4.5, 6.0))


def test_the_money_of_a_priced_rung_has_no_error_of_a_meter() -> None:
    cells = {
        "local": [one | {"cost_usd": 10.0} for one in of_joules([1.0] * 4, low=0.9, high=1.2)],
        "far": [one | {"cost_usd": 2.0} for one in of_joules([1.0] * 4, low=0.5, high=2.0)],
    }
    run = run_of(cells, rungs=[Rung(name="local", provider="replay"), *priced("far")])
    (found,) = (one for one in concluded(run).false_economies if one.quantity == "cost")
    assert (found.ratio.low, found.ratio.high) == pytest.approx((4.5, 6.0))


def test_both_ends_of_a_saving_hold_what_both_meters_leave_open() -> None:
    """10 J of the chosen rung known to -10 and +20 %, 2 J instead known to -25 and +15 %, without any spread."""
    cells = {
        "small": of_joules([2.0] * 4, low=0.75, high=1.15),
        "large": of_joules([10.0] * 4, low=0.9, high=1.2),
    }
    saving = savings_of(run_of(cells, chosen="large"))["energy"]
    assert saving.per_1000 == pytest.approx(8000)
    assert (saving.low, saving.high) == pytest.approx((8000 - 1000 - 300, 8000 + 2000 + 500))


def test_a_saving_is_a_tie_where_the_meter_leaves_it_open() -> None:
    cells = {
        "small": of_joules([9.0] * 4, low=0.9, high=1.1),
        "large": of_joules([10.0] * 4, low=0.9, high=1.1),
    }
    assert saving_words(savings_of(run_of(cells, chosen="large"))["energy"]).startswith(
        "small and large are a tie in energy"
    )


# --- savings and headlines --------------------------------------------------------------------------------------------


def test_joules_of_two_kinds_save_nothing_of_one_another() -> None:
    cells = {
        "small": of_joules([2.0] * 4, provenance="modelled"),
        "large": [one | {"seconds": 1.0} for one in of_joules([10.0] * 4)],
    }
    assert set(savings_of(run_of(cells, chosen="large"))) == set()
    same = {**cells, "small": of_joules([2.0] * 4)}
    assert set(savings_of(run_of(same, chosen="large"))) == {"energy"}


def test_the_rung_that_is_used_already_saves_nothing() -> None:
    found = concluded(run_of({"small": of_joules([2.0] * 4)}, chosen="small"))
    assert (found.savings, found.no_savings) == ((), None)


def test_rungs_without_a_common_case_have_no_saving() -> None:
    cells = {"small": of_joules([2.0, 2.0]), "large": [{"case": 7, "energy": joules(9.0)}]}
    assert concluded(run_of(cells, chosen="large")).savings == ()


def test_a_saving_is_per_case_however_many_samples_a_case_has() -> None:
    """Case 0: 2 J in two samples; case 1: 6 J in one: 4 J a case."""
    cells = {
        "small": of_joules([1.0, 1.0]),
        "large": [
            {"case": 0, "sample": 0, "energy": joules(1.0)},
            {"case": 0, "sample": 1, "energy": joules(3.0)},
            {"case": 1, "sample": 0, "energy": joules(6.0)},
        ],
    }
    saving = savings_of(run_of(cells, chosen="large"))["energy"]
    assert saving.cases == 2
    assert saving.per_1000 == pytest.approx(3000)


def test_a_saving_whose_interval_ends_at_zero_is_a_tie() -> None:
    saving = Saving(
        quantity="energy", unit="J", chosen="b", instead="a", per_1000=50.0, low=0.0, high=100.0, cases=4, kind=None
    )
    for low, high in ((0.0, 100.0), (-100.0, 0.0)):
        words = saving_words(replace(saving, low=low, high=high))
        assert words.startswith("a and b are a tie in energy"), words


def two_tasks(first: dict[str, Any], second: dict[str, Any]) -> Run:
    """Two tasks that both run on `small`, and how the joules of each are known."""
    runs = []
    for task, more in (("t", first), ("u", second)):
        known = dict(more)
        usd = known.pop("usd", None)
        cells: dict[str, list[dict[str, Any]]] = {}
        for rung, amount in (("small", 1.0), ("large", 4.0)):
            paid = {} if usd is None else {"cost_usd": usd * amount}
            cells[rung] = [one | paid for one in of_joules([amount] * 4, **known)]
        runs.append(run_of(cells, chosen="large", task=task, rungs=priced("small", "large")))
    one, other = runs
    return replace(
        one,
        trials=[*one.trials, *other.trials],
        policies={**one.policies, **other.policies},
        planned={**one.planned, **other.planned},
    )


def head(run: Run) -> str:
    return headline(gather(run, judge(run)))


def test_joules_of_two_kinds_are_not_added_up_in_the_headline() -> None:
    assert head(two_tasks({}, {})).endswith(" could use a smaller model and save 75 % of the energy")
    assert "save" not in head(two_tasks({}, {"provenance": "modelled"}))


def test_where_joules_are_of_two_kinds_the_headline_tells_the_cost() -> None:
    words = head(two_tasks({"usd": 0.25}, {"provenance": "modelled", "usd": 1.0}))
    assert words.endswith(" and save 75 % of the cost")


@pytest.mark.parametrize("name", ["energy", "cost"])
def test_the_headline_is_a_part_of_what_the_chosen_rung_takes(name: str) -> None:
    """2 of what is chosen against 0.99: 50.5 %, which is written as 51 %."""
    of = of_joules if name == "energy" else of_usd
    run = run_of({"small": of([0.99] * 4), "large": of([2.0] * 4)}, chosen="large", rungs=priced("small", "large"))
    assert head(run).endswith(f" and save 51 % of the {name}")


def test_the_headline_says_nothing_that_the_interval_leaves_open() -> None:
    cells = {"small": of_joules([1.0, 9.0, 1.0, 9.0]), "large": of_joules([9.0, 2.0, 2.0, 9.0])}
    assert "the energy" not in head(run_of(cells, chosen="large"))


def test_a_ranking_by_idle_power_is_for_a_passed_case() -> None:
    """Above idle power slow takes 10 J for its one pass and fast 30 J for its four: both rankings put fast first."""
    cells = {
        "slow": [{"energy": joules(17.5), "passed": place == 0} for place in range(4)],
        "fast": of_joules([10.0] * 4),
    }
    meters = [
        Metering(rung="slow", meter="nvml", served=joules(70.0), busy_s=6.0, idle_w=10.0),
        Metering(rung="fast", meter="nvml", served=joules(40.0), busy_s=1.0, idle_w=10.0),
    ]
    run = run_of(cells, meters=meters, bar=0.1)
    assert idle_note(run, usage_of(run)) is None
