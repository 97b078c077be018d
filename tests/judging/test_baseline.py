"""Regressions against a baseline: a larger smallest rung, or a pass rate that fell by more than chance."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.baseline import Baseline, tasks_not_run, to_be_finished, with_regressions
from pytest_rightsize.judging.gates import failed_gates
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run
from pytest_rightsize.results.lockfile import LockedTask, lock_of, parse_lock, render_lock
from pytest_rightsize.statistics import cases_in_order, fell_in_order, fisher_fell
from pytest_rightsize.verdict_records import Verdict
from tests.runs import make_run

ABOUT = {"started": "2026-11-24T10:00:00+00:00", "commit": "abc"}


def run_of(outcomes: Mapping[str, Mapping[str, str]], chosen: str | None = "m", **more: float) -> Run:
    return replace(make_run(outcomes, chosen=chosen, **more), about=ABOUT)  # type: ignore[arg-type]  # pass_rate only


def against(before: Run, now: Run, *, as_lock: bool = False) -> list[Verdict]:
    """The verdicts of `now` with `before` as their baseline."""
    lock = lock_of(before, judge(before))
    if as_lock:
        baseline = Baseline(name="rightsize.lock", lock=parse_lock(render_lock(lock), where="rightsize.lock"))
    else:
        baseline = Baseline(name="run.jsonl", lock=lock, run=before)
    return with_regressions(now, judge(now), baseline)


@pytest.mark.parametrize(
    ("before", "now", "regressed"),
    [
        ({"s": "1111", "m": "1111"}, {"s": "1111", "m": "1111"}, None),
        ({"s": "0000", "m": "1111"}, {"s": "1111", "m": "1111"}, None),  # it got better
        ({"s": "0000", "m": "0000"}, {"s": "0000", "m": "1111"}, None),
        ({"s": "1111", "m": "1111"}, {"s": "0000", "m": "1111"}, "s was {}, and now it is m"),
        ({"s": "0000", "m": "1111"}, {"s": "0000", "m": "0000"}, "m was {}, and no rung passes now"),
        ({"s": "1111", "m": "1111"}, {"s": "1EE1", "m": "1111"}, None),  # gate undecided says so
    ],
)
def test_a_larger_smallest_rung_that_is_shown_to_have_fallen_is_a_regression(
    before: dict[str, str], now: dict[str, str], regressed: str | None
) -> None:
    """Twelve cases, which all fall."""
    runs = ({rung: marks * 3 for rung, marks in outcomes.items()} for outcomes in (before, now))
    (verdict,) = against(*(run_of({"t": outcomes}) for outcomes in runs))
    if regressed is None:
        assert verdict.regressed is None
    else:
        assert verdict.regressed is not None
        assert verdict.regressed.startswith(regressed.format("the smallest that passes in run.jsonl"))
    assert [gate for gate, _ in failed_gates([verdict], ["regressed"])] == (["regressed"] if regressed else [])


def test_a_rung_that_the_baseline_did_not_have_may_be_the_smallest_now() -> None:
    before, now = run_of({"t": {"s": "0" * 8, "m": "1" * 8}}), run_of({"t": {"s": "0" * 8, "m": "0" * 8, "l": "1" * 8}})
    (verdict,) = against(before, now)
    assert verdict.regressed is not None
    assert verdict.regressed.startswith("m was the smallest that passes in run.jsonl, and now it is l")


def test_which_rung_is_the_smaller_is_what_the_ladder_of_this_run_says() -> None:
    """The baseline had them the other way round, so that its smallest was the larger one of today."""
    before, now = run_of({"t": {"m": "1" * 8, "s": "1" * 8}}), run_of({"t": {"s": "1" * 8, "m": "1" * 8}})
    (verdict,) = against(before, now)
    assert (verdict.smallest, verdict.regressed, verdict.notes) == ("s", None, ())


def test_a_larger_smallest_rung_within_chance_is_a_note() -> None:
    """16 of 20 and then 14 of 20, at a bar of 0.75: six cases changed sides."""
    before = run_of({"t": {"s": "1" * 16 + "0" * 4, "m": "1" * 20}})
    now = run_of({"t": {"s": "0" * 4 + "1" * 12 + "11" + "00", "m": "1" * 20}})
    (verdict,) = against(before, now)
    assert (verdict.smallest, verdict.regressed) == ("m", None)
    assert verdict.notes == (
        "s was the smallest that passes in run.jsonl, and now it is m: within chance, as s passes fewer cases than in "
        "run.jsonl: 4 lost, 2 won (exact McNemar, one-sided, p 0.69, Holm over 2 tests)",
    )


def test_the_family_is_every_test_that_could_have_been_looked_at() -> None:
    """Five lost are 1/32; with a second task that did not change, Holm asks for twice as much."""
    before = run_of({"t": {"s": "1" * 20}, "u": {"s": "1" * 20}}, chosen="s")
    now = run_of({"t": {"s": "0" * 6 + "1" * 14}, "u": {"s": "1" * 20}}, chosen="s")
    first, _ = against(before, now)
    assert first.regressed is not None
    assert "p 0.031, Holm over 2 tests" in first.regressed
    (alone, *_) = against(before, run_of({"t": {"s": "0" * 5 + "1" * 15}, "u": {"s": "1" * 20}}, chosen="s"))
    assert alone.regressed is None


@pytest.mark.parametrize("seed", [0, 1])
def test_runs_that_stopped_early_compare_the_first_cases_of_their_order(seed: int) -> None:
    """What one of them did not ask ends the comparison; McNemar's test of what is left would not hold."""
    marks, lost = "1" * 60, "0" * 60

    def early(marks: str) -> Run:
        run = run_of({"t": {"s": marks}}, chosen="s", pass_rate=0.8)
        policy = replace(run.policies["t"], confidence=0.95, shuffle_seed=seed)
        return replace(run, policies={"t": policy})

    order = cases_in_order([f"t-{place}" for place in range(60)], task="t", seed=seed)
    stopped = "".join("1" if f"t-{place}" in order[:30] else "-" for place in range(60))
    (verdict,) = against(early(stopped), early(lost))
    assert verdict.standing["s"].state == "fails"
    assert verdict.regressed is not None
    assert "30 lost, 0 won (exact sign test spent over the cases, one-sided" in verdict.regressed
    (same,) = against(early(stopped), early(marks))
    assert same.regressed is None


