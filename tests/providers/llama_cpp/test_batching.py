"""Many requests at a time to one model: each is answered as if it were alone."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from example_suite.models.train.cases import CASES, read_cases
from example_suite.models.train.tasks import TASKS
from pytest_rightsize.errors import ConfigError, RungError, TooLongError
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.records import Reply, Request, Rung
from tests.providers.llama_cpp.random_gguf import TINY, Shape, write_model

MODELS = Path(__file__).parents[3] / "example_suite" / "models"
llama_cpp = pytest.importorskip(
    "llama_cpp", reason="llama-cpp-python is not installed: pip install 'pytest-rightsize[local]'"
)
layout = pytest.importorskip("pytest_rightsize.providers.llama_cpp.layout")

# Decoding a token among others moves its logits by as much as 0.02 here: keys, values and activations are rounded to
# 16 bits, and sums are taken in another order.
NEAR_TIE_LOGITS = 0.05
PROMPTS = [task.instruction + case.text for name, task in TASKS.items() for case in read_cases(CASES / f"{name}.jsonl")]
JSON_SCHEMA = {"type": "object", "properties": {"qty": {"type": "integer"}}, "required": ["qty"]}


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that writes until it is stopped."""
    return write_model(tmp_path_factory.mktemp("models") / "endless.gguf", TINY)


