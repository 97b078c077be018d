"""What may be fed to each reader, and what must come of it: a usable result, or one of the project's own errors.

Each target takes the bytes of a file or of an HTTP answer. The tests of hostile input and tests/benchmarks/fuzz.py
share them.
"""

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pytest_rightsize.baseline import read_baseline, with_regressions
from pytest_rightsize.cache import plain_reply
from pytest_rightsize.errors import RightsizeError
from pytest_rightsize.ladder import read_ladder
from pytest_rightsize.providers import gguf, load_providers
from pytest_rightsize.providers.llama_cpp import LlamaCpp
from pytest_rightsize.providers.openai import OpenAI
from pytest_rightsize.providers.replay import Replay
from pytest_rightsize.recorded_lines import read_lines
from pytest_rightsize.records import Rung
from pytest_rightsize.store import read_run
from pytest_rightsize.verdict import judge
from tests.runs import make_run

__all__ = ["TARGETS"]

RUN = make_run({"t": {"a": "1100", "b": "11E1"}, "u": {"a": "0000", "b": "----"}}, chosen="b")
PROVIDERS = load_providers([{"llama_cpp": LlamaCpp, "openai": OpenAI, "replay": Replay}])


def _of_a_file(read: Callable[[Path], object], name: str) -> Callable[[bytes], None]:
    """Feed a reader a file of that content; the project's own errors are a proper end."""

    def feed(content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            with suppress(RightsizeError):
                read(path)

    return feed


def _ladder(path: Path) -> None:
    ladder = read_ladder(path, PROVIDERS)
    for rung in ladder.rungs.values():
        json.dumps(rung.to_dict(), default=str)
        PROVIDERS[rung.provider](rung)


def _results(path: Path) -> None:
    for verdict in judge(read_run(path)):
        json.dumps(verdict.to_dict())


def _baseline(path: Path) -> None:
    for verdict in with_regressions(RUN, judge(RUN), read_baseline(path)):
        json.dumps(verdict.to_dict())


def _replay(path: Path) -> None:
    Replay(Rung(name="r", provider="replay", options={"file": path.name}, base_dir=str(path.parent))).check()


def _recorded(path: Path) -> None:
    for line in read_lines(path):
        assert line is not None


def _gguf(path: Path) -> None:
    with suppress(gguf.GgufError, OSError):
        header = gguf.read_header(path)
        assert header.context_length is None or isinstance(header.context_length, int)
        assert header.needed_bytes >= 0


def chat_reply(content: bytes) -> None:
    """An HTTP answer of status 200: a reply that can be written down, or what the HTTP client takes for no answer."""
    from pytest_rightsize.providers.http import UNREADABLE
    from pytest_rightsize.providers.openai import _reply

    try:
        reply = _reply(json.loads(content), 0.1, 0)
    except UNREADABLE:
        return
    json.dumps(plain_reply(reply), allow_nan=False)
    assert isinstance(reply.text, str)
    assert reply.tokens.total is None or reply.tokens.total >= 0


TARGETS: dict[str, Callable[[bytes], None]] = {
    "ladder": _of_a_file(_ladder, "rightsize.toml"),
    "results": _of_a_file(_results, "run.jsonl"),
    "lock": _of_a_file(_baseline, "rightsize.lock"),
    "replay": _of_a_file(_replay, "answers.jsonl"),
    "recorded": _of_a_file(_recorded, "recorded.jsonl"),
    "gguf": _of_a_file(_gguf, "model.gguf"),
    "chat": chat_reply,
}