def test_samples_are_compared_one_by_one() -> None:
    """Three samples before and one now: only the first of each case is in both."""
    run = run_of({"t": {"s": "1" * 8}}, chosen="s")
    thrice = [replace(trial, key=replace(trial.key, sample=sample)) for trial in run.trials for sample in range(3)]
    policies = {"t": replace(run.policies["t"], samples=3)}
    before = replace(run, trials=thrice, policies=policies, planned={("t", "s"): 24})
    (verdict,) = against(before, run_of({"t": {"s": "0" * 8}}, chosen="s"))
    assert verdict.regressed is not None
    assert "8 lost, 0 won (exact randomization test over cases, one-sided, p 0.0039" in verdict.regressed


def test_what_was_the_smallest_is_asked_to_its_end() -> None:
    before = run_of({"t": {"s": "0000", "m": "1111"}, "u": {"s": "0000", "m": "0000"}})
    assert to_be_finished(Baseline(name="run.jsonl", lock=lock_of(before, judge(before)))) == {("t", "m")}


def test_a_lock_names_the_line_to_change() -> None:
    before, now = run_of({"t": {"s": "1111", "m": "1111"}}), run_of({"t": {"s": "0000", "m": "1111"}})
    (verdict,) = against(before, now, as_lock=True)
    assert verdict.regressed is not None
    text = render_lock(lock_of(before, judge(before)))
    line = text.splitlines().index('smallest = "s"') + 1
    assert verdict.regressed.startswith(
        "s was the smallest that passes in rightsize.lock, and now it is m: "
        f"if that is to be, write smallest = 'm' in rightsize.lock:{line}; s passes 0 of 4, and passed 4 of 4"
    )