@pytest.fixture(scope="module")
def with_room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with a context for the long prompts of chat formats that take tools."""
    return write_model(tmp_path_factory.mktemp("models") / "room.gguf", replace(TINY, context=4096))


@pytest.fixture
def opened() -> Iterator[list[LlamaCpp]]:
    providers: list[LlamaCpp] = []
    yield providers
    for provider in providers:
        provider.close()


def provider(model: Path, opened: list[LlamaCpp], **options: Any) -> LlamaCpp:
    # One thread: the models are so small that more of them only wait for each other.
    # And their text whole, to hold against what llama-cpp-python returns.
    options = {"n_threads": 1, "reasoning": False} | options
    opened.append(LlamaCpp(Rung(name="local", provider="llama_cpp", model=str(model), options=options)))
    return opened[-1]


def question(text: str, **more: Any) -> Request:
    return Request(messages=({"role": "user", "content": text},), **more)


def replies(asked: LlamaCpp, requests: Sequence[Request]) -> list[Reply]:
    return [future.result() for future in [asked.submit(request) for request in requests]]


def alone(model: Path, requests: Sequence[Request], opened: list[LlamaCpp], **options: Any) -> list[Reply]:
    one = provider(model, opened, n_parallel=1, **options)
    return [one.submit(request).result() for request in requests]


@pytest.mark.parametrize(("name", "step"), [("25k", 7), ("60k", 13), ("160k", 19), ("frontier", 37)])
def test_greedy_answers_are_those_of_one_at_a_time(name: str, step: int, opened: list[LlamaCpp]) -> None:
    """Of the larger models' prompts every so many-th, as most of the time is the reference's."""
    path, prompts = MODELS / f"{name}.gguf", PROMPTS[::step]
    together = replies(provider(path, opened), [question(prompt, max_tokens=160) for prompt in prompts])
    reference = llama_cpp.Llama(str(path), n_ctx=0, n_threads=1, n_threads_batch=1, verbose=False)
    ties = 0
    for prompt, reply in zip(prompts, together, strict=True):
        messages = [{"role": "user", "content": prompt}]
        expected = reference.create_chat_completion(messages=messages, temperature=0, max_tokens=160)
        choice, usage = expected["choices"][0], expected["usage"]
        assert reply.tokens.prompt == usage["prompt_tokens"]
        if reply.text == choice["message"]["content"]:
            assert (reply.finish_reason, reply.tokens.completion) == (
                choice["finish_reason"],
                usage["completion_tokens"],
            )
        else:
            margin = _margin(reference, messages, choice["message"]["content"], reply.text)
            assert margin < NEAR_TIE_LOGITS, (prompt, choice["message"]["content"], reply.text)
            ties += 1
    assert ties <= max(1, len(prompts) // 500)
    reference.close()


@pytest.mark.parametrize("flash", [False, True])
def test_whatever_a_request_asks_for_is_answered_as_it_is_alone(flash: bool, opened: list[LlamaCpp]) -> None:
    path = MODELS / "160k.gguf"
    reference = llama_cpp.Llama(
        str(path), n_ctx=0, n_threads=1, n_threads_batch=1, flash_attn=flash, chat_format=None, verbose=False
    )
    end = str(reference.token_eos())
    wishes: list[dict[str, Any]] = [
        {"max_tokens": 40},
        {"max_tokens": 3},
        {"max_tokens": 40, "stop": ["-", "a"]},
        {"max_tokens": 40, "stop": "ch: not there"},
        {"max_tokens": 25, "logit_bias": {end: -100.0}},
        {"max_tokens": 25, "logit_bias": {end: 100.0}},
        {"max_tokens": 40, "temperature": 0.9, "top_p": 0.9, "seed": 11},
        {"max_tokens": 40, "temperature": 1.5, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "seed": 12},
        {"max_tokens": 40, "repeat_penalty": 1.3},
    ]
    asked = [(prompt, wish) for prompt in PROMPTS[::110] for wish in wishes]
    together = replies(provider(path, opened, flash_attn=flash), [_asking(prompt, wish) for prompt, wish in asked])
    for (prompt, wish), reply in zip(asked, together, strict=True):
        given = {"temperature": 0.0} | wish
        messages = [{"role": "user", "content": prompt}]
        expected = reference.create_chat_completion(messages=messages, **given)
        choice, usage = expected["choices"][0], expected["usage"]
        assert (reply.text, reply.finish_reason) == (choice["message"]["content"], choice["finish_reason"]), wish
        assert (reply.tokens.prompt, reply.tokens.completion) == (usage["prompt_tokens"], usage["completion_tokens"])
    reference.close()


def _asking(prompt: str, wish: Mapping[str, Any]) -> Request:
    """The wish as a request: what is no field of one is an extra."""
    named = {"max_tokens", "temperature", "top_p", "seed", "schema"}
    extra = {name: value for name, value in wish.items() if name not in named}
    return question(prompt, extra=extra, **{name: value for name, value in wish.items() if name in named})


def test_a_conversation_is_written_as_the_template_in_the_file_says(tmp_path: Path, opened: list[LlamaCpp]) -> None:
    messages = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"})
    marked = "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}<assistant>"
    bare = "{% for message in messages %}{{ message.content }};{% endfor %}"
    for name, template, written in (
        ("marked", marked, "<system>Be brief.<user>Why?<assistant>"),
        ("bare", bare, "Be brief.;Why?;"),
    ):
        path = write_model(tmp_path / f"{name}.gguf", TINY, template=template)
        crowd = provider(path, opened)
        reply = crowd.submit(Request(messages=messages, max_tokens=8)).result()
        reference = llama_cpp.Llama(str(path), n_threads=1, n_threads_batch=1, verbose=False)
        tokens = reference.tokenize(written.encode(), add_bos=False)
        assert reply.tokens.prompt == len(tokens)
        expected = reference.create_completion(tokens, max_tokens=8, temperature=0)
        assert reply.text == expected["choices"][0]["text"]
        reference.close()


class Decodes:
    """Counts what llama.cpp is asked to decode; nothing is decoded before `go`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tokens: list[int] = []
        self.sequences: list[list[int]] = []
        self.go = threading.Event()
        self._decode = llama_cpp.llama_decode
        monkeypatch.setattr(llama_cpp, "llama_decode", self._count)

    def _count(self, context: Any, batch: Any) -> int:
        self.go.wait()
        self.tokens.append(int(batch.n_tokens))
        self.sequences.append([key for key, _ in groupby(batch.seq_id[row][0] for row in range(batch.n_tokens))])
        return int(self._decode(context, batch))


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Decodes:
    return Decodes(monkeypatch)


