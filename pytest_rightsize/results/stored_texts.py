"""Texts of trials that are in a results file already: a session keeps each trial without them, and reads them again.

In come trials as they are written; out go the same trials without prompts, answers and explanations, and later one
trial at a time whole. What a session needs in memory then does not grow with the length of its answers.
"""

import json
import os
import stat
import sys
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path

from pytest_rightsize.records import AnswerRecord, Json, Tokens, Trial, TrialKey
from pytest_rightsize.results.redaction import text_digest

__all__ = ["Place", "StoredTexts", "parts_of", "place_of", "prompt_key", "without_texts"]

Place = int
"""Where a line is: its first byte times 2**40, plus its length in bytes. One number, as there is one for each trial."""

_LONGEST = 2**40


def place_of(start: int, length: int) -> Place:
    """The place of a line of `length` bytes that begins after `start` others."""
    return start * _LONGEST + length


def parts_of(place: Place) -> tuple[int, int]:
    """The first byte of a line, and its length in bytes."""
    return divmod(place, _LONGEST)


def prompt_key(digest: bytes) -> bytes:
    """What stands for a prompt in memory: all but the last of its 16 bytes, as that one would take 16 more."""
    return digest[:15]


def without_texts(
    trial: Trial, *, keeps_prompts: bool = False, known: MutableMapping[Tokens, Tokens] | None = None
) -> Trial:
    """The trial with its outcome, and what its answers took; with `keeps_prompts` also hashes of its prompts.

    Equal counts of tokens are kept once in `known`.
    """
    answers = [_without_texts(answer, keeps_prompts=keeps_prompts, known=known) for answer in trial.answers]
    judgements = [replace(judgement, text=None, reference=None) for judgement in trial.judgements]
    return Trial(
        key=trial.key,
        outcome=trial.outcome,
        reason=trial.reason,
        answers=tuple(answers),
        seconds=trial.seconds,
        raised_at=trial.raised_at,
        sampled=trial.sampled,
        judgements=tuple(judgements),
    )


def _without_texts(
    answer: AnswerRecord, *, keeps_prompts: bool, known: MutableMapping[Tokens, Tokens] | None
) -> AnswerRecord:
    # Spelled out, as `replace` takes twice as long, once for each trial.
    return AnswerRecord(
        text="",
        messages=text_digest(answer.messages) if keeps_prompts else (),
        tokens=answer.tokens if known is None else known.setdefault(answer.tokens, answer.tokens),
        seconds=answer.seconds,
        energy=answer.energy,
        cost_usd=answer.cost_usd,
        cached=answer.cached,
        finish_reason=answer.finish_reason,
        recorded=None if answer.recorded is None else sys.intern(answer.recorded),
        retries=answer.retries,
        margin=answer.margin,
        via=answer.via,
    )


class StoredTexts:
    """The trials of a results file that is being written, each found by its place in the file.

    Lines that a full disk has refused are read from `waiting`: the bytes that are to follow, and where those begin.
    """

    def __init__(
        self, path: Path, prompts: Mapping[bytes, Place], waiting: Callable[[], tuple[int, bytes | bytearray]]
    ) -> None:
        """Open the file beside its writer; raises OSError, also for what can be written only, such as a pipe.

        `prompts` tells where the line of each prompt is, by its `prompt_key`.
        """
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        self._waiting = waiting
        self._trials: dict[TrialKey, Place] = {}
        self._prompts = prompts
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            self.close()
            raise OSError(f"{path} is no file that can be read again")

    def add(self, key: TrialKey, place: Place) -> None:
        """Note where a trial's line is."""
        self._trials[key] = place

    def whole(self, trial: Trial) -> Trial:
        """The trial with its texts; one that is not in the file stays as it is. Raises OSError."""
        place = self._trials.get(trial.key)
        if place is None:
            return trial
        line = self._line(place)
        for answer in line["answers"]:
            answer["messages"] = self._messages(answer.get("prompt"))
        return Trial.from_dict(line)

    def _messages(self, name: str | None) -> list[Json]:
        place = None if name is None else self._prompts.get(prompt_key(bytes.fromhex(name)))
        return [] if place is None else self._line(place)["messages"]

    def _line(self, place: Place) -> dict[str, Json]:
        start, length = parts_of(place)
        first, waiting = self._waiting()
        if start >= first:
            raw = waiting[start - first : start - first + length]
        else:
            raw = _read(self._descriptor, start, min(length, first - start))
            raw += waiting[: length - len(raw)]
        line: dict[str, Json] = json.loads(raw)
        return line

    def close(self) -> None:
        """Read no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _read(descriptor: int, start: int, length: int) -> bytes:
    """So many bytes of a file; raises OSError where they are not there any more."""
    os.lseek(descriptor, start, os.SEEK_SET)
    parts, left = [], length
    while left:
        part = os.read(descriptor, left)
        if not part:
            raise OSError("the results file was cut off while the session ran")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
