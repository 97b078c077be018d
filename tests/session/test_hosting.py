"""Sessions whose models answer in hosts: which rungs have one, what crashes cost, and that answers are alike."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_rightsize.config.settings import Settings
from pytest_rightsize.hosting.hosted import Hosted
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.providers.replay import Replay
from pytest_rightsize.records import Run, Rung
from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.session.notices import Notices
from pytest_rightsize.session.rung_hosts import HOSTS, RungHosts
from tests.hosting.played import Played

MODELS = Path(__file__).parents[2] / "example_suite" / "models"
LADDER = """
    [ladder.small]
    provider = "played"
    meter = { name = "joules", idle_s = 0 }
    [ladder.big]
    provider = "played"
    max_in_flight = 1
    meter = { name = "joules", idle_s = 0 }
    [ladder.umpire]
    provider = "played"
    meter = "none"
"""
PROVIDER = "from tests.hosting.played import pytest_rightsize_meters, pytest_rightsize_providers"


def config(dist: str = "no", **worker: Any) -> Any:
    """A session's configuration, as far as it says who is who."""
    made = SimpleNamespace(getoption=lambda name, default: dist if name == "dist" else default)
    made.add_cleanup = lambda _: None
    if worker:
        made.workerinput = worker
    return made


ADDRESS = {"file": "/nowhere", "secret": "s"}


@pytest.mark.parametrize(
    ("asked", "session", "kind", "expected"),
    [
        (None, config(), LlamaCpp, False),
        (None, config("load"), LlamaCpp, True),
        (None, config(rightsize_hosts=ADDRESS), LlamaCpp, True),
        (None, config(workercount=2), LlamaCpp, False),  # a worker of another machine, or without a socket
        (None, config("load"), Played, False),
        (None, config("load"), Replay, False),
        ("own", config("load"), LlamaCpp, False),
        ("own", config(rightsize_hosts=ADDRESS), LlamaCpp, False),
        ("shared", config(), LlamaCpp, True),
        ("shared", config(), Played, True),
        ("shared", config(), Replay, False),
        ("shared", config("load"), Played, True),
        ("shared", config(workercount=2), Played, False),
    ],
)
def test_which_rungs_have_a_host(asked: Any, session: Any, kind: Any, expected: bool) -> None:
    hosting = RungHosts(session, Settings(rootdir=Path(), hosts=asked), Notices())
    names = {LlamaCpp: "llama_cpp", Played: "played", Replay: "replay"}
    rung = Rung(name="r", provider=names[kind], model="m", options={"file": "f"} if kind is Replay else {})
    provider = hosting.hosted(rung, kind(rung), {}, room=4, budget_s=0.0)
    assert isinstance(provider, Hosted) is expected
    assert hosting.rungs == (["r"] if expected else [])


def test_a_worker_of_another_machine_holds_its_own_models() -> None:
    hosting = RungHosts(config("load"), Settings(rootdir=Path()), Notices())
    assert hosting.worker_input(on_this_machine=True) is None, "nothing is shared"
    rung = Rung(name="r", provider="llama_cpp", model="m")
    hosting.hosted(rung, LlamaCpp(rung), {}, room=4, budget_s=0.0)
    assert hosting.worker_input(on_this_machine=False) is None
    address = hosting.worker_input(on_this_machine=True)
    assert address is not None
    assert len(address["secret"]) == 64
    assert hosting.worker_input(on_this_machine=True) == address
    assert HOSTS == "rightsize_hosts"
    hosting.close()


def session(pytester: pytest.Pytester, tests: str, *options: str) -> Run:
    """The run of a session on the played ladder."""
    pytester.makefile(".toml", rightsize=LADDER)
    pytester.makeconftest(PROVIDER)
    pytester.makepyfile(tests)
    pytester.runpytest(
        "--rightsize-ladder=small,big", "--rightsize-results=run.jsonl", "--rightsize-cache=off", *options
    )
    return read_run(pytester.path / "run.jsonl")


