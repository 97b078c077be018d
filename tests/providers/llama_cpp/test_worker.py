"""Every Future ends, whatever happens to the model's thread; on a scripted model."""

from typing import Any, cast

import pytest

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.llama_cpp.chat import LoadedModel
from pytest_rightsize.providers.llama_cpp.worker import Worker
from pytest_rightsize.records import Request

REQUEST = Request(messages=({"role": "user", "content": "?"},))


class _Batch:
    """Has room, and fails where it is told to."""

    has_room = True

    def __init__(self, failing: str) -> None:
        self._failing = failing

    def step(self) -> list[Any]:
        if self._failing == "step":
            raise OSError("no decoding")
        return [(1, Exception("x"))] if self._failing == "unknown ticket" else []

    def cancel(self, ticket: int) -> None:
        if self._failing == "step":
            raise KeyError(ticket)


class _Model:
    def __init__(self, failing: str) -> None:
        self.batch = _Batch(failing)
        self.is_closed = False

    def next_turn(self, request: Request, completions: object) -> str:
        return "a prompt"

    def start(self, prompt: object) -> int:
        return 7

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("failing", ["step", "unknown ticket"])
def test_a_thread_that_breaks_ends_what_waits_and_what_comes(failing: str) -> None:
    """A step that fails and cannot be cancelled, and one that ends what was never begun."""
    model = _Model(failing)
    worker = Worker(lambda: cast("LoadedModel", model), "local")
    for _ in range(2):
        with pytest.raises(RungError, match=r"rung 'local': llama\.cpp failed \(KeyError") as caught:
            worker.submit(REQUEST).result(60)
        assert caught.value.reason == "crash"
    worker.close()
    assert model.is_closed


def test_what_is_in_flight_ends_when_the_model_is_closed() -> None:
    worker = Worker(lambda: cast("LoadedModel", _Model("nothing")), "local")
    future = worker.submit(REQUEST)
    worker.close()
    with pytest.raises(RungError, match="closed before it had answered"):
        future.result(60)