def test_a_slot_that_gets_free_is_filled_at_once(endless: Path, opened: list[LlamaCpp], decodes: Decodes) -> None:
    crowd = provider(endless, opened, n_parallel=2)
    long = crowd.submit(question("A long answer", max_tokens=60))
    short = [crowd.submit(question(f"{number} short", max_tokens=10)) for number in range(6)]
    decodes.go.set()
    assert long.result().tokens.completion == 60
    assert [future.result().tokens.completion for future in short] == [10] * 6
    # A token of each of two at a time: the long one has one slot, and the short ones follow each other in the other.
    assert len(decodes.tokens) == 60


def test_sequences_stand_in_a_row_however_long_they_are(
    endless: Path, opened: list[LlamaCpp], decodes: Decodes
) -> None:
    """Where their numbers do not rise by one, llama.cpp goes through all weights once more."""
    requests = [question(f"{n:02d}" + "." * (n * 7 % 30), max_tokens=5 + n * 11 % 30) for n in range(40)]
    crowd = provider(endless, opened, n_parallel=8)
    futures = [crowd.submit(request) for request in requests]
    decodes.go.set()
    together = [future.result() for future in futures]
    assert {len(sequences) for sequences in decodes.sequences} == set(range(1, 9))
    for sequences in decodes.sequences:
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    assert [reply.text for reply in together] == [reply.text for reply in alone(endless, requests, opened)]


def _margin(model: Any, messages: Sequence[Mapping[str, str]], expected: str, other: str) -> float:
    """How far apart the logits of two answers are where they part."""
    asked: list[list[int]] = []

    class Listener:
        def __getattr__(self, name: str) -> Any:
            return getattr(model, name)

        def create_completion(self, **arguments: Any) -> Any:
            asked.append(arguments["prompt"])
            raise InterruptedError

    with pytest.raises(InterruptedError):
        llama_cpp.Llama.create_chat_completion(Listener(), messages=messages)
    end = model.token_eos()
    ours, theirs = ([*model.tokenize(text.encode(), add_bos=False), end] for text in (other, expected))
    place = next(place for place, (one, two) in enumerate(zip(ours, theirs, strict=False)) if one != two)
    model.reset()
    model.eval([*asked[0], *theirs[:place]])
    logits = llama_cpp.llama_get_logits_ith(model.ctx, -1)
    return abs(float(logits[ours[place]] - logits[theirs[place]]))


def test_a_draw_depends_on_its_seed_and_not_on_its_neighbours(endless: Path, opened: list[LlamaCpp]) -> None:
    watched = [question("Say", temperature=1.0, top_p=0.9, seed=7, sample=sample, max_tokens=6) for sample in range(4)]
    others = [question(f"Other {n}", temperature=2.0, seed=n, max_tokens=3 + n % 9) for n in range(40)]
    crowd = provider(endless, opened)
    first = replies(crowd, [*others[:9], *watched, *others[9:]])[9:13]
    again = replies(crowd, [*watched, *others])[:4]
    apart = alone(endless, watched, opened)
    texts = [reply.text for reply in first]
    assert texts == [reply.text for reply in again] == [reply.text for reply in apart]
    assert len(set(texts)) == 4


def test_each_request_keeps_its_own_limits(opened: list[LlamaCpp]) -> None:
    crowd = provider(MODELS / "160k.gguf", opened)
    prompt = "ISO date: 12 March 2024"
    whole, short, stopped, shaped = replies(
        crowd,
        [
            question(prompt, max_tokens=20),
            question(prompt, max_tokens=3),
            question(prompt, max_tokens=20, extra={"stop": "-"}),
            question("Order as JSON: Ann orders 2 hats.", max_tokens=60, schema=JSON_SCHEMA),
        ],
    )
    assert (short.text, short.finish_reason, short.tokens.completion) == (whole.text[:3], "length", 3)
    assert (stopped.text, stopped.finish_reason) == (whole.text.partition("-")[0], "stop")
    assert shaped.text.lstrip().startswith("{")
    if shaped.finish_reason == "stop":
        assert isinstance(json.loads(shaped.text)["qty"], int)


