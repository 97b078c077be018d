"""A rung that is a program: `command = ["program", "argument"]`, one process for each answer, or one that stays.

In goes the prompt, on standard input or in place of `{prompt}` among the arguments, and the sound of a message as a
file in place of `{audio}`; out comes what the program writes on standard output. An exit status other than 0, a time
limit and a program that ends too early are faults of the rung and no wrong answer.
"""

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, ClassVar

import pluggy

from pytest_rightsize import clocks
from pytest_rightsize.content_parts import Sound, sound_in, texts_of
from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.providers.kept_program import kill_group
from pytest_rightsize.providers.specialists import Threads, program_file, prompt_text, reply_of
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung
from pytest_rightsize.strict_json import loads

__all__ = ["Program"]

hookimpl = pluggy.HookimplMarker("pytest")

_TIMEOUT_S = 120.0
_PLACE, _SOUND = "{prompt}", "{audio}"
# Of what a program writes on standard error, so much of the end is shown.
_SHOWN = 300
_LARGEST = 32 * 1024**2
_ENDING_S = 2.0


class Program:
    """Runs `command` for each request. With `protocol = "lines"` it is started once and stays.

    It then reads a line of JSON for each request, `{"prompt": .., "messages": ..}`, and writes one: `{"text": ..}`, or
    `{"error": ..}` where it has no answer for a reason of its own. `audio = true` says that it takes the sound in
    messages; a program that is started for each request shows that by `{audio}` in its command. `max_in_flight` (1)
    processes run side by side. `version` is part of what answers are recorded under, beside the content of the
    program's file.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "command": list,
        "protocol": str,
        "audio": bool,
        "timeout_s": (int, float),
        "version": str,
        "leaves_machine": bool,
    }
    required: ClassVar[tuple[str, ...]] = ("command",)
    takes_images = False

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError if the command is none, or its way to take a prompt is not clear."""
        where = f"rung {rung.name!r}"
        command = rung.options["command"]
        if not command or not all(isinstance(word, str) and word and "\0" not in word for word in command):
            raise ConfigError(f'{where}: command = {command!r} cannot be: give a list, as in ["./classify", "--fast"]')
        self._protocol = rung.options.get("protocol", "once")
        if self._protocol not in ("once", "lines"):
            raise ConfigError(f'{where}: protocol = {self._protocol!r} cannot be: write "once" or "lines"')
        self._takes_argument = any(_PLACE in word for word in command)
        self._takes_file = any(_SOUND in word for word in command)
        if self._protocol == "lines" and (self._takes_argument or self._takes_file):
            place = _PLACE if self._takes_argument else _SOUND
            raise ConfigError(f"{where}: a program that stays reads its prompts: take {place} out of command")
        if self._protocol == "once" and "audio" in rung.options:
            raise ConfigError(f'{where}: audio is for protocol = "lines": write {_SOUND} in command instead')
        self._rung = rung
        self._command: Sequence[str] = command
        self._timeout_s = float(rung.options.get("timeout_s", _TIMEOUT_S))
        self._threads = Threads(rung)
        self.in_flight = self._threads.count
        self.site = "remote" if self.leaves_machine else "machine"
        self._lock = threading.Lock()
        self._stay = threading.local()
        self._staying: set[_Staying] = set()
        self._running: set[subprocess.Popen[bytes]] = set()

    @property
    def leaves_machine(self) -> bool:
        """Whether the ladder file says that the program asks another machine."""
        return bool(self._rung.options.get("leaves_machine", False))

    def check(self) -> Problem | None:
        """Look for the program; it is not started."""
        if self._file() is not None:
            return None
        return Problem(
            what=f"the program {self._command[0]} is not there, or may not be run",
            remedy=f"install it, or correct command of {self._rung.name} in the ladder file",
        )

    def identity(self, sha256: Callable[[Path], str]) -> Identity:
        """Identify the program by its file's content, its arguments, and the content of those that are files."""
        program = self._file()
        beside = [Path(self._rung.base_dir) / word for word in self._command[1:]]
        content: Json = {
            "command": [Path(self._command[0]).name, *self._command[1:]],
            "program": None if program is None else sha256(program),
            "files": [sha256(path) for path in beside if path.is_file()],
            "version": self._rung.options.get("version"),
        }
        return Identity(content=content)

    def submit(self, request: Request) -> Future[Reply]:
        """Run the program in a thread."""
        return self._threads.submit(self._answer, request)

    def close(self) -> None:
        """End the program, wherever it runs."""
        with self._lock:
            running, staying = [*self._running], [*self._staying]
            self._stay = threading.local()
            self._staying.clear()
        for process in running:
            kill_group(process)
        for one in staying:
            one.end()
        self._threads.close()

    def _file(self) -> Path | None:
        return program_file(self._rung, self._command[0])

    def _words(self, prompt: str, sound_file: str = "") -> list[str]:
        program = self._file()
        if program is None:
            raise RungError(f"the program {self._command[0]} is gone", reason="missing", permanent=True)
        return [str(program), *(word.replace(_SOUND, sound_file).replace(_PLACE, prompt) for word in self._command[1:])]

    def _answer(self, request: Request) -> Reply:
        name = self._rung.name
        if not self._takes_file and not self._rung.options.get("audio", False):
            prompt = prompt_text(request, rung=name)
        else:
            prompt, _ = texts_of(request)
        begun = clocks.perf_counter()
        if self._protocol == "lines":
            text = self._line(prompt, request)
        elif self._takes_file:
            text = self._once_on_file(prompt, sound_in(request, rung=name))
        else:
            text = self._once(prompt)
        return reply_of(text, seconds=clocks.perf_counter() - begun, where=self._command[0])

    def _once_on_file(self, prompt: str, sound: Sound) -> str:
        """Run the program on a file with the sound, which is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
            path = Path(folder) / f"sound.{sound.format if sound.format.isalnum() else 'bin'}"
            path.write_bytes(sound.data)
            return self._once(prompt, str(path))

    def _once(self, prompt: str, sound_file: str = "") -> str:
        if self._takes_argument and "\0" in prompt:
            raise self._fault("cannot be given a prompt with a null character as an argument", reason="request")
        process = self._start(self._words(prompt, sound_file))
        with self._lock:
            self._running.add(process)
        given = b"" if self._takes_argument else prompt.encode("utf-8", "surrogateescape")
        out, err = _Output(process, process.stdout), _Output(process, process.stderr, keeps_end=True)
        _in_thread(lambda: _give(process, given))
        try:
            process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            raise self._too_slow() from None
        finally:
            kill_group(process)  # with what it may have started, which would keep the output open
            for output in (out, err):
                output.thread.join(_ENDING_S)
            _close(process)
            with self._lock:
                self._running.discard(process)
        if out.is_full:
            raise self._fault(f"wrote more than the {_LARGEST // 1024**2} MB that are read", reason="too_large")
        if process.returncode:
            raise self._fault(f"ended with {_status(process.returncode)}{_said(err.data)}", reason="crash")
        return self._decoded(out.data).removesuffix("\n").removesuffix("\r")

    def _line(self, prompt: str, request: Request) -> str:
        staying: _Staying | None = getattr(self._stay, "one", None)
        if staying is None or not staying.is_alive:
            staying = self._stay.one = _Staying(self._start(self._words(prompt)))
            with self._lock:
                self._staying.add(staying)
        line = json.dumps({"prompt": prompt, "messages": [dict(message) for message in request.messages]})
        answer = staying.ask(line.encode() + b"\n", self._timeout_s)
        if answer is None:
            self._let_go(staying)
            raise self._too_slow()
        if not answer.endswith(b"\n"):
            status = staying.status
            self._let_go(staying)
            if status is None:
                raise self._fault(f"wrote a line of more than {_LARGEST // 1024**2} MB", reason="too_large")
            raise self._fault(f"ended with {_status(status)} before it answered{_said(staying.err)}", reason="crash")
        try:
            plain = loads(self._decoded(answer))
        except ValueError as error:
            raise self._fault(f"wrote a line that is no JSON ({error})", reason="bad_reply") from None
        if isinstance(plain, dict) and isinstance(plain.get("text"), str):
            return str(plain["text"])
        said = plain.get("error") if isinstance(plain, dict) else None
        if isinstance(said, str):
            raise self._fault(f"says that it cannot answer: {said[:_SHOWN]}", reason="server")
        raise self._fault('wrote a line without "text"', reason="bad_reply")

    def _let_go(self, staying: "_Staying") -> None:
        """End a process that is of no more use; the next request starts another."""
        self._stay.one = None
        with self._lock:
            self._staying.discard(staying)
        staying.end()

    def _start(self, words: Sequence[str]) -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._rung.base_dir,
                start_new_session=True,
            )
        except OSError as error:
            raise self._fault(f"cannot be started: {error.strerror}", reason="missing") from None

    def _decoded(self, out: bytes) -> str:
        try:
            return out.decode("utf-8")
        except UnicodeDecodeError:
            raise self._fault("wrote what is not UTF-8 text", reason="bad_reply") from None

    def _too_slow(self) -> RungError:
        return self._fault(
            f"gave no answer within {self._timeout_s:g} s: set timeout_s of {self._rung.name} higher, or mend the "
            f"program",
            reason="timeout",
        )

    def _fault(self, what: str, *, reason: str) -> RungError:
        return RungError(f"the program {self._command[0]} {what}", reason=reason, alone=True)


class _Output:
    """Reads one stream of a process in a thread: at most 32 MB, at which the process is ended, or the end of it."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", stream: IO[bytes] | None, *, keeps_end: bool = False
    ) -> None:
        assert stream is not None
        self.data = b""
        self.is_full = False
        self._process = process
        self.thread = _in_thread(lambda: self._keep_end(stream) if keeps_end else self._read(stream))

    def _read(self, stream: IO[bytes]) -> None:
        parts, size = [], 0
        with suppress(OSError, ValueError):  # closed meanwhile
            while part := os.read(stream.fileno(), 1 << 16):
                parts.append(part)
                size += len(part)
                if size > _LARGEST:
                    self.is_full = True
                    kill_group(self._process)
                    return
        self.data = b"".join(parts)

    def _keep_end(self, stream: IO[bytes]) -> None:
        with suppress(OSError, ValueError):
            while part := os.read(stream.fileno(), 1 << 16):
                self.data = (self.data + part)[-4 * _SHOWN :]


