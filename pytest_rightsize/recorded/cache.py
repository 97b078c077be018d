"""Recorded answers on disk, in one SQLite file: a Reply is found by everything that could have changed it.

The content of a rung and a whole Request go in, the Reply comes out with the date it was given. The file is in WAL
mode, safe for several processes, with JSON in its columns; it never holds a key or a header, and no model is asked.
"""

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_rightsize.bounded_files import file_sha256
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.output_paths import leads_elsewhere
from pytest_rightsize.recorded.cache_folder import connect, make_folder, saved_elsewhere
from pytest_rightsize.recorded.json_lines import lines_of, reply_of
from pytest_rightsize.recorded.keys import Recorded, as_json, key_of, plain_reply
from pytest_rightsize.recorded.unwritten import Unwritten, take_over
from pytest_rightsize.records import Identity, Json, Reply
from pytest_rightsize.strict_json import loads

__all__ = ["FILE_NAME", "AnswerCache"]

FILE_NAME = "answers.sqlite3"
_SCHEMA = 1
# A trial is not written down before the answers that it rests on; but a disk that hangs must not stop a session.
_FLUSH_S = 1.0
# The wait before the next try after a write that failed (a full disk).
_RETRY_S = 1.0
_FIND = "SELECT base, key, asker, reply, recorded FROM answers WHERE base = ? ORDER BY draw, recorded, key"
_TABLES = """
CREATE TABLE IF NOT EXISTS rungs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, content TEXT NOT NULL, greedy INTEGER NOT NULL, UNIQUE (name, content));
CREATE TABLE IF NOT EXISTS declared (
    name TEXT NOT NULL, declared TEXT NOT NULL, rung INTEGER NOT NULL, PRIMARY KEY (name, declared));
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, base TEXT NOT NULL, rung INTEGER NOT NULL, asker TEXT NOT NULL, draw INTEGER NOT NULL,
    request TEXT, reply TEXT NOT NULL, recorded TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS answers_by_base ON answers (base);
CREATE INDEX IF NOT EXISTS answers_by_rung ON answers (rung);
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, sha256 TEXT NOT NULL);
"""


_COLUMN_JSON = json.JSONEncoder(allow_nan=False, check_circular=False, default=as_json)


def _text(value: Json) -> str:
    """JSON for a column, with escapes: SQLite takes no lone surrogates."""
    return _COLUMN_JSON.encode(value)


def _reply_of(text: str, recorded: str) -> Reply:
    reply = reply_of(loads(text))
    energy = None if reply.energy is None else reply.energy.as_replayed()
    return replace(reply, energy=energy, replayed=True, recorded=recorded)


