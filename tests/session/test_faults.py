"""Sessions against an endpoint that fails: no fault is a wrong answer, and the rest of the run goes on."""

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# Sessions in this process forget what they imported: so what is patched below is here before them.
import pytest_rightsize.providers.openai.http  # noqa: F401  # see above
from pytest_rightsize.results.results_file import read_run
from tests.providers.openai.endpoint import Answering, completion, serve

BENCH = Path(__file__).parents[3] / "shared" / "bench" / "endpoint.py"
needs_bench = pytest.mark.skipif(
    not BENCH.is_file(), reason="../shared/bench/endpoint.py, which fails to order, is missing"
)
MIXTURE = ("429=0.3", "500=0.1", "drop=0.05", "garbage=0.05", "hang=0.02")
SUITE = """
import pytest

@pytest.mark.parametrize("number", range(20))
@pytest.mark.parametrize("task", ["even", "all"])
def test_it(model, task, number):
    answer = model.ask(f"{task} {number}")
    # `small` is right about two thirds of the one task, and about the other.
    assert answer == f"ok {task} {number}"
    assert model.rung == "big" or task == "all" or number % 3
"""


def ladder(url: str, **settings: Any) -> str:
    lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
    rungs = [
        f'[ladder.{name}]\nprovider = "openai"\nbase_url = "{url}"\nmodel = "{name}"\n{lines}'
        for name in ("small", "big")
    ]
    return "\n".join(rungs)


@contextmanager
def failing(*faults: str) -> Iterator[str]:
    """The endpoint's URL; `KIND=RATE` says how often it fails how."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = [part for fault in faults for part in ("--fault", fault)]
    command = [sys.executable, str(BENCH), "--port", str(port), "--latency", "0.002", *given]
    process = subprocess.Popen(command)
    try:
        while process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=5).close()
                break
            except OSError:
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def climbed(pytester: pytest.Pytester, *options: str) -> tuple[pytest.RunResult, list[dict[str, Any]]]:
    """A session, and the lines of its results file."""
    result = pytester.runpytest(
        "--rightsize-ladder=small,big", "--rightsize-strategy=full", "--rightsize-results=run.jsonl", *options
    )
    return result, [json.loads(line) for line in (pytester.path / "run.jsonl").read_text(encoding="utf-8").splitlines()]


def outcomes(lines: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """`passed`, or why not, by case and rung."""
    trials = [line for line in lines if line["kind"] == "trial"]
    return {(line["case"], line["rung"]): line["reason"] or line["outcome"] for line in trials}


@pytest.fixture
def quick(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The suite, with retries that follow at once."""
    pytester.makepyfile(test_suite=SUITE)
    monkeypatch.setattr("pytest_rightsize.providers.openai.http._backoff", lambda _: 0.001)
    return pytester


HEALTHY = {
    (f"test_suite.py::test_it[{task}-{number}]", rung): "passed"
    if rung == "big" or task == "all" or number % 3
    else "wrong"
    for task in ("even", "all")
    for number in range(20)
    for rung in ("small", "big")
}


@needs_bench
@pytest.mark.parametrize(
    "faults",
    [
        ("429=0.4",),
        ("500=0.4",),
        ("503=0.4",),
        ("drop=0.3",),
        ("garbage=0.3",),
        ("empty=0.3",),
        ("hang=0.1",),
        ("nousage=0.5",),
        ("zerousage=0.5",),
        MIXTURE,
    ],
    ids="+".join,
)
def test_a_fault_is_no_wrong_answer_and_what_was_answered_counts(
    quick: pytest.Pytester, faults: tuple[str, ...]
) -> None:
    hangs = any("hang" in fault for fault in faults)
    with failing(*faults) as url:
        # Without one that hangs, a busy machine makes no request late.
        timeout_s = 0.5 if hangs else 60
        quick.makefile(".toml", rightsize=ladder(url, timeout_s=timeout_s, retries=30, max_in_flight=16))
        result, lines = climbed(quick)
    assert outcomes(lines) == HEALTHY
    answers = [answer for line in lines if line["kind"] == "trial" for answer in line["answers"]]
    # A request that hung for 0.5 s and was then answered in 0.002 took 0.002.
    assert not hangs or all(answer["seconds"] < 0.5 for answer in answers)
    retries = sum(answer["retries"] for answer in answers)
    if "usage" in faults[0]:
        assert retries == 0
    else:
        assert retries > 0
        result.stdout.fnmatch_lines(["small: * retries before its answers came; their waiting is in no figure"])
    if "usage" in faults[0]:
        assert {answer["tokens"]["prompt"] for answer in answers} >= {None}
        assert 0 not in {answer["tokens"]["prompt"] for answer in answers}


