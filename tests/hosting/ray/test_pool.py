"""Who is asked, and what a death costs: actors are played, and no time passes but what a test says."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from pytest_rightsize import clocks
from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import RungError
from pytest_rightsize.hosting.ray.calls import CallsUnderWay
from pytest_rightsize.hosting.ray.greetings import Greetings
from pytest_rightsize.hosting.ray.pool import Pool
from pytest_rightsize.hosting.ray.replicas import DeadError, Replica, UnreachableError
from pytest_rightsize.hosting.ray.terms import Terms
from pytest_rightsize.hosting.wire import error_to_plain
from pytest_rightsize.meter_records import Metering

VERSIONS = {"ray": "2"}


class Actor:
    """An actor that does what the test says."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.placed: Future[str] = Future()
        self.greets: Future[Mapping[str, Any]] = Future()
        self.asked: list[tuple[Any, Future[Mapping[str, Any]]]] = []
        self.tells: list[Future[Sequence[Mapping[str, Any]]]] = []
        self.rests: Future[Sequence[Mapping[str, Any]]] = Future()
        self.is_killed = False

    def here(self) -> "Future[str]":
        return self.placed

    def hello(self) -> "Future[Mapping[str, Any]]":
        if self.greets.done():
            self.greets = Future()
        return self.greets

    def ask(self, request: Mapping[str, Any]) -> "Future[Mapping[str, Any]]":
        future: Future[Mapping[str, Any]] = Future()
        self.asked.append((request["n"], future))
        return future

    def so_far(self) -> "Future[Sequence[Mapping[str, Any]]]":
        self.tells.append(Future())
        return self.tells[-1]

    def rest(self) -> "Future[Sequence[Mapping[str, Any]]]":
        if not self.rests.done():
            self.rests.set_result([metering(float(self.number)).to_dict()])
        return self.rests

    def kill(self) -> None:
        self.is_killed = True

    def is_up(self, room: int = 2, model: str = "m", **more: Any) -> None:
        hello = {"node": f"node{self.number}", "node_id": f"id{self.number}", "versions": VERSIONS, "room": room}
        identity = {"content": {"model": model}, "greedy": True, "is_recording": False}
        self.greets.set_result(hello | {"identity": identity, "meter_name": "m"} | more)

    def answers(self, n: object, **more: Any) -> None:
        """The oldest request of that number gets its reply."""
        future = next(future for number, future in self.asked if number == n and not future.done())
        future.set_result({"reply": {"text": f"{self.number}", "retries": 0}} | more)

    def dies(self) -> None:
        for _, future in self.asked:
            if not future.done():
                future.set_exception(DeadError("died (it was killed)"))

    def vanishes(self) -> None:
        for _, future in self.asked:
            if not future.done():
                future.set_exception(UnreachableError("could not be reached"))

    @property
    def numbers(self) -> list[Any]:
        return [number for number, _ in self.asked]


def joules(amount: float) -> Energy:
    return Energy(joules=amount, provenance="measured", boundary=frozenset({"host"}), meter="m", devices=("d",))


def metering(total: float) -> Metering:
    return Metering(rung="4b", meter="m", load=joules(1.0), served=joules(total - 1.0), total=joules(total), answers=1)


class Session:
    """A rung whose actors the test plays."""

    def __init__(self, replicas: int = 2, restarts: int = 0, **terms: Any) -> None:
        self.actors: list[Actor] = []
        self.notes: list[str] = []
        self.greetings = Greetings("4b", VERSIONS)
        self.replicas = [Replica(number=number, restarts=restarts) for number in range(1, replicas + 1)]
        usual: dict[str, Any] = {
            "rung": "4b",
            "place_timeout_s": 60.0,
            "start": self._start,
            "greetings": self.greetings,
            "shortage": lambda: "wanted 2 x 8 CPU; node a has 1 CPU",
            "on_note": self.notes.append,
        }
        self.terms = Terms(**usual | terms)
        self.pool = Pool(self.terms, self.replicas)

    def _start(self, number: int) -> Actor:
        self.actors.append(Actor(number))
        return self.actors[-1]

    def opened(self, **is_up: Any) -> "Session":
        self.pool.open()
        for actor in self.actors:
            actor.is_up(**is_up)
        return self

    def ask(self, *numbers: object) -> list["Future[Mapping[str, Any]]"]:
        return [self.pool.ask({"n": number}) for number in numbers]


