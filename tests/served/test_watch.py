"""The watch over what a test and its application connect to: refused where nothing may leave, else only noted."""

import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_rightsize.providers.locality import LeavesMachineError
from pytest_rightsize.providers.openai import event_loop
from pytest_rightsize.providers.own_threads import is_own_thread, own_work
from pytest_rightsize.served.guard import Contact, Guard, is_vendor

# Of a range that is kept for documentation, and belongs to nobody.
FAR = "192.0.2.1"
REASON = "the task is private"


class Watched(Guard):
    """A guard that keeps what it was told."""

    def __init__(self) -> None:
        self.contacts: list[Contact] = []
        super().__init__(on_contact=self.contacts.append)


@pytest.fixture
def guard() -> Iterator[Watched]:
    watch = Watched()
    watch.open()
    yield watch
    watch.close()


def connect(address: object, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> None:
    """Try to; a port where nobody listens is as good as another."""
    with socket.socket(family, kind) as connection:
        connection.settimeout(0.01)
        try:
            connection.connect(address)  # type: ignore[arg-type]  # of any family
        except LeavesMachineError:
            raise
        except OSError:
            pass


def send_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.sendto(b"secret", (FAR, 9))


@pytest.mark.parametrize(
    "leave",
    [
        lambda: connect((FAR, 9)),
        lambda: connect(("192.0.2.1", 9), kind=socket.SOCK_DGRAM),
        lambda: connect(("2001:db8::1", 9), family=socket.AF_INET6),
        lambda: connect(("::ffff:192.0.2.1", 9), family=socket.AF_INET6),
        send_datagram,
        lambda: socket.getaddrinfo("secret.example", 443),
        lambda: socket.getaddrinfo(b"secret.example", 443),
        lambda: socket.gethostbyname("secret.example"),
        lambda: asyncio.run(asyncio.open_connection("secret.example", 443)),
    ],
)
def test_a_test_that_may_not_leave_is_refused(guard: Watched, leave: Callable[[], object]) -> None:
    guard.begin(REASON)
    with pytest.raises(LeavesMachineError, match=rf"is not this machine, and nothing was sent there: {REASON}"):
        leave()
    contact = guard.contacts[0]
    assert contact.reason == REASON
    assert contact.host in (FAR, "2001:db8::1", "::ffff:192.0.2.1", "secret.example")


@pytest.mark.parametrize(
    "stay",
    [
        lambda: connect(("127.0.0.1", 9)),
        lambda: connect(("localhost", 9)),
        lambda: connect(("::1", 9), family=socket.AF_INET6),
        lambda: connect(("::ffff:127.0.0.1", 9), family=socket.AF_INET6),
        lambda: connect("/nowhere", family=socket.AF_UNIX),
        lambda: socket.getaddrinfo(None, 80),
        lambda: socket.getaddrinfo("localhost", 80),
        lambda: sys.audit("socket.getaddrinfo", socket.gethostname(), 80, 0, 0, 0),
        lambda: sys.audit("socket.getaddrinfo", "db.localhost", 80, 0, 0, 0),
    ],
)
def test_this_machine_is_not_refused(guard: Watched, stay: Callable[[], object]) -> None:
    guard.begin(REASON)
    stay()
    assert guard.contacts == []


def test_nothing_is_refused_where_all_may_leave_and_before_and_after_a_test(guard: Watched) -> None:
    look_up = ("socket.getaddrinfo", "somewhere.example", 443, 0, 0, 0)
    sys.audit(*look_up)
    guard.begin(None)
    sys.audit(*look_up)
    guard.end()
    guard.begin(REASON)
    guard.end()
    sys.audit(*look_up)
    assert guard.contacts == []


def test_a_vendors_host_is_told(guard: Watched) -> None:
    guard.begin(None)
    sys.audit("socket.getaddrinfo", "api.openai.com", 443, 0, 0, 0)
    guard.begin(REASON)
    with pytest.raises(LeavesMachineError):
        sys.audit("socket.getaddrinfo", "api.openai.com", 443, 0, 0, 0)
    assert guard.contacts == [
        Contact(host="api.openai.com", is_vendor=True),
        Contact(host="api.openai.com", is_vendor=True, reason=REASON),
    ]


@pytest.mark.parametrize(
    ("host", "vendor"),
    [
        ("api.openai.com", True),
        ("API.OpenAI.com.", True),
        ("eu.api.openai.com", True),
        ("mine.openai.azure.com", True),
        ("api.anthropic.com", True),
        ("generativelanguage.googleapis.com", True),
        ("europe-west4-aiplatform.googleapis.com", True),
        ("bedrock-runtime.eu-central-1.amazonaws.com", True),
        ("openrouter.ai", True),
        ("openai.com", False),
        ("api.openai.com.example", False),
        ("storage.googleapis.com", False),
        ("localhost", False),
    ],
)
def test_vendors_are_known_by_their_host(host: str, vendor: bool) -> None:
    assert is_vendor(host) is vendor


# --- whose work it is -------------------------------------------------------------------------------------------------


def in_thread(work: Callable[[], object]) -> BaseException | None:
    """Do it in a new thread; returns what it raised."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).exception()


def look_up() -> None:
    sys.audit("socket.getaddrinfo", "secret.example", 443, 0, 0, 0)


def test_threads_of_the_test_are_refused_too(guard: Watched) -> None:
    guard.begin(REASON)
    assert isinstance(in_thread(look_up), LeavesMachineError)
    assert isinstance(in_thread(lambda: in_thread_or_raise(look_up)), LeavesMachineError)


def in_thread_or_raise(work: Callable[[], object]) -> None:
    raised = in_thread(work)
    if raised is not None:
        raise raised


def test_own_work_is_let_through_with_the_threads_it_starts_and_those_they_start(guard: Watched) -> None:
    guard.begin(REASON)
    with own_work():
        look_up()
        assert in_thread(look_up) is None
        assert in_thread(lambda: in_thread_or_raise(look_up)) is None
    with pytest.raises(LeavesMachineError):
        look_up()
    assert not is_own_thread()


def test_a_thread_is_own_by_who_started_it_and_not_by_when_it_runs(guard: Watched) -> None:
    guard.begin(REASON)
    go, seen = threading.Event(), []

    def wait_and_look_up() -> None:
        go.wait()
        look_up()
        seen.append("own")

    with own_work():
        own = threading.Thread(target=wait_and_look_up)
        own.start()
    go.set()
    own.join()
    assert seen == ["own"]


def test_the_rungs_own_requests_are_let_through_with_their_lookups(guard: Watched) -> None:
    """Also by a loop that ran before anybody watched."""

    async def ask() -> None:
        loop = asyncio.get_running_loop()
        look_up()
        await loop.run_in_executor(None, look_up)

    guard.begin(REASON)
    event_loop.start(ask()).result()
    assert guard.contacts == []