def test_a_grammar_holds_the_likeliest_token_as_it_holds_a_draw(opened: list[LlamaCpp]) -> None:
    requests = [
        question(f"Order as JSON: Ann orders {n} hats.", schema=JSON_SCHEMA, max_tokens=40, temperature=t, top_p=1.0)
        for n in range(4)
        for t in (None, 0.7)
    ]
    for reply in replies(provider(MODELS / "frontier.gguf", opened), requests):
        assert reply.text.lstrip().startswith("{")
        assert not set(reply.text) - set(' \n\t{}":,-0123456789qty')


def test_an_error_ends_only_its_own_request(endless: Path, opened: list[LlamaCpp]) -> None:
    crowd = provider(endless, opened)
    bad_grammar = {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}
    futures = [
        crowd.submit(question("One", max_tokens=30)),
        crowd.submit(question("word " * 200, max_tokens=30)),
        crowd.submit(question("Two", max_tokens=30, schema=bad_grammar)),
        crowd.submit(question("\ud800", max_tokens=30)),
        crowd.submit(question("Three", max_tokens=30, extra={"response_format": {"type": "json_object"}})),
        crowd.submit(question("Four", max_tokens=30)),
    ]
    with pytest.raises(TooLongError, match=r"the prompt is \d+ tokens and the context holds 512"):
        futures[1].result()
    with pytest.raises(RungError, match=r"the schema cannot be enforced .*nowhere"):
        futures[2].result()
    with pytest.raises(RungError, match="half of a surrogate pair"):
        futures[3].result()
    assert [futures[n].result().tokens.completion for n in (0, 4, 5)] == [30, 30, 30]


def test_a_beginning_that_many_share_is_decoded_once(endless: Path, opened: list[LlamaCpp], decodes: Decodes) -> None:
    prefix = "You route tickets. Answer with one word. " * 5
    requests = [question(f"{prefix}{letter}: go", max_tokens=5) for letter in "abcdefghijklmnopqrst"]
    decodes.go.set()
    together = replies(provider(endless, opened), requests)
    decoded = sum(decodes.tokens)
    apart = alone(endless, requests, opened)
    assert [reply.text for reply in together] == [reply.text for reply in apart]
    fresh = [(reply.tokens.prompt or 0) - (reply.tokens.cached or 0) for reply in together]
    assert sorted(fresh)[-1] >= len(prefix)
    assert sorted(fresh)[-2] < 10
    # What a reply says of its tokens is what llama.cpp had to do; the last token of an answer is not decoded.
    assert decoded == sum(fresh) + sum((reply.tokens.completion or 0) - 1 for reply in together)


def test_seconds_are_those_of_the_request_and_not_of_the_queue(endless: Path, opened: list[LlamaCpp]) -> None:
    queued = provider(endless, opened, n_parallel=1)
    started = time.perf_counter()
    answered = replies(queued, [question(f"Question {n}", max_tokens=50) for n in range(8)])
    elapsed = time.perf_counter() - started
    assert all(reply.seconds is not None and reply.seconds > 0 for reply in answered)
    assert sum(reply.seconds or 0 for reply in answered) <= elapsed


def test_a_cancelled_request_frees_its_slot(endless: Path, opened: list[LlamaCpp]) -> None:
    one = provider(endless, opened, n_parallel=1, n_ctx=100_000)
    hog = one.submit(question("Never end"))
    queued = one.submit(question("Short", max_tokens=3))
    assert not queued.done()
    time.sleep(0.2)
    assert hog.cancel()
    assert queued.result(timeout=60).tokens.completion == 3


