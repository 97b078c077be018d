"""A fault that a replica answers with: what it says of the replica, and what becomes of the request. Pure.

A rung in this process is down after a permanent fault, or after three in a row. Here that is so of one replica: it is
ended, and the rung is down with the last of them.
"""

from typing import Any

from pytest_rightsize.errors import RungError
from pytest_rightsize.hosting.ray.replicas import Host, Outcome
from pytest_rightsize.hosting.wire import error_from_plain, error_to_plain

__all__ = ["clause_of", "count_fault", "fault_in", "is_asked_elsewhere", "of_this_request"]

_FAULTS_UNTIL_OUT = 3
# Of the machine and the process there, and not of what was asked; `permanent` ones are too, whatever their reason.
_OF_ITS_PLACE = ("crash", "load", "memory")


def fault_in(outcome: Outcome) -> RungError | None:
    """The fault of an outcome, if it says something of the replica; None for an answer, and for the request's own."""
    if "error" not in outcome:
        return None
    error = error_from_plain(outcome["error"])
    return error if isinstance(error, RungError) and not error.alone else None


def clause_of(fault: RungError) -> str:
    """What the fault says, without the name of the rung: `rung '4b': out of memory` is `out of memory`."""
    name, colon, clause = str(fault).partition(": ")
    return clause if colon and name.startswith("rung ") else str(fault)


def count_fault(host: Host, fault: RungError | None) -> bool:
    """Note a fault, or with None an answer; returns whether the replica is to be ended."""
    host.faults_in_a_row = 0 if fault is None else host.faults_in_a_row + 1
    return fault is not None and (fault.permanent or host.faults_in_a_row >= _FAULTS_UNTIL_OUT)


def is_asked_elsewhere(fault: RungError) -> bool:
    """Whether another replica may answer what this one could not."""
    return fault.permanent or fault.reason in _OF_ITS_PLACE


def of_this_request(fault: RungError) -> dict[str, Any]:
    """The outcome of one request: what the fault says of its replica is counted here, and is not counted again."""
    return {"error": error_to_plain(RungError(str(fault), reason=fault.reason, alone=True))}
