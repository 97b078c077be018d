"""Weights of prompt tokens: when they are learned, from how many answers, and when the assumption stays."""

import threading

import pytest

from pytest_rightsize.meters.attribution.prompt_weights import PromptWeights
from pytest_rightsize.meters.attribution.sharing import Ledger
from pytest_rightsize.meters.attribution.splitting import PROMPT_WEIGHT
from pytest_rightsize.meters.attribution.stretches import Stretch
from pytest_rightsize.meters.attribution.timeline import Timeline

DEVICES = ("sim:0", "sim:1")
# Prompt and completion tokens of one answer each, too unlike each other to be mixed up.
SIZES = [(100, 10), (700, 20), (50, 150), (900, 5), (300, 90), (20, 40), (600, 120), (150, 60)]


class Learner:
    """Weights of two devices, and stretches that are added to their ledger."""

    def __init__(self) -> None:
        self.ledger = Ledger([Timeline(exact=True) for _ in DEVICES], opened=0.0, patience_s=1.0)
        self.weights = PromptWeights(self.ledger, DEVICES, lock=threading.RLock())

    def sees(self, *weights: float | None, count: int = 8) -> None:
        """So many stretches: a written token takes 1 J on each device, a prompt token `weights` of it, or None."""
        for place in range(count):
            prompt, written = SIZES[place % len(SIZES)]
            joules = tuple(0.1 * prompt if weight is None else written + weight * prompt + 3.0 for weight in weights)
            self.ledger.stretches.append(Stretch(prompt=prompt, completion=written, answers=1.0, joules=joules))


def test_before_there_is_enough_to_learn_from_the_assumption_holds() -> None:
    one = Learner()
    one.sees(0.05, 0.2, count=7)
    one.weights.learn()
    assert one.weights.by_device() == dict.fromkeys(DEVICES, PROMPT_WEIGHT)
    assert one.weights.answers_by_device() == dict.fromkeys(DEVICES, 0.0)
    assert isinstance(one.weights.fit(), str)


def test_from_eight_answers_each_device_has_its_own_weight() -> None:
    one = Learner()
    one.sees(0.05, 0.2, count=5)
    one.weights.learn()
    one.ledger.stretches.clear()
    one.sees(0.05, 0.2)
    one.weights.learn()
    assert one.weights.by_device() == pytest.approx({"sim:0": 0.05, "sim:1": 0.2})
    assert one.ledger.prompt_weights == pytest.approx([0.05, 0.2])
    assert one.weights.answers_by_device() == {"sim:0": 8.0, "sim:1": 8.0}


def test_it_is_learned_again_from_twice_as_many() -> None:
    one = Learner()
    one.sees(0.05, 0.2)
    one.weights.learn()
    one.sees(0.3, 0.2, count=7)
    one.weights.learn()
    assert one.weights.by_device()["sim:0"] == pytest.approx(0.05)
    one.sees(0.3, 0.2, count=1)
    one.weights.learn()
    assert one.weights.by_device()["sim:0"] > 0.1
    assert one.weights.answers_by_device() == {"sim:0": 16.0, "sim:1": 16.0}


def test_a_weight_that_is_known_worse_than_the_assumption_is_not_used() -> None:
    """Thirty joules for every other answer hide what a prompt token takes on the second device."""
    one = Learner()
    one.sees(0.05, 0.05)
    for place, stretch in enumerate(one.ledger.stretches):
        joules = (stretch.joules[0], 0.3 * stretch.completion + 0.2 * stretch.prompt + 30.0 * (place % 2))
        one.ledger.stretches[place] = Stretch(
            prompt=stretch.prompt, completion=stretch.completion, answers=1.0, joules=joules
        )
    fits = one.weights.fit()
    assert not isinstance(fits, str)
    assert fits[1].prompt_weight is not None
    assert (fits[1].prompt_weight_error or 0) > PROMPT_WEIGHT
    one.weights.learn()
    assert one.weights.by_device() == pytest.approx({"sim:0": 0.05, "sim:1": PROMPT_WEIGHT})
    assert one.weights.answers_by_device() == {"sim:0": 8.0, "sim:1": 0.0}


def test_where_writing_takes_nothing_there_is_no_weight() -> None:
    one = Learner()
    one.sees(None, 0.2)
    one.weights.learn()
    assert one.weights.by_device() == pytest.approx({"sim:0": PROMPT_WEIGHT, "sim:1": 0.2})