def test_a_rate_that_fell_by_more_than_chance_allows_is_a_regression() -> None:
    """Five lost and none won: one-sided exact McNemar, p = 1/32; four lost, p = 1/16."""
    before = run_of({"t": {"m": "1" * 40}})
    (five,) = against(before, run_of({"t": {"m": "0" * 5 + "1" * 35}}))
    assert five.smallest == "m"
    assert five.regressed == (
        "m passes fewer cases than in run.jsonl: 5 lost, 0 won (exact McNemar, one-sided, p 0.031)"
    )
    (four,) = against(before, run_of({"t": {"m": "0" * 4 + "1" * 36}}))
    assert four.regressed is None


def test_several_tasks_are_asked_at_once() -> None:
    """Five lost in one of two tasks: 2/32 by Holm."""
    before = run_of({"t": {"m": "1" * 40}, "u": {"m": "1" * 40}})
    now = run_of({"t": {"m": "0" * 5 + "1" * 35}, "u": {"m": "1" * 40}})
    assert [verdict.regressed for verdict in against(before, now)] == [None, None]
    worse = run_of({"t": {"m": "0" * 6 + "1" * 34}, "u": {"m": "1" * 40}})
    first, _ = against(before, worse)
    assert first.regressed is not None
    assert first.regressed.endswith("p 0.031, Holm over 2 tests)")


@pytest.mark.parametrize(
    ("before", "tests"),
    [
        ({"a": "1", "m": "1"}, 2),  # the smallest and the chosen one
        ({"m": "1"}, 1),
        ({"a": "1", "m": "1", "x": "1"}, 3),  # m or x would have been named, had a failed
        ({"a": "0", "b": "0", "c": "1", "m": "1", "x": "1"}, 5),
        ({"a": "0", "b": "0", "c": "0", "m": "0", "x": "1"}, 5),
        ({"a": "0", "b": "0", "c": "0", "m": "0", "x": "0"}, 5),  # none was named, and any could have been
    ],
)
def test_each_rung_that_could_have_been_the_smallest_by_luck_is_counted(before: dict[str, str], tests: int) -> None:
    """A rung just below its bar that passed once passes less the next time, although nothing changed."""
    earlier = run_of({"t": {rung: mark * 40 for rung, mark in before.items()}})
    now = run_of({"t": {**{rung: mark * 40 for rung, mark in before.items()}, "m": "0" * 20 + "1" * 20}})
    for as_lock in (False, True):
        (verdict,) = against(earlier, now, as_lock=as_lock)
        assert (verdict.regressed is not None) is (before["m"] == "1")
        if verdict.regressed is not None:
            assert f"Holm over {tests} tests)" in verdict.regressed or tests == 1
            assert tests > 1 or "Holm" not in verdict.regressed


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_fall_on_a_ladder_of_three_must_be_three_times_as_sure(place: int) -> None:
    """Five lost are 1/32, and six 1/64: three rungs could have been the smallest, wherever the one is that was."""
    names = [("m", "x", "y"), ("a", "m", "y"), ("a", "b", "m")][place]
    marks = {name: ("0" if name < "m" else "1") * 40 for name in names}
    before = run_of({"t": marks})
    for lost, shown in ((5, False), (6, True)):
        now = run_of({"t": marks | {"m": "0" * lost + "1" * (40 - lost)}})
        (verdict,) = against(before, now)
        assert (verdict.regressed is not None) is shown


