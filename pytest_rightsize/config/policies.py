"""Settles the task and the bar of each test, from its markers, else the ladder file, else the options.

Test functions come in, a Policy for each task goes out, which says of each part of its bar where it came from: the rule
is that of `task_settings.py`. Files are read only to find a `chosen` and its line.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from pytest_rightsize.config.chosen import resolve_chosen
from pytest_rightsize.config.ladder import Ladder
from pytest_rightsize.config.options import PROMPTS, VARIANT
from pytest_rightsize.config.settings import Settings
from pytest_rightsize.config.task_settings import ChosenSource, TaskSettings, marked_settings, merged
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.escaping import one_line
from pytest_rightsize.judging.prompt_variants import confidence_over, variant_task
from pytest_rightsize.locations import key_line, place
from pytest_rightsize.records import Policy

__all__ = ["Definition", "Policies", "definition_of"]

# Gives the cases of a task that stops early the order that decides. The same for all: whoever could choose it after a
# look at the answers could choose the verdict.
_SHUFFLE_SEED = 0


class Definition(Protocol):
    """A test function: its id without parameters, its place in the source, and its markers."""

    @property
    def nodeid(self) -> str:
        """The id, without parameters."""

    @property
    def location(self) -> tuple[str, int | None, str]:
        """The file from the rootdir, the line counted from 0, and the name."""

    def iter_markers(self, name: str | None = None) -> Iterator[pytest.Mark]:
        """The markers, nearest first."""


def definition_of(item: pytest.Item) -> Definition:
    """The test function of an item."""
    return _Item(item)


class _Item:
    def __init__(self, item: pytest.Item) -> None:
        self.nodeid = item.nodeid.partition("[")[0]
        self.location = item.location
        self.iter_markers = item.iter_markers


class _Variant:
    """A test function with one of its prompts."""

    def __init__(self, definition: Definition, variant: pytest.Mark) -> None:
        self.nodeid = definition.nodeid
        self.location = definition.location
        self._definition = definition
        self._variant = variant

    def iter_markers(self, name: str | None = None) -> Iterator[pytest.Mark]:
        """The markers, nearest first."""
        if name == self._variant.name:
            yield self._variant
        yield from self._definition.iter_markers(name)


class Policies(Mapping[str, Policy]):
    """The policies of a session by task; each is settled when the first test of its task is seen."""

    def __init__(self, settings: Settings, ladder: Ladder) -> None:
        """Start with none."""
        self._settings = settings
        self._ladder = ladder
        self._policies: dict[str, Policy] = {}
        self._described_by: dict[str, tuple[str, TaskSettings]] = {}
        # The cases of one function have the same markers; they are kept, so that no other object gets their ids.
        self._by_markers: dict[tuple[str, tuple[int, ...]], tuple[Policy, Sequence[pytest.Mark]]] = {}

    def __getitem__(self, task: str) -> Policy:
        """The policy of a task that was seen."""
        return self._policies[task]

    def __iter__(self) -> Iterator[str]:
        """The tasks that were seen."""
        return iter(self._policies)

    def __len__(self) -> int:
        """The number of tasks that were seen."""
        return len(self._policies)

    def add(self, policy: Policy) -> None:
        """Take over a policy from another process."""
        self._policies[policy.task] = policy

    def of(self, definition: Definition) -> Policy:
        """The policy of a test; raises ConfigError where its markers are wrong or two tests of a task differ."""
        variant = next(definition.iter_markers(VARIANT), None)
        markers = [*definition.iter_markers("rightsize"), *([] if variant is None else [variant])]
        key = (definition.nodeid, tuple(map(id, markers)))
        if key not in self._by_markers:
            self._by_markers[key] = (self._read(definition, markers), markers)
        return self._by_markers[key][0]

    def add_variants(self, definition: Definition) -> None:
        """Settle the policies of a test's prompts: their tasks are known then, whatever is deselected."""
        prompts = next(definition.iter_markers(PROMPTS), None)
        if prompts is None:
            return
        for name in prompts.kwargs:
            self.of(_Variant(definition, getattr(pytest.mark, VARIANT)(name, len(prompts.kwargs)).mark))

    def _read(self, definition: Definition, markers: Sequence[pytest.Mark]) -> Policy:
        layers = [marked_settings(definition.nodeid, marker) for marker in markers if marker.name != VARIANT]
        task = next((name for name, _ in layers if name is not None), one_line(definition.nodeid))
        variant = next((marker for marker in markers if marker.name == VARIANT), None)
        of_task, prompts = task, 1
        if variant is not None:
            task, prompts = variant_task(task, variant.args[0]), variant.args[1]
        marked = merged(*(settings for _, settings in layers))
        first = self._described_by.setdefault(task, (definition.nodeid, marked))
        if first[1] != marked:
            raise ConfigError(
                f"the task {task!r} is described differently by {first[0]} and {definition.nodeid}: "
                f"give both the same arguments of rightsize(...), or write them once under [tasks] in the ladder file"
            )
        if task not in self._policies:
            file, line, _ = definition.location
            test_at = place(file, None if line is None else line + 1)
            self._policies[task] = self._complete(task, marked, test_at, of_task=of_task, prompts=prompts)
        return self._policies[task]

    def _complete(self, task: str, marked: TaskSettings, test_at: str | None, *, of_task: str, prompts: int) -> Policy:
        """The policy of a task, or of one of the `prompts` of the task `of_task`, whose table counts for each."""
        own, shared = (self._ladder.tasks.get(name, TaskSettings()) for name in (task, of_task))
        table = merged(own, shared)
        task_settings = merged(marked, table)
        chosen, chosen_from = resolve_chosen(
            task_settings.chosen, ladder=self._ladder, base_dir=self._settings.rootdir, env=os.environ, task=task
        )
        confidence = self._settings.confidence if task_settings.confidence is None else task_settings.confidence
        if confidence is not None:
            confidence = confidence_over(confidence, prompts)
        return Policy(
            task=task,
            pass_rate=self._settings.pass_rate if task_settings.pass_rate is None else task_settings.pass_rate,
            confidence=confidence,
            samples=self._settings.samples if task_settings.samples is None else task_settings.samples,
            chosen=chosen,
            chosen_from=chosen_from,
            private=bool(task_settings.private),
            max_tokens=task_settings.max_tokens,
            concurrent=task_settings.concurrent is not False,
            waivers=task_settings.waive or (),
            shuffle_seed=_SHUFFLE_SEED if confidence is not None and self._settings.stopping == "early" else None,
            test_at=test_at,
            chosen_at=self._chosen_at(task_settings.chosen, task if own.chosen is not None else of_task)
            or (test_at if marked.chosen is not None else None),
            pass_rate_from=self._source("pass_rate", task if own.pass_rate is not None else of_task, marked, table),
            confidence_from=self._source("confidence", task if own.confidence is not None else of_task, marked, table),
            requests_per_month=table.requests_per_month,
            samples_from=self._source("samples", task if own.samples is not None else of_task, marked, table),
        )

    def _source(self, name: str, task: str, marked: TaskSettings, table: TaskSettings) -> str:
        """Where a part of the bar came from, in the words of the table."""
        if getattr(marked, name) is not None:
            return "marker"
        if getattr(table, name) is not None:
            return self._ladder.table_of(task, self._settings.rootdir)
        return self._settings.sources.get(name, "default")

    def _chosen_at(self, chosen: str | ChosenSource | None, task: str) -> str | None:
        """The place of a `chosen` that is written in a file; None for one in a marker or a variable."""
        if isinstance(chosen, ChosenSource):
            if chosen.file is None:
                return None
            return self._line_in(self._settings.rootdir / chosen.file, str(chosen.key).split("."))
        task_settings = self._ladder.tasks.get(task)
        if task_settings is None or task_settings.chosen != chosen or chosen is None:
            return None
        source = Path(self._ladder.source.removesuffix(" [tool.rightsize]"))
        above = ("tool", "rightsize") if source.name == "pyproject.toml" else ()
        return self._line_in(source, [*above, "tasks", task, "chosen"])

    def _line_in(self, path: Path, keys: Sequence[str]) -> str | None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        shown = path.relative_to(self._settings.rootdir) if path.is_relative_to(self._settings.rootdir) else path
        return place(shown.as_posix(), key_line(text, keys, suffix=path.suffix))
