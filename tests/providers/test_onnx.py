"""The provider `onnx`, on models that these tests make: a classifier of texts, one of tokens, and a regressor."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError, RungError, TooLongError
from pytest_rightsize.hosting.desks import OwnDesk
from pytest_rightsize.hosting.hosted import Hosted
from pytest_rightsize.hosting.hosts import Hosts
from pytest_rightsize.hosting.process import Served
from pytest_rightsize.providers.onnx import Onnx
from pytest_rightsize.records import Reply, Request, Rung

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
tokenizers = pytest.importorskip("tokenizers")
np = pytest.importorskip("numpy")

WORDS = ["[UNK]", "charged", "twice", "parcel", "late", "Ada", "Lovelace", "in", "London", "Paris"]
QUEUES = ["other", "billing", "shipping"]
NAMES = ["O", "B-PER", "I-PER", "B-LOC"]


def _weights(classes: dict[str, int], count: int) -> Any:
    weights = np.zeros((len(WORDS), count), dtype=np.float32)
    for word in WORDS:
        weights[WORDS.index(word), classes.get(word, 0)] = 2.0 if word in classes else 0.5
    return weights


def _model(path: Path, weights: Any, *, pooled: bool, inputs: tuple[str, ...] = ("input_ids",)) -> None:
    """Looks up a row of weights for each token, and sums them if `pooled`."""
    helper = onnx.helper
    nodes = [helper.make_node("Gather", ["weights", "input_ids"], ["each"])]
    if pooled:
        nodes.append(helper.make_node("ReduceSum", ["each", "axes"], ["out"], keepdims=0))
    else:
        nodes.append(helper.make_node("Identity", ["each"], ["out"]))
    graph = helper.make_graph(
        nodes,
        "words",
        [helper.make_tensor_value_info(name, onnx.TensorProto.INT64, [1, "tokens"]) for name in inputs],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)],
        [
            onnx.numpy_helper.from_array(weights, "weights"),
            onnx.numpy_helper.from_array(np.array([1], dtype=np.int64), "axes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tokenizer of ten words, and a model of each kind."""
    level = tokenizers.models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(level)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    queues = _weights({"charged": 1, "twice": 1, "parcel": 2, "late": 2}, 3)
    _model(tmp_path / "queues.onnx", queues, pooled=True, inputs=("input_ids", "attention_mask"))
    people = _weights({"Ada": 1, "Lovelace": 2, "London": 3, "Paris": 3}, 4)
    _model(tmp_path / "names.onnx", people, pooled=False)
    _model(tmp_path / "length.onnx", np.full((len(WORDS), 1), 0.5, dtype=np.float32), pooled=True)
    _model(tmp_path / "other.onnx", queues, pooled=True, inputs=("input_ids", "pixels"))
    _model(tmp_path / "broken.onnx", np.full((len(WORDS), 1), np.nan, dtype=np.float32), pooled=True)
    return tmp_path


@pytest.fixture
def rungs() -> Iterator[list[Onnx]]:
    made: list[Onnx] = []
    yield made
    for one in made:
        one.close()


def rung(rungs: list[Onnx], folder: Path, model: str, **options: Any) -> Onnx:
    options = {"tokenizer": "tokenizer.json", **options}
    rungs.append(Onnx(Rung(name="tiny", provider="onnx", model=model, options=options, base_dir=str(folder))))
    return rungs[-1]


def ask(one: Onnx, prompt: str) -> Reply:
    return one.submit(Request(messages=({"role": "user", "content": prompt},))).result(60)


@pytest.mark.parametrize(
    ("prompt", "queue"),
    [("I was charged twice", "billing"), ("my parcel is late", "shipping"), ("hello there", "other")],
)
def test_a_text_has_the_class_of_the_largest_output(rungs: list[Onnx], folder: Path, prompt: str, queue: str) -> None:
    one = rung(rungs, folder, "queues.onnx", labels=QUEUES)
    assert one.check() is None
    reply = ask(one, prompt)
    assert reply.text == queue
    assert (reply.tokens.prompt, reply.tokens.completion, reply.tokens.source) == (len(prompt.split()), None, "counted")
    assert reply.seconds is not None


