"""What a fault that a replica answers with costs: the replica, and the rung only with its last one."""

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_rightsize.errors import NoAnswerError, RungError, TooLongError
from pytest_rightsize.hosting.ray.replica_faults import clause_of, fault_in
from pytest_rightsize.hosting.wire import error_to_plain
from tests.hosting.ray.test_pool import Actor, Session, error, joules, later, text


def fault(reason: str = "crash", **more: Any) -> Mapping[str, Any]:
    return {"error": error_to_plain(RungError(f"rung '4b': {reason} of a kind", reason=reason, **more))}


def answer(actor: Actor, n: object, outcome: Mapping[str, Any]) -> None:
    next(future for number, future in actor.asked if number == n and not future.done()).set_result(outcome)


@pytest.mark.parametrize("reason", ["crash", "load", "memory", "auth"])
def test_a_replica_with_a_permanent_fault_is_ended_and_the_others_are_asked(reason: str) -> None:
    session = Session().opened()
    one, two = session.actors
    futures = session.ask(1, 2, 3)
    answer(one, 1, fault(reason, permanent=True))
    one.dies()  # as an actor that was killed does
    assert one.is_killed
    assert session.pool.down is None
    two.answers(2)
    for number in (1, 3):
        two.answers(number)
    assert [(text(each), each.result()["reply"]["retries"]) for each in futures] == [("2", 1), ("2", 0), ("2", 1)]
    assert session.notes == [
        f"rung '4b': replica 1 on node1 can answer no more ({reason} of a kind). It has no restart left, "
        f"and is out for this session"
    ]


def test_a_replica_with_a_permanent_fault_is_started_again() -> None:
    session = Session(replicas=1, restarts=1).opened()
    (future,) = session.ask(1)
    answer(session.actors[0], 1, fault("memory", permanent=True))
    session.actors[1].is_up()
    session.actors[1].answers(1)
    assert (text(future), future.result()["reply"]["retries"]) == ("1", 1)


def test_the_rung_is_down_with_the_last_replica_that_can_answer() -> None:
    session = Session().opened()
    one, two = session.actors
    futures = session.ask(1, 2)
    answer(one, 1, fault("memory", permanent=True))
    answer(two, 2, fault("memory", permanent=True))
    two.dies()
    down = session.pool.down
    assert down is not None
    assert (down.reason, down.permanent) == ("memory", True)
    words = "replica 2 on node2 can answer no more (memory of a kind)"
    assert str(down) == f"rung '4b': all of its 2 replicas have died or failed ({words})"
    assert [error(future)["message"] for future in futures] == [str(down)] * 2


def test_what_two_replicas_could_not_answer_is_a_fault_of_that_request() -> None:
    session = Session(replicas=3).opened()
    one, two, three = session.actors
    (future,) = session.ask("poison")
    answer(one, "poison", fault("memory"))
    answer(two, "poison", fault("memory"))
    assert three.numbers == []
    assert (error(future)["reason"], error(future)["alone"], error(future)["permanent"]) == ("memory", True, False)
    assert [replica.state for replica in session.replicas] == ["up"] * 3


def test_three_faults_in_a_row_end_a_replica_and_an_answer_in_between_does_not() -> None:
    session = Session(replicas=1).opened()
    (actor,) = session.actors
    futures = session.ask(1, 2)
    for number in (1, 2):
        answer(actor, number, fault("timeout"))
    assert [(error(each)["alone"], error(each)["permanent"]) for each in futures] == [(True, False)] * 2
    session.ask(3)
    actor.answers(3)
    session.ask(4, 5)
    answer(actor, 4, fault("timeout"))
    answer(actor, 5, fault("timeout"))
    assert not actor.is_killed
    (last,) = session.ask(6)
    answer(actor, 6, fault("timeout"))
    assert actor.is_killed
    assert error(last)["permanent"]


def test_a_lone_replica_is_not_asked_the_same_again() -> None:
    session = Session(replicas=1).opened()
    (future,) = session.ask(1)
    answer(session.actors[0], 1, fault("crash"))
    assert error(future)["message"] == "rung '4b': crash of a kind"
    assert session.actors[0].numbers == [1]


def test_a_timeout_is_not_waited_for_a_second_time() -> None:
    session = Session().opened()
    (future,) = session.ask(1)
    answer(session.actors[0], 1, fault("timeout"))
    assert error(future)["reason"] == "timeout"
    assert session.actors[1].numbers == []


def test_what_the_request_is_to_blame_for_says_nothing_of_the_replica() -> None:
    assert fault_in({"reply": {"text": "x"}}) is None
    for own in (TooLongError("5000 tokens"), NoAnswerError("no JSON", reason="format")):
        assert fault_in({"error": error_to_plain(own)}) is None
    assert fault_in(fault(alone=True)) is None
    of_replica = fault_in(fault("memory"))
    assert of_replica is not None
    assert clause_of(of_replica) == "memory of a kind"
    assert clause_of(RungError("no file: make one", reason="missing")) == "no file: make one"


def test_the_joules_of_a_replica_that_was_ended_are_not_those_of_a_dead_one(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(replicas=1).opened()
    (actor,) = session.actors
    session.ask(1, 2)
    actor.answers(1, reply={"text": "1", "retries": 0, "energy": joules(4.5).to_dict()})
    answer(actor, 2, fault("load", permanent=True))
    (ended,) = session.pool.meterings
    assert ended.served is not None
    assert ended.total is not None
    assert (ended.served.joules, ended.total.reason) == (4.5, "replica 1 on node1 was ended after a fault")
    later(monkeypatch, 100)
    session.pool.look()
    assert len(session.pool.meterings) == 1
