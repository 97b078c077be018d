"""Requests of httpx to the endpoint are answered where they are made, and every other request goes its usual way."""

import importlib.util
import multiprocessing
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from pytest_rightsize.running.engine import Suspended
from pytest_rightsize.served.endpoint import Received, Sent
from pytest_rightsize.served.shortcut import Shortcut
from tests.running.test_suspension import check_in_flight_together
from tests.served.project import asked, climb, make, notes, outcomes

# Whichever of the two the installed `openai` sends by.
httpx: Any = importlib.import_module("httpx2" if importlib.util.find_spec("httpx2") else "httpx")
# It imports this with its first connection. Sessions in this process forget what they import, and one that forgot this
# would leave httpx with errors of a module that is no more.
importlib.import_module(httpx.__name__.replace("httpx", "httpcore"))
PORT = 9
URL = f"http://127.0.0.1:{PORT}/v1/chat/completions"
UPPER = """
    import pytest, app
    @pytest.mark.parametrize("word", "abcdefgh")
    def test_upper(model, word):
        app.note(word)
        assert app.ask(word) == word.upper()
        assert bool(app.client._transport._pool.connections) == {sends}
"""


@pytest.fixture
def own_method() -> Iterator[Any]:
    """The method of httpx, which nothing may leave replaced."""
    own = httpx.HTTPTransport.handle_request
    yield own
    assert httpx.HTTPTransport.handle_request is own


@pytest.fixture
def seen() -> list[Received]:
    return []


@pytest.fixture
def shortcut(seen: list[Received], own_method: object) -> Iterator[Shortcut]:
    """One that answers with the body of the request, but for paths that end with `/send`."""

    def answer(received: Received, _frame: FrameType | None) -> Sent | None:
        seen.append(received)
        if received.path.endswith("/send"):
            return None
        return Sent(status=200, body=received.body, headers={"x-more": "1"})

    shortcut = Shortcut(PORT, answer)
    shortcut.look()
    yield shortcut
    shortcut.close()


def test_a_response_is_what_a_connection_would_have_brought(shortcut: Shortcut, seen: list[Received]) -> None:
    with httpx.Client() as client:
        response = client.post(f"{URL}?a=1", json={"ä": 1}, headers={"authorization": "Bearer k"})
        assert (response.status_code, response.json()) == (200, {"ä": 1})
        assert response.headers["content-type"] == "application/json"
        assert response.headers["content-length"] == str(len(response.content))
        assert (response.headers["x-more"], response.http_version, str(response.request.url)) == (
            "1",
            "HTTP/1.1",
            f"{URL}?a=1",
        )
        assert response.elapsed.total_seconds() >= 0
        with client.stream("POST", URL, content=iter([b"line\n", b"another\n"])) as streamed:
            with pytest.raises(httpx.ResponseNotRead):
                _ = streamed.text
            assert [*streamed.iter_lines()] == ["line", "another"]
        assert not client._transport._pool.connections
    first, second = seen
    assert (first.method, first.path, first.headers["Authorization"]) == ("POST", "/v1/chat/completions", "Bearer k")
    assert (first.is_first, second.is_first) == (True, False)


def test_every_client_is_first_once(shortcut: Shortcut, seen: list[Received]) -> None:
    for _ in range(2):
        with httpx.Client() as client:
            client.post(URL, content=b"{}")
    assert [received.is_first for received in seen] == [True, True]


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:10/v1/chat/completions", {}),
        ("http://127.0.0.2:9/v1/chat/completions", {}),
        ("https://127.0.0.1:9/v1/chat/completions", {}),
        (URL, {"content-encoding": "gzip"}),
    ],
)
def test_what_is_for_somebody_else_is_not_looked_at(
    shortcut: Shortcut, seen: list[Received], url: str, headers: dict[str, str]
) -> None:
    with httpx.Client(trust_env=False, timeout=5) as client, pytest.raises(httpx.ConnectError):
        client.post(url, content=b"{}", headers=headers)
    assert seen == []


def test_what_cannot_be_answered_here_is_sent(shortcut: Shortcut, seen: list[Received]) -> None:
    with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ConnectError):
        client.post(f"http://127.0.0.1:{PORT}/send", content=iter([b"{}"]))
    assert [received.body for received in seen] == [b"{}"]


def test_another_thread_uses_the_connection(shortcut: Shortcut, seen: list[Received]) -> None:
    raised: list[Exception] = []

    def ask() -> None:
        try:
            httpx.post(URL, content=b"{}", trust_env=False)
        except httpx.ConnectError as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert len(raised) == 1
    assert seen == []


def test_who_keeps_the_method_after_the_session_sends_by_it(shortcut: Shortcut, seen: list[Received]) -> None:
    kept = httpx.HTTPTransport.handle_request
    shortcut.close()
    transport = httpx.HTTPTransport()
    with pytest.raises(httpx.ConnectError):
        kept(transport, httpx.Request("POST", URL, content=b"{}"))
    assert seen == []


