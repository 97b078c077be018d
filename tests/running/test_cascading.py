"""Cascades: who is asked, whose answer is taken, what that took together, and what is a fault."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import ConfigError, NoAnswerError, RightsizeError, RungError, TooLongError
from pytest_rightsize.providers.cascade import Cascade
from pytest_rightsize.records import Price, Reply, Request, Rung, Tokens
from pytest_rightsize.running.cascading import cascaded

SMALL = Rung(name="small", provider="replay", price=Price(prompt=1, completion=2), temperature=0.5)
LARGE = Rung(name="large", provider="replay", price=Price(prompt=10, completion=20), max_tokens=9)
SCHEMA = {"type": "object", "required": ["a"]}
CHECKS = """
from pytest_rightsize import RungError

def is_long(answer): return len(answer) > 3
def knows(prompt, answer, request, messages, reply):
    return (prompt, answer, request.sample, messages[0]["role"], reply.text) == ("?", "no", 0, "user", "no")
def broken(answer): return answer[99] == "x"
def says_text(answer): return "yes"
def no_fault(answer): raise RungError("the table is not there", reason="missing")
"""


def energy(joules: float, **values: Any) -> Energy:
    return Energy(joules=joules, provenance="measured", boundary=frozenset({"gpu.board"}), **values)


def reply(text: str, **values: Any) -> Reply:
    tokens = Tokens(prompt=10, completion=5, source="reported")
    return Reply(**{"text": text, "seconds": 1.0, "tokens": tokens, "energy": energy(2.0), **values})


class Asked:
    """Answers in turn what was planned for each member, and keeps what they were asked."""

    def __init__(self, folder: Path, accept: str, answers: dict[str, list[Reply | RightsizeError]]) -> None:
        (folder / "cascade_checks.py").write_text(CHECKS, encoding="utf-8")
        options = {"rungs": ["small", "large"], "accept": accept}
        self.chain = Cascade(Rung(name="both", provider="cascade", options=options, base_dir=str(folder)))
        self.answers = answers
        self.requests: list[tuple[str, Request]] = []

    def ask(self, member: str, request: Request) -> "Future[Reply]":
        self.requests.append((member, request))
        future: Future[Reply] = Future()
        planned = self.answers[member].pop(0)
        if isinstance(planned, Reply):
            future.set_result(planned)
        else:
            future.set_exception(planned)
        return future

    def run(self, **values: Any) -> Reply:
        request = Request(**{"messages": ({"role": "user", "content": "?"},), **values})
        return cascaded(self.chain, [SMALL, LARGE], request, self.ask)


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., Asked]:
    return lambda accept, small, large=(): Asked(tmp_path, accept, {"small": [*small], "large": [*large]})


def test_an_answer_that_is_accepted_costs_the_small_model_alone(asked: Callable[..., Asked]) -> None:
    cascade = asked("schema", [reply('```json\n{"a": 1}\n```')])
    answer = cascade.run(schema=SCHEMA)
    assert answer.via == ("small",)
    assert (answer.tokens.total, answer.seconds, answer.energy) == (15, 1.0, energy(2.0))
    assert answer.cost_usd == pytest.approx((10 * 1 + 5 * 2) / 1e6)
    # As the rung itself would be asked, so that both have one recorded answer.
    assert cascade.requests[0][1].temperature == 0.5


@pytest.mark.parametrize(
    ("accept", "text", "values"),
    [
        ("schema", '{"b": 1}', {"schema": SCHEMA}),
        ("schema", "I think so", {"schema": SCHEMA}),
        ("cascade_checks:is_long", "no", {}),
    ],
)
def test_what_is_not_accepted_is_passed_on_and_both_are_paid(
    asked: Callable[..., Asked], accept: str, text: str, values: dict[str, Any]
) -> None:
    cascade = asked(accept, [reply(text)], [reply("large", seconds=2.0, retries=1)])
    answer = cascade.run(**values)
    assert (answer.text, answer.via, answer.retries) == ("large", ("small", "large"), 1)
    assert (answer.tokens.prompt, answer.tokens.completion, answer.seconds) == (20, 10, 3.0)
    assert answer.cost_usd == pytest.approx((10 + 10 + 100 + 100) / 1e6)
    assert answer.energy is not None
    assert answer.energy.joules == 4.0
    assert cascade.requests[1][1].max_tokens == 9


@pytest.mark.parametrize(
    ("said", "via"),
    [
        ("Yes.", ("small",)),
        ("**yes**", ("small",)),
        ("No, it is not", ("small", "large")),
        ("<think>yes</think>no", ("small", "large")),
        ("I cannot say", ("small", "large")),
    ],
)
def test_a_model_that_checks_itself_is_paid_for_that_too(
    asked: Callable[..., Asked], said: str, via: tuple[str, ...]
) -> None:
    cascade = asked("self_check", [reply("Paris"), reply(said)], [reply("large")])
    answer = cascade.run(schema=SCHEMA)
    assert answer.via == via
    assert answer.seconds == 1.0 + len(via)
    check = cascade.requests[1][1]
    assert [message["role"] for message in check.messages] == ["user", "assistant", "user"]
    assert (check.messages[1]["content"], check.schema) == ("Paris", None)


def test_a_check_is_given_what_it_names(asked: Callable[..., Asked]) -> None:
    assert asked("cascade_checks:knows", [reply("no")]).run().via == ("small",)


@pytest.mark.parametrize("accept", ["schema", "self_check", "cascade_checks:is_long"])
def test_an_answer_that_was_cut_off_is_never_accepted(asked: Callable[..., Asked], accept: str) -> None:
    cascade = asked(accept, [reply('{"a": 1}', finish_reason="length")], [reply("large")])
    assert cascade.run(schema=SCHEMA).via == ("small", "large")


def test_what_one_does_not_know_is_not_known_of_both(asked: Callable[..., Asked]) -> None:
    unknown = reply("no", tokens=Tokens(prompt=3), seconds=None, energy=None)
    answer = asked("cascade_checks:is_long", [unknown], [reply("large")]).run()
    assert (answer.tokens.prompt, answer.tokens.completion) == (13, None)
    assert (answer.seconds, answer.cost_usd) == (None, None)
    assert answer.energy is not None
    assert (answer.energy.joules, answer.energy.reason) == (None, "that of one of the cascade's rungs is not known")


def test_joules_of_two_kinds_make_no_sum(asked: Callable[..., Asked]) -> None:
    declared = Energy(joules=1.0, provenance="vendor_declared")
    answer = asked("cascade_checks:is_long", [reply("no")], [reply("large", energy=declared)]).run()
    assert answer.energy is not None
    assert answer.energy.joules is None
    assert "make no sum" in str(answer.energy.reason)


def test_a_prompt_that_is_too_long_for_the_small_model_is_passed_on(asked: Callable[..., Asked]) -> None:
    answer = asked("cascade_checks:is_long", [TooLongError("too long")], [reply("large")]).run()
    assert (answer.text, answer.via, answer.seconds) == ("large", ("small", "large"), None)
    with pytest.raises(TooLongError):
        asked("cascade_checks:is_long", [reply("no")], [TooLongError("too long")]).run()
    with pytest.raises(NoAnswerError):
        asked("cascade_checks:is_long", [reply("no")], [NoAnswerError("refused", reason="refusal")]).run()


def test_a_fault_of_a_member_is_a_fault_and_nobody_else_is_asked(asked: Callable[..., Asked]) -> None:
    cascade = asked("cascade_checks:is_long", [RungError("connection refused", reason="transport", permanent=True)])
    with pytest.raises(RungError, match="its rung 'small': connection refused") as caught:
        cascade.run()
    assert (caught.value.reason, caught.value.permanent) == ("transport", True)
    assert [member for member, _ in cascade.requests] == ["small"]


@pytest.mark.parametrize(
    ("accept", "words"),
    [
        ("schema", "the test asks without one"),
        ("cascade_checks:broken", "cascade_checks:broken raised IndexError"),
        ("cascade_checks:says_text", "returned a str: have it return a bool"),
        ("cascade_checks:no_fault", "the table is not there"),
        ("cascade_checks:nothing", "has no function nothing"),
    ],
)
def test_a_check_that_is_broken_is_a_fault_and_no_wrong_answer(
    asked: Callable[..., Asked], accept: str, words: str
) -> None:
    with pytest.raises(RungError, match=words):
        asked(accept, [reply("no")], [reply("large")]).run()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rungs": ["a"], "accept": "schema"}, "name two rungs or more"),
        ({"rungs": ["a", "a"], "accept": "schema"}, "each once"),
        ({"rungs": ["a", 2], "accept": "schema"}, "name two rungs or more"),
        ({"rungs": ["a", "b"], "accept": "shema"}, "= 'shema' names no function"),
    ],
)
def test_a_cascade_that_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Cascade(Rung(name="both", provider="cascade", options=options))