def text(future: "Future[Mapping[str, Any]]") -> str:
    return str(future.result(0)["reply"]["text"])


def error(future: "Future[Mapping[str, Any]]") -> Mapping[str, Any]:
    found: Mapping[str, Any] = future.result(0)["error"]
    return found


def test_requests_wait_for_a_place_and_then_go_to_whoever_has_least_to_do() -> None:
    session = Session()
    waiting = session.ask(1)
    session.pool.open()
    one, two = session.actors
    assert not session.pool.opened.done()
    one.is_up(room=2)
    assert session.pool.opened.done()
    assert one.numbers == [1]
    two.is_up(room=4)
    session.ask(2, 3, 4, 5, 6, 7)
    assert (one.numbers, two.numbers) == ([1, 4], [2, 3, 5, 6]), "by the share of its room that is taken"
    two.answers(3)
    assert two.numbers == [2, 3, 5, 6, 7]
    one.answers(1)
    assert text(waiting[0]) == "1"


def test_a_rung_loads_until_its_first_answer() -> None:
    """Its model is loaded by the first request, a while after the replica has told its fingerprint."""
    session = Session()
    session.ask(1)
    assert session.pool.is_loading, "it waits for a place"
    session.pool.open()
    one = session.actors[0]
    one.is_up()
    assert session.pool.is_loading, "it has a place, and its model is not there"
    one.answers(1)
    assert not session.pool.is_loading, "whatever the other one does"
    down = Session(replicas=1).opened()
    down.actors[0].dies()
    down.ask(1)
    down.actors[0].dies()
    assert down.pool.down is not None
    assert not down.pool.is_loading


def test_what_a_dead_replica_lost_is_asked_again_once_of_another_one() -> None:
    session = Session().opened()
    one, two = session.actors
    futures = session.ask(1, 2, 3)
    assert (one.numbers, two.numbers) == ([1, 3], [2])
    one.dies()
    assert len(two.numbers) == 2, "as many as it has room for"
    two.answers(2)
    for number in (1, 3):
        two.answers(number)
    assert [text(future) for future in futures] == ["2"] * 3
    assert [future.result()["reply"]["retries"] for future in futures] == [1, 0, 1]
    assert session.ask(4)[0].done() is False
    assert one.numbers == [1, 3], "it has nothing in flight, and is asked nothing all the same"
    assert one.is_killed
    assert session.pool.down is None


def test_a_request_that_two_replicas_lost_is_a_fault_that_says_nothing_of_the_rung() -> None:
    session = Session(replicas=3).opened()
    (future,) = session.ask("poison")
    session.actors[0].dies()
    session.actors[1].dies()
    fault = error(future)
    assert (fault["reason"], fault["alone"], fault["permanent"]) == ("crash", True, False)
    assert "replica 2 on node2 died (it was killed) while it was asked, and so did the one" in fault["message"]
    session.ask(1)
    assert session.actors[2].numbers == [1]


def test_the_rung_is_down_with_its_last_replica_and_not_before() -> None:
    session = Session().opened()
    futures = session.ask(1, 2)
    session.actors[0].dies()
    assert session.pool.down is None
    session.actors[1].dies()
    assert session.pool.down is not None
    assert (session.pool.down.reason, session.pool.down.permanent) == ("crash", True)
    assert "all of its 2 replicas have died" in str(session.pool.down)
    assert {error(future)["permanent"] for future in futures} == {True}
    assert error(session.ask(3)[0])["permanent"]
    assert len([note for note in session.notes if "It has no restart left, and is out for this session" in note]) == 2


def test_a_replica_is_started_again_as_often_as_restarts_says() -> None:
    session = Session(replicas=1, restarts=1).opened()
    (future,) = session.ask(1)
    session.actors[0].dies()
    assert len(session.actors) == 2
    assert not future.done()
    session.actors[1].is_up()
    session.actors[1].answers(1)
    assert (text(future), future.result()["reply"]["retries"]) == ("1", 1)
    (future,) = session.ask(2)
    session.actors[1].dies()
    assert len(session.actors) == 2
    assert "its replica has died" in error(future)["message"]


