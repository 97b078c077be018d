"""Stands between the engine and a rung: returns a recorded answer, or asks for one and records it when it arrives.

The mode decides: `auto` looks up and records, `refresh` only records, `replay` only looks up. Errors, refusals by a
content filter and answers that were interrupted are never recorded.
"""

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path

from pytest_rightsize import clocks
from pytest_rightsize.bounded_files import file_sha256
from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers import Provider
from pytest_rightsize.providers.broken_providers import identified
from pytest_rightsize.providers.placement import opens_to_identify
from pytest_rightsize.recorded.cache import FILE_NAME, AnswerCache
from pytest_rightsize.recorded.keys import Recorded, base_of, plain_request, rung_digest
from pytest_rightsize.recorded.nearest import Place, conversation_text, differences, nearest
from pytest_rightsize.records import CacheMode, Identity, Json, Reply, Request, Rung

__all__ = ["Recorder"]

__tracebackhide__ = True  # a traceback ends where the test asks

# Finish reasons of answers that were interrupted or refused; some servers call an interrupt an abort.
_NOT_KEPT = frozenset({"abort", "aborted", "cancelled", "canceled", "content_filter", "error"})
# The nearest recorded prompt is searched for among this many, the newest.
_MOST_COMPARED = 2000
_MOST_DIFFERENCES = 30
# Only this many requests without an answer are compared with the nearest; each takes milliseconds.
_MOST_EXPLAINED = 50


