"""A program that ends with the process that started it, however that ends: a kill leaves it no time to end others.

`python kept_program.py outer OWNER COMMAND...` passes SIGTERM on and ends with the command's status. It runs itself
once more, as `inner`, which runs the command in a group of its own. When its owner has gone, or the command has ended,
the inner one kills what is left of the group; the outer one only ends. There are two, as whoever kills the owner's
children too (Ray does) kills one of them alone. It needs nothing of this package, so that it starts quickly.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

__all__ = ["has_gone", "kept", "kill_group"]

_LOOKS_EVERY_S = 0.2
# How long a program may take to end that was asked to; the outer keeper leaves the inner one time to kill it.
_ENDS_WITHIN_S, _OUTER_ENDS_WITHIN_S = 10.0, 13.0
_ENDING_S = 2.0


def kept(command: Sequence[str]) -> list[str]:
    """The command that runs another, which then ends with this process."""
    return _keeper("outer", command)


def _keeper(place: str, command: Sequence[str]) -> list[str]:
    return [sys.executable, "-P", __file__, place, str(os.getpid()), *command]


def has_gone(owner: int) -> bool:
    """Whether the process `owner`, which started this one, has ended; on Windows nobody knows."""
    return os.name != "nt" and os.getppid() != owner


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process that leads a group, and what it has started; it is waited for, so that nothing of it is left."""
    if hasattr(os, "killpg"):
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_ENDING_S)


def main(place: str, owner: int, command: Sequence[str]) -> int:
    """Run the command; returns its status, as a shell does where a signal has ended it."""
    is_outer = place == "outer"
    asked_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_end.append(number))
    process = subprocess.Popen(_keeper("inner", command) if is_outer else command, start_new_session=True)
    looks_left = int((_OUTER_ENDS_WITHIN_S if is_outer else _ENDS_WITHIN_S) / _LOOKS_EVERY_S)
    while not has_gone(owner) and looks_left:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOKS_EVERY_S)
            break
        if asked_to_end:
            process.terminate()
            looks_left -= 1
    if is_outer and process.returncode is None:
        return 1  # the inner one sees that, and kills its program
    kill_group(process)
    status = process.wait()
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
