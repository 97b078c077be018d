"""Answers requests from a JSON Lines file of recorded answers; no model is called.

Each line holds one answer: `prompt` or `messages` is the question, `sample` (default 0) the number of the repetition;
`text`, `tokens`, `seconds`, `energy`, `finish_reason` and `tool_calls` are what was recorded. The file may be gzipped.
"""

import gzip
import hashlib
import json
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pluggy

from pytest_rightsize.bounded_files import numbered_lines
from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import ConfigError, RightsizeError, RungError
from pytest_rightsize.part_data import with_references
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.providers.reasoning import marks_of
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung, Tokens
from pytest_rightsize.strict_json import loads

__all__ = ["Replay"]

hookimpl = pluggy.HookimplMarker("pytest")

_KEYS = frozenset(
    {"prompt", "messages", "sample", "text", "tokens", "seconds", "energy", "finish_reason", "tool_calls"}
)
_COUNTS = ("prompt", "cached", "completion", "reasoning")
# Only so many requests without an answer are compared with all recorded ones; each takes milliseconds.
_MOST_EXPLAINED = 50
_Replies = dict[int, dict[bytes, Reply]]
"""Replies by the number of the repetition, and by the digest of their prompt."""


class Replay:
    """A rung that answers from `file`, which is read whole at the first request or check."""

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "file": str,
        "complete": bool,
        "reasoning": (dict, bool),
    }
    required: ClassVar[tuple[str, ...]] = ("file",)
    site = None

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; the file is not read yet."""
        marks_of(rung)
        self._name = rung.name
        self._path = Path(rung.base_dir) / str(rung.options["file"])
        self._lock = threading.Lock()
        self._replies: _Replies | None = None
        self._prompts: list[str] | None = None
        self._explained = 0
        # One that stands in for a model, to see what a session would ask of it, says no here.
        self.answers_are_free = rung.options.get("complete", True)

    @property
    def leaves_machine(self) -> bool:
        """Always False: nothing is sent."""
        return False

    def check(self) -> Problem | None:
        """Read the file; raises a ConfigError that names a line which is wrong."""
        try:
            self._read()
        except FileNotFoundError:
            return Problem(what=f"{self._path} is not there", remedy="correct `file` in the ladder file, or record one")
        except (OSError, EOFError) as error:
            return Problem(
                what=f"{self._path} cannot be read ({error})", remedy="get the file again, or make it readable"
            )
        return None

    def identity(self, sha256: Callable[[Path], str]) -> Identity:  # noqa: ARG002  # the protocol has it
        """Identify the rung as a recording, so that its answers are not recorded again."""
        return Identity(content={}, is_recording=True)

    def submit(self, request: Request) -> Future[Reply]:
        """Look up the answer; the Future is already done when it is returned."""
        future: Future[Reply] = Future()
        try:
            future.set_result(self._find(request))
        except RightsizeError as error:
            future.set_exception(error)
        except (OSError, EOFError) as error:
            future.set_exception(RungError(f"rung {self._name!r}: {error}", reason="missing", permanent=True))
        return future

    def close(self) -> None:
        """Drop the answers that were read."""
        with self._lock:
            self._replies = None

    def _find(self, request: Request) -> Reply:
        replies, prompt = self._read(), _prompt_text(request.messages)
        reply = replies.get(request.sample, {}).get(_digest(prompt))
        if reply is None:
            raise RungError(self._unrecorded_message(replies, prompt, request.sample), reason="unrecorded")
        return reply

    def _unrecorded_message(self, replies: _Replies, prompt: str, sample: int) -> str:
        """Describe a request that has no recorded answer, and the nearest one that has."""
        digest = _digest(prompt)
        if digest in replies.get(0, {}):
            recorded = sum(digest in of_sample for of_sample in replies.values())
            return f"rung {self._name!r}: {self._path} has {recorded} samples of this prompt, but no sample {sample}"
        if not replies:
            return f"rung {self._name!r}: {self._path} has no line, and so no answer to {_last_message(prompt)!r}"
        self._explained += 1
        if self._explained > _MOST_EXPLAINED:
            return f"rung {self._name!r}: {self._path} has no answer to {_last_message(prompt)!r}"
        from rapidfuzz import process

        if self._prompts is None:  # they are needed here only
            self._prompts = sorted(
                {_prompt_text(_messages(json.loads(line))) for _, line in _lines(self._path) if line.strip()}
            )
        nearest = process.extractOne(prompt, self._prompts)
        hint = f"; the nearest recorded one is {_last_message(nearest[0])!r}"
        return f"rung {self._name!r}: {self._path} has no answer to {_last_message(prompt)!r}{hint}"

    def _read(self) -> _Replies:
        with self._lock:
            if self._replies is None:
                self._replies = _read_replies(self._path)
            return self._replies


def _last_message(prompt: str) -> str:
    """The last message of a conversation, shortened."""
    text = str(json.loads(prompt)[-1].get("content"))
    return text if len(text) <= 100 else f"{text[:97]}..."


# Made once: json.dumps would make one for each line and each request.
_SORTED_JSON = json.JSONEncoder(sort_keys=True, check_circular=False)


def _prompt_text(messages: Sequence[Mapping[str, Json]]) -> str:
    return _SORTED_JSON.encode([*map(dict, with_references(messages))])


def _digest(prompt: str) -> bytes:
    """Stands for a prompt: of a long file, the prompts would take most of the memory."""
    return hashlib.blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=15).digest()  # bytes of 16 take 16 more


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        try:
            yield from ((number, line) for number, line in numbered_lines(file, path) if line.strip())
        except UnicodeDecodeError:
            raise ConfigError(f"the replay file {path} is not UTF-8 text: record it again") from None
        except zlib.error as error:
            raise ConfigError(f"the replay file {path} is no gzip file ({error}): get it again") from None


def _read_replies(path: Path) -> _Replies:
    """Read all recorded answers; raises a ConfigError that names a line which is wrong.

    What is equal is kept once: most labels, and whole replies where the file has no seconds.
    """
    replies: _Replies = {}
    known: dict[Any, Any] = {}
    for number, line in _lines(path):
        try:
            sample, digest, reply = _parse(loads(line))
        except json.JSONDecodeError as error:
            raise _line_error(path, number, f"is not JSON ({error.msg} at column {error.colno})") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise _line_error(path, number, str(error)) from None
        of_sample = replies.setdefault(sample, {})
        if digest in of_sample:
            first = next(number for number, line in _lines(path) if _parse(loads(line))[:2] == (sample, digest))
            raise _line_error(path, number, f"repeats line {first}: give another prompt, or another sample")
        of_sample[digest] = _known(reply, known)
    return replies


def _known(reply: Reply, known: dict[Any, Any]) -> Reply:
    """The reply, or one of `known` that equals it; else one whose text and tokens are of `known`."""
    with suppress(TypeError):  # calls of tools are dicts, which have no hash
        if reply in known:
            equal: Reply = known[reply]
            return equal
    tokens, text = (known.setdefault(part, part) for part in (reply.tokens, reply.text))
    reply = replace(reply, tokens=tokens, text=text)
    with suppress(TypeError):
        known[reply] = reply
    return reply


def _line_error(path: Path, number: int, why: str) -> ConfigError:
    return ConfigError(f"{path}:{number}: this line of the replay file {why}. Mend or remove it.")


def _messages(plain: Mapping[str, Json]) -> Json:
    """The messages of a line, which may be anything yet."""
    return plain.get("messages", [{"role": "user", "content": plain.get("prompt")}])


def _parse(plain: Json) -> tuple[int, bytes, Reply]:
    """Parse one line into its sample, the digest of its prompt, and its Reply; ValueError says what is wrong."""
    if not isinstance(plain, dict):
        raise ValueError("is not an object")
    unknown = sorted(set(plain) - _KEYS)
    if unknown:
        raise ValueError(f"has an unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    if ("prompt" in plain) == ("messages" in plain):
        raise ValueError("needs either prompt or messages")
    messages = _messages(plain)
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise ValueError("has messages that are not a list of objects")
    if "prompt" in plain and not isinstance(plain["prompt"], str):
        raise ValueError("has a prompt that is not a string")
    sample, text = plain.get("sample", 0), plain.get("text", "")
    if not isinstance(sample, int) or isinstance(sample, bool) or sample < 0:
        raise ValueError(f"has sample {sample!r}, which is not a whole number")
    if not isinstance(text, str):
        raise ValueError("has a text that is not a string")
    reply = Reply(
        text=text,
        seconds=_seconds(plain.get("seconds")),
        tokens=_tokens(plain.get("tokens")),
        finish_reason=plain.get("finish_reason"),
        tool_calls=_tool_calls(plain.get("tool_calls")),
        energy=_energy(plain.get("energy")),
        replayed=True,
    )
    return sample, _digest(_prompt_text(messages)), reply


def _tool_calls(calls: Json) -> tuple[Mapping[str, Json], ...]:
    if calls is None:
        return ()
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise ValueError("has tool_calls that are not a list of objects")
    return tuple(calls)


def _seconds(seconds: Json) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        raise ValueError(f"has seconds {seconds!r}, which is no duration")
    return float(seconds)


def _energy(plain: Json) -> Energy | None:
    """The energy of the answer when it was recorded, marked as replayed."""
    if plain is None:
        return None
    if not isinstance(plain, dict):
        raise ValueError('has energy that is not an object: write {"joules": .., "provenance": "..", "boundary": [..]}')
    try:
        return Energy.from_dict(plain).as_replayed()
    except ValueError as error:
        raise ValueError(f"has energy that {error}") from None


def _tokens(plain: Json) -> Tokens:
    if plain is None:
        return Tokens()
    if not isinstance(plain, dict):
        raise ValueError("has tokens that are not an object")
    for name, count in plain.items():
        if name == "source":
            continue
        if name not in _COUNTS:
            raise ValueError(f"has unknown tokens {name!r}; known are {', '.join(_COUNTS)}")
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
            raise ValueError(f"has {count!r} {name} tokens, which is no count")
    return Tokens(**{name: plain.get(name) for name in _COUNTS}, source="reported")


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `replay`."""
    return {"replay": Replay}
