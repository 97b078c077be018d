"""Shards: a suite split over several sessions by the names of its tasks, or of its cases; pure.

A name always falls to the same shard, on any machine and in any order of collection, so that sessions need not agree.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, get_args

from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.records import Json, TrialKey

__all__ = ["MOST_SHARDS", "Shard", "ShardBy", "ShardCollects"]

ShardBy = Literal["task", "case"]
ShardCollects = Literal["auto", "own", "suite"]
"""Which tests a shard makes while it collects: those of the whole suite, or its own and one of each other function."""
MOST_SHARDS = 100_000


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One of `count` shards, of which the first has the `index` 1. A task is never split unless they are `by` case."""

    index: int
    count: int
    by: ShardBy = "task"

    @classmethod
    def parse(cls, text: str, by: str | None = None) -> "Shard":
        """Read `3/16`; raises ConfigError with what was given."""
        kinds: tuple[ShardBy, ...] = get_args(ShardBy)
        kind = next((one for one in kinds if one == (by or "task")), None)
        if kind is None:
            raise unknown_name("--rightsize-shard-by", str(by), kinds)
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
        index, count = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= index <= count <= MOST_SHARDS:
            raise ConfigError(
                f"--rightsize-shard was given {text[:100]!r}: give which shard of how many, as in 1/4 for the first of "
                f"four, with {MOST_SHARDS:,} shards at most"
            )
        return cls(index=index, count=count, by=kind)

    def __str__(self) -> str:
        """`3/16`, as it is given."""
        return f"{self.index}/{self.count}"

    def holds(self, key: TrialKey) -> bool:
        """Whether a trial belongs to this shard."""
        name = key.task if self.by == "task" else key.case
        digest = blake2b(name.encode("utf-8", "backslashreplace"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.index - 1

    def to_dict(self) -> dict[str, Json]:
        """The shard as plain data."""
        return {"index": self.index, "count": self.count, "by": self.by}

    @classmethod
    def from_dict(cls, plain: Json) -> "Shard | None":
        """The inverse of `to_dict`; None for what is no shard."""
        if not isinstance(plain, dict) or plain.get("by") not in get_args(ShardBy):
            return None
        index, count = plain.get("index"), plain.get("count")
        if type(index) is not int or type(count) is not int or not 1 <= index <= count <= MOST_SHARDS:
            return None
        return cls(index=index, count=count, by=plain["by"])