class Recorder:
    """The recorded answers of a session; `folder` is opened with the first answer that can be recorded.

    `rungs` are the rungs by name, as the ladder file declares them. `withheld` may name `prompts`, which are then left
    out of the file, and `answers`, and then nothing is recorded. `on_trouble` is called with a message, from any
    thread, for trouble that does not end the session.
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
        # A test may ask from several threads; what records an answer that has come takes no lock.
        self._lock = threading.RLock()
        self._comparable_by_rung: dict[str, list[tuple[str, Recorded]]] = {}
        self._unrecorded_count = 0
        self._draws: Counter[tuple[str, str]] = Counter()
        self._cases: set[str] = set()
        self._started = _now()
        self._noted: set[str] = set()
        self._may_have: dict[str, bool] = {}

    def fingerprints(self) -> dict[str, Json]:
        """The content of each rung that was asked and is identified: hashes of files, an endpoint's model."""
        return {
            rung: dict(identity.content) for rung, identity in [*self._fingerprints.items()] if identity is not None
        }

    def open(self) -> None:
        """Open the folder now; raises ConfigError if that fails."""
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
            self._report_killed_sessions()

    def _report_killed_sessions(self) -> None:
        """Report which rungs an earlier, killed session was asking, as after a crash of a model's native library."""
        for note in self._folder.glob("asking-*"):
            with contextlib.suppress(OSError, ValueError):
                if not _is_alive(int(note.name.removeprefix("asking-"))):
                    rungs = ", ".join(note.read_text(encoding="utf-8").split("\n")[:-1])
                    note.unlink()
                    self._on_trouble(
                        f"an earlier process died while it asked {rungs}; what it was answered is recorded, and this "
                        f"session goes on from there. If a model's library crashed, add --rightsize-hosts=shared, or "
                        f"for other providers than llama_cpp and onnx -n 1 (pytest-xdist): a crash then does not end "
                        f"the session"
                    )

    def _note_asking(self, rung: str) -> None:
        """Note on disk, while this process lives, that it asks the rung."""
        note = self._folder / f"asking-{os.getpid()}"
        with contextlib.suppress(OSError), open(note, "a", encoding="utf-8", opener=_no_link) as file:
            file.write(f"{rung}\n")

    def _read_only(self, error: OSError) -> AnswerCache:
        """Open the file for reading only, which is enough to look answers up."""
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
        """Name the cases of this session, whose answers are not given to others."""
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
        via: str = "",
    ) -> Future[Reply]:
        """Return the recorded answer, else that of `send`; raises RungError where neither is allowed.

        `case` is the name of the asking case, the same on each rung and for each sample; `test` is its name on this
        one. A request that a case asks twice, or that two cases ask, has an answer for each: each time is another draw.
        A cascade that asks in its place is named in `via`, and shares the answers of the case itself.
        """
        identity = self._identity(rung, provider)
        if identity is not None and identity.is_recording:
            return send()
        place = None if identity is None else self._place(rung, identity, request, case, via=via)
        if place is None:
            if self._mode == "replay":
                raise RungError(
                    f"{test}: answers of the rung {rung!r} to this request cannot be recorded, and so not replayed",
                    reason="unrecorded",
                )
            return send()
        reply = None if self._mode == "refresh" else self._look_up(place)
        if reply is not None:
            done: Future[Reply] = Future()
            done.set_result(reply)
            return done
        if self._mode == "replay":
            raise RungError(self._unrecorded_message(place, test), reason="unrecorded")
        future = send()
        future.add_done_callback(lambda answered: self._record(answered, place))
        return future

    def may_have(self, rung: str, provider: Provider) -> bool:
        """Whether the rung had recorded answers when the session began; found out without its model."""
        with self._lock:
            if self._is_closed_and_unknown(rung, provider):
                return False
            if rung not in self._may_have:
                try:
                    self._may_have[rung] = self._has_older_answers(rung) and self._is_recordable(rung, provider)
                except (OSError, RungError):
                    self._may_have[rung] = False
            return self._may_have[rung]

    def _has_older_answers(self, rung: str) -> bool:
        if self._mode == "refresh" or not (self._folder / FILE_NAME).is_file():
            return False
        cache = self._open_cache()
        return cache is not None and cache.has_answers(rung, until=self._started)

    def _is_closed_and_unknown(self, rung: str, provider: Provider) -> bool:
        """Whether its fingerprint could be had only by opening it, which is done for a request and for nothing else."""
        return rung not in self._fingerprints and self._mode != "replay" and opens_to_identify(provider)

    def _is_recordable(self, rung: str, provider: Provider) -> bool:
        if self._is_closed_and_unknown(rung, provider):
            return False
        identity = self._identity(rung, provider, asks=False)
        return identity is not None and not identity.is_recording

    def recorded(
        self, rung: str, provider: Provider, request: Request, *, case: str, draw: int | None = None, via: str = ""
    ) -> Reply | None:
        """The recorded answer to a request that must not be sent, that `draw` or else the next; None without one."""
        if not (self.may_have if draw is None else self._is_recordable)(rung, provider):
            return None
        identity = self._identity(rung, provider, asks=False)
        place = None if identity is None else self._place(rung, identity, request, case, draw, via)
        return None if place is None else self._look_up(place)

    def flush(self) -> None:
        """Wait until what was answered so far is on disk, for a second at most."""
        if (cache := self._cache) is not None:
            cache.flush()

    def close(self) -> None:
        """Write what is still unwritten."""
        cache, self._cache = self._cache, None
        if cache is not None:
            cache.close()
            with contextlib.suppress(OSError):
                (self._folder / f"asking-{os.getpid()}").unlink()

    # --- identities of rungs ------------------------------------------------------------------------------------------

    def _identity(self, rung: str, provider: Provider, *, asks: bool = True) -> Identity | None:
        """The rung's identity; in a replay without its model, the one it had when its answers were recorded.

        `asks` says that the rung may be asked next.
        """
        with self._lock:
            if rung not in self._fingerprints:
                identity = self._current_identity(rung, provider)
                self._fingerprints[rung] = identity
                if identity is not None and not identity.is_recording:
                    self._digests[rung] = rung_digest(rung, identity)
                    if self._mode != "replay" and (cache := self._open_cache()) is not None:
                        with contextlib.suppress(OSError):  # a full disk is reported with the first answer
                            cache.declare(rung, _declaration(self._rungs[rung]), identity)
            if asks and rung in self._digests and rung not in self._noted:
                self._noted.add(rung)
                if self._mode != "replay" and self._open_cache() is not None:
                    self._note_asking(rung)
            return self._fingerprints[rung]

    def _current_identity(self, rung: str, provider: Provider) -> Identity | None:
        if not hasattr(provider, "identity"):
            # A provider of a third party need not have one; its answers are then not recorded.
            return None
        if self._mode != "replay":
            return identified(provider, rung, self._sha256)
        with contextlib.suppress(RungError):
            if not opens_to_identify(provider):
                return identified(provider, rung, self._sha256)
        declared = _declaration(self._rungs[rung])
        cache = self._open_cache()
        with contextlib.suppress(OSError):
            for name, declaration, identity in cache.declarations() if cache is not None else ():
                if name == rung and declaration == declared:
                    return identity
        return Identity(content=declared)

    def _sha256(self, path: Path) -> str:
        cache = self._open_cache()
        return file_sha256(path) if cache is None else cache.sha256(path)

    def _open_cache(self) -> AnswerCache | None:
        """The cache, or None where it cannot be opened; that is reported once, and ends only the recording."""
        with self._lock:
            if self._cache is None and not self._failed:
                try:
                    self.open()
                except ConfigError as error:
                    self._failed = True
                    self._on_trouble(str(error))
            return self._cache

    # --- one answer -------------------------------------------------------------------------------------------------

    @property
    def only_replays(self) -> bool:
        """Whether nothing is asked beside what was recorded."""
        return self._mode == "replay"

    def _place(
        self, rung: str, who: Identity, request: Request, case: str, draw: int | None = None, via: str = ""
    ) -> Place | None:
        """The place of the answer; None for a request that is not JSON."""
        plain = plain_request(request, greedy=who.greedy)
        try:
            base = base_of(self._digests[rung], plain)
        except ValueError:
            return None
        if who.greedy and not request.temperature:
            return Place(rung=rung, identity=who, base=base, request=plain, asker="", draw=0)
        with self._lock:
            asker = f"{case}\0{via}" if via else case
            next_draw = self._draws[base, asker]
            self._draws[base, asker] += draw is None
        draw = next_draw if draw is None else draw
        return Place(rung=rung, identity=who, base=base, request=plain, asker=case, draw=draw)

    def _look_up(self, place: Place) -> Reply | None:
        cache = self._open_cache()
        if cache is None:
            return None
        return cache.find(
            place.base,
            asker=place.asker,
            draw=place.draw,
            # Who has asked the same in this session needs its answer, which may have been recorded a moment ago.
            is_needed=lambda case: case in self._cases or (place.base, case) in self._draws,
        )

    def _record(self, future: Future[Reply], place: Place) -> None:
        """Record the answer, in the thread that brought it."""
        if future.cancelled() or future.exception() is not None or "answers" in self._withheld:
            return
        reply, cache = future.result(), self._cache
        if reply.finish_reason in _NOT_KEPT or cache is None:
            return
        cache.keep(
            Recorded(
                base=place.base,
                rung=place.rung,
                identity=place.identity,
                asker=place.asker,
                draw=place.draw,
                request=None if "prompts" in self._withheld else place.request,
                reply=reply,
                recorded=_now(),
            )
        )

    # --- requests without an answer -----------------------------------------------------------------------------------

    def _unrecorded_message(self, place: Place, test: str) -> str:
        """Name the test and the nearest recorded request, and how the two differ."""
        problem = f"{test}: no recorded answer of the rung {place.rung!r} in {self._folder}"
        remedy = "Record it with --rightsize-cache=auto, where the model is."
        self._unrecorded_count += 1
        candidates = self._comparable(place.rung)
        if not candidates:
            return f"{problem}, which has none of that rung whose prompt is known. {remedy}"
        if self._unrecorded_count > _MOST_EXPLAINED:
            return f"{problem}. {remedy}"
        lines = list(differences(nearest(candidates, place.request), place))
        if len(lines) > _MOST_DIFFERENCES:
            lines = [*lines[:_MOST_DIFFERENCES], "..."]
        return "\n".join([f"{problem}. The nearest recorded one differs:", *lines, remedy])

    def _comparable(self, rung: str) -> list[tuple[str, Recorded]]:
        """The newest recorded answers of the rung whose prompts are known, each with its conversation as text."""
        with self._lock:
            if rung not in self._comparable_by_rung:
                cache = self._open_cache()
                self._comparable_by_rung[rung] = []
                with contextlib.suppress(OSError):
                    for answer in () if cache is None else cache.entries(rung=rung, limit=_MOST_COMPARED):
                        if answer.request is not None:
                            self._comparable_by_rung[rung].append((conversation_text(answer.request), answer))
            return self._comparable_by_rung[rung]


def _now() -> str:
    """The present date and time in ISO 8601, for an answer that has just arrived."""
    return clocks.now().isoformat(timespec="seconds")


def _no_link(path: str, flags: int) -> int:
    """An opener for a file in a folder that somebody else may have written."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere signal 0 ends the process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


# Options that do not say who answers; a header might hold a secret.
_NOT_WHO = (
    *("download", "download_timeout_s", "headers"),
    *("address", "place_timeout_s", "replicas", "resources", "restarts", "runtime_env"),
)


def _declaration(rung: Rung) -> dict[str, Json]:
    """The keys of the ladder file that say who answers."""
    options = {name: value for name, value in rung.options.items() if name not in _NOT_WHO}
    return {"provider": rung.provider, "model": rung.model, "options": options}
