"""What reading and writing take, learned from joules and tokens: found where it can be told, and else not told."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytest_rightsize.meters.attribution.phases import fit_phases, is_better_known
from pytest_rightsize.meters.attribution.sharing import Ledger
from pytest_rightsize.meters.attribution.stretches import Stretch
from pytest_rightsize.meters.attribution.timeline import Break, Timeline

PROMPT_J, COMPLETION_J, ANSWER_J = 0.02, 0.4, 1.5


def stretch(prompt: float, completion: float, *, noise: float = 0.0, answers: float = 1.0) -> Stretch:
    joules = PROMPT_J * prompt + COMPLETION_J * completion + ANSWER_J * answers + noise
    return Stretch(prompt=prompt, completion=completion, answers=answers, joules=(joules,))


def drawn(count: int, *, noise_j: float = 0.0, seed: int = 3) -> list[Stretch]:
    chance = random.Random(seed)
    return [
        stretch(chance.randint(20, 800), chance.randint(5, 200), noise=chance.gauss(0, noise_j)) for _ in range(count)
    ]


def test_what_a_token_takes_is_found_from_eight_answers_on() -> None:
    assert fit_phases(drawn(7), ["sim:0"]) == (
        "its counters can tell 7 answers apart, or stretches of them; it takes 8"
    )
    fits = fit_phases(drawn(8), ["sim:0"])
    assert not isinstance(fits, str)
    (fit,) = fits
    assert (fit.device, fit.stretches, fit.answers) == ("sim:0", 8, 8)
    assert (fit.prompt_j, fit.completion_j, fit.answer_j) == pytest.approx((PROMPT_J, COMPLETION_J, ANSWER_J))
    assert fit.prompt_weight == pytest.approx(0.05)
    assert fit.prompt_share + fit.completion_share + fit.answer_share == pytest.approx(1)
    assert fit.explained == pytest.approx(1)
    assert fit.prompt_weight_error == pytest.approx(0, abs=1e-6)
    assert is_better_known(fit)


def test_noise_moves_it_little_and_nothing_falls_below_zero() -> None:
    fits = fit_phases(drawn(60, noise_j=3.0), ["sim:0"])
    assert not isinstance(fits, str)
    assert fits[0].completion_j == pytest.approx(COMPLETION_J, rel=0.1)
    assert min(fits[0].prompt_j, fits[0].answer_j) >= 0
    sizes = [(1, 9), (50, 7)] * 9
    dear_to_read = [Stretch(prompt=p, completion=c, answers=1, joules=(c - 0.01 * p,)) for p, c in sizes]
    fits = fit_phases([*dear_to_read, stretch(3, 90)], ["sim:0"])
    assert isinstance(fits, str) or fits[0].prompt_j == 0


def test_a_fit_that_knows_the_weight_worse_than_the_assumption_is_told_and_not_used() -> None:
    """The true weight is mostly within two standard errors of what is found, however noisy the joules are."""
    told = within = used = 0
    for seed in range(40):
        fits = fit_phases(drawn(20, noise_j=25.0, seed=seed), ["sim:0"])
        if isinstance(fits, str):
            continue
        (fit,) = fits
        assert fit.prompt_weight is not None
        assert fit.prompt_weight_error is not None
        told += 1
        within += abs(fit.prompt_weight - 0.05) < 2 * fit.prompt_weight_error
        used += is_better_known(fit)
    assert told >= 20
    assert within >= 0.85 * told
    assert 0 < used <= told
    vague = fit_phases([*drawn(8, noise_j=120.0, seed=1), *drawn(1)], ["sim:0"])
    assert isinstance(vague, str) or not is_better_known(vague[0])


def test_prompts_that_are_all_alike_cannot_be_told_from_what_each_answer_takes() -> None:
    alike = [stretch(500 + 0.001 * place, 10 + place) for place in range(20)]
    said = fit_phases(alike, ["sim:0"])
    assert isinstance(said, str)
    assert said.startswith("its prompts and answers are too much alike")


def test_joules_that_follow_no_tokens_are_not_split() -> None:
    chance = random.Random(5)
    odd = [
        Stretch(
            prompt=chance.randint(20, 800), completion=chance.randint(5, 200), answers=1, joules=(chance.gauss(90, 5),)
        )
        for _ in range(40)
    ]
    said = fit_phases(odd, ["sim:0"])
    assert isinstance(said, str)
    assert "of how much their joules on sim:0 differ" in said


def test_prompts_that_were_all_cached_say_nothing_of_reading() -> None:
    said = fit_phases([stretch(0, place) for place in range(1, 20)], ["sim:0"])
    assert said == "its answers have no tokens, or its prompts none that were not cached"


def test_each_device_has_its_own_fit() -> None:
    both = [
        Stretch(prompt=one.prompt, completion=one.completion, answers=1, joules=(*one.joules, 7.0 * one.completion))
        for one in drawn(12)
    ]
    fits = fit_phases(both, ["sim:0", "sim:1"])
    assert not isinstance(fits, str)
    assert [fit.device for fit in fits] == ["sim:0", "sim:1"]
    assert fits[1].completion_j == pytest.approx(7.0)
    assert fits[1].prompt_weight == pytest.approx(0, abs=1e-6)


READ_S, WRITE_S, WATTS = 0.001, 0.02, 100.0


def ledger_of(requests: list[tuple[float, int, int]], *, marginal: bool = False) -> Ledger:
    """A ledger that saw requests (start, prompt, completion), each served at its own pace, on an exact meter."""
    line = Timeline(exact=True)
    ledger = Ledger([line], opened=0.0, patience_s=1e9, loads=False, marginal=marginal)
    spans = [(start, start + READ_S * prompt + WRITE_S * written) for start, prompt, written in requests]

    def joules(moment: float) -> float:
        return sum(WATTS * max(0.0, min(moment, end) - start) for start, end in spans)

    moments = sorted(
        [(start, 1, place) for place, (start, _) in enumerate(spans)]
        + [(end, 0, place) for place, (_, end) in enumerate(spans)]
    )
    line.read(0.0, 0.0, 0.0)
    for moment, is_start, place in moments:
        line.read(moment, moment, joules(moment))
        if is_start:
            ledger.admit(place, moment)
        else:
            _, prompt, written = requests[place]
            ledger.land(place, end=moment, seconds=None, written=float(written), read=float(prompt))
        ledger.settle(moment)
    last = moments[-1][0] + 1
    line.read(last, last, joules(last))
    ledger.settle(last, closing=True)
    return ledger


def requests_of(count: int, *, gap_s: float, seed: int = 11) -> list[tuple[float, int, int]]:
    chance = random.Random(seed)
    return [(1 + place * gap_s, chance.randint(50, 3000), chance.randint(5, 150)) for place in range(count)]


def test_answers_that_were_alone_are_one_stretch_each() -> None:
    ledger = ledger_of(requests_of(12, gap_s=20.0))
    assert [round(one.answers, 6) for one in ledger.stretches] == [1.0] * 12
    fits = fit_phases(ledger.stretches, ["sim:0"])
    assert not isinstance(fits, str)
    assert fits[0].prompt_weight == pytest.approx(READ_S / WRITE_S, rel=1e-3)


def test_answers_that_always_overlap_are_cut_into_stretches() -> None:
    """The queue is never empty, so that nobody is ever alone; what reading weighs is found all the same."""
    ledger = ledger_of(requests_of(300, gap_s=0.5))
    assert len(ledger.stretches) >= 8
    fits = fit_phases(ledger.stretches, ["sim:0"])
    assert not isinstance(fits, str)
    assert fits[0].prompt_weight == pytest.approx(READ_S / WRITE_S, rel=0.35)
    account = ledger.accounts[0]
    assert account.served + account.idle == pytest.approx(account.total)


def test_an_answer_whose_tokens_are_unknown_or_that_was_lost_spoils_its_stretch_only() -> None:
    line = Timeline(exact=True)
    ledger = Ledger([line], opened=0.0, patience_s=1.0, loads=False)
    line.read(0.0, 0.0, 0.0)
    for place, (start, written) in enumerate([(1.0, 10.0), (3.0, None), (5.0, 20.0), (7.0, -1.0)]):
        ledger.admit(place, start)
        line.read(start, start, 10 * start)
        line.read(start + 1, start + 1, 10 * start + 10)
        if written == -1:
            ledger.lose(place, start + 1)
        else:
            ledger.land(place, end=start + 1, seconds=None, written=written)
        ledger.settle(start + 1.5)
    assert [one.completion for one in ledger.stretches] == [10.0, 20.0]


def test_what_is_learned_changes_the_shares_and_not_their_sum() -> None:
    def shares(weight: float) -> list[float]:
        line = Timeline(exact=True)
        ledger = Ledger([line], opened=0.0, patience_s=1.0, loads=False)
        ledger.prompt_weights = [weight]
        line.read(0.0, 0.0, 0.0)
        for place in (0, 1):
            ledger.admit(place, 1.0)
        for moment in (1.0, 3.0, 4.0):
            line.read(moment, moment, 50 * moment)
        ledger.land(0, end=3.0, seconds=2.0, written=10.0, read=1000.0)
        ledger.land(1, end=3.0, seconds=2.0, written=110.0, read=0.0)
        parts = [part for share in ledger.settle(4.0) for part in share.parts]
        return [part.joules for part in parts if not isinstance(part, Break)]

    assert shares(0.1) == pytest.approx([50.0, 50.0])
    assert shares(0.0) == pytest.approx([100 / 12, 1100 / 12])
    assert sum(shares(0.33)) == pytest.approx(100)


def _least_squares(stretches: list[Stretch]) -> tuple[Any, Any, Any]:
    """Rows, what each column takes, and the residuals, by numpy's own least squares; where nothing is below 0."""
    rows = np.array([[one.prompt, one.completion, one.answers] for one in stretches], dtype=float)
    joules = np.array([one.joules[0] for one in stretches])
    each = np.linalg.lstsq(rows, joules, rcond=None)[0]
    assert min(each) > 0
    return rows, each, joules - rows @ each


