"""What a model tells of the answers of its trial, and how it asks in an async test."""

import asyncio
import copy
import pickle
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import MixedEnergyError, RightsizeWarning, RungError
from pytest_rightsize.model import Answer, Model, Transcript
from pytest_rightsize.records import Price, Reply, Request, Rung, Tokens

RUNG = Rung(name="small", provider="replay", price=Price(prompt=1.0, completion=2.0))


def energy(joules: float, **more: Any) -> Energy:
    return Energy(joules=joules, **{"provenance": "measured", "boundary": frozenset({"gpu.board"}), **more})


def asked(*replies: Reply) -> Model:
    """A model that was given these replies."""
    left = [*replies]
    model = Model(rung_record=RUNG, answer=lambda _: left.pop(0), transcript=Transcript())
    for reply in replies:
        model.ask(reply.text)
    return model


FIRST = Reply(
    text="ab",
    seconds=1.5,
    tokens=Tokens(prompt=10, cached=4, completion=3, reasoning=0, source="reported"),
    energy=energy(2.0),
)
SECOND = Reply(
    text="c",
    seconds=0.5,
    tokens=Tokens(prompt=5, cached=0, completion=1, reasoning=1, source="reported"),
    energy=energy(1.0),
)


def test_the_answers_and_what_they_took_together() -> None:
    model = asked(FIRST, SECOND)
    assert model.answers == ("ab", "c")
    assert all(isinstance(answer, Answer) for answer in model.answers)
    assert model.tokens == Tokens(prompt=15, cached=4, completion=4, reasoning=1, characters=3, source="reported")
    assert model.tokens.total == 19
    assert model.seconds == 2.0
    assert model.energy is not None
    assert model.energy.joules == 3.0
    assert model.cost_usd == pytest.approx((15 * 1.0 + 4 * 2.0) / 1e6)


def test_an_answer_can_be_pickled_and_copied_with_what_it_took() -> None:
    """Applications copy messages that hold it, and pools send it to other processes."""
    (answer,) = asked(replace(FIRST, tool_calls=({"function": {"name": "f"}},))).answers
    assert isinstance(answer, Answer)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        other = pickle.loads(pickle.dumps(answer, protocol))
        assert (type(other), other, other.record) == (Answer, "ab", answer.record)
    assert copy.copy(answer) is answer
    assert copy.deepcopy({"messages": [{"content": answer}]})["messages"][0]["content"] is answer


@pytest.mark.parametrize(
    ("unknown", "name"),
    [
        (Reply(text="x", tokens=SECOND.tokens, energy=energy(1.0)), "seconds"),
        (Reply(text="x", tokens=SECOND.tokens, seconds=1.0), "energy"),
        (Reply(text="x", seconds=1.0, energy=energy(1.0)), "cost_usd"),
    ],
)
def test_what_one_answer_lacks_is_unknown_of_all(unknown: Reply, name: str) -> None:
    assert getattr(asked(FIRST, unknown), name) is None
    assert getattr(asked(FIRST, SECOND), name) is not None


def test_a_count_that_one_answer_lacks_is_unknown_and_the_others_are_not() -> None:
    tokens = asked(FIRST, Reply(text="x", tokens=Tokens(prompt=1, source="counted"))).tokens
    assert tokens == Tokens(prompt=11, characters=3, source="unknown")
    assert tokens.total is None


def test_nothing_asked_took_nothing() -> None:
    model = asked()
    assert (model.answers, model.seconds, model.cost_usd, model.energy) == ((), 0, 0, None)
    assert model.tokens.total == 0


def test_energy_that_was_got_in_two_ways_is_not_added() -> None:
    with pytest.raises(MixedEnergyError):
        _ = asked(FIRST, Reply(text="x", energy=energy(1.0, provenance="modelled"))).energy


def test_without_a_session_there_is_no_endpoint() -> None:
    for name in ("base_url", "env", "client", "async_client"):
        with pytest.raises(RuntimeError, match="only the fixture `model` of a session"):
            getattr(asked(), name)


class Aside:
    """Answers with the prompt's own words, when all that are waited for have been asked."""

    def __init__(self, together: int) -> None:
        self._all_asked = asyncio.Barrier(together)
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> Reply:
        self.requests.append(request)
        await self._all_asked.wait()
        return Reply(text=str(request.messages[-1]["content"]).upper())


def never(_: Request) -> Reply:
    raise AssertionError("an async test does not ask this way")


def test_several_questions_of_an_async_test_are_asked_at_once() -> None:
    async def test() -> tuple[Model, Sequence[Answer]]:
        model = Model(rung_record=RUNG, answer=never, answer_async=Aside(2), transcript=Transcript(), max_tokens=7)
        return model, await asyncio.gather(model.aask("a", system="s"), model.aask("b", temperature=0.5))

    model, answers = asyncio.run(test())
    assert [*answers] == ["A", "B"]
    assert sorted(model.answers) == ["A", "B"]
    assert isinstance(model.answer_async, Aside)
    first, second = model.answer_async.requests
    assert first.messages == ({"role": "system", "content": "s"}, {"role": "user", "content": "a"})
    assert (first.max_tokens, second.temperature) == (7, 0.5)


def test_a_conversation_of_an_async_test_keeps_its_turns() -> None:
    async def test() -> list[Any]:
        model = Model(rung_record=RUNG, answer=never, answer_async=Aside(1), transcript=Transcript())
        conversation = model.chat("s")
        await conversation.aask("one")
        await conversation.aask("two")
        return [message["content"] for message in conversation.messages]

    assert asyncio.run(test()) == ["s", "one", "ONE", "two", "TWO"]


def test_a_fault_of_an_async_question_is_kept_for_the_trial() -> None:
    async def fails(_: Request) -> Reply:
        raise RungError("down", reason="transport")

    model = Model(rung_record=RUNG, answer=never, answer_async=fails, transcript=Transcript())
    with pytest.raises(RungError, match="down"):
        asyncio.run(model.aask("x"))
    assert str(model.transcript.fault) == "down"


def test_without_an_async_way_it_is_asked_in_place() -> None:
    model = Model(rung_record=RUNG, answer=lambda _: Reply(text="ok"), transcript=Transcript())
    assert asyncio.run(model.aask("x")) == "ok"


@pytest.mark.parametrize(
    ("given", "meant"),
    [("temprature", "temperature"), ("max_token", "max_tokens"), ("message", "messages"), ("tool", "tools")],
)
def test_a_name_that_is_nearly_known_is_warned_of_and_sent_all_the_same(given: str, meant: str) -> None:
    options: dict[str, Any] = {given: 0}
    with pytest.warns(RightsizeWarning, match=f"given {given}=.* did you mean {meant}=") as warned:
        request = asked().request((), **options)
    assert request.extra == {given: 0}
    assert len(warned) == 1


@pytest.mark.parametrize(
    "name",
    [
        *("top_k", "min_p", "typical_p", "stop", "tool_choice", "max_completion_tokens", "response_format", "top_p"),
        *("chat_template_kwargs", "reasoning_effort", "presence_penalty", "logprobs", "top_logprobs", "n", "user"),
    ],
)
def test_a_servers_own_parameter_is_sent_without_a_word(name: str) -> None:
    options: dict[str, Any] = {name: 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        request = asked().request((), **options)
    assert {name: getattr(request, name, None) or request.extra.get(name)} == {name: 1}


def test_the_warning_names_the_line_of_the_test() -> None:
    model = asked()
    model = replace(model, answer=lambda _: FIRST)
    with pytest.warns(RightsizeWarning) as warned:
        model.ask("x", temprature=0)
    assert warned[0].filename == __file__
