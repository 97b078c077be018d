"""Rungs on a real Ray cluster of two nodes: the same answers as in process, also where nodes are killed meanwhile.

`tox run -e ray` runs these, on Linux; without Ray they are skipped. Nothing here waits for a time: what is held is let
go when the test has seen it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.records import Run
from pytest_rightsize.results.results_file import read_run

if sys.platform != "linux":
    pytest.skip("not tried elsewhere: it sees in /proc what has ended", allow_module_level=True)
if (ray_is := os.environ.get("RIGHTSIZE_RAY")) != "required":
    pytest.importorskip("ray", reason=ray_is or "ray is not installed: tox run -e ray has it")
ROOT = Path(__file__).parents[3]
MODELS = ROOT / "example_suite" / "models"
STORE = 100 * 1024**2
ONE_PLACE, DOOMED = {"one_place": 1}, {"doomed": 1}
LOCAL = ("-p", "pytest_rightsize.plugin", "-p", "xdist.plugin", "-o", "rightsize_runs=0")
SUITE = """
    import pytest

    def made(task, count, needs):
        @pytest.mark.rightsize(task=task, pass_rate=0.75)
        @pytest.mark.parametrize("n", range(count))
        def test(model, n):
            assert model.ask(f"{task} {n}") == f"{task} {n}".upper() and model.rung in needs
        return test

    test_easy = made("easy", 12, ["small", "big"])
    test_hard = made("hard", 12, ["big"])
"""


class Cluster:
    """A head without processors, and two nodes of one processor each; what one of them has is a place for one replica.

    To start a node takes seconds. Tests that kill some have nodes of their own, which no other rung asks for.
    """

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as Made

        self.door = free_port()
        self.made = Made(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "include_dashboard": False,
                "object_store_memory": STORE,
                "ray_client_server_port": self.door,
            },
        )
        for resources in (ONE_PLACE, {}):
            self.made.add_node(num_cpus=1, object_store_memory=STORE, resources=resources)
        self.made.wait_for_nodes()

    @property
    def address(self) -> str:
        return str(self.made.address)

    @property
    def outside(self) -> str:
        """The address for a machine that is none of its nodes."""
        return f"ray://127.0.0.1:{self.door}"

    @contextmanager
    def doomed_nodes(self) -> Iterator[list[Any]]:
        """Two nodes that may be killed."""
        left = [self.made.add_node(num_cpus=1, object_store_memory=STORE, resources=DOOMED) for _ in range(2)]
        self.made.wait_for_nodes()
        try:
            yield left
        finally:
            for node in left:
                self.made.remove_node(node, allow_graceful=False)
            # Until the cluster knows that they are dead, it may place the next rung's replicas there.
            self.made.wait_for_nodes(timeout=300)

    def kill(self, nodes: list[Any]) -> None:
        self.made.remove_node(nodes.pop(), allow_graceful=False)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster whose nodes can import this package and its tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
        patch.setenv("RAY_raylet_start_wait_time_s", "120")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # a busy machine would leave them nothing
        made = Cluster()
        yield made
        made.made.shutdown()


class Session:
    """A session of pytest in a process of its own, on a folder with a suite and a ladder."""

    def __init__(self, pytester: pytest.Pytester, cluster: Cluster, ladder: str, suite: str = SUITE) -> None:
        self.folder = pytester.path
        self.address = cluster.address
        pytester.makefile(".toml", rightsize=ladder.replace("FOLDER", self.folder.as_posix()))
        pytester.makepyfile(test_suite=suite)
        pytester.makeconftest("from tests.hosting.ray.held import pytest_rightsize_meters")

    def open_gate(self) -> None:
        (self.folder / "gate").touch()

    def start(self, *options: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, "RAY_ADDRESS": self.address, "PYTEST_ADDOPTS": "", "PYTEST_PLUGINS": ""}
        command = [sys.executable, "-m", "pytest", *LOCAL, "--rightsize-results=run.jsonl", *options]
        with open(self.folder / "out", "w", encoding="utf-8") as out:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=out, stderr=out, text=True)

    def run(self, *options: str) -> int:
        return self.end(self.start(*options))

    def end(self, process: "subprocess.Popen[str]") -> int:
        """Its status, once it has ended; one that hangs must not hang these tests."""
        try:
            return process.wait(600)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"ten minutes, and the session has not ended: {self.out}")

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text(encoding="utf-8")

    def wait_until_asked(self, count: int, process: "subprocess.Popen[str]") -> None:
        """Until so many requests are held by engines."""
        log, pause = self.folder / "log", threading.Event()
        for _ in range(6000):
            if log.exists() and len(log.read_text().splitlines()) >= count:
                return
            assert process.poll() is None, self.out
            pause.wait(0.05)
        process.kill()
        pytest.fail(f"five minutes, and fewer than {count} were asked: {self.out}")

    def wait_until_identified(self, count: int, process: "subprocess.Popen[str]") -> None:
        """Until so many replicas have told their fingerprints."""
        told, pause = self.folder / "identified", threading.Event()
        for _ in range(6000):
            if told.exists() and len(told.read_text().splitlines()) >= count:
                return
            assert process.poll() is None, self.out
            pause.wait(0.05)
        process.kill()
        pytest.fail(f"five minutes, and fewer than {count} have told their fingerprints: {self.out}")

    def wait_until_one_is_gone(self) -> None:
        """Until a process of those that were asked has ended: it lives on a moment after its node."""
        asked, pause = {*(self.folder / "log").read_text().split()}, threading.Event()
        for _ in range(6000):
            if not all(Path("/proc", pid).exists() for pid in asked):
                return
            pause.wait(0.05)
        pytest.fail("five minutes, and no process has ended")

    def result(self) -> Run:
        return read_run(self.folder / "run.jsonl")

    def lines(self, kind: str) -> list[dict[str, Any]]:
        lines = (self.folder / "run.jsonl").read_text(encoding="utf-8").splitlines()
        return [line for line in map(json.loads, lines) if line["kind"] == kind]


def ladder(*rungs: str, meter: str = "none", **more: str) -> str:
    """Rungs on the engine of tests; `more` are further lines of all of them."""
    more = {"place_timeout_s": "300"} | more  # a busy machine takes long to start a process
    lines = "\n".join(f"{key} = {value}" for key, value in more.items())
    return "\n".join(
        f"""