def test_workers_share_one_process_a_rung_and_one_that_dies_costs_one_trial(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    tests = """
        import os
        import pytest
        from pytest_rightsize import judged

        @pytest.mark.rightsize(task="judged")
        def test_judged(model):
            assert model.ask("hello") == judged("It is polite.", at_least=4, by="umpire")

        def made(task):
            @pytest.mark.rightsize(task=task)
            @pytest.mark.parametrize("n", [1, 2])
            def test(model, n):
                answer = model.ask(f"pid {task} {n}")
                if task == "dies" and n == 1 and model.rung == "small":
                    os._exit(3)
                assert model.rung == "big" or task == "easy"
                assert model.rung == "small" or model.ask(f"count {task} {n}") == "1"
            return test

        test_dies, test_easy, test_hard, test_harder = map(made, ["dies", "easy", "hard", "harder"])
    """
    run = session(pytester, tests, "-n2", "--rightsize-hosts=shared")
    ended = {(trial.key.task, trial.key.rung): [] for trial in run.trials}  # type: ignore[var-annotated]
    pids: dict[str, set[str]] = {"small": set(), "big": set()}
    for trial in run.trials:
        ended[trial.key.task, trial.key.rung].append(trial.outcome)
        if trial.key.task == "judged":
            assert trial.reason != "crash", "the worker's other rungs live on"
            assert "gave no judgement that can be read" in str(trial.detail), "a judge beside the ladder is asked"
            continue
        pids[trial.key.rung] |= {answer.text for answer in trial.answers[:1]}
    assert sorted(ended["dies", "small"]) == ["error", "failed"], "the trial that ended its worker, and no other"
    assert ended["easy", "small"] == ["passed"] * 2
    assert [ended[task, "big"] for task in ("hard", "harder")] == [["passed"] * 2] * 2
    assert [len(found) for found in pids.values()] == [1, 1], "no model was lost with the worker"
    served = {metering.rung: 0 for metering in run.meters}
    for metering in run.meters:
        served[metering.rung] += metering.answers
    answers = {rung: sum(len(t.answers) for t in run.trials if t.key.rung == rung) for rung in pids}
    assert set(served) == {"small", "big"}
    assert all(served[rung] >= answers[rung] for rung in answers), "the dead worker had an answer that no trial has"


def test_a_crash_of_a_model_costs_a_restart_and_a_prompt_that_always_crashes_it_one_trial(
    pytester: pytest.Pytester,
) -> None:
    """And the session goes on: that is what `--rightsize-hosts=shared` is for without workers."""
    died = pytester.path / "died"
    tests = f"""
        import pytest

        @pytest.mark.rightsize(task="once")
        @pytest.mark.parametrize("prompt", ["hello", "die once {died.as_posix()}"])
        def test_once(model, prompt):
            assert model.ask(prompt) in ("HELLO", "alive")

        @pytest.mark.rightsize(task="twice")
        @pytest.mark.parametrize("prompt", ["die", "hello", "hello again"])
        def test_twice(model, prompt):
            if model.rung == "small":
                model.ask(prompt)
    """
    run = session(pytester, tests, "--rightsize-hosts=shared", "--rightsize-concurrency=1")
    ended = {(trial.key.task, trial.key.rung): trial for trial in run.trials if "hello" not in trial.key.case}
    assert ended["once", "small"].outcome == "passed"
    assert ended["once", "small"].answers[0].retries == 1
    fault = ended["twice", "small"]
    assert (fault.outcome, fault.reason) == ("error", "crash")
    others = [t for t in run.trials if (t.key.task, t.key.rung) == ("twice", "small") and t is not fault]
    assert [trial.outcome for trial in others] == ["passed", "passed"], "the rung is asked on"
    assert "its host process ended with status 7" in (fault.detail or "")
    notes = [note for metering in run.meters for note in metering.notes]
    assert len(notes) == 3
    assert all("what it took beside those is not known" in note for note in notes)


def test_hosts_of_a_cascade_stay_open_beside_each_other(pytester: pytest.Pytester) -> None:
    """Else each question would load both models anew."""
    tests = """
        import pytest

        @pytest.mark.rightsize(task="any")
        @pytest.mark.parametrize("n", [1, 2, 3])
        def test_any(model, n):
            model.ask(f"pid {n}")
    """
    cascade = """
    [ladder.both]
    provider = "cascade"
    rungs = ["small", "big"]
    accept = "never:accepted"
    """
    pytester.makefile(".toml", rightsize=LADDER + cascade)
    pytester.makeconftest(PROVIDER)
    pytester.makepyfile(tests, never="def accepted(answer): return False")
    pytester.runpytest(
        "--rightsize-ladder=both", "--rightsize-results=run.jsonl", "--rightsize-cache=off", "--rightsize-hosts=shared"
    )
    run = read_run(pytester.path / "run.jsonl")
    assert [trial.outcome for trial in run.trials] == ["passed"] * 3
    assert {trial.answers[0].via for trial in run.trials} == {("small", "big")}
    assert sorted((metering.rung, metering.answers) for metering in run.meters) == [("big", 3), ("small", 3)]


def test_answers_are_recorded_alike_wherever_a_local_model_runs(pytester: pytest.Pytester) -> None:
    """A real one: what a host answered is replayed to a session that holds its own model."""
    pytest.importorskip("llama_cpp")
    pytester.makefile(
        ".toml",
        rightsize=f"""
            [ladder.25k]
            provider = "llama_cpp"
            n_threads = 1
            model = "{(MODELS / "25k.gguf").as_posix()}"
        """,
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.rightsize(task="any", private=True)
        @pytest.mark.parametrize("n", [1, 2, 3])
        def test_any(model, n):
            model.ask(f"number {n}", max_tokens=8)
        """
    )
    texts = {}
    for name, options in {
        "shared": ("--rightsize-hosts=shared", "--rightsize-offline"),
        "own": ("--rightsize-cache=replay",),
    }.items():
        result = pytester.runpytest("--rightsize-ladder=25k", f"--rightsize-results={name}.jsonl", *options)
        result.assert_outcomes(passed=3)
        if name == "shared":
            result.stdout.fnmatch_lines(["*answering in a process of its own: 25k", "*meter cpu_time (25k)"])
        run = read_run(pytester.path / f"{name}.jsonl")
        texts[name] = {trial.key.case: [answer.text for answer in trial.answers] for trial in run.trials}
        assert all(answer.cached is (name == "own") for trial in run.trials for answer in trial.answers)
        if name == "shared":
            (metering,) = run.meters
            joules = [answer.energy.joules for trial in run.trials for answer in trial.answers if answer.energy]
            assert metering.served is not None
            assert metering.served.joules == pytest.approx(sum(joules))  # type: ignore[arg-type]  # all are known
    assert texts["own"] == texts["shared"]


def test_an_unknown_way_to_host_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", rightsize=LADDER)
    pytester.makeconftest(PROVIDER)
    result = pytester.runpytest("--rightsize-hosts=share")
    result.stderr.fnmatch_lines(
        ["*--rightsize-hosts: unknown name 'share': did you mean 'shared'? Known: shared, own.*"]
    )
