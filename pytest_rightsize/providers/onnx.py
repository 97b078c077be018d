"""A rung that is a small model in an ONNX file, with its tokenizer: a classifier of texts or of tokens, or a regressor.

In comes the text of the prompt; out goes the name of its class, the classes of its parts as JSON, or a number. It runs
in this process, by onnxruntime.
"""

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pluggy

from pytest_rightsize import clocks
from pytest_rightsize.errors import ConfigError, RungError, TooLongError
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.providers.specialists import Threads, prompt_text
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung, Tokens

__all__ = ["Onnx"]

hookimpl = pluggy.HookimplMarker("pytest")

_PACKAGES = ("onnxruntime", "tokenizers", "numpy")
# What models that transformers exports call their inputs.
_IDS, _MASK, _TYPES, _PLACES = "input_ids", "attention_mask", "token_type_ids", "position_ids"


class Onnx:
    """Runs the ONNX file `model` on the tokens that the file `tokenizer` (tokenizer.json) makes of the prompt.

    `labels` are the names of the classes, in the order of the outputs: without them there must be one output, which is
    the answer as a number. An output for each token makes the answer a list of
    `{"label": .., "text": .., "start": .., "end": ..}`, neighbours of one label together and those of `outside` ("O")
    left out. A prompt of more than `max_length` tokens (512) is too long.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "tokenizer": str,
        "labels": list,
        "outside": str,
        "max_length": int,
        "n_threads": int,
    }
    required: ClassVar[tuple[str, ...]] = ("model", "tokenizer")
    takes_images = False
    leaves_machine = False
    site = "process"
    can_be_hosted = True
    in_flight = 1

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError for labels that are none."""
        options = rung.options
        self._labels: Sequence[str] = options.get("labels", ())
        if not all(isinstance(label, str) and label for label in self._labels) or len(set(self._labels)) < len(
            self._labels
        ):
            raise ConfigError(
                f"rung {rung.name!r}: labels = {self._labels!r} cannot be: give each class a name of its own"
            )
        self._rung = rung
        self._model = Path(rung.base_dir) / str(rung.model)
        self._tokenizer = Path(rung.base_dir) / str(options["tokenizer"])
        self._outside: str = options.get("outside", "O")
        self._longest: int = options.get("max_length", 512)
        self._lock = threading.Lock()
        self._threads = Threads(rung)
        self._loaded: tuple[Any, Any] | None = None

    @property
    def size_bytes(self) -> int | None:
        """How large the model's file is."""
        return self._model.stat().st_size if self._model.is_file() else None

    def check(self) -> Problem | None:
        """Look for the packages and the files; nothing is loaded."""
        if any(find_spec(name) is None for name in _PACKAGES):
            return Problem(
                what="onnxruntime or tokenizers is not installed",
                remedy='run `python -m pip install "pytest-rightsize[onnx]"`',
            )
        for key, path in (("model", self._model), ("tokenizer", self._tokenizer)):
            if not path.is_file():
                return Problem(what=f"{path} is not there", remedy=f"put the file there, or correct {key}")
        return None

    def identity(self, sha256: Callable[[Path], str]) -> Identity:
        """Identify the model by its file, its tokenizer's and the labels."""
        for path in (self._model, self._tokenizer):
            if not path.is_file():
                raise RungError(f"{path} is not there", reason="missing", permanent=True)
        content: Json = {
            "engine": f"onnxruntime {version('onnxruntime')}",
            "model": sha256(self._model),
            "tokenizer": sha256(self._tokenizer),
            "labels": list(self._labels),
            "outside": self._outside,
            "max_length": self._longest,
        }
        return Identity(content=content, greedy=True)

    def submit(self, request: Request) -> Future[Reply]:
        """Run the model in a thread."""
        return self._threads.submit(self._answer, request)

    def close(self) -> None:
        """Free the model's memory."""
        with self._lock:
            self._loaded = None
        self._threads.close()

    def _answer(self, request: Request) -> Reply:
        session, tokenizer = self._load()
        text = prompt_text(request, rung=self._rung.name)
        begun = clocks.perf_counter()
        encoding = tokenizer.encode(text)
        count = len(encoding.ids)
        if count > self._longest:
            raise TooLongError(f"the prompt has {count} tokens, and max_length of {self._rung.name} is {self._longest}")
        inputs = _inputs(session, encoding)
        try:
            outputs = session.run(None, inputs)[0]
        except Exception as error:  # of a library that raises many kinds
            raise RungError(f"{self._model.name} cannot be run: {error}", reason="crash", alone=True) from None
        answer = self._read(outputs, encoding, text)
        seconds = clocks.perf_counter() - begun
        return Reply(text=answer, seconds=seconds, tokens=Tokens(prompt=count, source="counted"), finish_reason="stop")

    def _read(self, outputs: Any, encoding: Any, text: str) -> str:
        """The answer that stands in the first output, by its shape."""
        import numpy

        values = numpy.asarray(outputs)
        classes = len(self._labels)
        if not numpy.isfinite(values).all():
            raise RungError(f"{self._model.name} gave what is no number", reason="bad_reply", alone=True)
        if not classes and values.size == 1:
            return json.dumps(float(values.reshape(-1)[0]))
        if classes and values.size == classes:
            return self._labels[int(values.reshape(-1).argmax())]
        if classes and values.shape == (1, len(encoding.ids), classes):
            return json.dumps(self._spans(values[0].argmax(axis=-1), encoding, text), ensure_ascii=False)
        raise RungError(
            f"{self._model.name} gave an output of shape {list(values.shape)}, and there are {classes} labels: give "
            f"labels of {self._rung.name} in the order of the outputs, or none for a single number",
            reason="bad_reply",
            permanent=True,
        )

    def _spans(self, classes: Any, encoding: Any, text: str) -> list[dict[str, Json]]:
        """Neighbouring tokens of one label, with their text; `B-` and `I-` before a label are those of one span."""
        spans: list[dict[str, Json]] = []
        last = ""
        for place, (start, end) in enumerate(encoding.offsets):
            label = self._labels[int(classes[place])]
            name = label[2:] if label[:2] in ("B-", "I-") else label
            if encoding.special_tokens_mask[place] or label == self._outside:
                last = ""
            elif spans and name == last and not label.startswith("B-"):
                spans[-1]["end"] = end
            else:
                spans.append({"label": name, "text": "", "start": start, "end": end})
                last = name
        return [span | {"text": text[span["start"] : span["end"]]} for span in spans]

    def _load(self) -> tuple[Any, Any]:
        """The session and the tokenizer; raises RungError if they cannot be loaded."""
        with self._lock:
            if self._loaded is None:
                try:
                    # 1.32 tells Microsoft that it was imported, and of each session.
                    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
                    import onnxruntime
                    from tokenizers import Tokenizer

                    onnxruntime.disable_telemetry_events()
                    options = onnxruntime.SessionOptions()
                    options.intra_op_num_threads = self._rung.options.get("n_threads", 0)
                    options.log_severity_level = 4
                    tokenizer = Tokenizer.from_file(str(self._tokenizer))
                    tokenizer.no_padding()
                    tokenizer.no_truncation()
                    session = onnxruntime.InferenceSession(
                        str(self._model), options, providers=["CPUExecutionProvider"]
                    )
                except Exception as error:  # of libraries that raise many kinds
                    raise RungError(
                        f"{self._model.name} cannot be loaded: {error}", reason="load", permanent=True
                    ) from None
                self._loaded = session, tokenizer
            return self._loaded


def _inputs(session: Any, encoding: Any) -> dict[str, Any]:
    """The tokens under the names that the model's inputs have; raises RungError for an input of another kind."""
    import numpy

    known = {
        _IDS: encoding.ids,
        _MASK: encoding.attention_mask,
        _TYPES: encoding.type_ids,
        _PLACES: range(len(encoding.ids)),
    }
    names = [one.name for one in session.get_inputs()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise RungError(
            f"the model has an input {unknown[0]!r}, and known are {', '.join(known)}", reason="load", permanent=True
        )
    return {name: numpy.asarray([list(known[name])], dtype=numpy.int64) for name in names}


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `onnx`."""
    return {"onnx": Onnx}