def test_closing_ends_whoever_still_waits(endless: Path, opened: list[LlamaCpp]) -> None:
    crowd = provider(endless, opened, n_parallel=2, n_ctx=100_000)
    waiting = [crowd.submit(question("Never end")) for _ in range(5)]
    time.sleep(0.2)
    crowd.close()
    for future in waiting:
        with pytest.raises(RungError, match="closed before it had answered"):
            future.result(timeout=60)


def test_requests_come_from_any_thread(endless: Path, opened: list[LlamaCpp]) -> None:
    crowd = provider(endless, opened)
    futures: list[Future[Reply]] = []

    def submit(name: int) -> None:
        futures.extend(crowd.submit(question(f"Thread {name} asks {n}", max_tokens=4)) for n in range(5))

    threads = [threading.Thread(target=submit, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [future.result().tokens.completion for future in futures] == [4] * 40


def test_more_than_fits_the_memory_waits_for_room(
    endless: Path, opened: list[LlamaCpp], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [question(f"{letter} " * 60, max_tokens=150) for letter in "abcdefghij"]
    roomy = replies(provider(endless, opened), requests)
    monkeypatch.setattr(layout, "_budget_bytes", lambda: 0)
    cramped = replies(provider(endless, opened, n_parallel=8), requests)
    assert [reply.tokens.completion for reply in cramped] == [150] * 10
    assert [reply.text[:40] for reply in cramped] == [reply.text[:40] for reply in roomy]


def test_a_context_that_fits_no_memory_is_made_smaller(
    endless: Path, opened: list[LlamaCpp], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Any] = []
    replace = layout._replace_context

    def refuse_much(native: Any, wanted: Any, batch_tokens: int, **steps: bool) -> None:
        tried.append(wanted)
        if wanted.cells > 2048:
            raise ValueError("Failed to create llama_context")
        replace(native, wanted, batch_tokens, **steps)

    monkeypatch.setattr(layout, "_replace_context", refuse_much)
    answered = replies(provider(endless, opened), [question(f"{n} is it", max_tokens=20) for n in range(20)])
    assert [reply.tokens.completion for reply in answered] == [20] * 20
    assert [(each.slots, each.cells, each.unified) for each in tried] == [
        (16, 8192, False),
        (16, 4096, True),
        (16, 2048, True),
    ]


def test_a_named_tool_is_called_by_template_and_by_chat_format(
    with_room: Path, tmp_path: Path, opened: list[LlamaCpp]
) -> None:
    """The chat format asks several times for one answer."""
    with_tools = write_model(tmp_path / "tools.gguf", TINY, template="{{ tools }}{{ messages[-1].content }}")
    tool = {"name": "buy", "description": "Buys hats.", "parameters": JSON_SCHEMA}
    request = question("Buy 2 hats", tools=({"type": "function", "function": tool},), max_tokens=40)
    chosen = Request(
        messages=({"role": "system", "content": "Be brief."}, *request.messages),
        tools=request.tools,
        max_tokens=120,
        extra={"tool_choice": {"type": "function", "function": {"name": "buy"}}},
    )
    for crowd in (provider(with_tools, opened), provider(with_room, opened, chat_format="chatml-function-calling")):
        reply = crowd.submit(chosen).result()
        assert reply.tool_calls[0]["function"]["name"] == "buy"
        assert reply.tool_calls[0]["function"]["arguments"].lstrip().startswith("{")


# Those that take tools without a tokenizer of their own.
@pytest.mark.parametrize("chat_format", ["chatml-function-calling", "functionary"])
@pytest.mark.parametrize("names", [["buy"], ["buy", "sell"], ["buy", "buy_all"], ["get_time", "get_weather"]])
def test_a_required_call_comes_from_a_chat_format_too(
    with_room: Path,
    opened: list[LlamaCpp],
    chat_format: str,
    names: list[str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The weights are random, so that only the grammar decides that it is a call and no words."""
    crowd = provider(with_room, opened, chat_format=chat_format)
    future = crowd.submit(_requiring_call(names))
    written = 0
    while not future.done():
        written += os.write(1, b".")
        time.sleep(0.001)
    (call,) = future.result().tool_calls
    # Formats print grammars, or silence the whole process while they make one.
    assert capfd.readouterr().out == "." * written
    assert call["function"]["name"] in names
    assert json.loads(call["function"]["arguments"]) == {"n": 1}


@pytest.mark.parametrize("chat_format", ["chatml-function-calling", "functionary"])
def test_the_model_chooses_which_call_is_required(with_room: Path, opened: list[LlamaCpp], chat_format: str) -> None:
    crowd = provider(with_room, opened, chat_format=chat_format)
    answers = replies(crowd, [_requiring_call(["buy", "sell"], sample=sample) for sample in range(16)])
    assert {answer.tool_calls[0]["function"]["name"] for answer in answers} == {"buy", "sell"}


def _requiring_call(names: Sequence[str], sample: int = 0) -> Request:
    parameters = {"type": "object", "properties": {"n": {"const": 1}}, "required": ["n"]}
    return Request(
        messages=({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}),
        tools=tuple({"type": "function", "function": {"name": name, "parameters": parameters}} for name in names),
        extra={"tool_choice": "required"},
        temperature=1.5,
        sample=sample,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_ladder_of_models_ends_with_the_memory_of_one(tmp_path: Path) -> None:
    shape = Shape(width=256, layers=4, heads=4, hidden=1024, vocabulary=16000)
    first = write_model(tmp_path / "0.gguf", shape, 0)
    paths = [first, *(Path(shutil.copy(first, tmp_path / f"{number}.gguf")) for number in range(1, 5))]
    # In a process of its own: in this one, what other tests have freed comes and goes.
    program = """
        import sys
        from pathlib import Path
        from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
        from pytest_rightsize.records import Request, Rung

        for path in sys.argv[1:]:
            rung = LlamaCpp(Rung(name="a", provider="llama_cpp", model=path, options={"n_parallel": 4}))
            rung.submit(Request(messages=({"role": "user", "content": "Hello"},), max_tokens=4)).result()
            status = Path("/proc/self/status").read_text(encoding="ascii")
            print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))
            rung.close()
        """
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, paths)]
    # One arena: where each thread has its own, the allocator keeps of several what none of them uses.
    env = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    held_kib = [int(line) for line in subprocess.run(command, check=True, capture_output=True, env=env).stdout.split()]
    assert len(held_kib) == 5
    assert (held_kib[-1] - held_kib[0]) * 1024 < first.stat().st_size


@pytest.mark.parametrize(
    ("context", "slots", "cell", "budget", "expected"),
    [
        (512, None, 1024, 2**30, (16, 16 * 512, False)),
        (512, 3, 1024, 2**30, (3, 3 * 512, False)),
        (300, 2, 1024, 2**30, (2, 1024, False)),
        (8192, None, 32 * 1024, 2**30, (16, 32768, True)),
        (8192, None, 128 * 1024, 2**30, (16, 8192, True)),
        (8192, 4, 128 * 1024, 2**30, (4, 8192, True)),
        (512, None, 2**20, 0, (2, 512, True)),
        (256, None, 2**20, 0, (1, 256, True)),
        (8192, 1, 2**20, 0, (1, 8192, False)),
    ],
)
def test_slots_share_cells_where_a_full_context_for_each_is_too_much(
    context: int, slots: int | None, cell: int, budget: int, expected: tuple[int, int, bool]
) -> None:
    chosen = layout.lay_out(context, slots, cell, budget)
    assert (chosen.slots, chosen.cells, chosen.unified) == expected


@pytest.mark.parametrize(("given", "words"), [(0, "give 1 or more"), (257, "256 is the most")])
def test_a_number_of_slots_that_cannot_be_is_refused(given: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        LlamaCpp(Rung(name="local", provider="llama_cpp", model="x.gguf", options={"n_parallel": given}))
