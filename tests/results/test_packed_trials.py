"""Packed trials are those that were added, by task; the last of a key counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.records import Trial, TrialKey, trials_by_task
from pytest_rightsize.results import packed_trials
from pytest_rightsize.results.packed_trials import PackedTrials


def trial(task: str, case: int, seconds: float = 0.0) -> Trial:
    key = TrialKey(task=task, case=str(case), rung="one")
    return Trial(key=key, outcome="passed", seconds=seconds)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), max_size=30), st.integers(1, 8))
def test_packed_trials_are_those_of_a_dict_by_task(added: list[tuple[str, int]], most_loose: int) -> None:
    packed, last, tasks = PackedTrials(), dict[TrialKey, Trial](), dict[str, None]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_trials, "_MOST_LOOSE", most_loose)
        for number, (task, case) in enumerate(added):
            one = trial(task, case, seconds=float(number))
            packed.add(one)
            last[one.key] = one
            tasks[task] = None
    expected = [one for task in tasks for one in last.values() if one.key.task == task]
    assert [*packed] == expected
    assert len(packed) == len(expected)
    assert [packed[place] for place in range(-len(expected), len(expected))] == expected * 2
    assert [*packed[1:4]] == expected[1:4]
    groups = trials_by_task(packed)
    assert {task: [*groups[task]] for task in groups} == {
        task: [*own] for task, own in trials_by_task(expected).items()
    }
    assert len(groups) == len(tasks)


def test_what_is_added_later_is_seen() -> None:
    packed = PackedTrials()
    packed.add(trial("a", 1))
    assert len(packed) == 1
    packed.add(trial("a", 2))
    assert [one.key.case for one in packed.of_task("a")] == ["1", "2"]
    assert len(packed) == 2


@pytest.mark.parametrize("place", [1, -2, 7])
def test_a_place_that_is_not_there_is_an_index_error(place: int) -> None:
    packed = PackedTrials()
    packed.add(trial("a", 1))
    with pytest.raises(IndexError):
        packed[place]
    with pytest.raises(KeyError):
        packed.of_task("b")