[ladder.{name}]
provider = "ray"
engine = "tests.hosting.ray.held:Held"
engine_options = {{ folder = "FOLDER" }}
model = "{name}"
meter = {{ name = "{meter}", idle_s = 0 }}
{lines}
"""
        for name in rungs
    )


def outcomes(run: Run) -> dict[tuple[str, str, str], str]:
    return {(trial.key.task, trial.key.case, trial.key.rung): trial.outcome for trial in run.trials}


def texts(run: Run) -> dict[tuple[str, str], list[str]]:
    return {(trial.key.case, trial.key.rung): [answer.text for answer in trial.answers] for trial in run.trials}


def verdicts(session: Session) -> dict[str, tuple[Any, Any]]:
    return {line["task"]: (line["verdict"], line.get("smallest")) for line in session.lines("verdict")}


def test_two_replicas_answer_as_one_process_does(pytester: pytest.Pytester, cluster: Cluster) -> None:
    """Real models: the same texts, outcomes and verdicts, and each trial once."""
    pytest.importorskip("llama_cpp")
    suite = """
        import pytest

        @pytest.mark.rightsize(task="amount", pass_rate=0.5)
        @pytest.mark.parametrize("n", range(10))
        def test_amount(model, n):
            assert model.ask(f"amount: {n} dollars", max_tokens=12).startswith(f"{n}.00")
    """
    there = 'provider = "ray"\nreplicas = REPLICAS'
    tables = "\n".join(
        f'[ladder.{name}]\nKIND\nmodel = "{(MODELS / name).as_posix()}.gguf"\nn_threads = 1\ndeterministic = true\n'
        'meter = "none"'
        for name in ("25k", "60k")
    )
    runs, found = {}, {}
    for kind in ('provider = "llama_cpp"', there.replace("REPLICAS", "1"), there.replace("REPLICAS", "2")):
        session = Session(pytester, cluster, tables.replace("KIND", kind), suite)
        options = ("--rightsize-ladder=25k,60k", "--rightsize-strategy=full", "--rightsize-cache=off")
        session.run(*options)
        runs[kind], found[kind] = session.result(), verdicts(session)
        assert len(session.lines("trial")) == 20, session.out
    first, *others = runs
    assert [texts(runs[kind]) == texts(runs[first]) for kind in others] == [True, True]
    assert [outcomes(runs[kind]) == outcomes(runs[first]) for kind in others] == [True, True]
    assert [found[kind] == found[first] for kind in others] == [True, True]
    assert set(outcomes(runs[first]).values()) <= {"passed", "failed"}


@pytest.mark.parametrize(("way", "fewest"), [("from within", 10), ("through its door", 1)])
def test_a_killed_node_costs_no_trial(pytester: pytest.Pytester, cluster: Cluster, way: str, fewest: int) -> None:
    """Its requests are asked again, once, of the other node; by `ray://` from a machine that is none of the nodes."""
    session = Session(
        pytester,
        cluster,
        ladder("small", "big", replicas="2", restarts="0", max_in_flight="24", resources="{ doomed = 1 }"),
    )
    session.address = cluster.outside if way == "through its door" else cluster.address
    with cluster.doomed_nodes() as nodes:
        process = session.start("--rightsize-ladder=small,big", "--rightsize-cache=off", "--rightsize-strategy=full")
        session.wait_until_asked(24, process)
        cluster.kill(nodes)
        session.wait_until_one_is_gone()
        session.open_gate()
        status = session.end(process)
    run = session.result()
    assert status == 0, session.out
    assert Counter(outcomes(run).values()) == {"passed": 36, "failed": 12}
    assert len(session.lines("trial")) == 48
    retries = sum(answer.retries for trial in run.trials for answer in trial.answers)
    assert fewest <= retries <= 12, "about half of what was in flight was the dead node's"
    assert {text for kept in texts(run).values() for text in kept} == {
        f"{task} {n}" for task in ("EASY", "HARD") for n in range(12)
    }
    assert {task: smallest for task, (_, smallest) in verdicts(session).items()} == {"easy": "small", "hard": "big"}
    assert "died" in session.out or "could not be reached" in session.out
    assert " INFO " not in session.out
    assert " WARNING " not in session.out


def test_a_rung_without_any_node_is_down_and_holds_nothing_against_the_model(
    pytester: pytest.Pytester, cluster: Cluster
) -> None:
    session = Session(
        pytester, cluster, ladder("small", replicas="2", restarts="0", max_in_flight="24", resources="{ doomed = 1 }")
    )
    with cluster.doomed_nodes() as nodes:
        process = session.start("--rightsize-ladder=small", "--rightsize-cache=off", "--rightsize-strategy=full")
        session.wait_until_asked(24, process)
        cluster.kill(nodes)
        cluster.kill(nodes)
        assert session.end(process) == 1
    run = session.result()
    ended = Counter(trial.outcome for trial in run.trials)
    assert ended["passed"] + ended["failed"] <= 2, "the first request of each replica was answered before"
    assert {trial.reason for trial in run.trials if trial.outcome == "error"} == {"crash"}
    assert {verdict for verdict, _ in verdicts(session).values()} == {"undecided"}
    assert "died" in session.out or "could not be reached" in session.out


def test_a_replica_without_a_place_is_a_fault_that_names_what_there_is(
    pytester: pytest.Pytester, cluster: Cluster
) -> None:
    session = Session(pytester, cluster, ladder("small", place_timeout_s="2", resources="{ cpu = 64 }"))
    assert session.run("--rightsize-ladder=small", "--rightsize-cache=off") == 1
    assert "small: no node has a place for a replica now, and it waits 2 s for one: wanted 1 x 64 CPU;" in session.out
    assert "no place for a replica within 2 s: wanted 1 x 64 CPU;" in session.out
    assert "has 1 CPU" in session.out
    assert {(trial.outcome, trial.reason) for trial in session.result().trials if trial.outcome != "not_run"} == {
        ("error", "load")
    }


def test_each_replica_accounts_for_its_joules(pytester: pytest.Pytester, cluster: Cluster) -> None:
    session = Session(pytester, cluster, ladder("small", meter="steady", replicas="2", max_in_flight="24"))
    process = session.start("--rightsize-ladder=small", "--rightsize-cache=off", "--rightsize-strategy=full")
    session.wait_until_asked(24, process)
    session.open_gate()
    session.end(process)
    run = session.result()
    assert len(run.meters) == 2, session.out
    by_device: dict[str, float] = {}
    for trial in run.trials:
        for answer in trial.answers:
            assert answer.energy is not None
            (device,) = answer.energy.devices
            by_device[device] = by_device.get(device, 0.0) + (answer.energy.joules or 0.0)
    for metering in run.meters:
        assert metering.total is not None
        assert metering.served is not None
        (device,) = metering.total.devices
        assert metering.served.joules == pytest.approx(by_device.pop(device), abs=1e-6)
        parts = (metering.load, metering.served, metering.lost, metering.idle, metering.repeated)
        assert sum(part.joules or 0.0 for part in parts if part is not None) == pytest.approx(
            metering.total.joules, abs=1e-6
        )
    assert by_device == {}


def test_a_killed_replica_has_no_total(pytester: pytest.Pytester, cluster: Cluster) -> None:
    session = Session(
        pytester,
        cluster,
        ladder("small", meter="steady", replicas="2", restarts="0", max_in_flight="24", resources="{ doomed = 1 }"),
    )
    with cluster.doomed_nodes() as nodes:
        process = session.start("--rightsize-ladder=small", "--rightsize-cache=off", "--rightsize-strategy=full")
        session.wait_until_asked(24, process)
        cluster.kill(nodes)
        session.wait_until_one_is_gone()
        session.open_gate()
        session.end(process)
    totals = [metering.total for metering in session.result().meters]
    assert sorted((total and total.joules) is None for total in totals) == [False, True], session.out
    notes = " ".join(note for metering in session.result().meters for note in metering.notes)
    assert "died" in notes
    assert "is not known" in notes


def test_a_private_task_goes_to_a_cluster_that_is_trusted_alone(pytester: pytest.Pytester, cluster: Cluster) -> None:
    suite = SUITE.replace("pass_rate=0.75", "pass_rate=0.75, private=True")
    found = {}
    for trusted in ("false", "true"):
        session = Session(pytester, cluster, f"[cluster]\ntrusted = {trusted}\n{ladder('small')}", suite)
        session.open_gate()
        session.run("--rightsize-ladder=small", "--rightsize-cache=off", "--rightsize-strategy=full")
        found[trusted] = Counter((trial.outcome, trial.reason) for trial in session.result().trials)
        asked = session.folder / "log"
        assert asked.exists() is (trusted == "true")
    assert session.run("--rightsize-ladder=small", "--rightsize-offline") == 4, session.out
    assert "--rightsize-offline: small would leave this machine" in session.out
    assert found == {"false": {("not_run", "private"): 24}, "true": {("passed", None): 12, ("failed", "wrong"): 12}}


def test_three_rungs_have_one_place_one_after_the_other(pytester: pytest.Pytester, cluster: Cluster) -> None:
    """Also where their fingerprints are asked, which are known only where a model runs."""
    session = Session(pytester, cluster, ladder("small", "middle", "big", resources="{ one_place = 1 }"))
    session.open_gate()
    assert session.run("--rightsize-ladder=small,middle,big") == 0, session.out
    climbed = Counter((trial.key.rung, trial.outcome) for trial in session.result().trials)
    assert climbed["big", "passed"] == 12, session.out
    (session.folder / "log").unlink()
    assert session.run("--rightsize-ladder=small,middle,big") == 0, session.out
    assert not (session.folder / "log").exists(), "all is recorded, under what the replicas said they are"
    session.address = "127.0.0.1:1"
    assert session.run("--rightsize-ladder=small,middle,big", "--rightsize-cache=replay") == 0, "without the cluster"


def test_workers_share_the_replicas_of_their_session(pytester: pytest.Pytester, cluster: Cluster) -> None:
    """One place in the cluster, and two workers of xdist: each would want a place of its own."""
    session = Session(pytester, cluster, ladder("small", resources="{ one_place = 1 }"))
    session.open_gate()
    session.run("--rightsize-ladder=small", "-n2", "--rightsize-strategy=full")
    run = session.result()
    assert Counter(outcomes(run).values()) == {"passed": 12, "failed": 12}, session.out
    assert len({*(session.folder / "log").read_text().split()}) == 1
    assert "answering in a process of its own: small" in session.out


def test_replicas_of_two_models_are_refused(pytester: pytest.Pytester, cluster: Cluster) -> None:
    session = Session(pytester, cluster, ladder("small", replicas="2").replace('"small"', '"by node"'))
    process = session.start("--rightsize-ladder=small", "--rightsize-cache=off", "--rightsize-strategy=full")
    session.wait_until_identified(2, process)
    session.open_gate()  # what is asked after the first answers is refused
    assert session.end(process) == 1
    assert "has another model than the replica on" in session.out
    assert ("error", "load") in {(trial.outcome, trial.reason) for trial in session.result().trials}
    assert verdicts(session)["easy"][0] == "undecided"


@pytest.mark.parametrize("way", ["from within", "through its door"])
def test_what_is_in_flight_at_an_interrupt_is_cancelled_where_it_runs(
    pytester: pytest.Pytester, cluster: Cluster, way: str
) -> None:
    """Each replica ends within its time then, so that its joules are known; nothing is asked a second time."""
    session = Session(pytester, cluster, ladder("small", meter="steady", replicas="2", max_in_flight="24"))
    if way == "through its door":
        session.address = cluster.outside
    process = session.start("--rightsize-ladder=small", "--rightsize-cache=off", "--rightsize-strategy=full")
    session.wait_until_asked(24, process)
    process.send_signal(signal.SIGINT)
    assert session.end(process) == pytest.ExitCode.INTERRUPTED, session.out
    assert len((session.folder / "log").read_text().splitlines()) == 24
    totals = [metering.total for metering in session.result().meters]
    assert len(totals) == 2, session.out
    assert all(total is not None and total.joules is not None for total in totals), session.out


def test_what_is_in_flight_when_a_test_ends_the_session_is_cancelled_where_it_runs(
    pytester: pytest.Pytester, cluster: Cluster
) -> None:
    """The first test breaks while all others are held, which -x does not forgive."""
    suite = """
        import pytest

        @pytest.mark.rightsize(task="any")
        @pytest.mark.parametrize("n", range(12))
        def test_any(model, n):
            assert model.ask("any" if n else "now")
            raise OSError("a broken test")
    """
    session = Session(pytester, cluster, ladder("small", meter="steady", max_in_flight="12"), suite)
    assert session.run("--rightsize-ladder=small", "--rightsize-cache=off", "-x") == pytest.ExitCode.TESTS_FAILED
    assert len((session.folder / "log").read_text().splitlines()) <= 12, "each once at most"
    (total,) = [metering.total for metering in session.result().meters]
    assert total is not None, session.out
    assert total.joules is not None, session.out


def test_a_prompt_that_ends_a_replica_costs_its_own_trial(pytester: pytest.Pytester, cluster: Cluster) -> None:
    """It is asked once more elsewhere, and both replicas are started again."""
    suite = """
        import pytest

        @pytest.mark.rightsize(task="any")
        @pytest.mark.parametrize("prompt", ["die", *"abcdef"])
        def test_any(model, prompt):
            model.ask(prompt)
    """
    session = Session(pytester, cluster, ladder("small", replicas="2"), suite)
    session.open_gate()
    session.run("--rightsize-ladder=small", "--rightsize-cache=off", "--rightsize-concurrency=1")
    found = outcomes(session.result())
    assert Counter(found.values()) == {"error": 1, "passed": 6}, session.out
    assert found["any", "test_suite.py::test_any[die]", "small"] == "error"


def test_a_replica_without_memory_costs_no_trial(pytester: pytest.Pytester, cluster: Cluster) -> None:
    """It says so itself: it is ended, its requests are asked of the other one, and the rung is not down."""
    suite = """
        import pytest

        @pytest.mark.rightsize(task="any")
        @pytest.mark.parametrize("prompt", [*"abc", "break", *"defgh"])
        def test_any(model, prompt):
            model.ask(prompt)
    """
    session = Session(pytester, cluster, ladder("small", replicas="2", restarts="0"), suite)
    session.open_gate()
    session.run("--rightsize-ladder=small", "--rightsize-cache=off", "--rightsize-strategy=full")
    assert Counter(outcomes(session.result()).values()) == {"passed": 9}, session.out
    assert "can answer no more (no memory is left). It has no restart left" in session.out


def test_ray_is_loaded_where_a_rung_is_asked_and_nowhere_else(pytester: pytest.Pytester, cluster: Cluster) -> None:
    replay = '[ladder.small]\nprovider = "replay"\nfile = "small.jsonl"\n'
    tell = "\n\nimport sys\ndef pytest_unconfigure(config): print('loaded ray:', 'ray' in sys.modules)"
    (pytester.path / "small.jsonl").write_text('{"prompt": "easy 1", "text": "EASY 1"}\n', encoding="utf-8")
    for rungs, options in (
        (ladder("small"), ("--collect-only",)),
        (ladder("small"), ("--help",)),
        (replay, ()),
        (replay + ladder("big"), ()),
    ):
        session = Session(pytester, cluster, rungs)
        conftest = session.folder / "conftest.py"
        conftest.write_text(conftest.read_text() + tell, encoding="utf-8")
        session.run("--rightsize-ladder=small", *options)
        assert "loaded ray: False" in session.out, (rungs, options)


def test_doctor_lists_the_nodes(pytester: pytest.Pytester, cluster: Cluster) -> None:
    session = Session(pytester, cluster, ladder("small"))
    environment = {**os.environ, "RAY_ADDRESS": cluster.outside}
    command = [sys.executable, "-m", "pytest_rightsize.commands", "doctor", "--ladder", "small"]
    command += ["--plugin", "tests.hosting.ray.held"]
    done = subprocess.run(command, cwd=session.folder, env=environment, capture_output=True, text=True, check=False)
    # Ray may not have noticed yet that the doomed ones of other tests are gone.
    lines = [
        line for line in done.stdout.splitlines() if line.strip().startswith("node ") and next(iter(DOOMED)) not in line
    ]
    assert len([line for line in lines if "1 CPU" in line]) == 2, done.stdout + done.stderr
    assert all("pytest-rightsize" in line and "Python" in line and "meter" in line for line in lines)


def test_a_ray_that_is_not_there_is_said_at_once(pytester: pytest.Pytester, cluster: Cluster) -> None:
    session = Session(pytester, cluster, ladder("small", address='"127.0.0.1:1"'))
    assert session.run("--rightsize-ladder=small", "--rightsize-cache=off") == 1
    assert "no Ray cluster answers at 127.0.0.1:1 (Connection refused). Start one there with `ray" in session.out
    assert {trial.reason for trial in session.result().trials if trial.outcome == "error"} == {"transport"}


def test_a_ray_of_this_machine_is_started_for_the_session_and_ends_with_it(
    pytester: pytest.Pytester, cluster: Cluster
) -> None:
    """Then nothing leaves this machine: a private task is asked, and --rightsize-offline allows it."""
    suite = SUITE.replace("pass_rate=0.75", "pass_rate=0.75, private=True")
    session = Session(pytester, cluster, ladder("small"), suite)
    session.address = ""
    session.open_gate()
    before, pause = raylets(), threading.Event()
    session.run("--rightsize-ladder=small", "--rightsize-cache=off", "--rightsize-offline", "--rightsize-strategy=full")
    assert Counter(outcomes(session.result()).values()) == {"passed": 12, "failed": 12}, session.out
    for _ in range(1200):
        if raylets() <= before:
            return
        pause.wait(0.05)
    pytest.fail("a minute after the session its Ray is still there")


def raylets() -> set[str]:
    """The numbers of Ray's processes on this machine."""
    names = {path.parent.name: path.read_text() for path in Path("/proc").glob("[0-9]*/comm") if path.exists()}
    return {number for number, name in names.items() if name.strip() in ("raylet", "gcs_server")}
