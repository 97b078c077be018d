"""The connection to Ray and the calls of its actors, on a Ray that is played."""

import os
import sys
import threading
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_rightsize.errors import RungError
from pytest_rightsize.hosting.ray import connection
from pytest_rightsize.hosting.ray.connection import LOCAL, address_of, connect
from pytest_rightsize.hosting.ray.engines import Needs
from pytest_rightsize.hosting.ray.handles import Couriers, RayHandle, started
from pytest_rightsize.hosting.ray.replicas import DeadError, UnreachableError


class RayError(Exception):
    """Of Ray."""


class RayActorError(RayError):
    """Of a dead actor."""


class ActorUnavailableError(RayActorError):
    """Of one that cannot be reached."""


class RayTaskError(RayError):
    """Of the actor's own code."""

    def as_instanceof_cause(self) -> Exception:
        """The error that was raised."""
        return KeyError("messages")


class Reference:
    """A call of an actor."""

    def __init__(self) -> None:
        self.inner: Future[Any] = Future()

    def future(self) -> "Future[Any]":
        """Its end."""
        return self.inner


class Ray:
    """The module, as far as it is used here."""

    exceptions = SimpleNamespace(
        ActorUnavailableError=ActorUnavailableError, RayActorError=RayActorError, RayTaskError=RayTaskError
    )

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.inits: list[dict[str, Any]] = []
        self.cancelled: list[Reference] = []
        self.was_cancelled = threading.Event()
        self.killed = threading.Event()
        self.options: dict[str, Any] = {}
        self.served: Any = None

    def is_initialized(self) -> bool:
        """Whether `init` was called."""
        return bool(self.inits)

    def init(self, **options: Any) -> None:
        """Connect."""
        if self.error is not None:
            raise self.error
        self.inits.append(options | {"usage": os.environ.get("RAY_USAGE_STATS_ENABLED")})

    def cancel(self, reference: Reference) -> None:
        """Cancel a call."""
        self.cancelled.append(reference)
        self.was_cancelled.set()

    def kill(self, actor: Any) -> None:
        """End an actor."""
        self.killed.set()

    def remote(self, kind: type) -> Any:
        """An actor's class."""

        def options(**given: Any) -> Any:
            self.options = given
            return SimpleNamespace(remote=self._made)

        return SimpleNamespace(options=options)

    def _made(self, served: Any) -> Any:
        self.served = served
        return SimpleNamespace(ask=SimpleNamespace(remote=lambda *_: Reference()))


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    """A Ray that this process can import."""
    made = Ray()
    monkeypatch.setitem(sys.modules, "ray", made)
    monkeypatch.setattr(connection, "_connected_to", [])
    monkeypatch.setattr(connection, "_given_up", [])
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    return made


def test_the_ladder_files_address_comes_before_the_variables() -> None:
    assert address_of("head:1", lambda _: "other:1") == "head:1"
    assert address_of(None, lambda name: "other:1" if name == "RAY_ADDRESS" else None) == "other:1"
    assert address_of(None, lambda _: None) == LOCAL


def test_a_ray_of_this_machine_is_started_small_and_tells_nobody(ray: Ray) -> None:
    assert connect(LOCAL, rung="4b") is ray
    assert connect(LOCAL, rung="30b") is ray
    (init,) = ray.inits
    assert (init["address"], init["include_dashboard"], init["log_to_driver"]) == ("local", False, False)
    assert init["object_store_memory"] < 200e6
    assert init["usage"] == "0"
    assert "RAY_USAGE_STATS_ENABLED" not in os.environ, "the user's variables are as before"


def test_one_process_has_one_cluster(ray: Ray) -> None:
    connect(LOCAL, rung="4b")
    with pytest.raises(RungError, match=r"already uses the Ray cluster at local, and not that at auto\. A process"):
        connect("auto", rung="30b")


def test_a_ray_that_somebody_else_connected_is_not_taken_for_one_of_this_machine(ray: Ray) -> None:
    ray.init(address="ray://head:10001")  # as a conftest.py may
    with pytest.raises(RungError, match=r"to a Ray cluster that pytest-rightsize did not start\. To use"):
        connect(LOCAL, rung="4b")
    assert connect("auto", rung="4b") is ray


