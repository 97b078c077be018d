"""The order of a climb: rung by rung, whatever else has sorted the tests; in a rung they stay as they were sorted.

Plugins may sort and filter until the first test starts: pytest's own cache (`--ff`, `--nf`) does so after every other
hook of collection, pytest-order after ours.
"""

from collections import defaultdict
from itertools import pairwise

import pytest

from pytest_rightsize.running.setup_state import shared_params
from pytest_rightsize.session.savings_samples import wants_sample_order
from pytest_rightsize.session.state import TRIAL_KEY, SessionState
from pytest_rightsize.statistics import cases_in_order

__all__ = ["climb_in_order", "climbs_in_order"]


def climbs_in_order(state: SessionState, items: list[pytest.Item]) -> bool:
    """Whether no test stands before one of an earlier rung."""
    return all(_turn(state, before) <= _turn(state, after) for before, after in pairwise(items))


def climb_in_order(state: SessionState, items: list[pytest.Item]) -> None:
    """Sort the tests in place: those that ask no rung first, then all tasks on the first rung, then on the next."""
    items.sort(key=lambda item: _turn(state, item))
    _shuffle(state, items)


def _turn(state: SessionState, item: pytest.Item) -> int:
    key = item.stash.get(TRIAL_KEY, None)
    return -1 if key is None else state.turn[key.rung]


def _shuffle(state: SessionState, items: list[pytest.Item]) -> None:
    """Ask the cases of tasks that stop early in the order that decides, where no wider fixture is set up anew.

    So are those of a chosen rung, of which a sample may be asked to tell what a smaller one saves.
    """
    places: dict[tuple[object, ...], list[int]] = defaultdict(list)
    cases: dict[tuple[str, str], set[str]] = defaultdict(set)
    keys = [item.stash.get(TRIAL_KEY, None) for item in items]
    for key in keys:
        if key is not None:
            cases[key.task, key.rung].add(key.case)
    is_shuffled = {
        (task, rung): state.policies[task].stops_early or wants_sample_order(state, task, rung, len(names))
        for (task, rung), names in cases.items()
    }
    for place, (item, key) in enumerate(zip(items, keys, strict=True)):
        if key is not None and is_shuffled[key.task, key.rung]:
            places[key.task, key.rung, item.parent, tuple(shared_params(item))].append(place)
    for (task, *_), own in places.items():
        names = {items[place].stash[TRIAL_KEY].case for place in own}
        order = cases_in_order(names, task=str(task), seed=state.policies[str(task)].shuffle_seed or 0)
        rank = {case: position for position, case in enumerate(order)}
        shuffled = sorted((items[place] for place in own), key=lambda item: rank[item.stash[TRIAL_KEY].case])
        for place, item in zip(own, shuffled, strict=True):
            items[place] = item
