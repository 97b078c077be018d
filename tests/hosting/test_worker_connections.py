"""The socket over which workers ask: for this user and who knows the secret, whatever else connects and says."""

import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.errors import RungError
from pytest_rightsize.hosting.desks import RemoteDesk
from pytest_rightsize.hosting.frames import frame_of, read_frame
from pytest_rightsize.hosting.hosted import Hosted
from pytest_rightsize.hosting.wire import reply_to_plain, request_to_plain
from pytest_rightsize.hosting.worker_connections import Listener
from pytest_rightsize.records import Identity, Reply, Request, Rung

Outcome = Mapping[str, Any]
PATIENCE_S = 60.0


class Answering:
    """Hosts that answer what they are asked, or keep it; they remember who left."""

    def __init__(self) -> None:
        self.rungs = {"a"}
        self.asked: list[tuple[str, Outcome]] = []
        self.kept: list[Future[Outcome]] = []
        self.left: list[str | None] = []
        self.has_left: Future[None] = Future()
        self.keeps: Future[None] = Future()

    def __contains__(self, rung: object) -> bool:
        return rung in self.rungs

    def ask(self, user: object, rung: str, request: Outcome) -> Future[Outcome]:
        self.asked.append((rung, request))
        future: Future[Outcome] = Future()
        content = request["messages"][0]["content"]
        if content == "keep":
            self.kept.append(future)
            self.keeps.set_result(None)
        elif content == "fail":
            future.set_result({"error": {"kind": "TooLongError", "message": "too long"}})
        else:
            future.set_result(
                {"reply": reply_to_plain(Reply(text=content.upper())), "waiting_room": 3, "size_bytes": 7}
            )
        return future

    def leave(self, user: object, rung: str | None = None) -> None:
        self.left.append(rung)
        if rung is None:
            self.has_left.set_result(None)


@pytest.fixture(params=[True, False], ids=["file", "port"])
def listener(request: pytest.FixtureRequest) -> Iterator[tuple[Listener, Answering]]:
    hosts = Answering()
    listening = Listener(hosts, by_file=request.param and hasattr(socket, "AF_UNIX"))  # type: ignore[arg-type]
    yield listening, hosts
    listening.close()


def asking(prompt: str) -> Request:
    return Request(messages=({"role": "user", "content": prompt},))


class Inner:
    leaves_machine = False
    in_flight = 32
    size_bytes = None

    def check(self) -> None:
        return None

    def identity(self, sha256: Callable[[Path], str]) -> Identity:
        return Identity(content={"model": "inner"})


def hosted(desk: RemoteDesk) -> Hosted:
    return Hosted(Inner(), Rung(name="a", provider="inner"), desk, lambda: "nvml")  # type: ignore[arg-type]  # a part


def test_a_worker_asks_and_gets_replies_and_faults(listener: tuple[Listener, Answering]) -> None:
    listening, hosts = listener
    provider = hosted(RemoteDesk(listening.address))
    assert provider.submit(asking("hello")).result(PATIENCE_S).text == "HELLO"
    assert (provider.waiting_room, provider.size_bytes, provider.in_flight) == (3, 7, 32)
    assert str(provider.submit(asking("fail")).exception(PATIENCE_S)) == "too long"
    assert provider.identity(str) == Identity(content={"model": "inner"}), "keys do not depend on who answers"
    assert (provider.leaves_machine, provider.takes_room_of, provider.meterings) == (False, "machine", [])
    provider.close()
    assert provider.submit(asking("again")).result(PATIENCE_S).text == "AGAIN"
    assert hosts.left == ["a"]


def test_a_rung_beside_the_ladder_is_found_when_it_is_first_asked() -> None:
    """As the judge of a test, of which the owner knows nothing before; one that cannot be had takes no other along."""
    hosts = Answering()

    def find(rung: str) -> None:
        if rung != "umpire":
            raise RungError(f"the judge {rung!r} cannot answer", reason="missing", permanent=True)
        hosts.rungs.add(rung)

    listening = Listener(hosts, find=find)  # type: ignore[arg-type]
    desk, request = RemoteDesk(listening.address), request_to_plain(asking("hello"))
    assert desk.ask("umpire", request).result(PATIENCE_S)["reply"]["text"] == "HELLO"
    fault = desk.ask("other", request).result(PATIENCE_S)["error"]
    assert (fault["message"], fault["reason"]) == ("the judge 'other' cannot answer", "missing")
    assert desk.ask("a", request).result(PATIENCE_S)["reply"]["text"] == "HELLO"
    listening.close()


def test_a_worker_that_goes_takes_its_questions_with_it(listener: tuple[Listener, Answering]) -> None:
    listening, hosts = listener
    with connected(listening) as connection:
        connection.sendall(frame_of({"secret": listening.address["secret"]}))
        request = {"messages": [{"role": "user", "content": "keep"}]}
        connection.sendall(frame_of({"ask": 1, "rung": "a", "request": request}))
        hosts.keeps.result(PATIENCE_S)
        assert not hosts.has_left.done()
    hosts.has_left.result(PATIENCE_S)
    assert hosts.kept[0].cancelled()


