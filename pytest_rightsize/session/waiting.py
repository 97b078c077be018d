"""Tells which tests wait for their answers one at a time because of another plugin, and why."""

from collections import Counter

import pytest

from pytest_rightsize.session.notices import Notices
from pytest_rightsize.session.trials import SessionTrials

__all__ = ["tell_who_waits"]


def tell_who_waits(session: pytest.Session, trials: SessionTrials, notices: Notices, *, one_at_a_time: bool) -> None:
    """Put a notice for each reason; those that a marker of the test gives are told with -v only.

    Where all tests run `one_at_a_time` anyway, only what costs something is told.
    """
    if getattr(session.config, "workerinput", {}).get("workerid", "gw0") != "gw0":
        return
    everything = session.config.get_verbosity() > 0
    reasons: Counter[str] = Counter()
    for item in session.items:
        rule = trials.waiting(item) if trials.group(item) is not None else None
        if rule is not None and (rule.costs if one_at_a_time else rule.told or everything):
            reasons[rule.reason] += 1
    for reason, count in reasons.items():
        tests = "1 test waits for its answers" if count == 1 else f"{count} tests wait for their answers"
        notices.put(f"{tests} one at a time: {reason}")
    notices.show(session.config)
