"""A model that is being loaded says so, and no longer than that."""

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.llama_cpp.chat import LoadedModel
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.providers.llama_cpp.worker import Worker
from pytest_rightsize.records import Reply, Request, Rung
from pytest_rightsize.running.engine import Engine
from pytest_rightsize.running.ticket import Ticket


def test_a_worker_loads_until_it_can_answer_or_has_failed() -> None:
    may_fail = threading.Event()

    def load() -> LoadedModel:
        may_fail.wait()
        raise RungError("it cannot be loaded", reason="load")

    worker = Worker(load, "1b")
    assert worker.is_loading
    may_fail.set()
    with pytest.raises(RungError, match="it cannot be loaded"):
        worker.submit(Request(messages=())).result()
    assert not worker.is_loading
    worker.close()


def test_a_model_that_was_not_asked_is_not_being_loaded() -> None:
    provider = LlamaCpp(Rung(name="1b", provider="llama_cpp", model="1b.gguf"))
    assert not provider.is_loading
    assert provider.size_bytes is None


class Provider:
    """Answers at once; says that it loads a model of `size_bytes` while it is told to."""

    leaves_machine = False

    def __init__(self, **loading: Any) -> None:
        self.__dict__.update(loading)

    def submit(self, request: Request) -> Future[Reply]:
        answered: Future[Reply] = Future()
        answered.set_result(Reply(text="x", seconds=0.1))
        return answered


def test_the_engine_tells_which_rung_is_being_loaded() -> None:
    providers: dict[str, Any] = {"a": Provider(), "b": Provider(is_loading=False, size_bytes=98_000_000)}
    engine = Engine(providers, one_at_a_time=False)
    assert engine.loading() is None
    for rung in providers:
        ticket = Ticket()
        ticket.start()
        ticket.next_run()
        engine.ask(rung, Request(messages=()), ticket)
    providers["b"].is_loading = True
    assert engine.loading() == ("b", 98_000_000)
    providers["b"].is_loading = False
    assert engine.loading() is None
