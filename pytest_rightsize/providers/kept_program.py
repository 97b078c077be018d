"""A program that ends with the process that started it, however that ends: a kill leaves it no time to end others.

`python kept_program.py OWNER COMMAND...` runs the command in a group of its own, passes SIGTERM on, and ends with the
command's status. When the owner has gone, or the command has ended, it kills what is left of the group. It needs
nothing of this package, so that it starts quickly.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

__all__ = ["has_gone", "kept", "kill_group"]

_LOOKS_EVERY_S = 0.2
_ENDS_WITHIN_S = 10.0
_ENDING_S = 2.0


def kept(command: Sequence[str]) -> list[str]:
    """The command that runs another, which then ends with this process."""
    return [sys.executable, "-P", __file__, str(os.getpid()), *command]


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


def main(owner: int, command: Sequence[str]) -> int:
    """Run the command; returns its status, as a shell does where a signal has ended it."""
    asked_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_end.append(number))
    process = subprocess.Popen(command, start_new_session=True)
    looks_left = int(_ENDS_WITHIN_S / _LOOKS_EVERY_S)
    while not has_gone(owner) and looks_left:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOKS_EVERY_S)
            break
        if asked_to_end:
            process.terminate()
            looks_left -= 1
    kill_group(process)
    status = process.wait()
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
