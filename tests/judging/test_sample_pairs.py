"""Two rungs paired by the number of a sample, and on the first sample of each case alone."""

import pytest

from pytest_rightsize.judging.sample_pairs import FirstSample, SamplePairs, first_sample, sample_pairs
from pytest_rightsize.records import AnswerRecord, Tokens, Trial, TrialKey
from pytest_rightsize.statistics import non_inferiority_p

Cases = dict[str, list[Trial]]


def cases(rung: str, tokens: int = 1, /, **marks: str) -> Cases:
    """Each case's samples from 0 on: `1` passed, `0` failed, `-` is a sample that the rung does not have."""
    answer = AnswerRecord(text="x", tokens=Tokens(completion=tokens))
    return {
        case: [
            Trial(
                key=TrialKey(task="t", case=case, rung=rung, sample=sample),
                outcome="passed" if mark == "1" else "failed",
                answers=(answer,),
            )
            for sample, mark in enumerate(samples)
            if mark != "-"
        ]
        for case, samples in marks.items()
    }


def first(a: Cases, b: Cases, margin: float = 0.05) -> FirstSample:
    found = first_sample(a, b, margin=margin, names=("a", "b"), reason=(False, False))
    assert found is not None
    return found


def test_samples_of_one_number_are_a_pair() -> None:
    a = cases("a", w="11", x="1", y="000", z="0")
    b = cases("b", w="10", x="0", y="110", z="0")
    assert sample_pairs(a, b) == SamplePairs(n=7, both=1, only_a=2, only_b=2, neither=2)


def test_a_sample_that_one_of_the_two_lacks_is_in_no_pair() -> None:
    assert sample_pairs(cases("a", x="1-0"), cases("b", x="01")) == SamplePairs(
        n=1, both=0, only_a=1, only_b=0, neither=0
    )
    assert sample_pairs({}, {}) == SamplePairs(n=0, both=0, only_a=0, only_b=0, neither=0)


def test_first_samples_are_compared_where_a_case_has_several() -> None:
    """Of five cases A alone passes two and B alone one: exactly 2 x P(at most 1 of 3) = 1 for McNemar."""
    a = cases("a", 2, v="10", w="11", x="00", y="10", z="00")
    b = cases("b", 1, v="01", w="01", x="11", y="11", z="00")
    found = first(a, b)
    assert found.pairs == SamplePairs(n=5, both=1, only_a=2, only_b=1, neither=1)
    assert (found.mcnemar_p, found.difference.method) == (1.0, "tango")
    assert found.difference.value == pytest.approx(0.2)
    assert found.economy.ratios["completion_tokens"].value == pytest.approx(2.0)
    assert found.non_inferior.margin == 0.05


def test_many_cases_that_only_one_of_the_two_passes_are_no_chance() -> None:
    """2 x (1/2)^6 for six cases to none."""
    names = "uvwxyz"
    found = first(cases("a", **dict.fromkeys(names, "10")), cases("b", **dict.fromkeys(names, "00")))
    assert found.mcnemar_p == pytest.approx(2 / 64)
    assert found.difference.value == 1.0


@pytest.mark.parametrize(("margin", "holds"), [(0.05, False), (0.5, True)])
def test_not_worse_is_shown_by_a_margin_that_leaves_room_for_chance(margin: float, holds: bool) -> None:
    names = [f"c{place}" for place in range(10)]
    a, b = cases("a", **dict.fromkeys(names, "10")), cases("b", **dict.fromkeys(names, "10"))
    found = first(a, b, margin)
    outcomes = {name: [True] for name in names}
    assert found.non_inferior.p == non_inferiority_p(outcomes, outcomes, margin=margin)
    assert found.non_inferior.holds is (found.non_inferior.p < 0.05) is holds


def test_which_of_the_two_is_the_worse_matters() -> None:
    names = [f"c{place}" for place in range(20)]
    good, bad = cases("a", **dict.fromkeys(names, "11")), cases("b", **dict.fromkeys(names, "00"))
    assert first(good, bad).non_inferior.holds
    assert not first(bad, good, 0.5).non_inferior.holds


def test_a_case_whose_first_sample_one_lacks_is_left_out() -> None:
    """Case y has no sample 0 on A, z none on B; only x is compared."""
    found = first(cases("a", x="11", y="-0", z="00"), cases("b", x="00", y="11", z="-1"))
    assert found.pairs == SamplePairs(n=1, both=0, only_a=1, only_b=0, neither=0)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (cases("a", x="1", y="0"), cases("b", x="1", y="1")),  # one sample each: the comparison says it all already
        (cases("a", x="-1", y="-1"), cases("b", x="11", y="11")),  # no first sample on A
        ({}, {}),
    ],
)
def test_there_is_nothing_to_say_of_first_samples_alone(a: Cases, b: Cases) -> None:
    assert first_sample(a, b, margin=0.05, names=("a", "b"), reason=(False, False)) is None


def test_one_case_of_several_samples_on_either_side_is_enough() -> None:
    one, several = cases("a", x="1", y="0"), cases("b", x="1", y="01")
    assert (
        first(one, several).pairs
        == first(several, one).pairs
        == SamplePairs(n=2, both=1, only_a=0, only_b=0, neither=1)
    )


def test_as_json_the_pairs_stand_beside_the_figures() -> None:
    plain = first(cases("a", x="10", y="11"), cases("b", x="10", y="00")).to_dict()
    assert {name: plain[name] for name in ("n", "both", "only_a", "only_b", "neither", "mcnemar_p")} == {
        "n": 2,
        "both": 1,
        "only_a": 1,
        "only_b": 0,
        "neither": 0,
        "mcnemar_p": 1.0,
    }
    assert (plain["difference"]["value"], plain["non_inferior"]["margin"]) == (0.5, 0.05)
    assert plain["ratios"]["completion_tokens"]["value"] == 1.0
