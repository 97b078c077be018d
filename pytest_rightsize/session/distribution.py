"""Puts trials into the ids of tests for pytest-xdist, and keeps each task on one worker.

Workers send the controller no more than the ids of what they collected; so each id carries a label with the trial.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Policy, TrialKey
from pytest_rightsize.versions import too_old

__all__ = [
    "VERSION",
    "Label",
    "check_version",
    "exception_line",
    "installed_version",
    "labelled",
    "read_label",
    "task_scheduling",
    "what_it_needs",
]

VERSION = "rightsize-version"
"""What a worker is told of the session's version."""

_PACKAGE = "pytest-rightsize"
# As argparse refuses an option; pytest's name in it is that of the program.
_REFUSAL = re.compile(r"\S+: error: ")

# Between a test's id and its label; no test id holds this character.
_SEPARATOR = "\x1f"


@dataclass(frozen=True, kw_only=True)
class Label:
    """A test's id, the trial it is, and with the first test of a task the task's policy."""

    nodeid: str
    key: TrialKey
    policy: Policy | None = None


class _Labelled:
    """An item under another id, for the moment in which xdist reads the ids."""

    def __init__(self, item: pytest.Item, nodeid: str) -> None:
        self._item = item
        self.nodeid = nodeid

    def __getattr__(self, name: str) -> Any:
        return getattr(self._item, name)


def labelled(
    items: Sequence[pytest.Item], keys: Sequence[TrialKey | None], policies: Mapping[str, Policy]
) -> Iterator[pytest.Item]:
    """The items under ids that carry their labels; `keys` has None for a test that is no trial."""
    described: set[str] = set()
    for item, key in zip(items, keys, strict=True):
        if key is None:
            yield item
            continue
        policy = None if key.task in described else policies[key.task].to_dict()
        described.add(key.task)
        label = json.dumps([key.task, key.case, key.rung, key.sample, policy])
        yield cast(pytest.Item, _Labelled(item, item.nodeid + _SEPARATOR + label))


def read_label(nodeid: str) -> Label | None:
    """What an id says, or None if it carries no label."""
    plain, _, label = nodeid.partition(_SEPARATOR)
    if not label:
        return None
    task, case, rung, sample, policy = json.loads(label)
    key = TrialKey(task=task, case=case, rung=rung, sample=sample)
    return Label(nodeid=plain, key=key, policy=Policy.from_dict(policy) if policy else None)


def task_scheduling(config: pytest.Config, log: Any) -> object:
    """Keep the trials of a task on one worker: only who knows the smaller rungs can stop the climb.

    Raises pytest.UsageError where xdist is too old, or is asked for what a ladder cannot have.
    """
    old = too_old("pytest-xdist")
    if old is not None:  # its workers would fail at their first test
        raise pytest.UsageError(f"{old.what}: {old.remedy}, or run without -n")
    if config.getoption("dist") == "each":
        raise pytest.UsageError(
            "--dist each would ask every question once per worker: use another --dist with a ladder"
        )
    from xdist.scheduler import LoadScopeScheduling

    class TaskScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def remove_node(self, node: Any) -> str | None:
            """Count the test that killed its worker as run: the next worker would die of it too."""
            for unit in self.assigned_work[node].values():
                for nodeid, is_completed in unit.items():
                    if not is_completed:
                        unit[nodeid] = True
                        super().remove_node(node)
                        return str(nodeid)
            super().remove_node(node)
            return None

        def _split_scope(self, nodeid: str) -> str:
            label = read_label(nodeid)
            return nodeid if label is None else f"task {label.key.task}"

    return TaskScheduling(config, log)


def exception_line(error: object) -> str | None:
    """What the exception that a worker sent says, on one line and without its class; None if it sent none.

    Of an option that the worker does not know pytest says more: what it knows, and where it looked.
    """
    lines = str(getattr(error, "formatted", "")).strip().splitlines()
    if not lines:
        return None
    frames = [place for place, line in enumerate(lines) if line.startswith("Traceback (")]
    told = [line for line in lines[frames[-1] + 1 if frames else 0 :] if line[:1].strip()] or lines[-1:]
    refusal = next((line.partition("error: ")[2] for line in told if _REFUSAL.match(line)), "")
    kind, colon, text = told[0].partition(": ")
    return (refusal or (text if colon and " " not in kind else told[0])).rstrip(".")


def what_it_needs(why: str, root: Path) -> str:
    """What to do about a worker that says `why` it could not be started."""
    if any(word in why for word in ("unrecognized arguments", "No module named", _PACKAGE)):
        return f"Install there what this session has: {_PACKAGE} in the same version, and the other plugins"
    return (
        f"It needs the options and files of this session: give --rightsize-config and the tests as absolute paths, or "
        f"start the worker in {root}"
    )


def installed_version() -> str | None:
    """The version of this package; None where it runs from a folder."""
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:
        return None


def check_version(config: pytest.Config) -> None:
    """Raises ConfigError in a worker of another version than the session: their messages may differ."""
    wanted = getattr(config, "workerinput", {}).get(VERSION)
    if wanted is not None and (ours := installed_version()) not in (None, wanted):
        raise ConfigError(f"it has {_PACKAGE} {ours}, and the session has {wanted}")