@needs_bench
def test_what_never_answers_is_an_error_and_leaves_the_others_alone(quick: pytest.Pytester) -> None:
    with failing(*MIXTURE) as url:
        quick.makefile(".toml", rightsize=ladder(url, timeout_s=0.5, retries=1, max_in_flight=16))
        result, lines = climbed(quick)
    seen = outcomes(lines)
    faults = {"rate_limit", "server", "transport", "bad_reply", "timeout", "down"}
    answered = {place: outcome for place, outcome in seen.items() if outcome not in faults}
    assert seen.keys() == HEALTHY.keys()
    assert answered.items() <= HEALTHY.items()
    assert set(seen.values()) & faults
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    for verdict in (line for line in lines if line["kind"] == "verdict"):
        assert verdict["verdict"] in ("unchosen", "undecided")


@needs_bench
@pytest.mark.parametrize(("kind", "reason"), [("truncated", "truncated"), ("refusal", "refusal")])
def test_what_was_cut_off_or_refused_is_told_from_what_is_wrong(quick: pytest.Pytester, kind: str, reason: str) -> None:
    with failing(f"{kind}=0.5") as url:
        quick.makefile(".toml", rightsize=ladder(url))
        _, lines = climbed(quick)
    differing = {place: outcome for place, outcome in outcomes(lines).items() if outcome != HEALTHY[place]}
    assert set(differing.values()) == {reason}


@needs_bench
def test_a_rung_that_refuses_the_key_is_asked_a_few_times_and_says_so_once(quick: pytest.Pytester) -> None:
    quick.makepyfile(test_suite=SUITE.replace("range(20)", "range(500)"))
    with failing("401=1") as url:
        quick.makefile(".toml", rightsize=ladder(url))
        result, lines = climbed(quick)
        with urllib.request.urlopen(url.replace("/v1", "/stats"), timeout=5) as stats:
            asked = json.load(stats)["requests"]
    assert asked < 30  # of 2,000: what was in flight to each rung when its first answer was heard
    trials = [line for line in lines if line["kind"] == "trial"]
    assert sum(trial["outcome"] == "error" for trial in trials) == 2
    assert sum(trial["reason"] == "down" for trial in trials) == len(trials) - 2
    assert str(result.stdout).count("refused the key (fault 401)") <= 6
    assert {line["verdict"] for line in lines if line["kind"] == "verdict"} == {"undecided"}


def test_what_was_answered_before_a_rung_went_down_counts(quick: pytest.Pytester) -> None:
    quick.makepyfile(test_suite=SUITE.replace("range(20)", "range(8)").replace('["even", "all"]', '["all"]'))
    refused = threading.Event()

    def script(asked: dict[str, Any]) -> Answering:
        content = asked["messages"][-1]["content"]
        if content == "all 0":
            refused.set()
            return Answering(status=401, body={})
        # What was in flight is answered when the refusal has long been heard.
        refused.wait()
        time.sleep(0.3)
        return Answering(body=completion(f"ok {content}"))

    with serve(script) as endpoint:
        quick.makefile(".toml", rightsize=ladder(endpoint.url, max_in_flight=8))
        result = quick.runpytest("--rightsize-ladder=small", "--rightsize-results=run.jsonl")
    trials = read_run(quick.path / "run.jsonl").trials
    assert Counter((trial.outcome, trial.reason) for trial in trials) == {("passed", None): 7, ("error", "auth"): 1}
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (Answering(status=403, body={}), ("error", "auth")),
        (Answering(status=400, body={"error": {"message": "bad", "code": "content_filter"}}), ("failed", "refusal")),
        (Answering(status=500, body={}), ("error", "server")),
    ],
)
def test_odd_prompts_take_no_rung_down(quick: pytest.Pytester, said: Answering, outcome: tuple[str, str]) -> None:
    quick.makepyfile(
        test_suite="""
        import pytest
        @pytest.mark.rightsize(task="odd", pass_rate=0.9)
        @pytest.mark.parametrize("n", range(4))
        def test_odd(model, n): assert model.ask(f"odd {n}") == "ok"
        @pytest.mark.rightsize(task="plain", pass_rate=0.9)
        @pytest.mark.parametrize("n", range(9))
        def test_plain(model, n): assert model.ask(f"plain {n}") == "ok"
        """
    )
    with serve(
        lambda asked: said if asked["messages"][0]["content"].startswith("odd") else Answering(body=completion("ok"))
    ) as endpoint:
        quick.makefile(".toml", rightsize=ladder(endpoint.url, retries=0))
        quick.runpytest("--rightsize-ladder=small", "--rightsize-strategy=full", "--rightsize-results=run.jsonl")
    trials = read_run(quick.path / "run.jsonl").trials
    assert Counter((trial.outcome, trial.reason) for trial in trials) == {("passed", None): 9, outcome: 4}


