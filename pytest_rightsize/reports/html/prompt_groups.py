"""The variants of a task's prompt as a group of rows in the page's tables: together, under the task's name."""

from collections.abc import Mapping, Sequence

from pytest_rightsize.judging.prompt_variants import prompts_by_task
from pytest_rightsize.records import Json

__all__ = ["grouped_rows"]


def grouped_rows(rows: Sequence[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """The rows, each of a `task`, with all variants of a prompt after the first of them.

    Each gets a `label`, which is the variant's name within a group; the first of a group gets `group`, the task's name
    and the number of its prompts.
    """
    named = prompts_by_task(row["task"] for row in rows)
    groups: dict[str, list[Mapping[str, Json]]] = {}
    for row in rows:
        groups.setdefault(named.get(row["task"], (row["task"], ""))[0], []).append(row)
    return [
        {**row, "label": named.get(row["task"], (None, row["task"]))[1], "in_group": row["task"] in named}
        | ({"group": {"task": task, "prompts": len(group)}} if row["task"] in named and row is group[0] else {})
        for task, group in groups.items()
        for row in group
    ]
