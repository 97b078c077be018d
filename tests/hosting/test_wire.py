"""Requests, replies, errors and rungs get through to another process as they are."""

import json
import math
from typing import Any

import pytest

from pytest_rightsize import errors
from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.errors import NoAnswerError, RightsizeError, RungError, TooLongError
from pytest_rightsize.hosting import wire
from pytest_rightsize.providers.replay import Replay
from pytest_rightsize.records import Price, Reply, Request, Rung, Tokens

ASKED = {"role": "user", "content": "What is \ud800 and é?"}
ENERGY = Energy(
    joules=2.5,
    low=2.0,
    high=3.0,
    provenance="measured_shared",
    boundary=frozenset({"gpu.board", "dram"}),
    devices=("GPU-1", "dram"),
    flags=("a", "b"),
    window_s=0.25,
)


def sent(plain: dict[str, Any]) -> Any:
    """The data as the other process reads it."""
    return json.loads(json.dumps(plain, allow_nan=False))


@pytest.mark.parametrize(
    "request_",
    [
        Request(messages=(ASKED,)),
        Request(
            messages=({"role": "system", "content": "Be short."}, ASKED),
            sample=3,
            max_tokens=7,
            temperature=0.1,
            top_p=0.9,
            seed=11,
            schema={"type": "object", "properties": {"a": {"enum": [1, 2.5, None, True]}}},
            tools=({"type": "function", "function": {"name": "f"}},),
            extra={"stop": ["x"], "deep": {"list": [1, [2]]}},
        ),
    ],
)
def test_requests(request_: Request) -> None:
    assert wire.request_from_plain(sent(wire.request_to_plain(request_))) == request_


@pytest.mark.parametrize(
    "reply",
    [
        Reply(text=""),
        Reply(text="\ud800", energy=unknown_energy("no meter tells"), margin=math.inf),
        Reply(
            text="yes",
            seconds=0.1,
            tokens=Tokens(prompt=3, cached=1, completion=2, reasoning=1, source="counted"),
            finish_reason="stop",
            reasoning="hm",
            tool_calls=({"id": "1", "function": {"name": "f", "arguments": "{}"}},),
            energy=ENERGY,
            retries=2,
            via=("a", "b"),
            after_s=0.5,
            margin=0.1 + 0.2,
        ),
    ],
)
def test_replies(reply: Reply) -> None:
    assert wire.reply_from_plain(sent(wire.reply_to_plain(reply))) == reply


@pytest.mark.parametrize("kind", [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")])
def test_errors_of_every_kind(kind: type[RightsizeError]) -> None:
    if kind is RightsizeError:
        return  # nobody raises the base itself
    takes_reason = kind in (RungError, NoAnswerError)
    error = kind("it says so", reason="refusal") if takes_reason else kind("it says so")  # type: ignore[call-arg]
    back = wire.error_from_plain(sent(wire.error_to_plain(error)))
    assert (type(back), str(back), vars(back)) == (kind, "it says so", vars(error))


@pytest.mark.parametrize("permanent", [True, False])
@pytest.mark.parametrize("alone", [True, False])
def test_faults(permanent: bool, alone: bool) -> None:
    fault = RungError("gone", reason="memory", permanent=permanent, alone=alone)
    back = wire.error_from_plain(sent(wire.error_to_plain(fault)))
    assert isinstance(back, RungError)
    assert (back.reason, back.permanent, back.alone) == ("memory", permanent, alone)


def test_an_error_of_a_later_version_is_a_fault_and_no_answer() -> None:
    back = wire.error_from_plain({"kind": "NewError", "message": "m"})
    assert isinstance(back, RungError)
    assert back.reason == "crash"
    assert isinstance(wire.error_from_plain({"kind": "TooLongError", "message": "m", "reason": "x"}), TooLongError)


@pytest.mark.parametrize(
    "rung",
    [
        Rung(name="r", provider="replay"),
        Rung(
            name="r",
            provider="llama_cpp",
            model="m.gguf",
            params_b=0.1,
            price=Price(prompt=1.0, completion=2.0, cached=0.5, source="s"),
            meter={"name": "rapl", "share": "process"},
            trusted=True,
            options={"n_ctx": 10, "headers": {"A": "b"}},
            base_dir="/somewhere",
        ),
    ],
)
def test_rungs(rung: Rung) -> None:
    assert wire.rung_from_plain(sent(wire.rung_to_plain(rung))) == rung


def test_a_class_is_found_by_its_place() -> None:
    assert wire.place_of(Replay) == "pytest_rightsize.providers.replay:Replay"
    assert wire.class_at(wire.place_of(Replay)) is Replay