def test_nothing_is_told_to_who_made_the_library(
    rungs: list[Onnx], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is read as it is imported, which it may have been before; both are there for that."""
    calls: list[str] = []
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setattr("onnxruntime.disable_telemetry_events", lambda: calls.append("off"))
    ask(rung(rungs, folder, "queues.onnx", labels=QUEUES), "I was charged twice")
    assert (os.environ["ORT_DISABLE_TELEMETRY"], calls) == ("1", ["off"])


def test_tokens_of_one_label_are_a_span(rungs: list[Onnx], folder: Path) -> None:
    reply = ask(rung(rungs, folder, "names.onnx", labels=NAMES), "Ada Lovelace in London Paris")
    assert json.loads(reply.text) == [
        {"label": "PER", "text": "Ada Lovelace", "start": 0, "end": 12},
        {"label": "LOC", "text": "London", "start": 16, "end": 22},
        {"label": "LOC", "text": "Paris", "start": 23, "end": 28},
    ]


def test_a_single_output_is_a_number(rungs: list[Onnx], folder: Path) -> None:
    assert ask(rung(rungs, folder, "length.onnx"), "one two three").text == "1.5"


def test_a_prompt_of_too_many_tokens_is_too_long(rungs: list[Onnx], folder: Path) -> None:
    with pytest.raises(TooLongError, match="the prompt has 3 tokens, and max_length of tiny is 2"):
        ask(rung(rungs, folder, "length.onnx", max_length=2), "one two three")


@pytest.mark.parametrize(
    ("model", "options", "reason", "words"),
    [
        (
            "queues.onnx",
            {"labels": ["a", "b"]},
            "bad_reply",
            r"gave an output of shape \[1, 3\], and there are 2 labels",
        ),
        ("queues.onnx", {}, "bad_reply", "and there are 0 labels"),
        ("other.onnx", {"labels": QUEUES}, "load", "has an input 'pixels', and known are input_ids"),
        ("broken.onnx", {}, "bad_reply", "gave what is no number"),
        ("tokenizer.json", {}, "load", "tokenizer.json cannot be loaded"),
    ],
)
def test_what_does_not_fit_is_a_fault_of_the_rung(
    rungs: list[Onnx], folder: Path, model: str, options: dict[str, Any], reason: str, words: str
) -> None:
    with pytest.raises(RungError, match=words) as told:
        ask(rung(rungs, folder, model, **options), "a")
    assert told.value.reason == reason


def test_an_image_is_nothing_for_it(rungs: list[Onnx], folder: Path) -> None:
    parts = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    one = rung(rungs, folder, "length.onnx")
    with pytest.raises(RungError, match="reads text alone, and this message has image_url") as told:
        one.submit(Request(messages=({"role": "user", "content": parts},))).result(60)
    assert told.value.reason == "request"


def test_a_file_that_is_not_there_is_a_problem(rungs: list[Onnx], folder: Path) -> None:
    for model, tokenizer, key in (("no.onnx", "tokenizer.json", "model"), ("length.onnx", "no.json", "tokenizer")):
        problem = rung(rungs, folder, model, tokenizer=tokenizer).check()
        assert problem is not None
        assert problem.remedy.endswith(f"or correct {key}")


def test_answers_are_recorded_under_all_that_decides_them(rungs: list[Onnx], folder: Path) -> None:
    def digest(path: Path) -> str:
        return path.name

    first = rung(rungs, folder, "queues.onnx", labels=QUEUES).identity(digest)
    assert first.greedy
    assert (first.content["model"], first.content["tokenizer"]) == ("queues.onnx", "tokenizer.json")
    assert rung(rungs, folder, "queues.onnx", labels=QUEUES[::-1]).identity(digest) != first


@pytest.mark.parametrize("labels", [["a", "a"], ["a", 3], [""]])
def test_labels_that_are_none_are_refused(labels: list[Any]) -> None:
    options = {"tokenizer": "t.json", "labels": labels}
    with pytest.raises(ConfigError, match="give each class a name of its own"):
        Onnx(Rung(name="tiny", provider="onnx", model="m.onnx", options=options))


def test_a_host_answers_as_this_process_does(folder: Path) -> None:
    """With --rightsize-hosts=shared: the model is in a process of its own, which costs its start."""
    rung = Rung(
        name="queues",
        provider="onnx",
        model="queues.onnx",
        base_dir=str(folder),
        options={"tokenizer": "tokenizer.json", "labels": QUEUES},
    )
    hosts = Hosts(on_note=print, on_stall=print)
    hosts.add(Served(rung=rung, provider=Onnx, meters={}, room=1))
    hosted, here = Hosted(Onnx(rung), rung, OwnDesk(hosts), lambda: ""), Onnx(rung)
    asked = [Request(messages=({"role": "user", "content": text},)) for text in ("charged twice", "parcel late")]
    texts = [[provider.submit(one).result(120).text for one in asked] for provider in (hosted, here)]
    assert texts == [["billing", "shipping"]] * 2
    assert hosts.pids().keys() == {"queues"}
    assert hosted.identity(lambda path: path.name) == here.identity(lambda path: path.name)
    hosts.close()
    here.close()
