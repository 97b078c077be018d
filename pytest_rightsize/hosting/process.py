"""A host's process as its owner sees it: started with what it serves, asked by messages, and heard until its end."""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest_rightsize
from pytest_rightsize.hosting.channel import Channel
from pytest_rightsize.hosting.frames import Message, frame_of
from pytest_rightsize.hosting.wire import place_of, rung_to_plain
from pytest_rightsize.meters import Meter
from pytest_rightsize.providers import Provider
from pytest_rightsize.providers.environment import known_secrets, user_variable
from pytest_rightsize.records import Rung

__all__ = ["HostProcess", "Served"]

_LAST_LINES = 20
_LONGEST = 300
_ENDS_WITHIN_S = 15.0
_SAYS_WHY_WITHIN_S = 5.0


def _folder() -> str | None:
    """The folder of this process; None for one that was removed."""
    with suppress(OSError):
        return os.getcwd()
    return None


@dataclass(frozen=True, kw_only=True)
class Served:
    """What a host is started for: a rung, its provider's class and the classes of meters.

    `room` is how many requests the provider is given at once, `budget_s` how long one may be repeated for its energy.
    `offline` says why nothing may leave this machine, None if it may. The host runs in `folder`, that of the session:
    the first question may come from a test that has gone to a folder of its own.
    """

    rung: Rung
    provider: type[Provider]
    meters: Mapping[str, type[Meter]]
    room: int
    budget_s: float = 0.0
    offline: str | None = None
    folder: str | None = field(default_factory=_folder)

    def to_message(self) -> dict[str, Any]:
        """The first message to the host."""
        return {
            "rung": rung_to_plain(self.rung),
            "provider": place_of(self.provider),
            "meters": {name: place_of(kind) for name, kind in self.meters.items()},
            "room": self.room,
            "budget_s": self.budget_s,
            "offline": self.offline,
            "path": [str(folder) for folder in sys.path],
        }


class HostProcess:
    """A child process. `on_end` is called once when it has ended, with a clause that says how."""

    def __init__(self, served: Served, *, on_message: Callable[[Message], None], on_end: Callable[[str], None]) -> None:
        """Start it; raises OSError where no process can be started, FrameError for a rung that is no JSON."""
        message = served.to_message()
        frame_of(message)
        self._on_end = on_end
        self._is_over = threading.Event()
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._process = subprocess.Popen(
            # Without the folder that pytest was started in, whose files may be named as modules of Python are.
            [sys.executable, "-P", "-m", f"{pytest_rightsize.__name__}.hosting"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            cwd=served.folder if served.folder is not None and os.path.isdir(served.folder) else None,
            **_own_group(),
        )
        assert self._process.stdin is not None  # as all three are pipes
        assert self._process.stdout is not None
        self._listener = threading.Thread(target=self._listen, name="hosting listens", daemon=True)
        self._listener.start()
        self._channel = Channel(
            served.rung.name,
            self._process.stdout,
            self._process.stdin,
            on_message=on_message,
            on_end=self._has_ended,
        )
        self._channel.send(message)
        self._channel.start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, message: Message) -> None:
        """Have the message written; raises FrameError if it cannot be one."""
        self._channel.send(message)

    def wait(self) -> None:
        """Wait until it has ended, and all that it said was heard; what takes too long is killed."""
        if not self._is_over.wait(_ENDS_WITHIN_S):
            self._process.kill()
            self._is_over.wait(_SAYS_WHY_WITHIN_S)

    def _wait(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SAYS_WHY_WITHIN_S)
        self._process.kill()
        self._process.wait()

    def _has_ended(self, why: str | None) -> None:
        """Its stream has ended, or makes no sense: then so has it."""
        if why is not None:
            self._process.kill()
        self._wait()
        self._listener.join(_SAYS_WHY_WITHIN_S)
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]  # both are pipes, see above
        said = known_secrets().words(" ".join(" ".join(self._last_lines).split()))[-_LONGEST:]
        how = self._status() if why is None else f"sent what is no message ({why})"
        self._on_end(f"{how}: {said}" if said else how)
        self._is_over.set()

    def _status(self) -> str:
        status = self._process.returncode
        return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"

    def _listen(self) -> None:
        """Keep the last lines of what it writes for people: an engine that aborts says there why."""
        assert self._process.stderr is not None
        with suppress(OSError, ValueError):
            for line in self._process.stderr:
                self._last_lines.append(line[-1000:].decode("utf-8", "replace"))
            self._process.stderr.close()


def _environment() -> dict[str, str]:
    """The user's own variables, and where this package is."""
    variables = {name: value for name in os.environ if (value := user_variable(name)) is not None}
    package = str(Path(pytest_rightsize.__file__).parents[1])
    paths = [package, *filter(None, [variables.get("PYTHONPATH")])]
    return {**variables, "PYTHONPATH": os.pathsep.join(paths)}


def _own_group() -> dict[str, Any]:
    """A group of its own, so that Ctrl-C reaches pytest alone, which then ends its hosts."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
