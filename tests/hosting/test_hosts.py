"""Whose turn it is among a session's hosts, and what becomes of requests when a host crashes; no process is started."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.hosting.frames import FrameError
from pytest_rightsize.hosting.hosts import Hosts
from pytest_rightsize.hosting.process import Served
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.providers.replay import Replay
from pytest_rightsize.records import Rung

Outcome = Mapping[str, Any]


class Process:
    """A host that says what the test has it say."""

    def __init__(
        self, served: Served, *, on_message: Callable[[Outcome], None], on_end: Callable[[str], None], pid: int
    ) -> None:
        self.name, self.pid, self.heard = served.rung.name, pid, list[Outcome]()
        self.says, self.dies = on_message, on_end
        self.is_over = False
        self.on_send: Callable[[Outcome], object] = lambda _: None

    def send(self, message: Outcome) -> None:
        if message.get("request", {}).get("unsendable"):
            raise FrameError("it is no JSON")
        self.heard.append(message)
        self.on_send(message)

    def wait(self) -> None:
        self.is_over = True
        self.says({"rested": [Metering(rung=self.name, meter="m", answers=1).to_dict()]})
        self.dies("ended with status 0")

    @property
    def asked(self) -> list[Any]:
        return [message["request"]["n"] for message in self.heard if "ask" in message]

    def answers(self, n: object, **more: Any) -> None:
        number = [m["ask"] for m in self.heard if "ask" in m and m["request"]["n"] == n][-1]
        self.says({"answer": number, "reply": {"text": f"{self.name} {n}", "retries": 0}} | more)

    def rests(self) -> None:
        assert self.heard[-1] == {"rest": True}
        self.says({"rested": [Metering(rung=self.name, meter="m", answers=2).to_dict()]})


class Session:
    """Hosts whose processes the test plays."""

    def __init__(self, *rungs: str, stays: str = "", grace_s: float = 1e9) -> None:
        self.notes: list[str] = []
        self.started: list[Process] = []
        self.hosts = Hosts(on_note=self.notes.append, on_stall=print, grace_s=grace_s, start=self._start)
        for name in rungs:
            rung = Rung(name=name, provider="replay")
            self.hosts.add(Served(rung=rung, provider=Replay, meters={}, room=4))
        self.hosts.stay(stays.split())

    def _start(self, served: Served, **hears: Any) -> Process:
        process = Process(served, **hears, pid=100 + len(self.started))
        self.started.append(process)
        return process

    def ask(self, user: str, rung: str, n: object = 1, **more: Any) -> "Future[Outcome]":
        return self.hosts.ask(user, rung, {"n": n, **more})

    def process(self, rung: str) -> Process:
        return next(process for process in reversed(self.started) if process.name == rung)

    @property
    def names(self) -> list[str]:
        return [process.name for process in self.started]


def error(future: "Future[Outcome]") -> str:
    return str(future.result(0)["error"]["message"])


def test_all_ask_one_host_which_is_started_when_it_is_first_asked() -> None:
    session = Session("a", "b")
    assert session.names == []
    futures = [session.ask(user, "a", n) for user, n in (("gw0", 1), ("gw1", 2), ("gw0", 3))]
    assert session.names == ["a"]
    assert session.process("a").asked == [1, 2, 3]
    session.process("a").answers(2)
    assert [future.done() for future in futures] == [False, True, False]
    assert futures[1].result()["reply"]["text"] == "a 2"
    assert session.hosts.pids() == {"a": 100}


def test_a_rung_waits_for_the_memory_that_another_takes() -> None:
    session = Session("a", "b")
    session.ask("gw0", "a")
    waiting = session.ask("gw1", "b")
    small = session.process("a")
    session.hosts.leave("gw0", "a")  # its request is still in flight
    large = session.process("b")
    assert large.heard == [], "its process starts meanwhile, and loads no model"
    small.answers(1)
    assert small.heard[-1] == {"rest": True}
    assert large.heard == [], "the model is not freed yet"
    small.rests()
    large.answers(1)
    assert waiting.result(0)["reply"]["text"] == "b 1"


def test_the_open_rung_answers_on_while_others_wait() -> None:
    """The model of a rung is loaded once for all that ask it now, and not again for each."""
    session = Session("a", "b")
    session.ask("gw0", "a", 1)
    session.ask("gw1", "b", 1)
    session.ask("gw2", "a", 2)
    small = session.process("a")
    small.answers(1)
    assert small.asked == [1, 2]
    session.hosts.leave("gw0", "a")
    session.hosts.leave("gw2", "a")
    assert {"rest": True} not in small.heard
    small.answers(2)
    assert small.heard[-1] == {"rest": True}


def test_who_has_just_been_answered_may_ask_again_first() -> None:
    session = Session("a", "b")
    session.ask("gw0", "a")
    session.ask("gw1", "b")
    small = session.process("a")
    small.answers(1)
    assert {"rest": True} not in small.heard, "gw0 uses the rung, and has not left it"
    session.ask("gw0", "a", 2)
    assert small.asked == [1, 2]
    small.answers(2)
    session.hosts.leave("gw0")  # its worker has ended
    assert small.heard[-1] == {"rest": True}


def test_who_keeps_silent_keeps_nobody_waiting_for_ever() -> None:
    session = Session("a", "b", grace_s=0.0)
    session.ask("gw0", "a")
    session.ask("gw1", "b")
    small = session.process("a")
    small.answers(1)
    assert small.heard[-1] == {"rest": True}


def test_after_a_while_of_silence_it_is_the_next_rungs_turn() -> None:
    session = Session("a", "b", grace_s=0.02)
    session.ask("gw0", "a")
    session.ask("gw1", "b")
    small = session.process("a")
    rests = threading.Event()
    small.on_send = lambda message: rests.set() if "rest" in message else None
    small.answers(1)
    assert rests.wait(60)
    small.rests()
    assert session.process("b").asked == [1]


def test_of_rungs_that_are_waited_for_the_first_of_the_ladder_is_next() -> None:
    session = Session("a", "b", "c")
    session.ask("gw0", "b")
    session.ask("gw1", "c")
    session.ask("gw2", "a")
    session.hosts.leave("gw0", "b")
    session.process("b").answers(1)
    session.process("b").rests()
    assert session.process("a").asked == [1]
    assert session.process("c").asked == []


def test_a_host_that_rested_is_asked_again_and_has_one_account() -> None:
    session = Session("a", "b", grace_s=0.0)
    for rung, other in (("a", "b"), ("b", "a"), ("a", "b")):
        session.ask("gw0", rung)
        session.process(rung).answers(1)
        session.ask("gw0", other)
        session.process(rung).rests()
        session.process(other).answers(1)
    assert session.names == ["a", "b"], "the processes stay"
    assert {rung: [one.answers for one in session.hosts.meterings(rung)] for rung in "ab"} == {"a": [4], "b": [2]}


def test_a_model_that_nobody_needs_is_freed_at_once() -> None:
    """Another of this machine may need the memory: one that has no host."""
    session = Session("a")
    for n, user in enumerate(("gw0", "gw1")):
        session.ask(user, "a", n)
    session.hosts.leave("gw0", "a")
    session.process("a").answers(0)
    session.process("a").answers(1)
    assert {"rest": True} not in session.process("a").heard
    session.hosts.leave("gw1", "a")
    session.process("a").rests()
    session.ask("gw0", "a", 2)
    assert session.process("a").asked == [0, 1, 2]


def test_a_worker_that_is_gone_leaves_the_model_to_the_one_that_comes_in_its_place() -> None:
    session = Session("a")
    session.ask("gw0", "a", 1)
    session.process("a").answers(1)
    session.hosts.leave("gw0")
    session.ask("gw1", "a", 2)
    assert session.process("a").asked == [1, 2]
    assert {"rest": True} not in session.process("a").heard


def test_rungs_that_stay_are_open_beside_others() -> None:
    session = Session("a", "b", stays="a b")
    session.ask("gw0", "a")
    session.ask("gw0", "b")
    assert session.names == ["a", "b"]


# --- crashes --------------------------------------------------------------------------------------------------------


def test_a_crash_costs_one_restart_and_no_answer() -> None:
    session = Session("a")
    first, second = session.ask("gw0", "a", 1), session.ask("gw1", "a", 2)
    session.process("a").answers(1)
    session.process("a").dies("was killed by signal 6: GGML_ASSERT")
    assert session.names == ["a", "a"]
    assert session.process("a").asked == [2], "what was answered is not asked again"
    session.process("a").answers(2)
    assert (first.result(0)["reply"]["retries"], second.result(0)["reply"]["retries"]) == (0, 1)
    (note,) = session.notes
    assert note.startswith("rung 'a': its host process was killed by signal 6: GGML_ASSERT. It is started again")


def test_what_a_host_took_with_it_is_unknown_and_not_nothing() -> None:
    session = Session("a")
    for n in (1, 2):
        session.ask("gw0", "a", n)
        joules = Energy(joules=2.5, provenance="measured").to_dict()
        session.process("a").answers(n, reply={"text": "a", "retries": 0, "energy": joules})
    session.process("a").dies("was killed by signal 9")
    (metering,) = session.hosts.meterings("a")
    assert metering.total is not None
    assert metering.served is not None
    assert (metering.total.joules, metering.served.joules, metering.answers) == (None, 5.0, 2)
    assert metering.notes == (
        "its host process was killed by signal 9 after 2 answers: what it took beside those is not known",
    )


def test_a_request_that_ends_its_host_each_time_is_the_only_one_that_fails() -> None:
    session = Session("a")
    asked = [session.ask("gw0", "a", n) for n in (1, 2, 3, 4)]
    session.process("a").answers(1)
    session.process("a").dies("was killed by signal 6")
    later = session.ask("gw1", "a", 5)
    assert session.process("a").asked == [2], "it may be the one, and is asked alone"
    session.process("a").answers(2)
    assert session.process("a").asked == [2, 3]
    session.process("a").dies("was killed by signal 6")
    fault = asked[2].result(0)["error"]
    assert fault["message"] == "rung 'a': its host process was killed by signal 6 each time this was asked"
    assert (fault["kind"], fault["reason"], fault["permanent"]) == ("RungError", "crash", False)
    assert session.process("a").asked == [4]
    session.process("a").answers(4)
    assert session.process("a").asked == [4, 5], "and what comes after has company again"
    session.ask("gw1", "a", 6)
    assert session.process("a").asked == [4, 5, 6]
    session.process("a").answers(5)
    assert [future.result(0)["reply"]["retries"] for future in (asked[0], asked[1], asked[3], later)] == [0, 1, 1, 0]
    assert session.names == ["a"] * 3


def test_ten_such_requests_do_not_take_the_rung_down_while_others_are_answered() -> None:
    session = Session("a")
    for n in range(10):
        good, bad = session.ask("gw0", "a", f"good {n}"), session.ask("gw0", "a", f"bad {n}")
        session.process("a").answers(f"good {n}")
        for _ in range(2):
            session.process("a").dies("was killed by signal 6")
        assert "reply" in good.result(0)
        assert "each time this was asked" in error(bad)
    session.ask("gw0", "a", "last")
    session.process("a").answers("last")


def test_after_a_third_crash_without_an_answer_the_rung_is_down_and_others_are_not() -> None:
    session = Session("a", "b", grace_s=0.0)
    asked = [session.ask("gw0", "a", n) for n in (1, 2, 3)]
    waiting = session.ask("gw1", "b")
    for _ in range(3):
        session.process("a").dies("was killed by signal 11")
    assert sorted(session.names) == ["a", "a", "a", "b"]
    assert "each time this was asked" in error(asked[0])
    assert "killed by signal 11, 3 times without an answer in between" in error(asked[1])
    fault = asked[1].result()["error"]
    assert (fault["kind"], fault["reason"], fault["permanent"]) == ("RungError", "crash", True)
    assert error(session.ask("gw2", "a", 4)) == error(asked[1]) == error(asked[2])
    session.process("b").answers(1)
    assert "reply" in waiting.result(0)


def test_a_host_that_dies_idle_is_started_when_it_is_asked_again() -> None:
    session = Session("a")
    session.ask("gw0", "a", 1)
    session.process("a").answers(1)
    session.process("a").dies("was killed by signal 9")
    assert session.names == ["a"]
    session.ask("gw0", "a", 2)
    assert session.names == ["a", "a"]


def test_a_crash_while_another_rung_waits_for_its_memory() -> None:
    """It had nothing to answer: the memory is free, and the other rung is next."""
    session = Session("a", "b", grace_s=0.0)
    session.ask("gw0", "a")
    session.process("a").answers(1)
    session.ask("gw1", "b")
    assert session.process("a").heard[-1] == {"rest": True}
    session.process("a").dies("was killed by signal 9")
    assert session.names == ["a", "b"]


def test_a_host_that_cannot_serve_the_rung_is_a_fault_for_good() -> None:
    session = Session("a")
    asked = session.ask("gw0", "a")
    unable = {"kind": "RungError", "message": "no such class", "reason": "load", "permanent": True}
    session.process("a").says({"unable": unable})
    assert asked.result(0)["error"] == unable
    assert session.ask("gw0", "a").result(0)["error"] == unable


def test_a_rung_that_cannot_be_served_keeps_no_other_waiting() -> None:
    session = Session("a", "b", "c")
    session.ask("gw0", "a")
    waiting, first, second = (session.ask(user, rung) for user, rung in (("gw1", "b"), ("gw2", "c"), ("gw3", "c")))
    unable = {"kind": "RungError", "message": "no such class", "reason": "load", "permanent": True}
    session.process("b").says({"unable": unable})
    assert waiting.result(0)["error"] == unable
    session.process("a").says({"unable": unable})
    session.process("c").answers(1)
    assert (first.done(), second.done()) == (False, True)


def test_a_process_that_cannot_be_started_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session("a", "b", "c")
    open_, waiting = session.ask("gw0", "c"), session.ask("gw1", "b")

    def none_left(*_: object, **__: object) -> Process:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(session.hosts, "_start", none_left)
    assert error(session.ask("gw2", "a")) == (
        "rung 'a': its host process could not be started (Resource temporarily unavailable)"
    )
    session.process("c").answers(1)
    session.process("b").says({"unable": {"kind": "RungError", "message": "x", "reason": "load"}})
    assert open_.done()
    assert error(waiting) == "x"


# --- requests -------------------------------------------------------------------------------------------------------


def test_what_is_wanted_no_more_is_not_sent_or_stopped() -> None:
    session = Session("a", "b")
    sent = session.ask("gw0", "a", 1)
    waiting = session.ask("gw1", "b", 2)
    assert sent.cancel()
    assert waiting.cancel()
    small = session.process("a")
    assert small.heard[-1] == {"cancel": small.heard[0]["ask"]}
    small.says({"answer": small.heard[0]["ask"], "cancelled": True})
    session.hosts.leave("gw0", "a")
    session.ask("gw1", "b", 3)
    small.rests()
    assert session.process("b").asked == [3]


def test_a_request_that_cannot_be_sent_is_a_fault_of_its_own() -> None:
    session = Session("a")
    refused, other = session.ask("gw0", "a", 1, unsendable=True), session.ask("gw0", "a", 2)
    assert error(refused) == "rung 'a': the request cannot be sent: it is no JSON"
    assert (refused.result()["error"]["alone"], refused.result()["error"]["permanent"]) == (True, False)
    session.process("a").answers(2)
    assert "reply" in other.result(0)


def test_faults_of_the_model_are_handed_on() -> None:
    session = Session("a")
    asked = session.ask("gw0", "a")
    number = session.process("a").heard[0]["ask"]
    session.process("a").says({"answer": number, "error": {"kind": "TooLongError", "message": "long"}})
    assert error(asked) == "long"


def test_the_end_of_the_session_ends_the_hosts_and_has_their_totals() -> None:
    session = Session("a", "b", grace_s=0.0)
    sent, waiting = session.ask("gw0", "a"), session.ask("gw0", "b")
    session.hosts.close()
    assert session.process("a").is_over
    assert [error(one) for one in (sent, waiting)] == [f"rung '{name}': closed before it had answered" for name in "ab"]
    assert [metering.answers for metering in session.hosts.meterings("a")] == [1]
    assert error(session.ask("gw0", "a")) == "rung 'a': closed before it had answered"
    session.hosts.close()
    assert session.notes == []
