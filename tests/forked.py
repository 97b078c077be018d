"""Python processes for tests, forked from one that has imported what sessions use: that is most of what one costs.

A process in which that would make a difference is started as usual: with plugins by their entry points, which pytest
rewrites as they are imported, with variables of Python itself, and where there is no fork.
"""

import atexit
import multiprocessing
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import chdir
from functools import cache
from multiprocessing import connection, reduction
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from types import ModuleType
from typing import IO, Any, NoReturn, cast

import pytest
from _pytest.config import default_plugins
from execnet.gateway_base import Popen2IO
from execnet.gateway_io import Popen2IOMaster

import pytest_rightsize

__all__ = ["Forked", "WorkerIO", "context", "in_pytester", "run", "start"]

_IMPORTED = (
    *("pytest", *(f"_pytest.{name}" for name in default_plugins), "aiohttp", "execnet", "jinja2", "pyte"),
    *("scipy.optimize", "scipy.special", "yaml"),
)
_FORKS = "forkserver" in multiprocessing.get_all_start_methods()
_ENVIRONMENT = dict(os.environ)


def context() -> Any:
    """The context of multiprocessing whose processes are forked from that one."""
    _begin()
    return multiprocessing.get_context("forkserver")


@cache
def _begin() -> None:
    """Start that process where no suite of a test is, whose modules it could take for others."""
    # Not the plugin itself, nor xdist: pytest would say that it cannot rewrite them any more.
    ours = (module.name for module in pkgutil.walk_packages(pytest_rightsize.__path__, "pytest_rightsize."))
    imported = [*_IMPORTED, *(name for name in ours if not name.endswith(("__main__", ".plugin")))]
    multiprocessing.get_context("forkserver").set_forkserver_preload(imported)
    with chdir(Path(__file__).parents[1]):
        ensure_running()


def start(
    args: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    text: bool = False,
) -> "subprocess.Popen[Any]":
    """Start a process as `subprocess.Popen` does; a forked one has what tests use of a Popen."""
    plain, variables = [os.fspath(arg) for arg in args], dict(os.environ if env is None else env)
    if not _is_alike(plain, variables):
        return subprocess.Popen(plain, cwd=cwd, env=variables, stdin=stdin, stdout=stdout, stderr=stderr, text=text)
    given = (plain, Path(cwd or Path.cwd()), variables)
    return cast("subprocess.Popen[Any]", Forked(*given, stdin=stdin, stdout=stdout, stderr=stderr, text=text))