def test_what_was_given_up_counts_against_a_fall() -> None:
    """Six lost and four not asked: had the baseline failed those four, they would all count as won."""
    before = run_of({"t": {"m": "1" * 36 + "0000"}})
    (verdict,) = against(before, run_of({"t": {"m": "0" * 6 + "1" * 30 + "----"}}))
    assert verdict.standing["m"].given_up == 4
    assert verdict.regressed is None
    (whole,) = against(before, run_of({"t": {"m": "0" * 6 + "1" * 30 + "0000"}}))
    assert whole.regressed is not None


def test_a_lock_compares_counts() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    before, now = run_of({"t": {"m": "1" * 40}}), run_of({"t": {"m": "0" * 6 + "1" * 34}})
    p = scipy_stats.fisher_exact([[34, 6], [40, 0]], alternative="less").pvalue
    assert fisher_fell((40, 40), (34, 40)) == pytest.approx(p)
    (verdict,) = against(before, now, as_lock=True)
    text = render_lock(lock_of(before, judge(before)))
    line = next(place for place, line in enumerate(text.splitlines(), 1) if line.startswith("standing.m = "))
    assert verdict.regressed == (
        f"m passes 34 of 40, and passed 40 of 40 in rightsize.lock:{line} (exact Fisher, one-sided, p {p:.2g}): "
        "if that is to be, lock this run with rightsize lock"
    )


@pytest.mark.parametrize(
    ("before", "now", "counts"),
    [
        ("1" * 30 + "-" * 10, "1" * 20 + "0" * 20, ((30, 40), (20, 40))),
        ("1" * 40, "0" * 11 + "-" * 29, ((40, 40), (29, 40))),
        ("1" * 30 + "-" * 10, "0" * 11 + "-" * 29, ((30, 40), (29, 40))),
        ("1" * 30 + "E" * 10, "1" * 20 + "0" * 20, ((30, 40), (20, 40))),
        ("1" * 40, "0" * 11 + "E" * 29, ((40, 40), (29, 40))),
        ("1" * 30 + "E" * 4 + "-" * 6, "0" * 11 + "E" * 9 + "-" * 20, ((30, 40), (29, 40))),
        ("1" * 30 + "E" * 5 + "-" * 5, "0" * 20 + "E" * 10 + "-" * 10, ((30, 40), (20, 40))),
    ],
)
def test_against_a_lock_trials_given_up_or_without_an_answer_count_as_failed_before_and_as_passed_now(
    before: str, now: str, counts: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    (verdict,) = against(run_of({"t": {"m": before}}), run_of({"t": {"m": now}}), as_lock=True)
    p = fisher_fell(*counts)
    assert f"(exact Fisher, one-sided, p {p:.2g})" in "; ".join([verdict.regressed or "", *verdict.notes])
    assert (verdict.regressed is not None) == (p < 0.05)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ("1" * 30 + "-" * 10, "1" * 24 + "0" * 16, "6 lost, 0 won"),
        ("1" * 40, "0" * 11 + "-" * 29, "11 lost, 0 won"),
        ("1" * 30 + "-" * 10, "0" * 11 + "-" * 29, "11 lost, 10 won"),
    ],
)
def test_against_a_run_trials_given_up_count_as_failed_before_and_as_passed_now(
    before: str, now: str, words: str
) -> None:
    (verdict,) = against(run_of({"t": {"m": before}}), run_of({"t": {"m": now}}))
    assert words in "; ".join([verdict.regressed or "", *verdict.notes])


@pytest.mark.parametrize(("lost", "won", "regressed"), [(8, 2, False), (9, 2, True), (10, 3, True)])
def test_a_fall_is_shown_only_below_a_p_value_of_one_in_twenty(lost: int, won: int, regressed: bool) -> None:
    """Ten changed cases with two won have p 0.055, eleven with two won 0.033, thirteen with three won 0.046."""
    before = run_of({"t": {"m": "1" * (40 - won) + "0" * won}})
    (verdict,) = against(before, run_of({"t": {"m": "0" * lost + "1" * (40 - lost)}}))
    assert verdict.standing["m"].state == "passes"
    assert (verdict.regressed is not None) is regressed


