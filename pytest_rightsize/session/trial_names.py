"""Which trial an item is: its key, from the parameter that collection gave it.

In come pytest's items; out go keys in their stash, which leave it again when a test has ended.
"""

from collections.abc import Collection

import pytest

from pytest_rightsize.config.policies import Policies, definition_of
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.escaping import one_line
from pytest_rightsize.records import TrialKey
from pytest_rightsize.results.redaction import redacted_case
from pytest_rightsize.session.state import TRIAL_KEY

__all__ = ["PARAM", "name_trial", "parameter_id", "parameter_of"]

PARAM = "_rightsize_trial"
"""The parameter of a test that has a trial for each rung and sample."""


def name_trial(item: pytest.Item, policies: Policies, redact: Collection[str]) -> None:
    """Note on the item which trial it is, unless that is noted already; an item that is no trial stays as it is."""
    parameter = parameter_of(item)
    if parameter is not None and TRIAL_KEY not in item.stash:
        item.stash[TRIAL_KEY] = _key(item, *parameter, policies=policies, redact=redact)


def _key(
    item: pytest.Item, rung: str, sample: int, position: int, *, policies: Policies, redact: Collection[str]
) -> TrialKey:
    """The trial that an item is; its case is the test's id without the rung."""
    policy = policies.of(definition_of(item))
    name = parameter_id(rung, sample, policy.samples)
    if name not in item.callspec._idlist:  # type: ignore[attr-defined]  # an item with a parameter of ours has one
        raise ConfigError(
            f"{item.nodeid}: its task {policy.task} has samples = {policy.samples}, set for one parameter of the "
            f"test only, by pytest.param(marks=...) or by the table of the task that it names. Trials are made for "
            f"the whole test: set samples in the marker of the function, or with --rightsize-samples"
        )
    case = _case(item, name, position)
    case = redacted_case(case, redact)
    return TrialKey(task=policy.task, case=one_line(case), rung=rung, sample=sample)


def _case(item: pytest.Item, name: str, position: int) -> str:
    """The id of a test without the id of its rung, whatever words the other parameters hold.

    `position` is where `name` stands among the ids of the parameters.
    """
    callspec = item.callspec  # type: ignore[attr-defined]  # an item with a parameter of ours has one
    assert item.parent is not None
    nodeid = f"{item.parent.nodeid}::{item.name}"
    if not item.nodeid.startswith(nodeid):  # pytest-xdist appends `@GROUP`, which is no part of a case
        nodeid = item.nodeid
    ids = [*callspec._idlist]
    if position >= len(ids) or ids[position] != name:  # an id before it is hidden
        position = len(ids) - 1 - ids[::-1].index(name)
    whole, rest = f"[{callspec.id}]", "-".join([*ids[:position], *ids[position + 1 :]])
    return nodeid.removesuffix(whole) + (f"[{rest}]" if rest else "")


def parameter_of(item: pytest.Item) -> tuple[str, int, int] | None:
    """The rung and sample of an item that a ladder was made for, and where they stand in its id."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(PARAM)


def parameter_id(rung: str, sample: int, samples: int) -> str:
    """How a rung and a sample stand in the id of a test."""
    return rung if samples == 1 else f"{rung}-s{sample}"
