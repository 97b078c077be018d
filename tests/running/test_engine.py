"""The engine asked from many threads: each question is sent once, and whoever asks it gets its own reply."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.providers import Problem
from pytest_rightsize.recorded.recorder import Recorder
from pytest_rightsize.records import Identity, Reply, Request, Rung
from pytest_rightsize.running.engine import Engine, Suspended
from pytest_rightsize.running.ticket import Ticket


class Echo:
    """Answers `PROMPT#n` to the n-th request with that prompt, from other threads, in an order by chance.

    What begins with one of `held` is answered when the test has been suspended.
    """

    options: ClassVar[dict[str, type]] = {}
    required = ()
    leaves_machine = False

    def __init__(self, seed: int = 0, held: str = "") -> None:
        self.asked: Counter[str] = Counter()
        self.closed = 0
        self._chance = random.Random(seed)
        self._pool = ThreadPoolExecutor(4)
        self._waiting: list[tuple[Future[Reply], str]] = []
        self._lock = threading.Lock()
        self._held = held
        self._until_suspended: list[tuple[Future[Reply], str]] = []

    def check(self) -> Problem | None:
        return None

    def identity(self, sha256: Callable[[Path], str]) -> Identity:
        return Identity(content={"provider": "echo"})

    def submit(self, request: Request) -> Future[Reply]:
        prompt = str(request.messages[0]["content"])
        future: Future[Reply] = Future()
        with self._lock:
            self.asked[prompt] += 1
            answer = (future, f"{prompt}#{self.asked[prompt]}")
            if prompt[0] in self._held:
                self._until_suspended.append(answer)
                return future
            self._waiting.append(answer)
        self._pool.submit(self._answer_one)
        return future

    def release(self) -> None:
        while self._until_suspended:
            future, text = self._until_suspended.pop()
            future.set_result(Reply(text=text, seconds=0.5))

    def _answer_one(self) -> None:
        with self._lock:
            future, text = self._waiting.pop(self._chance.randrange(len(self._waiting)))
        future.set_result(Reply(text=text, seconds=0.5))

    def close(self) -> None:
        self.closed += 1


def question(prompt: str) -> Request:
    return Request(messages=({"role": "user", "content": prompt},))


class Asker:
    """A test as the engine sees it: it starts again whenever it was suspended, as the loop has it."""

    def __init__(self, engine: Engine, rung: str = "echo", *, may_suspend: bool = True) -> None:
        self.engine = engine
        self.rung = rung
        self.doubts: list[str] = []
        self.ticket = Ticket(case="case", test="test", may_suspend=may_suspend, on_doubt=self.doubts.append)
        self.starts = 0
        self.got: dict[str, list[str]] = {}

    def ask(self, prompt: str) -> str:
        text = self.engine.ask(self.rung, question(prompt), self.ticket, self.ticket.start_number).text
        self.got.setdefault(prompt, []).append(text)
        return text

    def run(self, body: Callable[[], None], *, first_start: bool = False) -> None:
        if first_start:
            self.got = {}
            self.ticket.start_for_first_question()
            if not self._is_over(body):
                self._wait()
        while True:
            self.got = {}
            self.ticket.start()
            self.ticket.next_run()
            is_over = self._is_over(body)
            self.ticket.end_run()
            if is_over:
                return
            self._wait()

    def _wait(self) -> None:
        provider = self.engine._providers[self.rung]
        assert isinstance(provider, Echo)
        provider.release()
        assert self.ticket.waiting_for is not None
        self.ticket.waiting_for.result()

    def _is_over(self, body: Callable[[], None]) -> bool:
        self.starts += 1
        try:
            body()
        except Suspended:
            return False
        return True


def engine_of(provider: Echo, recorder: Recorder | None = None) -> Engine:
    return Engine({"echo": provider}, one_at_a_time=True, recorder=recorder)  # type: ignore[dict-item]  # by behaviour


PROMPTS = st.lists(st.sampled_from("aabcde"), max_size=6)
STEPS = st.lists(
    st.one_of(st.tuples(st.just("test"), PROMPTS), st.tuples(st.just("threads"), st.lists(PROMPTS, max_size=4))),
    max_size=4,
)


@settings(max_examples=60)
@given(steps=STEPS, seed=st.integers(0, 2**16), shuffles=st.booleans(), first_start=st.booleans())
def test_every_question_is_asked_once_and_gets_its_own_reply(
    steps: Sequence[tuple[str, list[str] | list[list[str]]]], seed: int, shuffles: bool, first_start: bool
) -> None:
    """Whatever the order, the threads and the number of starts: `seed` draws both anew for each start."""
    provider = Echo(seed)
    asker = Asker(engine_of(provider))
    chance = random.Random(seed)

    def in_turn(prompts: Sequence[str]) -> None:
        for prompt in chance.sample(prompts, len(prompts)) if shuffles else prompts:
            asker.ask(prompt)

    def body() -> None:
        for kind, what in steps:
            if kind == "test":
                in_turn([*what])
            else:
                with ThreadPoolExecutor(4) as pool:
                    for done in [pool.submit(in_turn, prompts) for prompts in what]:
                        done.result()

    asker.run(body, first_start=first_start)
    every = Counter(prompt for kind, what in steps for one in what for prompt in ([one] if kind == "test" else [*one]))
    assert provider.asked == every
    assert {prompt: sorted(texts) for prompt, texts in asker.got.items()} == {
        prompt: sorted(f"{prompt}#{number + 1}" for number in range(count)) for prompt, count in every.items()
    }
    assert asker.doubts == []


def test_in_one_thread_the_nth_time_gets_the_nth_reply() -> None:
    provider = Echo(held="ab")
    asker = Asker(engine_of(provider))
    texts: list[str] = []

    def body() -> None:
        texts[:] = [asker.ask(prompt) for prompt in "abaab"]

    asker.run(body)
    assert texts == ["a#1", "b#1", "a#2", "a#3", "b#2"]
    assert asker.starts == 6


def test_a_question_that_no_start_repeats_is_told_once_and_ends_the_suspending() -> None:
    provider = Echo()
    asker = Asker(engine_of(provider))
    clock = iter(range(100))

    def body() -> None:
        asker.ask(f"at {next(clock)}")
        asker.ask("b")
        asker.ask("c")

    asker.run(body, first_start=True)
    assert asker.starts == 2
    assert provider.asked == {"at 0": 1, "at 1": 1, "b": 1, "c": 1}
    (why,) = asker.doubts
    assert "asks something else when it starts again" in why


def test_an_answer_that_a_test_keeps_between_its_starts_is_no_doubt() -> None:
    """Its trial counts it: see `Transcript.earlier`."""
    provider = Echo(held="ab")
    asker = Asker(engine_of(provider))
    kept: dict[str, str] = {}

    def body() -> None:
        kept["a"] = kept.get("a") or asker.ask("a")
        asker.ask("b")

    asker.run(body)
    assert provider.asked == {"a": 1, "b": 1}
    assert [*asker.got] == ["b"]
    assert asker.doubts == []


def test_a_question_whose_answer_no_start_has_got_is_told() -> None:
    asker = Asker(engine_of(Echo(held="a")))
    starts = iter((True, False))

    def body() -> None:
        if next(starts):
            asker.ask("a")

    asker.run(body)
    (why,) = asker.doubts
    assert "its trial lacks an answer" in why


def test_a_thread_of_an_earlier_start_asks_no_more(recwarn: pytest.WarningsRecorder) -> None:
    """It ends without a word: neither threading.excepthook nor a warning tells of it."""
    provider = Echo(held="a")
    asker = Asker(engine_of(provider))
    told: list[object] = []
    ended = threading.Event()
    may_go_on = threading.Event()
    threads: list[threading.Thread] = []

    def stray(start: int) -> None:
        may_go_on.wait(30)
        try:
            asker.engine.ask("echo", question("stray"), asker.ticket, start)
        finally:
            ended.set()

    def body() -> None:
        if not threads:
            threads.append(threading.Thread(target=stray, args=(asker.ticket.start_number,)))
            threads[0].start()
        else:
            may_go_on.set()
            assert ended.wait(30)
        asker.ask("a")

    before, threading.excepthook = threading.excepthook, told.append
    try:
        asker.run(body)
        threads[0].join(30)
    finally:
        threading.excepthook = before
    assert provider.asked == {"a": 1}
    assert told == []


def test_a_thread_that_outlives_its_test_is_refused_in_words() -> None:
    asker = Asker(engine_of(Echo()), may_suspend=False)
    asker.run(lambda: None)
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="test has ended, and its model is asked no"):
        pool.submit(asker.ask, "late").result()


def test_the_model_kept_from_an_earlier_start_still_answers() -> None:
    """A module may keep it from the first start on, and ask it in all others."""
    provider = Echo(held="a")
    asker = Asker(engine_of(provider))
    kept: list[int] = []

    def body() -> None:
        kept.append(asker.ticket.start_number)
        for prompt in "ab":
            asker.engine.ask("echo", question(prompt), asker.ticket, kept[0])

    asker.run(body)
    assert provider.asked == {"a": 1, "b": 1}


def test_rungs_make_room_for_each_other_however_many_threads_ask() -> None:
    """Each of them needs the place of the other: it is closed once each time."""
    providers = {"small": Echo(), "large": Echo()}
    engine = Engine(providers, one_at_a_time=True)  # type: ignore[arg-type]  # by behaviour
    for turn in range(20):
        asker = Asker(engine, ["small", "large"][turn % 2], may_suspend=False)

        def body(asker: Asker = asker) -> None:
            with ThreadPoolExecutor(8) as pool:
                assert sorted(pool.map(asker.ask, ["a"] * 8)) == sorted(asker.got["a"])

        asker.run(body)
    assert (providers["small"].closed, providers["large"].closed) == (10, 9)
    assert providers["small"].asked["a"] == providers["large"].asked["a"] == 80


def test_threads_wait_at_the_same_time_and_the_test_s_own_one_after_the_other() -> None:
    """A start that is told what earlier ones have waited for counts it as the clock would have."""
    asker = Asker(engine_of(Echo(held="e")))

    def body() -> None:
        with ThreadPoolExecutor(4) as pool:
            assert len([*pool.map(asker.ask, "abcd")]) == 4
        asker.ask("e")

    asker.run(body)
    assert asker.starts == 2
    # Half a second for `e`, and half a second and little more for all four.
    assert 1.0 <= asker.ticket.take_remembered_seconds() < 2.5
    assert asker.ticket.take_remembered_seconds() == 0


def test_answers_are_recorded_once_each_by_count(tmp_path: Path) -> None:
    """A pool asks the same twice of each: a second session gets all that the first was told, and sends nothing."""
    rungs = {"echo": Rung(name="echo", provider="echo")}
    told = []
    for provider in (Echo(), Echo()):
        recorder = Recorder(tmp_path / "cache", mode="auto", rungs=rungs)
        engine = engine_of(provider, recorder)
        asker = Asker(engine, may_suspend=False)

        def body(asker: Asker = asker) -> None:
            with ThreadPoolExecutor(8) as pool:
                assert len([*pool.map(asker.ask, "abcdefgh" * 2)]) == 16

        asker.run(body)
        engine.close()
        told.append({prompt: sorted(texts) for prompt, texts in asker.got.items()})
        sent = provider.asked.total()
    assert told[0] == told[1]
    assert all(len(set(texts)) == 2 for texts in told[0].values())
    assert sent == 0


def test_a_process_that_was_forked_after_others_had_asked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads that bring answers stayed behind: it would wait for ever. A provider that needs none goes on."""
    recording = Echo()
    recording.site = None  # type: ignore[attr-defined]  # as a recording says it
    providers = {"echo": Echo(), "recording": recording}
    engine = Engine(providers, one_at_a_time=False)  # type: ignore[arg-type]  # by behaviour
    assert engine.ask("recording", question("a"), Ticket()).text == "a#1"
    monkeypatch.setattr("os.getpid", lambda: 1)
    assert engine.ask("echo", question("a"), Ticket()).text == "a#1"  # the first to ask
    monkeypatch.setattr("os.getpid", lambda: 2)
    with pytest.raises(RuntimeError, match=r"^test_it asks its model in a process that was forked after.* --forked"):
        engine.ask("echo", question("b"), Ticket(test="test_it"))
    assert engine.ask("recording", question("b"), Ticket()).text == "b#1"


def test_a_model_that_a_worker_has_loaded_is_known_where_nothing_was_asked() -> None:
    """As in the controller of xdist, which owns the hosts that its workers ask."""
    loading = Echo()
    loading.is_loading, loading.size_bytes = True, 3  # type: ignore[attr-defined]  # as a host says it
    providers = {"small": Echo(), "echo": loading}
    engine = Engine(providers, one_at_a_time=True)  # type: ignore[arg-type]  # by behaviour
    assert engine.loading() == ("echo", 3)
    loading.is_loading = False  # type: ignore[attr-defined]  # see above
    assert engine.loading() is None
