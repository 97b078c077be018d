"""How long placed replicas did nothing: said at the end of a rung, and beside the joules of each replica."""

import pytest

from pytest_rightsize.hosting.ray.replica_notes import idle_time
from pytest_rightsize.hosting.ray.replicas import Host
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
