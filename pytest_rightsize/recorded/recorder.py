"""Between the engine and a rung: a recorded answer is handed back, any other is asked for and recorded as it arrives.

The mode decides: `auto` looks up and records, `refresh` only records, `replay` only looks up. Errors, refusals by a
content filter and what an interrupt cut off are never recorded.
"""

import contextlib
import difflib
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers import Provider
from pytest_rightsize.recorded.cache import FILE_NAME, AnswerCache, now
from pytest_rightsize.recorded.keys import Recorded, base_of, file_sha256, plain_request, rung_digest
from pytest_rightsize.records import CacheMode, Identity, Json, Reply, Request, Rung

__all__ = ["Recorder"]

__tracebackhide__ = True  # a traceback ends where the test asks

# Words for an end that says nothing lasting about the answer; some servers call an interrupt an abort.
_NOT_KEPT = frozenset({"abort", "aborted", "cancelled", "canceled", "content_filter", "error"})
# Which recorded prompt is nearest is looked for among so many, the newest.
_MOST_COMPARED = 2000
_MOST_DIFFERENCES = 30
# The first so many questions without an answer are told with the nearest; it takes milliseconds for each.
_MOST_TOLD = 50


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where an answer is kept: what was asked of which rung, by whom, for which time."""

    rung: str
    identity: Identity
    base: str
    asked: Mapping[str, Json]
    asker: str
    draw: int


class Recorder:
    """The recorded answers of a session; `folder` is opened with the first answer that can be recorded.

    `rungs` are the rungs by name, as the ladder file declares them. `withheld` may name `prompts`, which are then left
    out of the file, and `answers`, and then nothing is recorded. `on_trouble` hears, from any thread, of what ends
    nothing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        mode: CacheMode,
        rungs: Mapping[str, Rung],
        withheld: Collection[str] = (),
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Open nothing yet."""
        self._folder = folder
        self._mode = mode
        self._rungs = rungs
        self._withheld = frozenset(withheld)
        self._on_trouble = on_trouble
        self._cache: AnswerCache | None = None
        self._failed = False
        self._fingerprints: dict[str, Identity | None] = {}
        self._digests: dict[str, str] = {}
        self._lock = threading.Lock()
        self._compared: dict[str, list[tuple[str, Recorded]]] = {}
        self._told = 0
        self._times: Counter[tuple[str, str]] = Counter()
        self._cases: set[str] = set()

    def fingerprints(self) -> dict[str, Json]:
        """What is known of each rung that was asked, by its content: hashes of files, an endpoint's model."""
        return {rung: dict(found.content) for rung, found in [*self._fingerprints.items()] if found is not None}

    def open(self) -> None:
        """Open the folder now; raises ConfigError if that cannot be."""
        if self._mode == "replay" and not (self._folder / FILE_NAME).is_file():
            raise ConfigError(
                f"--rightsize-cache=replay finds no recorded answers in {self._folder}: record them with "
                f"--rightsize-cache=auto, or bring them in with `rightsize cache import FILE --dir {self._folder}`"
            )
        try:
            self._cache = AnswerCache(self._folder, overwrite=self._mode == "refresh", on_trouble=self._on_trouble)
        except OSError as error:
            self._cache = self._read_only(error)
        else:
            self._tell_of_the_dead()

    def _tell_of_the_dead(self) -> None:
        """Say whom a session was asking that ended without a word, as by a crash of a model's native library."""
        for mark in self._folder.glob("asking-*"):
            with contextlib.suppress(OSError, ValueError):
                if not _is_alive(int(mark.name.removeprefix("asking-"))):
                    rungs = ", ".join(mark.read_text(encoding="utf-8").split("\n")[:-1])
                    mark.unlink()
                    self._on_trouble(
                        f"an earlier process died while it asked {rungs}; what it was answered is recorded, and this "
                        f"session goes on from there. If a model's library crashed, add -n 1 (pytest-xdist): a crash "
                        f"then costs a trial and not the session"
                    )

    def _mark(self, rung: str) -> None:
        """Leave a mark for as long as this process lives, of the rungs it asks."""
        mark = self._folder / f"asking-{os.getpid()}"
        with contextlib.suppress(OSError), mark.open("a", encoding="utf-8") as file:
            file.write(f"{rung}\n")

    def _read_only(self, error: OSError) -> AnswerCache:
        """The same file where it can only be read; that is enough to look up."""
        if self._mode != "refresh" and (self._folder / FILE_NAME).is_file():
            try:
                cache = AnswerCache(self._folder, read_only=True, on_trouble=self._on_trouble)
            except OSError:
                pass
            else:
                if self._mode != "replay":
                    self._on_trouble(f"recorded answers can be read and not written ({error}): new ones are not kept")
                return cache
        raise ConfigError(
            f"answers cannot be recorded in {self._folder} ({error}): make it writable, or give another folder in "
            f"--rightsize-cache-dir, or --rightsize-cache=off"
        ) from None

    def expect(self, cases: Iterable[str]) -> None:
        """Name the cases of this session: their answers are not given to others."""
        self._cases.update(cases)

    def submit(
        self,
        rung: str,
        provider: Provider,
        request: Request,
        *,
        case: str,
        test: str,
        send: Callable[[], Future[Reply]],
    ) -> Future[Reply]:
        """The recorded answer, else what `send` brings; raises RungError where neither may be.

        `case` is who asks on each rung and for each sample, `test` its name on this one. A request that a case asks
        twice, or that two cases ask, has an answer for each: each time is another draw.
        """
        identity = self._identity(rung, provider)
        if identity is not None and identity.is_recording:
            return send()
        place = None if identity is None else self._place(rung, identity, request, case)
        if place is None:
            if self._mode == "replay":
                raise RungError(
                    f"{test}: answers of the rung {rung!r} to this request cannot be recorded, and so not replayed",
                    reason="unrecorded",
                )
            return send()
        reply = None if self._mode == "refresh" else self._found(place)
        if reply is not None:
            done: Future[Reply] = Future()
            done.set_result(reply)
            return done
        if self._mode == "replay":
            raise RungError(self._missing(place, test), reason="unrecorded")
        future = send()
        future.add_done_callback(lambda ended: self._arrived(ended, place))
        return future

    def close(self) -> None:
        """Write what is not yet written."""
        cache, self._cache = self._cache, None
        if cache is not None:
            cache.close()
            with contextlib.suppress(OSError):
                (self._folder / f"asking-{os.getpid()}").unlink()

    # --- what a rung is ---------------------------------------------------------------------------------------------

    def _identity(self, rung: str, provider: Provider) -> Identity | None:
        """What the rung is; in a replay on a machine without its model, what it was when the answers were recorded."""
        if rung not in self._fingerprints:
            identity = self._found_identity(rung, provider)
            self._fingerprints[rung] = identity
            if identity is not None and not identity.is_recording:
                self._digests[rung] = rung_digest(rung, identity)
                if self._mode != "replay" and (cache := self._opened()) is not None:
                    with contextlib.suppress(OSError):  # where the disk is full, answers will say so
                        cache.declare(rung, _declared(self._rungs[rung]), identity)
                    self._mark(rung)
        return self._fingerprints[rung]

    def _found_identity(self, rung: str, provider: Provider) -> Identity | None:
        if not hasattr(provider, "identity"):
            # A provider of someone's own need not have one; what it says is then not recorded.
            return None
        try:
            return provider.identity(self._sha256)
        except RungError:
            if self._mode != "replay":
                raise
        declared = _declared(self._rungs[rung])
        cache = self._opened()
        with contextlib.suppress(OSError):
            for name, words, identity in cache.declarations() if cache is not None else ():
                if name == rung and words == declared:
                    return identity
        return Identity(content=declared)

    def _sha256(self, path: Path) -> str:
        cache = self._opened()
        return file_sha256(path) if cache is None else cache.sha256(path)

    def _opened(self) -> AnswerCache | None:
        """The cache, or None where it cannot be had; that is told once, and ends nothing but recording."""
        if self._cache is None and not self._failed:
            try:
                self.open()
            except ConfigError as error:
                self._failed = True
                self._on_trouble(str(error))
        return self._cache

    # --- one answer -------------------------------------------------------------------------------------------------

    def _place(self, rung: str, identity: Identity, request: Request, case: str) -> _Place | None:
        """Where the answer is kept; None for a request that is not JSON."""
        asked = plain_request(request, greedy=identity.greedy)
        try:
            base = base_of(self._digests[rung], asked)
        except ValueError:
            return None
        if identity.greedy and not request.temperature:
            return _Place(rung=rung, identity=identity, base=base, asked=asked, asker="", draw=0)
        with self._lock:
            draw = self._times[base, case]
            self._times[base, case] += 1
        return _Place(rung=rung, identity=identity, base=base, asked=asked, asker=case, draw=draw)

    def _found(self, place: _Place) -> Reply | None:
        cache = self._opened()
        if cache is None:
            return None
        return cache.find(place.base, asker=place.asker, draw=place.draw, is_needed=self._cases.__contains__)

    def _arrived(self, ended: Future[Reply], place: _Place) -> None:
        """Keep what has come, in the thread that brought it."""
        if ended.cancelled() or ended.exception() is not None or "answers" in self._withheld:
            return
        reply, cache = ended.result(), self._cache
        if reply.finish_reason in _NOT_KEPT or cache is None:
            return
        cache.keep(
            Recorded(
                base=place.base,
                rung=place.rung,
                identity=place.identity,
                asker=place.asker,
                draw=place.draw,
                request=None if "prompts" in self._withheld else place.asked,
                reply=reply,
                recorded=now(),
            )
        )

    # --- what is missing --------------------------------------------------------------------------------------------

    def _missing(self, place: _Place, test: str) -> str:
        """Name the test and the nearest recorded request, and how the two differ."""
        opening = f"{test}: no recorded answer of the rung {place.rung!r} in {self._folder}"
        remedy = "Record it with --rightsize-cache=auto, where the model is."
        self._told += 1
        known = self._comparable(place.rung)
        if not known:
            return f"{opening}, which has none of that rung whose prompt is known. {remedy}"
        if self._told > _MOST_TOLD:
            return f"{opening}. {remedy}"
        lines = list(_differences(_nearest(known, place.asked), place))
        if len(lines) > _MOST_DIFFERENCES:
            lines = [*lines[:_MOST_DIFFERENCES], "..."]
        return "\n".join([f"{opening}. The nearest recorded one differs:", *lines, remedy])

    def _comparable(self, rung: str) -> list[tuple[str, Recorded]]:
        """The newest recorded answers of the rung whose prompts are known, each with its conversation as text."""
        if rung not in self._compared:
            cache = self._opened()
            self._compared[rung] = []
            with contextlib.suppress(OSError):
                for one in () if cache is None else cache.entries(rung=rung, limit=_MOST_COMPARED):
                    if one.request is not None:
                        self._compared[rung].append((_words(one.request), one))
        return self._compared[rung]


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere that signal ends the process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _declared(rung: Rung) -> dict[str, Json]:
    """The ladder file's words for a rung, as far as they say who answers; no header, as one might hold a secret."""
    options = {name: value for name, value in rung.options.items() if name not in ("download", "headers")}
    return {"provider": rung.provider, "model": rung.model, "options": options}