def asking(run: Run, prompts: Mapping[str, str]) -> Run:
    """The run with a prompt for each case that is named."""
    trials = []
    for trial in run.trials:
        messages = ({"role": "user", "content": prompts.get(trial.key.case, "the same")},)
        answers = tuple(replace(answer, messages=messages) for answer in trial.answers)
        trials.append(replace(trial, answers=answers))
    return replace(run, trials=trials)


@pytest.mark.parametrize(("changed", "words"), [(0, "6 lost, 0 won"), (2, "4 lost, 0 won"), (6, "0 lost, 0 won")])
def test_cases_whose_prompt_has_changed_are_not_compared(changed: int, words: str) -> None:
    """Of six cases that were lost, some ask something else now; only all six together are shown to have fallen."""
    before = asking(run_of({"t": {"m": "1" * 6}}), {})
    now = asking(run_of({"t": {"m": "0" * 6}}), {f"t-{place}": "another" for place in range(changed)})
    (verdict,) = against(before, now)
    assert words in "; ".join([verdict.regressed or "", *verdict.notes])
    assert (verdict.regressed is not None) == (changed == 0)


@pytest.mark.parametrize(("before", "now"), [(12, 6), (6, 12)])
def test_only_cases_of_both_runs_are_compared(before: int, now: int) -> None:
    (verdict,) = against(run_of({"t": {"m": "1" * before}}), run_of({"t": {"m": "0" * now}}))
    assert verdict.regressed is not None
    assert "m passes fewer cases than in run.jsonl: 6 lost, 0 won" in verdict.regressed


def test_runs_that_stop_early_spend_their_error_over_the_cases_of_both() -> None:
    """Sixteen cases before and twelve now, of which the first eight were asked and lost: four are left to spend on."""

    def early(marks: str) -> Run:
        run = run_of({"t": {"m": marks}}, chosen="m", pass_rate=0.8)
        return replace(run, policies={"t": replace(run.policies["t"], confidence=0.8, shuffle_seed=1)})

    order = cases_in_order([f"t-{place}" for place in range(12)], task="t", seed=1)
    marks = "".join("0" if f"t-{place}" in order[:8] else "-" for place in range(12))
    (verdict,) = against(early("1" * 16), early(marks))
    assert verdict.regressed is not None
    words = "8 lost, 0 won (exact sign test spent over the cases, one-sided"
    assert f"{words}, p {fell_in_order([-1] * 8, 12):.2g})" in verdict.regressed


@pytest.mark.parametrize(("seed", "test"), [(1, "exact sign test spent over the cases"), (2, "exact McNemar")])
def test_runs_that_stop_early_by_different_orders_are_compared_as_pairs(seed: int, test: str) -> None:
    """There is no order of both over which an error could be spent."""

    def early(marks: str, seed: int) -> Run:
        run = run_of({"t": {"m": marks}}, chosen="m", pass_rate=0.8)
        return replace(run, policies={"t": replace(run.policies["t"], confidence=0.8, shuffle_seed=seed)})

    (verdict,) = against(early("1" * 16, 1), early("0" * 16, seed))
    assert verdict.regressed is not None
    assert f"16 lost, 0 won ({test}, one-sided" in verdict.regressed


def test_a_case_without_an_answer_is_not_compared() -> None:
    """It is lost by the endpoint, not by the model."""
    before = run_of({"t": {"m": "1" * 40}})
    (verdict,) = against(before, run_of({"t": {"m": "EEEEE" + "1" * 35}}))
    assert verdict.regressed is None


def sampled(run: Run, samples: int) -> Run:
    """The run with each trial repeated for so many samples."""
    trials = [
        replace(trial, key=replace(trial.key, sample=sample)) for trial in run.trials for sample in range(samples)
    ]
    policies = {task: replace(policy, samples=samples) for task, policy in run.policies.items()}
    planned = {key: count * samples for key, count in run.planned.items()}
    return replace(run, trials=trials, policies=policies, planned=planned)