def test_who_cannot_be_reached_is_asked_nothing_until_it_says_that_it_is_there() -> None:
    session = Session().opened()
    one, two = session.actors
    session.ask(1, 2)
    one.vanishes()
    assert two.numbers == [2, 1]
    session.pool.look()
    two.answers(2)
    two.answers(1)
    session.ask(3, 4, 5)
    assert one.numbers == [1]
    one.is_up()
    assert one.numbers == [1, 5]
    assert [note for note in session.notes if "answers again, and gets requests" in note]
    assert not one.is_killed


def test_who_stays_unreachable_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session().opened()
    session.ask(1)
    session.actors[0].vanishes()
    session.pool.look()
    later(monkeypatch, 61)
    session.pool.look()
    assert session.actors[0].is_killed
    assert "could not be reached for 60 s" in str(session.replicas[0].fault)


def test_a_request_waits_for_a_lone_replica_that_may_be_back() -> None:
    session = Session(replicas=1).opened()
    (future,) = session.ask(1)
    session.actors[0].vanishes()
    assert not future.done()
    session.pool.look()
    session.actors[0].is_up()
    session.actors[0].answers(1)
    assert future.result()["reply"]["retries"] == 1


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = clocks.monotonic()
    monkeypatch.setattr(clocks, "monotonic", lambda: now + seconds)


def test_a_replica_without_a_place_is_out_and_names_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()
    session.pool.open()
    session.actors[0].is_up()
    session.pool.look()
    later(monkeypatch, 61)
    session.pool.look()
    assert session.actors[1].is_killed
    (note,) = session.notes
    assert "no place for a replica within 60 s: wanted 2 x 8 CPU; node a has 1 CPU. Ask for less" in note
    assert session.pool.down is None


def test_a_replica_that_has_its_place_may_take_any_time_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(replicas=1)
    session.pool.open()
    session.actors[0].placed.set_result("node1")
    later(monkeypatch, 3600)
    session.pool.look()
    assert session.pool.down is None
    session.actors[0].is_up()
    assert text_of(session, 1) == "1"


def test_a_rung_without_any_place_is_down_with_the_words_of_that(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(place_timeout_s=5.0)
    futures = session.ask(1)
    session.pool.open()
    later(monkeypatch, 6)
    session.pool.look()
    assert session.pool.opened.done()
    fault = error(futures[0])
    assert (fault["reason"], fault["permanent"]) == ("load", True)
    assert "no place for a replica within 5 s" in fault["message"]


def test_a_restart_waits_for_a_place_for_a_quarter_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(replicas=1, restarts=1).opened()
    session.ask(1)
    session.actors[0].dies()
    later(monkeypatch, 16)
    session.pool.look()
    assert session.pool.down is not None


@pytest.mark.parametrize("restarts", [0, 1, 2])
def test_who_dies_before_its_first_word_has_its_restarts_as_any_other_and_the_others_go_on(restarts: int) -> None:
    session = Session(restarts=restarts)
    session.pool.open()
    session.actors[1].is_up()
    words = "died (ModuleNotFoundError: No module named 'pytest_rightsize')"
    for life in [session.actors[0], *range(restarts)]:
        dying = session.actors[-1] if isinstance(life, int) else life
        dying.greets.set_exception(DeadError(words))
        assert dying.is_killed
    assert len(session.actors) == 2 + restarts
    assert text_of(session, 1) == "2"
    assert all("No module named" in note for note in session.notes)
    assert [note.rpartition(". ")[2] for note in session.notes] == [
        *["A new one is started in its place"] * restarts,
        "It has no restart left, and is out for this session",
    ]
    assert session.pool.down is None


def text_of(session: Session, number: object) -> str:
    (future,) = session.ask(number)
    next(actor for actor in session.actors if number in actor.numbers).answers(number)
    return text(future)


def test_nodes_that_all_lack_the_file_are_the_fault_of_that_file() -> None:
    session = Session()
    session.pool.open()
    missing = {"kind": "RungError", "message": "4b is not available: m.gguf is not there", "reason": "missing"}
    for actor in session.actors:
        actor.is_up(error=missing)
    assert session.pool.down is not None
    assert session.pool.down.reason == "missing"
    assert "m.gguf is not there (on node2)" in str(session.pool.down)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"model": "other"}, "its replica on node2 has another model than the replica on node1: model differ. All"),
        ({"versions": {"ray": "3"}}, "its replica on node2 has ray 3, and this session 2"),
        ({"versions": {}}, "its replica on node2 has ray none, and this session 2"),
    ],
)
def test_two_models_or_two_versions_are_refused(second: dict[str, Any], words: str) -> None:
    session = Session(restarts=1)
    session.pool.open()
    one, two = session.actors
    one.is_up()
    (waiting,) = session.ask(1)
    two.is_up(**second)
    assert session.pool.down is not None
    assert words in str(session.pool.down)
    assert session.pool.down.permanent
    assert error(session.ask(2)[0])["message"] == str(session.pool.down)
    one.answers(1)
    assert text(waiting) == "1", "it was answered by the first model, and recorded as its"


