"""A provider whose model answers elsewhere: whatever comes back is a reply or a fault, and never nothing."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from pytest_rightsize.errors import RungError
from pytest_rightsize.hosting.hosted import Hosted
from pytest_rightsize.hosting.wire import reply_to_plain
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.meters import site_of
from pytest_rightsize.records import Reply, Request, Rung
from tests.hosting.played import Played

REPLY = reply_to_plain(Reply(text="yes"))
RUNG = Rung(name="a", provider="played")
ASK = Request(messages=({"role": "user", "content": "hello"},))


class Saying:
    """A desk that says what the test has it say."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any], Future[Mapping[str, Any]]]] = []
        self.left: list[str] = []

    def ask(self, rung: str, request: Mapping[str, Any]) -> "Future[Mapping[str, Any]]":
        self.asked.append((rung, request, Future()))
        return self.asked[-1][2]

    def leave(self, rung: str) -> None:
        self.left.append(rung)

    def meterings(self, rung: str) -> list[Metering]:
        return [Metering(rung=rung, meter="joules")]

    def is_loading(self, rung: str) -> bool:
        return bool(self.asked)


def hosted() -> tuple[Hosted, Saying]:
    desk = Saying()
    return Hosted(Played(RUNG), RUNG, desk, lambda: "joules"), desk


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"reply": None},
        {"reply": {}},
        {"reply": []},
        {"reply": {**REPLY, "tokens": None}},
        {"reply": {**REPLY, "tokens": {"promt": 3}}},
        {"reply": {**REPLY, "margin": "wide"}},
        {"reply": {**REPLY, "energy": {"joules": -1.0, "provenance": "measured"}}},
        {"reply": {**REPLY, "energy": 3}},
        {"reply": {**REPLY, "another": 1}},
        {"error": None},
        {"error": {}},
        {"error": []},
        {"error": {"kind": [], "message": "m"}},
        [],
        None,
    ],
)
def test_what_is_no_outcome_is_a_fault_that_says_nothing_of_others(said: Any) -> None:
    provider, desk = hosted()
    asked = provider.submit(ASK)
    desk.asked[0][2].set_result(said)
    fault = asked.exception(0)
    assert isinstance(fault, RungError)
    assert fault.reason in ("bad_reply", "crash")
    assert not fault.permanent


def test_requests_go_to_the_rungs_host_and_what_needs_no_model_is_asked_here() -> None:
    provider, desk = hosted()
    assert (provider.in_flight, provider.leaves_machine, site_of(provider)) == (4, False, "cluster")
    assert provider.identity(str) == Played(RUNG).identity(str)
    assert (provider.meter_name, provider.is_loading) == ("joules", False)
    asked = provider.submit(ASK)
    assert provider.is_loading
    assert [rung for rung, _, _ in desk.asked] == ["a"]
    desk.asked[0][2].set_result({"reply": REPLY, "size_bytes": 5, "waiting_room": 256})
    assert asked.result(0) == Reply(text="yes")
    assert (provider.size_bytes, provider.waiting_room) == (5, 256)
    provider.close()
    assert desk.left == ["a"]
    assert [metering.rung for metering in provider.meterings] == ["a"]


@pytest.mark.parametrize(("weighed", "size"), [(7, 7), (None, None), (OSError("the file went away"), None)])
def test_the_size_of_a_model_is_known_while_its_host_loads_it(weighed: object, size: int | None) -> None:
    """By its files on this machine, where they are there; then by what the host says."""
    provider, desk = hosted()

    def weight_bytes() -> object:
        if isinstance(weighed, OSError):
            raise weighed
        return weighed

    provider.inner.weight_bytes = weight_bytes  # type: ignore[attr-defined]  # as a provider of files has it
    asked = provider.submit(ASK)
    assert (provider.is_loading, provider.size_bytes) == (True, size)
    desk.asked[0][2].set_result({"reply": REPLY, "size_bytes": 5})
    assert asked.result(0) == Reply(text="yes")
    assert provider.size_bytes == 5


def test_a_request_that_is_cancelled_is_wanted_no_more() -> None:
    provider, desk = hosted()
    provider.submit(ASK).cancel()
    assert desk.asked[0][2].cancelled()
