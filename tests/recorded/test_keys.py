"""Keys of recorded answers: everything that may change an answer changes its key, and nothing else does."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.recorded.keys import (
    Recorded,
    as_json,
    base_of,
    key_of,
    plain_reply,
    plain_request,
    rung_digest,
)
from pytest_rightsize.records import Identity, Reply, Request, Tokens

IDENTITY = Identity(content={"sha256": ["ab"], "engine": "e 1"})
ASK = Request(messages=({"role": "user", "content": "a"},))


def recorded(asker: str = "t", draw: int = 0) -> Recorded:
    return Recorded(
        base="base",
        rung="small",
        identity=IDENTITY,
        asker=asker,
        draw=draw,
        request=None,
        reply=Reply(text="x"),
        recorded="2026-01-02T03:04:05+00:00",
    )


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda: rung_digest("small", IDENTITY), True),
        (lambda: rung_digest("big", IDENTITY), False),
        (lambda: rung_digest("small", Identity(content={"sha256": ["cd"], "engine": "e 1"})), False),
        (lambda: rung_digest("small", Identity(content={"sha256": ["ab"]})), False),
        (lambda: rung_digest("small", Identity(content={**IDENTITY.content}, greedy=True)), True),
    ],
)
def test_a_rungs_digest_is_of_its_name_and_its_content(change: Callable[[], str], same: bool) -> None:
    """Two rungs of one model file have each an answer of their own."""
    assert (change() == rung_digest("small", IDENTITY)) is same


@pytest.mark.parametrize(
    ("base", "asker", "draw"),
    [("other", "t", 0), ("base", "u", 0), ("base", "t", 1), ("base", "", 0), ("base", "t", 10)],
)
def test_a_key_is_of_the_request_the_asker_and_the_draw(base: str, asker: str, draw: int) -> None:
    assert key_of(base, asker=asker, draw=draw) != key_of("base", asker="t", draw=0)


def test_an_asker_cannot_be_taken_for_a_draw() -> None:
    assert key_of("base", asker="1 t", draw=0) != key_of("base", asker="t", draw=1)
    assert key_of("base", asker="t", draw=11) != key_of("base", asker="1 t", draw=1)


def test_a_recorded_answer_stands_under_the_key_of_its_own_asker_and_draw() -> None:
    assert recorded("u", 3).key == key_of("base", asker="u", draw=3)


def test_an_askers_name_may_hold_half_a_surrogate_pair() -> None:
    assert key_of("base", asker="\ud800", draw=0) != key_of("base", asker="\ud801", draw=0)


@pytest.mark.parametrize(("digest", "request_"), [("b", {"x": 1}), ("a", {"x": 2}), ("a", {"x": 1.0}), ("a", {"y": 1})])
def test_the_base_is_of_the_rung_and_the_request(digest: str, request_: dict[str, Any]) -> None:
    assert base_of(digest, request_) != base_of("a", {"x": 1})


def test_the_order_of_keys_in_a_request_counts() -> None:
    assert base_of("a", {"x": 1, "y": 2}) != base_of("a", {"y": 2, "x": 1})


def test_an_escaped_character_is_not_that_character() -> None:
    """Written as ASCII, a character beyond 16 bits and its two surrogates would have one key."""
    assert base_of("a", {"x": "\U0001f600"}) != base_of("a", {"x": "\ud83d\ude00"})


def circle() -> dict[str, Any]:
    plain: dict[str, Any] = {}
    plain["itself"] = plain
    return plain


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, circle()])
def test_what_is_not_json_has_no_base(value: object) -> None:
    with pytest.raises(ValueError):
        base_of("a", {"x": value})


@pytest.mark.parametrize(
    ("greedy", "temperature", "sample", "seed"),
    [
        (True, 0.0, 0, None),
        (True, None, 0, None),
        (True, 0.5, 2, 7),
        (False, 0.0, 2, 7),
        (False, None, 2, 7),
    ],
)
def test_sample_and_seed_are_left_out_only_where_the_answer_is_always_the_same(
    greedy: bool, temperature: float | None, sample: int, seed: int | None
) -> None:
    request = Request(messages=ASK.messages, sample=2, seed=7, temperature=temperature)
    plain = plain_request(request, greedy=greedy)
    assert (plain["sample"], plain["seed"]) == (sample, seed)
    assert plain["temperature"] == temperature


def test_any_mapping_is_an_object_and_nothing_else_is_json() -> None:
    assert as_json(MappingProxyType({"a": 1})) == {"a": 1}
    with pytest.raises(TypeError, match="object is not JSON"):
        as_json(object())


def test_a_reply_is_recorded_without_the_way_it_came() -> None:
    energy = Energy(joules=2.0, provenance="measured", boundary=frozenset({"gpu.board"}))
    reply = Reply(
        text="x",
        seconds=1.5,
        tokens=Tokens(prompt=3, completion=1, source="counted"),
        tool_calls=({"name": "f"},),
        energy=energy,
        replayed=True,
        recorded="2026-01-02",
        retries=2,
        after_s=0.5,
    )
    plain = plain_reply(reply)
    assert plain.keys().isdisjoint({"replayed", "recorded", "retries", "after_s"})
    assert (plain["text"], plain["seconds"], plain["tool_calls"]) == ("x", 1.5, [{"name": "f"}])
    assert plain["tokens"]["prompt"] == 3
    assert plain["energy"] == energy.to_dict()
    assert plain_reply(Reply(text="x"))["energy"] is None
