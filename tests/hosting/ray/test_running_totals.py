"""How long placed replicas did nothing: said at the end of a rung, and beside the joules of each replica."""

import pytest

from pytest_rightsize.hosting.ray.replica_notes import idle_time
from pytest_rightsize.hosting.ray.replicas import DeadError, Host
from tests.hosting.ray.test_pool import Actor, Session, later


@pytest.mark.parametrize(
    ("replicas", "up_hours", "idle_hours", "words"),
    [
        (1, 2.0, 2.0, None),
        (2, 2.0, 0.0166, None),  # less than a minute
        (4, 2.0, 0.3, "rung '4b': its 4 replicas had nothing to do for 0.30 of 2.00 replica-hours (15 %)"),
        (
            *(4, 2.0, 1.1),
            "rung '4b': its 4 replicas had nothing to do for 1.10 of 2.00 replica-hours (55 %). "
            "Idle machines use power too: replicas = 2 may be enough",
        ),
        (
            *(3, 2.0, 2.0),
            "rung '4b': its 3 replicas had nothing to do for 2.00 of 2.00 replica-hours (100 %). "
            "Idle machines use power too: replicas = 1 may be enough",
        ),
    ],
)
def test_idle_replica_hours_are_told_where_they_matter(
    replicas: int, up_hours: float, idle_hours: float, words: str | None
) -> None:
    assert idle_time("4b", replicas, up_hours=up_hours, idle_hours=idle_hours) == words


def test_a_replica_is_busy_while_any_of_its_requests_is() -> None:
    host = Host(handle=Actor(1), since=0.0, wait_s=1.0)
    for now in (10.0, 12.0):
        host.begin(now)
    host.end(15.0)
    assert host.busy_until(18.0) == 8.0
    host.end(20.0)
    assert (host.busy_until(50.0), host.busy_s) == (10.0, 10.0)
    host.begin(60.0)
    assert host.busy_until(61.5) == 11.5


def test_the_end_of_a_rung_says_how_long_its_replicas_did_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session().opened()
    one, two = session.actors
    session.ask(1, 2, 3)
    later(monkeypatch, 1800)
    one.answers(1)
    one.answers(3)
    two.dies()
    one.answers(2)
    later(monkeypatch, 1800)
    session.pool.close()
    assert session.notes[-1] == ("rung '4b': its 2 replicas had nothing to do for 0.50 of 1.50 replica-hours (33 %)")
    died, rested = session.pool.meterings
    assert died.notes[0] == "had nothing to do for 0 s of the 1800 s that it was there"
    assert rested.notes[0] == "had nothing to do for 1800 s of the 3600 s that it was there"


def test_a_replica_without_totals_says_why_where_others_have_them() -> None:
    session = Session(replicas=4)
    session.pool.open()
    one, two, three, four = session.actors
    for actor in (one, two, three):
        actor.is_up()
    four.placed.set_result("node4")
    session.ask(1, 2)
    for actor in (two, three):
        actor.rests.set_result([])
    session.pool.close()
    assert [(each.replica, each.total and each.total.reason) for each in session.pool.meterings] == [
        (1, None),
        (2, "replica 2 on node2 has no counter there that shows joules"),
        (3, "replica 3 on node3 was asked nothing"),
        (4, "replica 4 on node4 was still starting when it ended"),
    ]


def test_replicas_that_all_have_no_totals_have_no_accounts() -> None:
    """Their answers say why: no meter works on their nodes."""
    session = Session().opened()
    for actor in session.actors:
        actor.rests.set_result([])
    session.pool.close()
    assert session.pool.meterings == []


def test_a_replica_that_dies_while_it_starts_has_taken_what_nobody_knows() -> None:
    session = Session()
    session.pool.open()
    one, two = session.actors
    one.placed.set_result("node1")
    one.greets.set_exception(DeadError("died (its node)"))
    two.is_up()
    session.pool.close()
    assert [(each.node, each.is_whole) for each in session.pool.meterings] == [("node1", False), ("node2", True)]
