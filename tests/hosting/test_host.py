"""A rung where its model runs: how much it is asked at once, what comes of faults, and its totals."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, ClassVar

import pytest

from pytest_rightsize.errors import RightsizeError, RungError, TooLongError
from pytest_rightsize.hosting.host import Host
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.records import Reply, Request, Rung


class Held:
    """A provider that answers when the test has it answer."""

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    leaves_machine = False
    site = None
    made: ClassVar[list["Held"]] = []

    def __init__(self, rung: Rung) -> None:
        self.futures: dict[str, Future[Reply]] = {}
        self.closed = 0
        self.on_note: Any = None
        self.meterings: list[Metering] = []
        self.made.append(self)

    def check(self) -> None:
        pass

    def identity(self, sha256: object) -> None:
        pass

    def submit(self, request: Request) -> Future[Reply]:
        prompt = str(request.messages[0]["content"])
        if prompt.startswith("broken"):
            raise ZeroDivisionError("by zero")
        future = self.futures[prompt] = Future()
        if prompt.startswith("at once"):
            future.set_result(Reply(text=prompt))
        return future

    def close(self) -> None:
        self.closed += 1
        self.meterings.append(Metering(rung="r", meter="own", answers=self.closed))
        for future in self.futures.values():
            if future.set_running_or_notify_cancel():
                future.set_exception(RungError("closed", reason="crash"))
        self.futures.clear()


def host(room: int = 2, **more: Any) -> tuple[Host, Held]:
    made = Host(Rung(name="r", provider="held"), Held, {}, room=room, **more)
    return made, Held.made[-1]


def asking(prompt: str) -> Request:
    return Request(messages=({"role": "user", "content": prompt},))


def test_a_provider_is_asked_no_more_at_once_than_the_rung_allows() -> None:
    made, provider = host(room=2)
    futures = [made.ask(asking(str(n))) for n in range(4)]
    assert list(provider.futures) == ["0", "1"]
    provider.futures["1"].set_result(Reply(text="one"))
    assert list(provider.futures) == ["0", "1", "2"]
    assert futures[1].result(0).text == "one"


def test_many_that_are_answered_at_once_take_no_stack() -> None:
    made, provider = host(room=1)
    held = made.ask(asking("held"))
    others = [made.ask(asking(f"at once {n}")) for n in range(3000)]
    provider.futures["held"].set_result(Reply(text="held"))
    assert held.done()
    assert [other.result(0).text for other in others] == [f"at once {n}" for n in range(3000)]


def test_what_is_cancelled_makes_room() -> None:
    made, provider = host(room=1)
    first, second, third = (made.ask(asking(prompt)) for prompt in "abc")
    second.cancel()
    first.cancel()
    assert provider.futures["a"].cancelled()
    provider.futures["a"].set_running_or_notify_cancel()  # as the provider notices
    assert list(provider.futures) == ["a", "c"]
    provider.futures["c"].set_result(Reply(text="c"))
    assert third.result(0).text == "c"


@pytest.mark.parametrize("error", [RungError("x", reason="memory"), TooLongError("long")])
def test_errors_of_the_package_come_as_they_are(error: RightsizeError) -> None:
    made, provider = host()
    asked = made.ask(asking("a"))
    provider.futures["a"].set_exception(error)
    assert asked.exception(0) is error


def test_other_errors_are_faults_of_the_rung() -> None:
    made, provider = host(room=1)
    broken = made.ask(asking("broken"))
    asked = made.ask(asking("a"))
    provider.futures["a"].set_exception(KeyError("k"))
    for fault in (broken.exception(0), asked.exception(0)):
        assert isinstance(fault, RungError)
        assert (fault.reason, fault.alone) == ("crash", True)


def test_a_host_that_rests_frees_the_model_and_tells_what_it_took_since() -> None:
    made, provider = host(room=1)
    sent, waiting = made.ask(asking("a")), made.ask(asking("b"))
    assert [metering.answers for metering in made.rest()] == [1]
    for fault in (sent.exception(0), waiting.exception(0)):
        assert isinstance(fault, RungError)
    assert "b" not in provider.futures, "what waited must not load the model again"
    made.ask(asking("c"))
    assert list(provider.futures) == ["c"]
    assert [metering.answers for metering in made.rest()] == [2]


def test_notes_of_the_provider_are_passed_on() -> None:
    heard: list[str] = []
    _, provider = host(on_note=heard.append)
    provider.on_note("a word")
    assert heard == ["a word"]