class AnswerCache:
    """The recorded answers in one folder; with `overwrite` a new answer replaces a recorded one.

    A thread writes the answers as soon as `keep` has them; until then `unwritten.py` holds them. What cannot be written
    is tried again, and saved to a file elsewhere by `close`; `on_trouble` is called with a message, from that thread.
    """

    def __init__(
        self,
        folder: Path,
        *,
        overwrite: bool = False,
        read_only: bool = False,
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Open or make the file; ConfigError if it is something else, OSError if it cannot be opened or made.

        With `read_only` nothing is made or written, and `keep` does nothing.
        """
        self.path = folder / FILE_NAME
        self._verb = "REPLACE" if overwrite else "IGNORE"
        self._read_only = read_only
        self._on_trouble = on_trouble
        self._lock = threading.Lock()
        self._rung_ids: dict[tuple[str, str], int] = {}
        self._latest: tuple[str, int, int] | None = None
        self._taken: set[str] = set()
        self._pending: list[Recorded] = []
        self._arrived = threading.Condition()
        self._kept = self._written = 0
        self._closing = False
        self._failing = False
        if (problem := leads_elsewhere(self.path)) is not None:
            raise OSError(f"{self.path}: {problem}")
        if not read_only:
            make_folder(folder)
        self._connection = self._open_connection()
        self._writer: threading.Thread | None = None
        self._unwritten: Unwritten | None = None
        if not read_only:
            with contextlib.suppress(sqlite3.Error):
                take_over(folder, lambda answers: self._write(answers, "IGNORE"))
        (self._newest_before,) = self._connection.execute("SELECT max(rowid) FROM answers").fetchone()

    def _open_connection(self) -> sqlite3.Connection:
        if not self._read_only:
            # Made here, so that nobody else can read it even for a moment; SQLite gives its other files the same mode.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
        # A folder that cannot be written has no place for the files of WAL mode.
        connection = connect(self.path, "?immutable=1" if self._read_only else "")
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _SCHEMA):
                raise ConfigError(
                    f"{self.path} has schema {version}; this version reads {_SCHEMA}: update pytest-rightsize, or name "
                    f"another folder in --rightsize-cache-dir"
                )
            if version == 0 and not self._read_only:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_SCHEMA}; COMMIT")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("SELECT 1 FROM answers LIMIT 1")
        except sqlite3.OperationalError as error:
            connection.close()
            raise OSError(f"{self.path}: {error}") from None
        except sqlite3.DatabaseError as error:
            connection.close()
            raise ConfigError(
                f"{self.path} is no cache of answers ({error}): remove it, or name another folder in "
                f"--rightsize-cache-dir"
            ) from None
        return connection

    # --- answers ----------------------------------------------------------------------------------------------------

    def find(self, base: str, *, asker: str, draw: int, is_needed: Callable[[str], bool]) -> Reply | None:
        """The answer that belongs to the asker, else one whose own asker is gone; None if there is neither.

        The latter belongs to this asker from now on. So renaming a test costs nothing, and an answer still counts for
        one case only; `is_needed` says whether a case may still ask. An answer that cannot be read counts as missing.
        """
        try:
            with self._lock:
                rows = self._connection.execute(_FIND, (base,)).fetchall()
                return self._choose(rows, asker, draw, is_needed) if rows else None
        except sqlite3.Error as error:
            self._report_trouble(f"recorded answers cannot be read from {self.path} ({error})")
        except (ValueError, TypeError, KeyError):
            pass
        return None

    def _choose(
        self, rows: Sequence[tuple[str, ...]], asker: str, draw: int, is_needed: Callable[[str], bool]
    ) -> Reply | None:
        key = key_of(rows[0][0], asker=asker, draw=draw)
        for _, stored, _, reply, date in rows:
            if stored == key:
                return _reply_of(reply, date)
        for _, stored, owner, reply, date in rows:
            is_free = asker and stored not in self._taken and not is_needed(json.loads(owner))
            if is_free and self._move(stored, key, asker, draw):
                self._taken.add(key)
                return _reply_of(reply, date)
        return None

    def _move(self, old: str, key: str, asker: str, draw: int) -> bool:
        """Give an answer to another asker; False if another process was faster. A read-only file stays as it is."""
        if self._read_only:
            self._taken.add(old)
            return True
        row = (key, _text(asker), draw, old)
        return (
            self._connection.execute("UPDATE answers SET key = ?, asker = ?, draw = ? WHERE key = ?", row).rowcount == 1
        )

    def keep(self, recorded: Recorded) -> None:
        """Queue the answer to be written soon; callable from any thread."""
        if self._read_only:
            return
        with self._arrived:
            self._pending.append(recorded)
            self._kept += 1
            if self._writer is None:
                self._unwritten = Unwritten.open(self.path.parent)
                self._writer = threading.Thread(target=self._write_always, name="rightsize cache", daemon=True)
                self._writer.start()
            if self._unwritten is not None:
                self._unwritten.add(recorded)
            if len(self._pending) == 1:  # else the thread has been notified
                self._arrived.notify_all()

    def flush(self) -> None:
        """Wait until what was kept so far is written, or cannot be; for a second at most."""
        with self._arrived:
            wanted = self._kept
            self._arrived.wait_for(lambda: self._written >= wanted or self._failing or self._closing, timeout=_FLUSH_S)

    def keep_all(self, recorded: Sequence[Recorded]) -> int:
        """Write these now and return how many were new; raises OSError if that fails."""
        with self._lock, self._as_os_error():
            return self._write(recorded)

    @contextlib.contextmanager
    def _as_os_error(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: {error}") from None

    def entries(self, *, rung: str | None = None, limit: int = -1) -> Iterator[Recorded]:
        """All answers, or those of the rungs of that name, newest first. May raise OSError."""
        query = """SELECT base, name, content, greedy, asker, draw, request, reply, recorded
                   FROM answers JOIN rungs ON rungs.id = answers.rung
                   WHERE ? IS NULL OR name = ? ORDER BY recorded DESC, key LIMIT ?"""
        with self._lock, self._as_os_error():
            rows = self._connection.execute(query, (rung, rung, limit)).fetchall()
        for base, name, content, greedy, asker, draw, request, reply, date in rows:
            yield Recorded(
                base=base,
                rung=name,
                identity=Identity(content=json.loads(content), greedy=bool(greedy)),
                asker=json.loads(asker),
                draw=draw,
                request=None if request is None else json.loads(request),
                reply=_reply_of(reply, date),
                recorded=date,
            )

    def has_answers(self, rung: str, *, until: str) -> bool:
        """Whether this has found an answer of a rung of that name, recorded up to a date. May raise OSError."""
        query = "SELECT 1 FROM answers WHERE rung IN (SELECT id FROM rungs WHERE name=?) AND recorded<=? AND rowid<=?"
        with self._lock, self._as_os_error():
            return self._connection.execute(query, (rung, until, self._newest_before)).fetchone() is not None

    def remove(self, *, rung: str | None = None, before: str | None = None) -> int:
        """Remove the answers of a rung, those recorded before a date, those that are both, or all; returns how many.

        May raise OSError.
        """
        with self._lock, self._as_os_error():
            deletion = self._connection.execute(
                """DELETE FROM answers WHERE (? IS NULL OR rung IN (SELECT id FROM rungs WHERE name = ?))
                   AND (? IS NULL OR recorded < ?)""",
                (rung, rung, before, before),
            )
            self._connection.execute("DELETE FROM declared WHERE rung NOT IN (SELECT rung FROM answers)")
            self._connection.execute("DELETE FROM rungs WHERE id NOT IN (SELECT rung FROM answers)")
            self._connection.execute("VACUUM")
            self._rung_ids.clear()
        return deletion.rowcount

    # --- rungs and files --------------------------------------------------------------------------------------------

    def declare(self, name: str, declared: Mapping[str, Json], identity: Identity) -> None:
        """Store the identity found for what the ladder file declares, for machines that lack the rung's model.

        Raises OSError if it cannot be written.
        """
        with self._lock, self._as_os_error(), self._transaction():
            row = (name, _text(declared), self._rung_id(name, identity))
            self._connection.execute("INSERT OR REPLACE INTO declared VALUES (?, ?, ?)", row)

    def declarations(self) -> Iterator[tuple[str, Mapping[str, Json], Identity]]:
        """All that `declare` stored, sorted by name. May raise OSError."""
        query = """SELECT declared.name, declared, content, greedy FROM declared JOIN rungs ON rungs.id = declared.rung
                   ORDER BY declared.name, declared"""
        with self._lock, self._as_os_error():
            rows = self._connection.execute(query).fetchall()
        for name, declared, content, greedy in rows:
            yield name, json.loads(declared), Identity(content=json.loads(content), greedy=bool(greedy))

    def sha256(self, path: Path) -> str:
        """The SHA-256 of a file, computed again only if its size or modification time changed. May raise OSError."""
        status = path.stat()
        version = (str(path.resolve()), status.st_size, status.st_mtime_ns)
        query = "SELECT sha256 FROM files WHERE path = ? AND size = ? AND mtime_ns = ?"
        with self._lock, contextlib.suppress(sqlite3.Error):
            if (row := self._connection.execute(query, version).fetchone()) is not None:
                return str(row[0])
        digest = file_sha256(path)
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (*version, digest))
        return digest

    def _rung_id(self, name: str, identity: Identity) -> int:
        if self._latest is not None and self._latest[:2] == (name, id(identity)):
            return self._latest[2]
        content = _text(dict(identity.content))
        if (name, content) not in self._rung_ids:
            self._connection.execute(
                "INSERT OR IGNORE INTO rungs (name, content, greedy) VALUES (?, ?, ?)", (name, content, identity.greedy)
            )
            query = "SELECT id FROM rungs WHERE name = ? AND content = ?"
            (self._rung_ids[name, content],) = self._connection.execute(query, (name, content)).fetchone()
        # `keep` holds the identity, so no other object gets its id while a batch is written.
        self._latest = (name, id(identity), self._rung_ids[name, content])
        return self._rung_ids[name, content]

    # --- writing ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # A full disk has ended the transaction already, and the rungs it added are gone.
            self._rung_ids.clear()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _write(self, batch: Sequence[Recorded], verb: str | None = None) -> int:
        self._latest = None
        with self._transaction():
            rows = [row for recorded in batch if (row := self._row(recorded)) is not None]
            before = self._connection.total_changes
            self._connection.executemany(
                f"INSERT OR {verb or self._verb} INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
            )
        return self._connection.total_changes - before

    def _row(self, recorded: Recorded) -> tuple[Json, ...] | None:
        """The columns of an answer; None for one that is not JSON (it holds a NaN), which is not recorded."""
        try:
            request = None if recorded.request is None else _text(recorded.request)
            reply, asker = _text(plain_reply(recorded.reply)), _text(recorded.asker)
        except (ValueError, TypeError, RecursionError):
            return None
        rung = self._rung_id(recorded.rung, recorded.identity)
        return recorded.key, recorded.base, rung, asker, recorded.draw, request, reply, recorded.recorded

    def _write_always(self) -> None:
        """The thread's work: write waiting answers, a batch at a time, until `close`."""
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: self._pending or self._closing)
                if self._closing:
                    return
            if not self._write_pending():
                with self._arrived:
                    self._arrived.wait_for(lambda: self._closing, timeout=_RETRY_S)

    def _write_pending(self) -> bool:
        """Write the waiting answers; False if they still wait."""
        with self._arrived:
            batch = list(self._pending)
        try:
            with self._lock:
                self._write(batch)
        except sqlite3.Error as error:
            self._report_trouble(
                f"recorded answers cannot be written to {self.path} ({error}): they are kept in memory, and writing is "
                f"tried again; make room there"
            )
            return False
        self._failing = False
        with self._arrived:
            del self._pending[: len(batch)]
            self._written += len(batch)
            if self._unwritten is not None and not self._pending:
                self._unwritten.clear()
            self._arrived.notify_all()
        return True

    def _report_trouble(self, message: str) -> None:
        """Report it once, until a write succeeds again."""
        if not self._failing:
            self._failing = True
            self._on_trouble(message)

    def close(self) -> None:
        """Write the waiting answers, in another file if need be, and close the file."""
        with self._arrived:
            self._closing = True
            self._arrived.notify_all()
        if self._writer is not None:
            self._writer.join()
        if self._pending and not self._write_pending():
            self._save_elsewhere()
        if self._unwritten is not None:
            self._unwritten.close()
        with self._lock:
            self._connection.close()

    def _save_elsewhere(self) -> None:
        try:
            place = saved_elsewhere(lines_of(self._pending, ()))
        except OSError as error:
            self._on_trouble(f"{len(self._pending)} answers could be written nowhere ({error}), and are lost")
            return
        self._on_trouble(
            f"{len(self._pending)} answers could not be written to {self.path}; they are in {place}: make room, "
            f"then run `rightsize cache import {place} --dir {self.path.parent}`"
        )
        self._pending.clear()