def test_a_replica_elsewhere_than_on_this_machine_is_refused_where_only_this_one_may_be() -> None:
    session = Session(replicas=1)
    session.greetings.only_node = "id7"
    session.opened()
    assert session.pool.down is not None
    assert (session.pool.down.reason, session.pool.down.permanent) == ("private", True)


def test_a_cancelled_request_is_cancelled_where_it_is_and_asked_of_nobody_else() -> None:
    session = Session(replicas=1).opened(room=1)
    first, second = session.ask(1, 2)
    (actor,) = session.actors
    first.cancel()
    assert actor.asked[0][1].cancelled()
    assert actor.numbers == [1, 2]
    second.cancel()
    assert session.ask(3)[0].done() is False
    assert actor.numbers == [1, 2, 3]


def test_what_is_under_way_when_the_rung_is_closed_is_cancelled_one_by_one_and_asked_of_nobody() -> None:
    """As on Ctrl-C: what nobody waits for any more is computed no longer, and is a fault here."""
    session = Session(replicas=2, restarts=1).opened()
    futures = session.ask(1, 2, 3, 4, 5)
    session.pool.close()
    calls = [call for actor in session.actors for _, call in actor.asked]
    assert [call.cancelled() for call in calls] == [True] * 4
    assert [actor.numbers for actor in session.actors] == [[1, 3], [2, 4]], "each was asked once, of nobody else"
    assert {error(future)["message"] for future in futures} == {"rung '4b': closed before it had answered"}
    assert [metering.total is None for metering in session.pool.meterings] == [False, False], "both told their totals"


def test_a_request_that_is_sent_while_the_rung_is_closed_is_cancelled_too() -> None:
    """Another thread may be about to send it."""
    calls = CallsUnderWay()
    ended, early, late = (Future[None]() for _ in range(3))
    for call in (ended, early):
        calls.add(call)
    ended.set_result(None)
    calls.cancel()
    calls.add(late)
    assert [call.cancelled() for call in (ended, early, late)] == [False, True, True]


def test_an_error_of_our_own_code_in_an_actor_is_the_fault_of_one_request() -> None:
    session = Session(replicas=1).opened()
    (future,) = session.ask(1)
    session.actors[0].asked[0][1].set_exception(KeyError("messages"))
    assert (error(future)["alone"], error(future)["permanent"]) == (True, False)
    assert session.replicas[0].state == "up"