def test_a_server_that_is_no_ray_is_given_up(ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would ask it for ten minutes and more, as it does at the port of its own client server."""
    asked = threading.Event()
    monkeypatch.setattr(ray, "init", lambda **_: asked.wait())
    monkeypatch.setattr(connection, "_CONNECTED_WITHIN_S", 0.01)
    for rung, address in (("4b", "auto"), ("30b", "auto"), ("70b", LOCAL)):
        with pytest.raises(
            RungError, match=r"what listens at auto has not answered as a Ray cluster .* ray:// before"
        ) as given:
            connect(address, rung=rung)
        assert (given.value.reason, given.value.permanent) == ("transport", True)
        assert str(given.value).startswith(f"rung '{rung}': ")
    asked.set()


def test_nobody_at_an_address_is_found_out_before_ray_is_asked(ray: Ray) -> None:
    with pytest.raises(
        RungError, match=r"no Ray cluster answers at 127.0.0.1:1 .*. Start one there with `ray start --head`"
    ) as found:
        connect("127.0.0.1:1", rung="4b")
    assert (found.value.reason, found.value.permanent, ray.inits) == ("transport", True, [])
    with pytest.raises(
        RungError, match=r"address = 'head' is no address of a cluster\. Write HOST:PORT, ray://HOST:PORT or"
    ):
        connect("head", rung="4b")


@pytest.mark.parametrize("error", [ConnectionError("client connection timeout"), SystemExit(1)])
def test_what_ray_raises_is_a_fault_that_says_what_to_do(ray: Ray, error: BaseException) -> None:
    ray.error = error
    with pytest.raises(RungError, match=r"no connection to the Ray cluster at auto .*\. Start the") as found:
        connect("auto", rung="4b")
    assert found.value.permanent


def test_an_actor_reserves_what_its_replica_needs_and_is_never_restarted_by_ray() -> None:
    ray = Ray()
    needs = Needs(cpus=8, gpus=1, memory_bytes=10, others={"H100": 1.0})
    started(ray, Couriers(), {"replica": 1}, needs, {"pip": ["x"]})
    chosen = {name: ray.options[name] for name in ("num_cpus", "num_gpus", "memory", "resources", "runtime_env")}
    assert chosen == {
        "num_cpus": 8,
        "num_gpus": 1,
        "memory": 10,
        "resources": {"H100": 1.0},
        "runtime_env": {"pip": ["x"]},
    }
    assert (ray.options["max_restarts"], ray.options["max_task_retries"]) == (0, 0)
    assert ray.served == {"replica": 1}
    started(ray, Couriers(), {"replica": 1}, Needs(), None)
    assert "runtime_env" not in ray.options


LONG = """The actor died unexpectedly before finishing this task.
\tclass_name: ReplicaActor
The actor is dead because its node has died. Node Id: 17. Some common causes include: (1) a lot of words"""
RAISED = """\x1b[36mray::ReplicaActor.__init__()\x1b[39m (pid=1)
  File x
ModuleNotFoundError: No module named 'pytest_rightsize'"""


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (RayActorError(LONG), DeadError, "died (The actor is dead because its node has died. Node Id: 17)"),
        (RayActorError(RAISED), DeadError, "died (ModuleNotFoundError: No module named 'pytest_rightsize')"),
        (ActorUnavailableError("later"), UnreachableError, "could not be reached"),
        (RayError("the reply was lost"), UnreachableError, "could not be reached (the reply was lost)"),
        (RayTaskError("x"), KeyError, "'messages'"),
    ],
)
def test_errors_of_ray_are_of_two_kinds(raised: Exception, kind: type[Exception], words: str) -> None:
    ray, reference = Ray(), Reference()
    actor = SimpleNamespace(ask=SimpleNamespace(remote=lambda _: reference))
    future = RayHandle(ray, Couriers(), actor).ask({"n": 1})
    reference.inner.set_exception(raised)
    error = future.exception(60)
    assert type(error) is kind
    assert str(error) == words


class UnreadableError(RayTaskError):
    """Of a class that cannot be made again here."""

    def as_instanceof_cause(self) -> Exception:
        """It needs a package of the node."""
        raise ModuleNotFoundError("No module named 'engine'")


def test_an_error_that_cannot_be_read_holds_up_no_other_answer() -> None:
    ray, references = Ray(), [Reference() for _ in range(4)]
    waiting = iter(references)
    handle = RayHandle(ray, Couriers(), SimpleNamespace(ask=SimpleNamespace(remote=lambda _: next(waiting))))
    futures = [handle.ask({"n": n}) for n in range(4)]
    futures[0].add_done_callback(lambda _: sys.exit(3))
    references[0].inner.set_exception(UnreadableError("x"))
    references[1].inner.cancel()
    references[1].inner.set_running_or_notify_cancel()
    references[2].inner.set_exception(SystemExit(1))
    references[3].inner.set_result({"reply": 1})
    assert futures[3].result(60) == {"reply": 1}
    assert [str(future.exception(60)) for future in futures[:3]] == [
        "could not be reached (UnreadableError)",
        "could not be reached (CancelledError)",
        "could not be reached (1)",
    ]


def test_answers_come_in_a_thread_that_may_call_ray() -> None:
    """Ray's own thread waits for ever for what is called within it."""
    reference, threads = Reference(), list[str]()
    actor = SimpleNamespace(hello=SimpleNamespace(remote=lambda: reference))
    future = RayHandle(Ray(), Couriers(), actor).hello()
    is_told = threading.Event()

    def tell(_: object) -> None:
        threads.append(threading.current_thread().name)
        is_told.set()

    future.add_done_callback(tell)
    reference.inner.set_result({"node": "a"})
    assert is_told.wait(60)
    assert threads == ["rightsize ray answers"]
    assert future.result() == {"node": "a"}


def test_a_cancelled_call_is_cancelled_there_and_an_actor_is_killed_without_waiting() -> None:
    ray, reference = Ray(), Reference()
    handle = RayHandle(ray, Couriers(), SimpleNamespace(ask=SimpleNamespace(remote=lambda _: reference)))
    assert handle.ask({}).cancel()
    assert ray.was_cancelled.wait(60), "in another thread: a cluster that has gone would keep whoever cancels waiting"
    assert ray.cancelled == [reference]
    handle.kill()
    assert ray.killed.wait(60)
