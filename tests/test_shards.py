"""Which trials a shard holds, and how it is given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import TrialKey
from pytest_rightsize.shards import Shard


def key(task: str, case: str = "test_a.py::test[1]") -> TrialKey:
    return TrialKey(task=task, case=case, rung="a")


@given(st.text(max_size=8), st.text(max_size=8), st.integers(1, 50), st.sampled_from(["task", "case"]))
def test_each_trial_is_of_exactly_one_shard(task: str, case: str, count: int, by: str) -> None:
    shards = [Shard.parse(f"{index}/{count}", by) for index in range(1, count + 1)]
    assert sum(shard.holds(key(task, case)) for shard in shards) == 1


@given(st.text(max_size=8), st.lists(st.text(max_size=8), max_size=5))
def test_a_task_is_not_split(task: str, cases: list[str]) -> None:
    shard = Shard.parse("2/3")
    assert len({shard.holds(key(task, case)) for case in cases}) <= 1


def test_a_name_falls_to_the_same_shard_on_every_machine_and_version() -> None:
    """These places are part of the format of results files: shards of two versions are merged."""
    shards = [Shard(index=index, count=4) for index in range(1, 5)]
    names = ("route-ticket", "extract", "upper", "größe", "\ud800")
    assert [next(shard.index for shard in shards if shard.holds(key(name))) for name in names] == [4, 4, 4, 2, 3]


@pytest.mark.parametrize("text", ["1/1", "3/16", " 16/16 "])
def test_a_shard_is_read_and_written(text: str) -> None:
    shard = Shard.parse(text)
    assert str(shard) == text.strip()
    assert Shard.from_dict(shard.to_dict()) == shard


@pytest.mark.parametrize(
    "text", ["", "3", "0/4", "5/4", "-1/4", "1/0", "1/2/3", "a/b", "1.0/2", "1/100001", "9" * 5000 + "/2", "¹/2"]
)
def test_what_is_no_shard_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--rightsize-shard was given .*: give which shard of how many, as in 1/4"):
        Shard.parse(text)


def test_another_split_is_told() -> None:
    with pytest.raises(ConfigError, match="--rightsize-shard-by"):
        Shard.parse("1/2", "file")


@pytest.mark.parametrize(
    "plain",
    [
        None,
        "1/2",
        {},
        {"index": 3, "count": 2, "by": "task"},
        {"index": True, "count": 2, "by": "task"},
        {"index": 1, "count": 2.0, "by": "task"},
        {"index": 1, "count": 2, "by": "file"},
        {"index": 1, "count": 2, "by": ["task"]},
    ],
)
def test_what_a_file_has_in_place_of_a_shard_is_none(plain: object) -> None:
    assert Shard.from_dict(plain) is None
