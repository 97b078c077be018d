"""A window without counters: the meter tells each answer's energy from its reply, or it is unknown and says why."""

from concurrent.futures import Future
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.meters import Choice
from pytest_rightsize.meters.attribution.windows import PlainWindow, Terms, Window
from pytest_rightsize.records import Reply, Request

REQUEST = Request(messages=())
TWO = Energy(joules=2.0, provenance="modelled")


class Told:
    """A provider whose answers are there when the test says so."""

    leaves_machine = False

    def __init__(self, site: str | None = "machine") -> None:
        self.site = site
        self.futures: list[Future[Reply]] = []

    def submit(self, request: Request) -> Future[Reply]:
        assert request is REQUEST
        self.futures.append(Future())
        return self.futures[-1]


class PerAnswer:
    """A meter that tells two joules of every answer."""

    def of_answer(self, reply: Reply) -> Energy:
        return TWO


def window(provider: Told, meter: Any = None, why: str = "") -> PlainWindow:
    terms = Terms(provider=provider, choice=Choice(rung="1b", meters={}), room=4)  # type: ignore[arg-type]  # as much of a provider as is asked
    return PlainWindow(terms, meter, why)


def answered(reply: Reply, meter: Any = None, why: str = "") -> Reply:
    provider = Told()
    outer = window(provider, meter, why).submit(REQUEST)
    assert not outer.done()
    provider.futures[0].set_result(reply)
    return outer.result(timeout=0)


def test_the_meter_tells_the_energy_and_changes_nothing_else() -> None:
    reply = Reply(text="4", seconds=0.5)
    found = answered(reply, PerAnswer())
    assert (found.energy, found.text, found.seconds) == (TWO, "4", 0.5)


@pytest.mark.parametrize(
    ("why", "reason"), [("it runs on another machine", "it runs on another machine"), ("", "no meter tells")]
)
def test_without_a_meter_the_energy_is_unknown_with_its_reason(why: str, reason: str) -> None:
    energy = answered(Reply(text="4"), None, why).energy
    assert energy is not None
    assert (energy.joules, energy.reason) == (None, reason)


def test_an_energy_that_came_with_the_reply_is_kept() -> None:
    own = Energy(joules=7.0, provenance="measured")
    assert answered(Reply(text="4", energy=own), PerAnswer()).energy is own


def test_a_recorded_answer_takes_no_energy_now() -> None:
    assert answered(Reply(text="4", replayed=True), PerAnswer()).energy is None


def test_a_failure_and_a_cancellation_are_passed_on() -> None:
    provider = Told()
    one = window(provider)
    failed, cancelled = one.submit(REQUEST), one.submit(REQUEST)
    provider.futures[0].set_exception(RuntimeError("down"))
    assert str(failed.exception(timeout=0)) == "down"
    assert cancelled.cancel()
    assert provider.futures[1].cancelled()


@pytest.mark.parametrize(("site", "has_loaded"), [("process", True), ("machine", False), ("remote", False)])
def test_a_model_of_this_process_leaves_no_device_cold(site: str, has_loaded: bool) -> None:
    one = window(Told(site))
    assert not one.terms.memory.has_loaded
    one.submit(REQUEST)
    assert one.terms.memory.has_loaded is has_loaded


def test_nothing_is_repeated_nobody_else_measures_and_nothing_waits_unless_said() -> None:
    one = window(Told())
    assert (one.terms.budget_s, one.terms.workers, one.waiting_room) == (0.0, 1, 0)
    one.stop()
    assert (one.so_far(), one.close()) == (None, None)
    with pytest.raises(NotImplementedError):
        Window(one.terms).submit(REQUEST)