def test_totals_are_asked_every_ten_seconds_and_kept_for_a_death(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(replicas=1).opened()
    (actor,) = session.actors
    session.ask(1, 2)
    later(monkeypatch, 9)
    session.pool.look()
    assert actor.tells == []
    later(monkeypatch, 2)
    session.pool.look()
    (telling,) = actor.tells
    telling.set_result([metering(5.0).to_dict()])
    actor.answers(1, reply={"text": "1", "retries": 0, "energy": joules(4.5).to_dict()})
    actor.dies()
    (dead,) = session.pool.meterings
    assert dead.load is not None
    assert dead.served is not None
    assert dead.total is not None
    assert (dead.load.joules, dead.served.joules, dead.answers) == (1.0, 4.5, 1)
    assert (dead.total.joules, dead.total.reason) == (None, "replica 1 on node1 died")
    assert dead.notes[-1].startswith("replica 1 on node1 died; what it took after ")


def test_a_death_that_is_noticed_while_totals_are_asked_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session().opened()
    later(monkeypatch, 11)
    session.pool.look()
    session.actors[0].tells[0].set_exception(DeadError("died (its node)"))
    assert session.replicas[0].state == "out"
    session.ask(1)
    assert session.actors[1].numbers == [1]


def test_a_rung_without_a_meter_has_no_totals_of_its_dead() -> None:
    session = Session(replicas=1, is_metered=False).opened()
    session.ask(1)
    session.actors[0].dies()
    assert session.pool.meterings == []


def test_closing_collects_the_totals_of_each_replica_and_ends_what_waits() -> None:
    session = Session().opened(room=1)
    futures = session.ask(1, 2, 3)
    session.pool.close()
    assert [each.total and each.total.joules for each in session.pool.meterings] == [1.0, 2.0]
    assert all(actor.is_killed for actor in session.actors)
    assert error(futures[2])["message"] == "rung '4b': closed before it had answered"
    session.actors[0].dies()
    assert error(futures[0])["message"] == "rung '4b': closed before it had answered"
    assert session.pool.meterings[2:] == []


def test_who_says_nothing_at_the_end_has_died() -> None:
    session = Session(replicas=1).opened()
    session.actors[0].rests.set_exception(DeadError("died (its node)"))
    session.pool.close()
    (dead,) = session.pool.meterings
    assert dead.total is not None
    assert dead.total.reason == "replica 1 on node1 died"


def test_who_cannot_be_reached_at_the_end_has_no_total() -> None:
    session = Session().opened()
    session.ask(1)
    session.actors[0].vanishes()
    session.pool.close()
    lost, there = sorted(session.pool.meterings, key=lambda each: each.meter, reverse=True)
    assert lost.total is not None
    assert there.total is not None
    assert (lost.total.reason, there.total.joules) == ("replica 1 on node1 died", 2.0)


def test_a_rung_is_opened_again_with_the_restarts_that_are_left() -> None:
    session = Session(restarts=1).opened()
    session.ask(1)
    session.actors[0].dies()
    session.actors[2].is_up()
    session.actors[2].dies()
    session.ask(2, 3)
    session.actors[2].dies()
    session.pool.close()
    assert [replica.restarts for replica in session.replicas] == [-1, 1]
    again = Pool(session.terms, session.replicas)
    again.open()
    assert [actor.number for actor in session.actors] == [1, 2, 1, 2], "the first is out for the session"


def test_what_ray_raises_when_an_actor_is_started_is_a_fault() -> None:
    def start(number: int) -> Actor:
        raise ValueError("resources cannot be negative")

    session = Session(start=start)
    session.pool.open()
    assert session.pool.down is not None
    assert "no replica can be started (ValueError: resources cannot be negative)" in str(session.pool.down)


def test_a_cluster_that_cannot_be_reached_answers_everything_with_that_fault() -> None:
    session = Session()
    (future,) = session.ask(1)
    session.pool.fail(RungError("there is no Ray at head:6379", reason="transport", permanent=True))
    assert error(future)["message"] == "there is no Ray at head:6379"
    assert session.pool.opened.done()


def test_notes_of_an_engine_reach_the_user() -> None:
    session = Session(replicas=1).opened()
    session.ask(1)
    session.actors[0].answers(1, notes=["a prompt was cut"])
    assert session.notes == ["a prompt was cut"]


def test_answers_may_wait_for_their_energy_where_all_replicas_compute() -> None:
    session = Session().opened(room=1)
    one, two = session.actors
    session.ask(1, 2, 3, 4, 5)
    assert (one.numbers, two.numbers) == ([1], [2])
    one.answers(1, waiting_room=2)
    assert (one.numbers, two.numbers) == ([1, 3, 4, 5], [2])
    assert session.pool.room == 4


def test_nothing_waits_at_a_replica_while_another_is_on_its_way() -> None:
    session = Session()
    session.pool.open()
    one, two = session.actors
    one.is_up(room=1)
    session.ask(1, 2, 3)
    one.answers(1, waiting_room=256)
    assert one.numbers == [1, 2]
    two.is_up(room=1)
    assert two.numbers == [3]


def test_a_request_that_waits_for_another_replica_holds_up_no_other() -> None:
    """The first replica had no memory for it, and the second is on its way."""
    session = Session()
    session.pool.open()
    one, two = session.actors
    one.is_up(room=4)
    (first,) = session.ask(1)
    one.asked[0][1].set_result({"error": error_to_plain(RungError("rung '4b': out of memory", reason="memory"))})
    session.ask(2, 3)
    assert one.numbers == [1, 2, 3]
    assert not first.done()
    two.is_up(room=4)
    assert two.numbers == [1]
    two.answers(1)
    assert text(first) == "2"


def test_a_pool_that_is_closed_before_anybody_was_up_keeps_nobody_waiting_for_that() -> None:
    placing, never = Session(), Session()
    placing.pool.open()
    placing.pool.close()
    never.pool.close()
    never.pool.open()
    for session in (placing, never):
        assert session.pool.opened.done()
        assert session.pool.down is not None


def test_who_is_placed_after_the_end_is_ended_at_once() -> None:
    """The connection to a cluster may take longer than the session."""
    session = Session()
    session.pool.close()
    session.pool.open()
    assert session.actors == []

    def start(_: int) -> Actor:
        late.pool.close()
        return late._start(1)

    late: Session = Session(restarts=1, start=start)
    late.pool.open()
    assert [actor.is_killed for actor in late.actors] == [True, True]
    assert [replica.host for replica in late.replicas] == [None, None]


def test_a_pool_that_ends_late_takes_nothing_of_the_next_one() -> None:
    """A rung is closed and asked again while the cluster is slow."""
    session = Session(replicas=1)
    session.pool.open()
    session.pool.close()
    assert session.pool.is_over.is_set()
    again = Pool(session.terms, session.replicas)
    again.open()
    first, second = session.actors
    second.is_up()
    session.pool.open()
    first.greets.set_exception(DeadError("died (it was killed)"))
    assert (first.is_killed, second.is_killed, len(session.actors)) == (True, False, 2)
    future = again.ask({"n": 1})
    second.answers(1)
    assert text(future) == "1"


def test_who_greets_while_its_rung_is_closed_stays_out(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(replicas=1)
    session.pool.open()
    refusal = session.greetings.refusal

    def closing(hello: Mapping[str, Any]) -> Any:
        session.pool.close()
        return refusal(hello)

    monkeypatch.setattr(session.greetings, "refusal", closing)
    session.actors[0].is_up()
    assert session.replicas[0].state == "out"
    assert not session.replicas[0].was_up


@pytest.mark.parametrize("method", ["here", "hello", "ask", "so_far", "rest"])
def test_what_ray_raises_at_a_call_is_that_replicas_trouble(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    def broken(*_: object) -> Any:
        raise ConnectionError("Ray Client is not connected")

    session = Session()
    session.pool.open()
    one, two = session.actors
    if method in ("here", "hello"):
        session = Session(start=lambda number: broken_actor(session, number, method, broken))
        session.pool.open()
        one, two = session.actors
        if method == "here":
            one.is_up()
    else:
        one.is_up()
        monkeypatch.setattr(one, method, broken)
    two.is_up()
    session.ask(1, 2)
    assert two.numbers == ([1, 2] if method in ("hello", "ask") else [2])
    later(monkeypatch, 11)
    session.pool.look()
    session.pool.close()
    assert two.is_killed
    assert one.is_killed


def broken_actor(session: Session, number: int, method: str, broken: Any) -> Actor:
    actor = session._start(number)
    if number == 1:
        setattr(actor, method, broken)
    return actor