def run(
    args: Sequence[str | os.PathLike[str]], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a process to its end; its output and errors are kept as text."""
    process = start(args, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def in_pytester(
    self: pytest.Pytester,
    cmdargs: Sequence[str | os.PathLike[str]],
    stdout: Any,
    stderr: Any,
    stdin: Any = None,
    **_: Any,
) -> "subprocess.Popen[Any]":
    """In place of `Pytester.popen`, which `runpytest_subprocess` calls; pytest 8 also tells of open files."""
    if stdin is not self.CLOSE_STDIN:
        raise ValueError("a forked process of pytester has no input")
    path = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]))
    env = {**os.environ, "PYTHONPATH": path}
    return start(cmdargs, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)


class WorkerIO(Popen2IOMaster):
    """In place of what execnet starts a worker of xdist with."""

    def __init__(self, args: list[str], execmodel: Any) -> None:
        self.popen = start(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        Popen2IO.__init__(self, self.popen.stdin, self.popen.stdout, execmodel=execmodel)


def _is_alike(args: Sequence[str], variables: Mapping[str, str]) -> bool:
    """Whether a forked process does what a fresh one would do."""
    if not _FORKS or args[0] != sys.executable or "PYTEST_DISABLE_PLUGIN_AUTOLOAD" not in variables:
        return False
    of_python = {name for name in (*variables, *_ENVIRONMENT) if name.startswith("PYTHON")} - {"PYTHONPATH"}
    return all(variables.get(name) == _ENVIRONMENT.get(name) for name in of_python)


class Forked:
    """A Python process that runs a module or a command, with as much of `subprocess.Popen` as tests use."""

    def __init__(
        self,
        args: list[str],
        folder: Path,
        variables: dict[str, str],
        *,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        text: bool = False,
    ) -> None:
        self.args = args
        self.returncode: int | None = None
        self._reading = threading.Lock()
        self._theirs: list[int] = []
        mode = "" if text else "b"
        buffering = -1 if text else 0
        self.stdin, its_input = self._stream(stdin, 0, f"w{mode}", buffering)
        self.stdout, its_output = self._stream(stdout, 1, f"r{mode}", -1)
        self.stderr, its_errors = (
            (None, its_output) if stderr == subprocess.STDOUT else self._stream(stderr, 2, f"r{mode}", -1)
        )
        streams = tuple(map(_Descriptor, (its_input, its_output, its_errors)))
        paths = [*filter(None, variables.get("PYTHONPATH", "").split(os.pathsep)), *_fresh_path()]
        # A daemon, as this process does not wait for it when it ends itself.
        self._process = context().Process(
            target=_become, args=(args[1:], str(folder), variables, paths, streams), daemon=True
        )
        self._process.start()
        self.pid = cast("int", self._process.pid)
        for descriptor in self._theirs:
            os.close(descriptor)

    def _stream(self, wanted: Any, number: int, mode: str, buffering: int) -> tuple[IO[Any] | None, int]:
        """Our end of a pipe, if there is one, and the descriptor that the process gets."""
        if wanted == subprocess.PIPE:
            reading, writing = os.pipe()
            ours, theirs = (writing, reading) if number == 0 else (reading, writing)
            self._theirs.append(theirs)
            return open(ours, mode, buffering), theirs
        if wanted == subprocess.DEVNULL:
            self._theirs.append(os.open(os.devnull, os.O_RDWR))
            return None, self._theirs[-1]
        if wanted is None:
            return None, number
        return None, wanted if isinstance(wanted, int) else wanted.fileno()

    def poll(self) -> int | None:
        with self._reading:
            if self.returncode is None:
                self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None and not connection.wait([self._process.sentinel], timeout):
            raise subprocess.TimeoutExpired(self.args, cast("float", timeout))
        return cast("int", self.poll())

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Read what it writes to its end; what is given to it is written before."""
        outputs: dict[int, Any] = {}
        streams = {number: stream for number, stream in enumerate((self.stdout, self.stderr)) if stream is not None}
        readers = [
            threading.Thread(target=lambda n=number, s=stream: outputs.update({n: s.read()}), daemon=True)
            for number, stream in streams.items()
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join()
        for stream in streams.values():
            stream.close()
        return outputs.get(0), outputs.get(1)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def _fresh_path() -> list[str]:
    """`sys.path` of a process without PYTHONPATH, but for its first entry."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", "import sys; print(*sys.path[1:], sep='\\n')"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


class _Descriptor:
    """A descriptor that goes to another process with what that is given."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _detached, (reduction.DupFd(self.number),)


def _detached(duplicate: Any) -> int:
    return int(duplicate.detach())


def _become(
    args: list[str], folder: str, variables: dict[str, str], paths: list[str], streams: tuple[int, ...]
) -> NoReturn:
    """In the new process: do what Python does with these arguments, and end with its status."""
    multiprocessing.current_process().daemon = False  # it may have processes of its own
    for name in ("tests", "tests.forked"):  # a suite may have a package of that name
        del sys.modules[name]
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout = open(0), open(1, "w", buffering=1)  # noqa: SIM115  # they end with the process
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115  # so does this
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]  # see above
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    status = 1
    try:
        status = _ran(args, folder, paths)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if not isinstance(end.code, int | None):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:
        sys.excepthook(*cast("Any", sys.exc_info()))
    threading._shutdown()  # type: ignore[attr-defined]  # as a process does that ends
    atexit._run_exitfuncs()
    sys.exit(status)


def _ran(args: list[str], folder: str, paths: list[str]) -> int:
    options = [*args]
    while options[0] in ("-u", "-B"):
        del options[0]
    option, value, rest = options[0][:2], options[0][2:] or options[1], options[1 if options[0][2:] else 2 :]
    if option not in ("-c", "-m"):
        raise ValueError(f"a forked process runs a module or a command, not {args}")
    sys.path[:] = [folder if option == "-m" else "", *paths]
    sys.modules["__main__"] = main = ModuleType("__main__")
    sys.argv = [value if option == "-m" else option, *rest]
    if option == "-m":
        runpy.run_module(value, run_name="__main__", alter_sys=True)
    else:
        exec(compile(value, "<string>", "exec"), vars(main))
    return 0