class _Staying:
    """A process that stays for many requests of one thread, and is read line by line."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._answers: list[bytes] = []
        self._has_come = threading.Condition()
        self._is_over = False
        out = process.stdout
        assert out is not None
        self._errors = _Output(process, process.stderr, keeps_end=True)
        self._reader = _in_thread(lambda: self._read_answers(out))

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None and not self._is_over

    @property
    def status(self) -> int | None:
        """Its exit status; None for one that has not ended."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(_ENDING_S)
        return None

    @property
    def err(self) -> bytes:
        """The end of what it wrote on standard error."""
        self._errors.thread.join(_ENDING_S)
        return self._errors.data

    def ask(self, line: bytes, timeout_s: float) -> bytes | None:
        """The next line that it writes, without a newline where it ended within; None if none came in time."""
        # In a thread, as a program that reads nothing would hold a long line for ever.
        _in_thread(lambda: _give(self._process, line, closes=False))
        with self._has_come:
            if not self._has_come.wait_for(lambda: self._answers or self._is_over, timeout_s):
                return None
            return self._answers.pop(0) if self._answers else b""

    def end(self) -> None:
        """End the process."""
        kill_group(self._process)
        for thread in (self._reader, self._errors.thread):
            thread.join(_ENDING_S)
        _close(self._process)

    def _read_answers(self, out: IO[bytes]) -> None:
        with suppress(OSError, ValueError):
            while line := out.readline(_LARGEST + 1):
                with self._has_come:
                    self._answers.append(line)
                    self._has_come.notify()
        with self._has_come:
            self._is_over = True
            self._has_come.notify()


def _in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _give(process: "subprocess.Popen[bytes]", data: bytes, *, closes: bool = True) -> None:
    """Write to a process, which may have ended without reading it."""
    assert process.stdin is not None
    with suppress(OSError, ValueError):
        process.stdin.write(data)
        process.stdin.flush()
    if closes:
        with suppress(OSError, ValueError):
            process.stdin.close()


def _close(process: "subprocess.Popen[bytes]") -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.close()


def _status(returncode: int) -> str:
    if returncode >= 0:
        return f"status {returncode}"
    with suppress(ValueError):
        return signal.Signals(-returncode).name
    return f"signal {-returncode}"


def _said(err: bytes) -> str:
    text = err.decode("utf-8", "replace").strip()[-_SHOWN:]
    return f": {text}" if text else ""


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `command`."""
    return {"command": Program}