@pytest.mark.parametrize(("before", "now", "told"), [(1, 1, True), (2, 1, False), (1, 2, False), (2, 2, False)])
def test_against_a_lock_several_samples_of_a_case_are_no_independent_trials(before: int, now: int, told: bool) -> None:
    """A lock has counts only: it does not say which samples were of one case, and nothing is claimed from it."""
    (verdict,) = against(
        sampled(run_of({"t": {"m": "1" * 20}}), before), sampled(run_of({"t": {"m": "0" * 20}}), now), as_lock=True
    )
    assert (verdict.regressed is not None) is told
    why = "rightsize.lock has counts only, which of several samples a case can show no fall"
    notes = (
        f"{why}: give the results file as --rightsize-baseline",
        "m was the smallest that passes in rightsize.lock, and no rung passes now: it is not known whether by chance, "
        f"as {why}",
    )
    assert verdict.notes == (() if told else notes)


def test_a_rung_that_is_not_asked_any_more_is_not_called_chance() -> None:
    before = run_of({"t": {"s": "1" * 20, "m": "1" * 20}})
    (verdict,) = against(before, run_of({"t": {"m": "1" * 20}}))
    assert verdict.regressed is None
    assert verdict.notes == (
        "s was the smallest that passes in run.jsonl, and now it is m: it is not known whether by chance, as s has no "
        "answers of both runs to compare",
    )


@pytest.mark.parametrize("now", [2, 3])
def test_several_samples_of_a_case_are_one_change(now: int) -> None:
    """Five cases are lost with all samples: 1/32, however many samples each has."""
    before = sampled(run_of({"t": {"m": "1" * 40}}), 2)
    (verdict,) = against(before, sampled(run_of({"t": {"m": "0" * 5 + "1" * 35}}), now))
    assert verdict.regressed is not None
    assert "5 lost, 0 won (exact randomization test over cases, one-sided, p 0.031)" in verdict.regressed


def test_a_ladder_of_other_rungs_cannot_be_told_and_fails_the_gate() -> None:
    before, now = run_of({"t": {"s": "1111"}}, chosen="s"), run_of({"t": {"m": "1111"}})
    (verdict,) = against(before, now)
    assert verdict.regressed is not None
    assert verdict.regressed.startswith(
        "s, the smallest in run.jsonl, is not on this ladder, and m was not on that one"
    )


def test_what_the_baseline_lacks_and_other_models_are_noted() -> None:
    before = run_of({"t": {"m": "1111"}})
    now = run_of({"t": {"m": "1111"}, "u": {"m": "1111"}})
    now = replace(now, rungs=[replace(rung, model="new") for rung in now.rungs])
    same, added = against(before, now)
    assert same.notes == ("m is another model than in run.jsonl: replay: new, and was replay: not said",)
    assert added.notes == ("not in the baseline run.jsonl",)
    assert tasks_not_run([added], Baseline(name="run.jsonl", lock=lock_of(before, judge(before)))) == ["t"]


def test_a_file_of_the_same_name_and_another_hash_is_another_model() -> None:
    def hashed(digest: str | None) -> Run:
        content = {"m": {"provider": "replay", "sha256": [digest * 8]}} if digest else {}
        return replace(run_of({"t": {"m": "1111"}}), about=ABOUT | {"identities": content})

    (same,) = against(hashed("0123456789"), hashed("0123456789"), as_lock=True)
    (unknown,) = against(hashed(None), hashed("0123456789"), as_lock=True)
    assert same.notes == unknown.notes == ()
    (other,) = against(hashed("0123456789"), hashed("9876543210"), as_lock=True)
    assert other.notes == (
        "m is another model than in rightsize.lock: replay: not said, sha256 9876543210987654, "
        "and was replay: not said, sha256 0123456789012345",
    )