def test_the_error_of_the_weight_is_that_of_least_squares_carried_to_a_ratio() -> None:
    """Its change by each coefficient is taken from small steps here, and by its formula there."""
    stretches = drawn(20, noise_j=1.5)
    rows, each, residuals = _least_squares(stretches)
    covariance = residuals @ residuals / (20 - 3) * np.linalg.inv(rows.T @ rows)
    step = 1e-6
    weight = each[0] / each[1]
    slope = np.array([(each[0] + step) / each[1] - weight, each[0] / (each[1] + step) - weight, 0.0]) / step
    fits = fit_phases(stretches, ["sim:0"])
    assert not isinstance(fits, str)
    assert fits[0].prompt_weight_error == pytest.approx(np.sqrt(slope @ covariance @ slope), rel=1e-4)
    assert fits[0].prompt_weight == pytest.approx(each[0] / each[1])


def test_few_joules_are_fitted_like_many() -> None:
    small = [replace(one, joules=(one.joules[0] * 1e-6,)) for one in drawn(12)]
    fits = fit_phases(small, ["sim:0"])
    assert not isinstance(fits, str)
    assert (fits[0].prompt_j, fits[0].completion_j) == pytest.approx((PROMPT_J * 1e-6, COMPLETION_J * 1e-6))
    assert fits[0].explained == pytest.approx(1)


def test_joules_that_are_all_alike_are_not_explained_by_tokens() -> None:
    alike = [replace(one, joules=(5.0,)) for one in drawn(12)]
    assert fit_phases(alike, ["sim:0"]) == "their tokens tell 0 % of how much their joules on sim:0 differ"


def test_it_is_said_how_much_tokens_tell_where_that_is_too_little() -> None:
    stretches = drawn(30, noise_j=30.0, seed=7)
    _, _, residuals = _least_squares(stretches)
    joules = np.array([one.joules[0] for one in stretches])
    explained = 1 - residuals @ residuals / ((joules - joules.mean()) ** 2).sum()
    assert 0.05 < explained < 0.5
    assert fit_phases(stretches, ["sim:0"]) == (
        f"their tokens tell {round(100 * explained)} % of how much their joules on sim:0 differ"
    )
