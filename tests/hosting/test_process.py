"""A host as a process: it answers, says why it cannot, survives nothing that it should not, and ends with its owner."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.hosting.desks import OwnDesk
from pytest_rightsize.hosting.hosted import Hosted
from pytest_rightsize.hosting.hosts import Hosts
from pytest_rightsize.hosting.process import Served
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.records import Identity, Reply, Request, Rung
from tests.hosting.played import Joules, Played

PATIENCE_S = 120.0
RUNG = Rung(name="a", provider="played", meter={"name": "joules", "idle_s": 0})


class KnownThere(Played):
    """Its fingerprint is known only where it runs."""

    identifies_itself_where_it_runs = True

    def identity(self, sha256: object) -> Identity:
        """Not here."""
        raise AssertionError("asked in the process of the session")


class Here:
    """A session with one hosted rung, whose host runs."""

    def __init__(self, **more: Any) -> None:
        self.notes: list[str] = []
        self.hosts = Hosts(on_note=self.notes.append, on_stall=self.notes.append)
        served: dict[str, Any] = {"rung": RUNG, "provider": Played, "meters": {"joules": Joules}, "room": 4} | more
        self.hosts.add(Served(**served))
        self.provider = Hosted(Played(RUNG), RUNG, OwnDesk(self.hosts), lambda: "joules")

    def ask(self, prompt: str) -> Reply:
        return self.provider.submit(Request(messages=({"role": "user", "content": prompt},))).result(PATIENCE_S)


@pytest.fixture
def here() -> Iterator[Here]:
    session = Here()
    yield session
    session.hosts.close()


def test_a_life_of_a_host(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one, as each start of a process takes half a second."""
    assert here.hosts.pids() == {}, "none is started before it is asked"
    of_session = Path.cwd()
    monkeypatch.chdir(tmp_path)
    assert here.ask("hello").text == "HELLO"
    pid = int(here.ask("pid").text)
    assert here.hosts.pids() == {"a": pid}
    assert pid != os.getpid()
    assert Path(here.ask("folder").text) == of_session, "and not that of the test which asked first"
    assert here.ask("print").text == "18", "what is printed there is no message"
    assert here.ask("import pytest").text == "False", "a host needs no pytest"
    with pytest.raises(Exception, match="it is too long"):
        here.ask("long")
    elsewhere = Hosted(KnownThere(RUNG), RUNG, OwnDesk(here.hosts), lambda: "joules")
    assert elsewhere.opens_to_identify
    identity = elsewhere.identity(lambda _: "")
    assert identity is not None
    assert identity.content == {"provider": "played"}, "told by the host"
    assert not elsewhere.opens_to_identify
    here.ask("note a word to the user")
    answer = here.ask("joules")
    assert answer.energy is not None
    assert answer.energy.joules is not None
    assert answer.energy.devices == ("joules",)

    assert here.ask(f"die once {tmp_path / 'died'}").retries == 1
    assert int(here.ask("pid").text) != pid, "it was started again"
    with pytest.raises(Exception, match=r"ended with status 7: played: the end each time this was asked"):
        here.ask("die")
    assert here.ask("hello").text == "HELLO", "it is asked on"
    assert here.notes[0] == "a word to the user"
    assert here.notes[1].startswith(
        "rung 'a': its host process ended with status 7: not for the owner played: the end. "
    )
    (metering,) = here.provider.meterings
    assert (metering.answers, len(metering.notes)) == (9, 3)
    assert metering.served is not None
    assert metering.served.joules is not None, "each answer has told its own"


def test_totals_come_when_the_session_ends() -> None:
    session = Here(offline="--rightsize-offline")
    energies = [session.ask(str(n)).energy for n in range(3)]
    with pytest.raises(Exception, match=r"192\.0\.2\.1 is not this machine"):
        session.ask("connect 192.0.2.1")
    pid = session.hosts.pids()["a"]
    session.hosts.close()
    (metering,) = session.provider.meterings
    assert (metering.rung, metering.meter, metering.answers) == ("a", "joules", 3)
    assert metering.served is not None
    assert metering.served.joules == pytest.approx(sum(energy.joules for energy in energies if energy))  # type: ignore[misc]  # they have
    assert not runs(pid)


def test_a_class_that_is_not_there_for_the_host_is_a_fault_that_says_what_to_do() -> None:
    # Nor is a meter's class that the rung does not need.
    kind = type("Local", (Played,), {"__module__": "no_such_module"})
    session = Here(provider=kind, meters={"joules": Joules, "gone": kind})
    with pytest.raises(
        Exception, match=r"rung 'a': its provider cannot be loaded in a host process \(ModuleNotFoundError"
    ):
        session.ask("hello")
    with pytest.raises(Exception, match="run with --rightsize-hosts=own"):
        session.ask("hello")
    session.hosts.close()


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is stopped there by a signal")
def test_a_host_whose_llama_cpp_dies_is_started_again_and_answers_alike() -> None:
    """It is held while it is asked, so that it dies before it has answered."""
    pytest.importorskip("llama_cpp")
    models = Path(__file__).parents[2] / "example_suite" / "models"
    rung = Rung(name="a", provider="llama_cpp", model=str(models / "25k.gguf"), meter="none", options={"n_threads": 1})
    session = Here(rung=rung, provider=LlamaCpp, meters={})
    request = Request(messages=({"role": "user", "content": "ISO date: 3 March 2024"},), max_tokens=12)
    before = session.provider.submit(request).result(PATIENCE_S)
    pid = session.hosts.pids()["a"]
    os.kill(pid, signal.SIGSTOP)
    asked = session.provider.submit(request)
    os.kill(pid, signal.SIGKILL)
    after = asked.result(PATIENCE_S)
    assert (after.text, after.tokens.completion) == (before.text, before.tokens.completion)
    assert (before.retries, after.retries) == (0, 1)
    assert "was killed by signal 9" in session.notes[0]
    session.hosts.close()


OWNER = """
import sys
from tests.hosting.test_process import Here
session = Here()
print(session.ask("pid").text, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="nothing is killed there by a signal")
def test_a_host_ends_with_its_owner_however_that_ends() -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert runs(pid)
        owner.send_signal(signal.SIGKILL)
    wait_for(lambda: not runs(pid))


def runs(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        os.kill(pid, 0)
        # Nobody may wait for it: then it stays in the table.
        state = Path(f"/proc/{pid}/stat").read_text() if Path("/proc/self/stat").exists() else ") R"
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it holds, as long as it takes on a busy machine."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