def test_a_lock_is_the_same_whatever_the_order_of_the_tests() -> None:
    runs = [run_of({task: {"m": "1111"} for task in order}) for order in ("abc", "cab")]
    one, other = (render_lock(lock_of(run, judge(run))) for run in runs)
    assert one == other


@pytest.mark.parametrize(("outcomes", "why"), [("0000", "no rung passes"), ("11EE", "not known")])
def test_a_lock_says_why_a_task_has_no_smallest_rung(outcomes: str, why: str) -> None:
    run = run_of({"t": {"s": "0000", "m": outcomes}})
    assert f"# smallest: {why}" in render_lock(lock_of(run, judge(run))).splitlines()


def test_a_lock_is_read_back_as_it_was_written() -> None:
    run = run_of({'a "task" [1]': {"s": "0-", "my rung": "1111"}, "b": {"s": "0011", "my rung": "0011"}}, chosen=None)
    lock = lock_of(run, judge(run))
    text = render_lock(lock)
    found = parse_lock(text, where="rightsize.lock")
    assert (found.day, found.commit, found.ladder, found.models) == ("2026-11-24", "abc", lock.ladder, lock.models)
    for name, task in lock.tasks.items():
        read = found.tasks[name]
        assert (read.smallest, read.chosen, read.samples) == (task.smallest, task.chosen, task.samples)
        for rung, standing in task.standing.items():
            assert read.standing[rung].passed == standing.passed
            assert read.standing[rung].given_up == standing.given_up
            assert read.standing[rung].low == pytest.approx(standing.low, abs=1e-4)
    assert found.tasks["b"] == replace(found.tasks["b"], smallest=None, line=None)
    assert isinstance(found.tasks['a "task" [1]'], LockedTask)
    assert text.splitlines()[found.tasks['a "task" [1]'].line - 1] == 'smallest = "my rung"'  # type: ignore[operator]  # it has one


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = 1\ndate = [", "rightsize.lock is not TOML"),
        ("schema = 2", "has schema 2; this version reads 1"),
        ("schema = 1", "rightsize.lock is not a lock (KeyError('ladder'))"),
        ('schema = 1\ndate = "x"\nladder = []', "date is 'x', not a day"),
    ],
)
def test_a_broken_lock_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_lock(text, where="rightsize.lock")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("ladder", "task", "message"),
    [
        ('["a"]', 'standing.a = { state = "passes", passed = 30, n = 20 }', "30 passed of 20"),
        ('["a"]', 'standing.a = { state = "passes", passed = -1, n = 20 }', "passed is -1, not a count"),
        ('["a"]', 'standing.a = { state = "passes", passed = 2.5, n = 20 }', "passed is 2.5, not a count"),
        ('["a"]', 'standing.a = { state = "passes", passed = true, n = 20 }', "passed is True, not a count"),
        ('["a"]', 'standing.a = { state = "passes", passed = 1, n = 9, settled_early = -1 }', "settled_early is -1"),
        ('["a"]', 'standing.a = { state = "passes", passed = 1, n = 9, unanswered = "no" }', "unanswered is 'no'"),
        ('["a"]', "samples = 0", "samples is 0, not a count"),
        ('["a", "b", "a"]', "", "['a', 'b', 'a'], not a list of rungs, each once"),
        ('"ab"', "", "'ab', not a list of rungs"),
    ],
)
def test_a_lock_whose_counts_cannot_be_is_refused(ladder: str, task: str, message: str) -> None:
    """One that was written or merged by hand: 30 of 20 would make a fall of what has not changed."""
    text = f'schema = 1\nladder = {ladder}\n[tasks.t]\nsmallest = "a"\n{task}\n'
    with pytest.raises(ConfigError) as caught:
        parse_lock(text, where="rightsize.lock")
    assert message in str(caught.value)