def test_a_method_that_somebody_else_has_replaced_stays_theirs(
    own_method: Any, seen: list[Received], monkeypatch: pytest.MonkeyPatch
) -> None:
    def traced(_transport: object, _request: object) -> object:
        return httpx.Response(200, text="traced")

    def never(received: Received, _frame: FrameType | None) -> None:
        raise AssertionError(received)

    with monkeypatch.context() as patch:
        patch.setattr(httpx.HTTPTransport, "handle_request", traced)
        shortcut = Shortcut(PORT, never)
        shortcut.look()
        assert httpx.HTTPTransport.handle_request is traced
        shortcut.close()
        assert httpx.HTTPTransport.handle_request is traced
    shortcut = Shortcut(PORT, never)
    shortcut.look()
    assert httpx.HTTPTransport.handle_request is not own_method
    with monkeypatch.context() as patch:
        patch.setattr(httpx.HTTPTransport, "handle_request", traced)
        assert httpx.post(URL, content=b"{}").text == "traced"
        shortcut.close()
        assert httpx.HTTPTransport.handle_request is traced
    # The mock has put back what it found, which does nothing more.
    with pytest.raises(httpx.ConnectError):
        httpx.post(URL, content=b"{}", trust_env=False)
    httpx.HTTPTransport.handle_request = own_method