def test_retries_are_bounded_in_time_too(quick: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rightsize.providers.openai.http._GIVE_UP_S", 0.0)
    quick.makepyfile(test_suite="def test_it(model): assert model.ask('x')")
    with serve(lambda _: Answering(status=500, body={})) as endpoint:
        quick.makefile(".toml", rightsize='default = "big"\n' + ladder(endpoint.url, retries=1000))
        result = quick.runpytest()
    assert len(endpoint.requests) == 1
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_fault_says_how_often_it_was_tried(quick: pytest.Pytester) -> None:
    quick.makepyfile(test_suite="def test_it(model): assert model.ask('x')")
    with serve(lambda _: Answering(status=500, body={"error": {"message": "no"}})) as endpoint:
        quick.makefile(".toml", rightsize='default = "big"\n' + ladder(endpoint.url, retries=2))
        quick.runpytest().stdout.fnmatch_lines(["rung 'big': * answered 500 (no; 3 attempts)"])
    assert len(endpoint.requests) == 3


def test_a_traceback_ends_where_the_test_asks(quick: pytest.Pytester) -> None:
    quick.makepyfile(
        test_suite="""
        def test_it(model):
            try:
                model.ask("x")
            except Exception as error:
                raise ValueError("the test's own") from error
        """
    )
    with serve(lambda _: Answering(status=500, body={})) as endpoint:
        quick.makefile(".toml", rightsize='default = "big"\n' + ladder(endpoint.url, retries=0))
        conftest = "import pytest\nfrom _pytest._code import ExceptionInfo\n"
        hook = "@pytest.hookimpl(wrapper=True)\ndef pytest_runtest_makereport(item, call):\n"
        hook += "    if call.excinfo: print(call.excinfo.getrepr(style='long', tbfilter=True))\n    return (yield)\n"
        quick.makeconftest(conftest + hook)
        shown = str(quick.runpytest("-s").stdout)
    assert "test_suite.py:" in shown
    assert "engine.py" not in shown
    assert "provider.py" not in shown


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full, which is always full")
def test_a_full_disk_is_told_at_once_and_the_results_are_saved(
    quick: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(quick.path))
    with serve(lambda asked: Answering(body=completion("ok " + asked["messages"][-1]["content"]))) as endpoint:
        quick.makefile(".toml", rightsize=ladder(endpoint.url))
        result = quick.runpytest("--rightsize-ladder=small,big", "--rightsize-results=/dev/full")
    result.stdout.fnmatch_lines(
        [
            "rightsize: /dev/full cannot be written (No space left on device): its lines are kept in memory*",
            "rightsize: the last lines of /dev/full are in *rightsize-rest-*.jsonl: make room, and append *",
        ]
    )
    (saved,) = quick.path.glob("rightsize-rest-*.jsonl")
    kinds = [json.loads(line)["kind"] for line in saved.read_text(encoding="utf-8").splitlines()]
    assert kinds[0] == "run"
    assert kinds[-1] == "end"
    assert kinds.count("trial") == 80


def test_a_results_file_in_a_folder_that_is_a_file_is_told_before_any_test(quick: pytest.Pytester) -> None:
    (quick.path / "file").touch()
    with serve(lambda _: Answering(body=completion("x"))) as endpoint:
        quick.makefile(".toml", rightsize=ladder(endpoint.url))
        result = quick.runpytest("--rightsize-ladder=small,big", "--rightsize-results=file/below/run.jsonl")
    assert result.ret != pytest.ExitCode.OK
    assert "file/below/run.jsonl" in str(result.stdout) + str(result.stderr)
    assert not endpoint.requests


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the system has no /proc, where nobody can make a file")
@pytest.mark.parametrize("option", ["--rightsize-results", "--rightsize-html", "--rightsize-markdown"])
@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["one process", "xdist"])
def test_a_file_that_cannot_be_made_is_told_before_anything_is_asked(
    quick: pytest.Pytester, option: str, workers: list[str]
) -> None:
    with serve(lambda _: Answering(body=completion("x"))) as endpoint:
        quick.makefile(".toml", rightsize=ladder(endpoint.url))
        result = quick.runpytest("--rightsize-ladder=small,big", f"{option}=/proc/run", *workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = str(result.stdout) + str(result.stderr)
    assert "/proc/run" in said
    assert "INTERNALERROR" not in said
    assert not endpoint.requests