def _nearest(known: Sequence[tuple[str, Recorded]], asked: Mapping[str, Json]) -> Recorded:
    from rapidfuzz import fuzz, process

    _, _, place = process.extractOne(_words(asked), [text for text, _ in known], scorer=fuzz.ratio)
    return known[place][1]


def _words(request: Mapping[str, Json]) -> str:
    """A conversation as text, a message a line or more."""
    messages: Sequence[Mapping[str, Json]] = request.get("messages", ())
    said = ((message.get("role"), message.get("content")) for message in messages)
    return "\n".join(f"{role}: {text if isinstance(text, str) else json.dumps(text)}" for role, text in said)


def _differences(near: Recorded, place: _Place) -> Iterator[str]:
    before, after = _words(near.request or {}), _words(place.asked)
    if before != after:
        diff = difflib.unified_diff(before.splitlines(), after.splitlines(), "recorded", "asked", lineterm="", n=1)
        yield from (f"    {line}" for line in diff)
    for name, value in (near.request or {}).items():
        now_asked = json.dumps(place.asked.get(name))
        if name != "messages" and json.dumps(value) != now_asked:
            yield f"    {name}: recorded with {json.dumps(value)}, asked with {now_asked}"
    if near.base == place.base:
        yield f"    it is the answer to {near.asker or 'any test'}, for the time {near.draw + 1}"
    if rung_digest(near.rung, near.identity) != rung_digest(place.rung, place.identity):
        was, is_now = near.identity.content, place.identity.content
        for name in dict.fromkeys([*was, *is_now]):
            if was.get(name) != is_now.get(name):
                yield f"    the rung's {name}: was {json.dumps(was.get(name))}, is {json.dumps(is_now.get(name))}"