def test_a_version_whose_responses_are_made_otherwise_is_left_alone(
    own_method: Any, seen: list[Received], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(httpx, "ByteStream")
    shortcut = Shortcut(PORT, lambda received, _: seen.append(received))
    shortcut.look()
    assert httpx.HTTPTransport.handle_request is own_method
    shortcut.close()


def test_a_mock_of_the_connections_sees_every_request(
    shortcut: Shortcut, seen: list[Received], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that bears the name of what it replaces, as those of unittest.mock may."""
    mocked: list[object] = []

    def handle_request(_pool: object, request: object) -> object:
        mocked.append(request)
        raise RuntimeError("mocked")

    with httpx.Client() as client:
        pool_class = type(client._transport._pool)
        handle_request.__module__ = pool_class.handle_request.__module__
        monkeypatch.setattr(pool_class, "handle_request", handle_request)
        with pytest.raises(RuntimeError, match="mocked"):
            client.post(URL, content=b"{}")
    assert (len(mocked), seen) == (1, [])


# --- whole sessions ---------------------------------------------------------------------------------------------------


def test_tests_are_in_flight_together_without_a_connection(pytester: pytest.Pytester, own_method: object) -> None:
    make(pytester, client="httpx")
    check_in_flight_together(climb(pytester, UPPER.format(sends=False)), pytester)


def test_what_watches_the_method_sees_every_request(pytester: pytest.Pytester, own_method: object) -> None:
    """A tracer that was there before the tests began."""
    make(pytester, client="httpx")
    app = pytester.path / "app.py"
    app.write_text(
        app.read_text(encoding="utf-8")
        + """
own = httpx.HTTPTransport.handle_request


def traced(transport, request):
    note("traced")
    return own(transport, request)
""",
        encoding="utf-8",
    )
    with (pytester.path / "conftest.py").open("a", encoding="utf-8") as file:
        file.write(
            """

def pytest_sessionstart(session):
    import app
    app.httpx.HTTPTransport.handle_request = app.traced


def pytest_sessionfinish(session):
    import app
    app.httpx.HTTPTransport.handle_request = app.own
"""
        )
    climb(pytester, UPPER.format(sends=True).replace("abcdefgh", "ab")).assert_outcomes(passed=2)
    assert sorted(notes(pytester)) == ["a", "a", "b", "b", *["traced"] * 4]


def test_a_request_that_takes_the_connection_may_be_left_there(pytester: pytest.Pytester, own_method: object) -> None:
    """As one of an application that compresses what it sends."""
    make(pytester, client="httpx")
    app = pytester.path / "app.py"
    app.write_text(
        app.read_text(encoding="utf-8").replace(
            "json=body, headers=dict(headers)",
            'content=gzip.compress(json.dumps(body).encode()), headers={"content-encoding": "gzip"}',
        )
        + "\nimport gzip\n",
        encoding="utf-8",
    )
    check_in_flight_together(climb(pytester, UPPER.format(sends=True)), pytester)


def test_where_a_test_cannot_be_left_it_waits_for_a_connection(pytester: pytest.Pytester, own_method: object) -> None:
    """Destructors swallow what leaves a test; in a teardown, and beside a thread, nothing may be left either."""
    make(pytester, together=1, client="httpx")
    result = climb(
        pytester,
        """
        import threading
        import pytest, app

        class Asks:
            def __del__(self):
                app.note("deleted " + app.ask("in a destructor"))

        def test_destructor(model):
            one = Asks()
            del one

        @pytest.fixture
        def asks_at_the_end():
            yield
            app.note("ended " + app.ask("at the end"))

        def test_teardown(model, asks_at_the_end):
            assert app.ask("body") == "BODY"

        def test_thread(model):
            done = threading.Event()
            thread = threading.Thread(target=done.wait)
            thread.start()
            try:
                assert app.ask("beside") == "BESIDE"
            finally:
                done.set()
                thread.join()
        """,
    )
    result.assert_outcomes(passed=3)
    assert {name: outcome for name, (outcome, _) in outcomes(pytester).items()} == {
        "test_destructor": "passed",
        "test_teardown": "passed",
        "test_thread": "passed",
    }
    assert {"deleted IN A DESTRUCTOR", "ended AT THE END"} <= {*notes(pytester)}


def test_who_replaces_the_pool_or_its_method_for_one_client_sees_every_request(
    shortcut: Shortcut, seen: list[Received]
) -> None:
    class Pool:
        def handle_request(self, request: object) -> object:
            raise RuntimeError("mocked")

    for change in ("method", "pool"):
        transport = httpx.HTTPTransport()
        if change == "method":
            transport._pool.handle_request = Pool().handle_request
        else:
            transport._pool = Pool()
        with pytest.raises(RuntimeError, match="mocked"):
            httpx.Client(transport=transport).post(URL, content=b"{}")
    assert seen == []


def test_the_question_is_what_would_have_been_sent(shortcut: Shortcut, seen: list[Received]) -> None:
    """A hook may give a request another stream than the body that it was made with."""

    def change(request: Any) -> None:
        request.stream = httpx.ByteStream(b"changed")
        request.headers["content-length"] = "7"

    with httpx.Client(event_hooks={"request": [change]}, trust_env=False) as client, pytest.raises(httpx.ConnectError):
        client.post(URL, content=b"{}")
    assert seen == []


def test_a_transport_without_a_hash_is_answered_too(shortcut: Shortcut, seen: list[Received]) -> None:
    class Unhashable(httpx.HTTPTransport):  # type: ignore[misc]  # which of the two it is, is known later
        def __hash__(self) -> int:
            raise TypeError("unhashable")

    with httpx.Client(transport=Unhashable()) as client:
        assert client.post(URL, content=b"{}").status_code == 200
    assert [received.is_first for received in seen] == [False]


def test_a_client_is_first_once_also_where_its_request_is_left(own_method: object) -> None:
    firsts: list[bool] = []

    def leave(received: Received, _frame: FrameType | None) -> None:
        firsts.append(received.is_first)
        raise Suspended

    shortcut = Shortcut(PORT, leave)
    shortcut.look()
    with httpx.Client() as client:
        for _ in range(2):
            with pytest.raises(Suspended):
                client.post(URL, content=b"{}")
    shortcut.close()
    assert firsts == [True, False]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_a_forked_child_asks_through_the_connection_and_nothing_is_asked_twice(
    pytester: pytest.Pytester, own_method: object
) -> None:
    make(pytester, together=1, client="httpx")
    result = climb(
        pytester,
        """
        import multiprocessing
        import app

        def ask(pipe):
            pipe.send(app.ask("of a child"))

        def test_child(model):
            ours, its = multiprocessing.Pipe()
            child = multiprocessing.get_context("fork").Process(target=ask, args=(its,))
            child.start()
            its.close()
            try:
                assert ours.recv() == "OF A CHILD"
            finally:
                child.join()
        """,
    )
    result.assert_outcomes(passed=1)
    assert asked(pytester) == ["of a child"]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no alarm")
def test_what_a_signal_handler_of_the_test_raises_while_it_waits_in_place_is_the_tests_own(
    pytester: pytest.Pytester, own_method: object
) -> None:
    """It asks something else when it starts again, and waits for that; the alarm goes off while it does."""
    make(pytester, together=1, client="httpx")
    result = climb(
        pytester,
        """
        import os, signal, threading, time
        import pytest, app
        import pytest_rightsize.served.app_calls as app_calls

        class Slow(Exception):
            pass

        def test_slow(model, monkeypatch):
            def alarm(*_):
                raise Slow

            before = signal.signal(signal.SIGALRM, alarm)
            monkeypatch.setattr(app_calls.futures, "wait", lambda _: signal.raise_signal(signal.SIGALRM))
            try:
                with pytest.raises(Slow):
                    app.ask(f"it is {time.perf_counter()}")
            finally:
                signal.signal(signal.SIGALRM, before)
            monkeypatch.undo()
            assert app.ask("again") == "AGAIN"
        """,
    )
    result.assert_outcomes(passed=1)
