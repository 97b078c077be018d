"""One shard of a suite: the tests of other shards are left out, and what the whole suite plans is written down.

In come all items of the collection, each with its trial; out go those of this shard. Tests that ask no model run in the
first shard only.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat

import pytest

from pytest_rightsize.records import Json, Policy, TrialKey
from pytest_rightsize.shards import Shard

__all__ = ["of_this_shard", "suite_plan"]


def of_this_shard(
    shard: Shard, items: Sequence[pytest.Item], keys: Sequence[TrialKey | None]
) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The items of a shard, and those of others; `keys` are the items' trials, None for a test that asks no model."""
    mine: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item, key in zip(items, keys, strict=True):
        is_mine = shard.index == 1 if key is None else shard.holds(key)
        (mine if is_mine else others).append(item)
    return mine, others


def suite_plan(
    keys: Iterable[TrialKey], policies: Mapping[str, Policy], *, standing_for: Iterable[Mapping[str, int] | None] = ()
) -> list[dict[str, Json]]:
    """The plan of the whole suite as plain data: each task's policy and trials by rung, in the order of collection.

    `standing_for` tells of each key how many trials on each rung it stands for, where it does for more than its own.
    """
    planned: dict[str, Counter[str]] = defaultdict(Counter)
    for key, counts in zip(keys, chain(standing_for, repeat(None)), strict=False):
        planned[key.task].update([key.rung] if counts is None else counts)
    return [policies[task].to_dict() | {"planned": dict(counts)} for task, counts in planned.items()]