def test_a_question_that_is_wanted_no_more_is_cancelled(listener: tuple[Listener, Answering]) -> None:
    listening, hosts = listener
    provider = hosted(RemoteDesk(listening.address))
    asked = provider.submit(asking("keep"))
    hosts.keeps.result(PATIENCE_S)
    asked.cancel()
    cancelled: Future[None] = Future()
    hosts.kept[0].add_done_callback(lambda _: cancelled.set_result(None))
    cancelled.result(PATIENCE_S)
    assert hosts.kept[0].cancelled()


def test_an_owner_that_has_gone_is_a_fault_for_good(listener: tuple[Listener, Answering]) -> None:
    listening, hosts = listener
    provider = hosted(RemoteDesk(listening.address))
    asked = provider.submit(asking("keep"))
    hosts.keeps.result(PATIENCE_S)
    listening.close()
    for fault in (asked.exception(PATIENCE_S), provider.submit(asking("b")).exception(PATIENCE_S)):
        assert (fault.reason, fault.permanent) == ("crash", True)  # type: ignore[union-attr]  # a RungError
    late = hosted(RemoteDesk(listening.address)).submit(asking("c")).exception(PATIENCE_S)
    assert str(late) == "the process that owns this session's models has ended, and with it the models"


def connected(listening: Listener) -> socket.socket:
    address = listening.address
    if "port" in address:
        connection = socket.create_connection(("127.0.0.1", address["port"]))
    else:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(address["file"])
    connection.settimeout(PATIENCE_S)
    return connection


HELLO = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x80\x04\x95" * 10,
        b"\xff" * 2000,
        frame_of({}),
        frame_of({"secret": None}),
        frame_of({"secret": "é"}),
        frame_of({"secret": "0" * 64}),
        frame_of({"secret": "x" * 2000}),
    ],
)
def test_who_does_not_know_the_secret_is_not_served(listener: tuple[Listener, Answering], said: bytes) -> None:
    listening, hosts = listener
    with connected(listening) as connection:
        connection.sendall(said + frame_of({"ask": 1, "rung": "a", "request": HELLO}))
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == b""
    assert hosts.asked == []


@pytest.mark.parametrize(
    "message",
    [
        frame_of({"ask": 1, "rung": "b", "request": HELLO}),
        frame_of({"ask": 1, "rung": ["a"], "request": HELLO}),
        frame_of({"ask": 1, "rung": "a", "request": "import os"}),
        frame_of({"ask": 1, "rung": "a"}),
        frame_of({"ask": "one", "rung": "a", "request": HELLO}),
        frame_of({"cancel": []}),
        b"\x00\x00\x00\x02[]",
        b"\xff\xff\xff\xff",
    ],
)
def test_what_is_no_question_ends_the_connection(listener: tuple[Listener, Answering], message: bytes) -> None:
    listening, hosts = listener
    with connected(listening) as connection:
        connection.sendall(frame_of({"secret": listening.address["secret"]}) + message)
        assert read_to_end(connection) == b""
    hosts.has_left.result(PATIENCE_S)
    assert hosts.asked == []


def read_to_end(connection: socket.socket) -> bytes:
    """All that comes; a peer that closes while more is sent to it resets the connection."""
    try:
        return b"".join(iter(lambda: connection.recv(1000), b""))
    except ConnectionResetError:
        return b""


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no sockets that are files")
def test_the_file_is_this_users_alone_and_goes_with_the_session() -> None:
    listening = Listener(Answering())  # type: ignore[arg-type]  # it takes the place of hosts
    path = Path(listening.address["file"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    listening.close()
    assert not path.parent.exists()


def test_a_folder_with_too_long_a_name_for_a_socket_has_it_on_a_port(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    listening = Listener(Answering())  # type: ignore[arg-type]  # it takes the place of hosts
    assert sorted(listening.address) == ["port", "secret"]
    assert [*deep.iterdir()] == []
    with connected(listening) as connection:
        connection.sendall(frame_of({"secret": listening.address["secret"]}))
        connection.sendall(frame_of({"ask": 1, "rung": "a", "request": HELLO}))
        answer = read_frame(connection.makefile("rb"))
    assert answer is not None
    assert answer["outcome"]["reply"]["text"] == "HELLO"
    listening.close()


def test_a_request_that_json_does_not_have_is_a_fault_of_its_own() -> None:
    listening = Listener(Answering())  # type: ignore[arg-type]  # it takes the place of hosts
    provider = hosted(RemoteDesk(listening.address))
    refused = Request(messages=({"role": "user", "content": b"bytes"},))
    fault = provider.submit(refused).exception(0)
    assert str(fault) == "rung 'a': the request cannot be sent to its host: it is no JSON (TypeError)"
    assert fault.alone  # type: ignore[union-attr]  # a RungError
    assert provider.submit(asking("hello")).result(PATIENCE_S).text == "HELLO"
    listening.close()
