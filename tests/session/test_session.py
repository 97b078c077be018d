"""Whole sessions on recorded answers, through pytester."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Trial
from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.versions import TooOld
from tests.conftest import STRICT, record

LADDER = "--rightsize-ladder=tiny,small,big"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_climb_stops_at_the_smallest_rung_that_passes(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, STRICT, "--rightsize-savings=none")
    result.stdout.fnmatch_lines(
        [
            "rightsize: ladder tiny < small < big; strategy climb",
            "*smallest model that passes each task*",
            "task    tiny    small    big    smallest    chosen    evidence     verdict",
            "upper   <3/4    >=3/4[*]   -      small       big       provisional  OVER-SIZED",
            "([*] smallest that passes, < stopped: cannot reach so many, >= stopped: reaches so many, - not run)",
            "upper: provisional: small reaches 3 of 4 (3 of 3 asked); its true rate may be as low as 37 %, and the bar "
            "is 75 %; about 4 more cases like these would make it likely, 11 would show it",
            "upper: tiny cannot reach 3 of 4 (1 of 3 asked)",
            "rightsize: of 1 task, 1 over-sized; ran 50 % of all test and model combinations, 24 tokens",
            "rightsize: saved about 8 tokens against the full ladder; what 4 trials on big would have taken is not *",
            "gate oversized: upper: small passes, so big is larger than needed: set chosen of upper to small (*.py:3)",
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 4
    assert "failed" not in outcomes


def test_a_provisional_verdict_warns_and_fails_nothing(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(
        [
            "warning: upper would fail gate oversized, but its evidence is only provisional: small passes, so big is "
            "larger than needed: set chosen of upper to small (*.py:3); about 4 more cases like these would make it "
            "likely, 11 would show it",
        ]
    )
    result.stdout.no_fnmatch_line("gate *")
    assert result.ret == pytest.ExitCode.OK
    end = lines_of(suite.path / "run.jsonl")[-1]
    assert (end["exitstatus"], end["gate"]) == (0, {"failed": [], "warned": ["oversized: upper"], "waived": []})


@pytest.mark.parametrize(
    ("gates", "status"),
    [
        ("oversized,provisional", pytest.ExitCode.TESTS_FAILED),
        ("provisional", pytest.ExitCode.TESTS_FAILED),
        ("oversized", pytest.ExitCode.OK),
        ("unsolved,provisional", pytest.ExitCode.OK),
    ],
)
def test_the_gate_provisional_makes_it_fail(suite: pytest.Pytester, gates: str, status: pytest.ExitCode) -> None:
    assert suite.runpytest(LADDER, f"--rightsize-gate={gates}").ret == status


def test_enough_cases_fail_the_gate_by_themselves(suite: pytest.Pytester) -> None:
    """Eleven of eleven show a rate of 0.75: 0.75 to the 11th is below 0.05."""
    words = "abcdefghijk"
    source = (suite.path / "test_suite.py").read_text(encoding="utf-8")
    (suite.path / "test_suite.py").write_text(source.replace('["a", "b", "c", "d"]', repr([*words])), encoding="utf-8")
    for rung in ("tiny", "small", "big"):
        record(suite.path / f"{rung}.jsonl", dict(zip(words, words if rung == "tiny" else words.upper(), strict=True)))
    result = suite.runpytest(LADDER, "--rightsize-strategy=full")
    result.stdout.fnmatch_lines(
        ["upper * shown * OVER-SIZED", "upper: shown: small passed 11 of 11; *", "gate oversized: upper: *"]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_full_runs_every_rung_and_concludes_the_same(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, "--rightsize-strategy=full", "--rightsize-gate=none")
    result.stdout.fnmatch_lines(["upper   1/4     3/4[*]     4/4    small * OVER-SIZED", "*12 trials, 48 tokens"])
    assert result.ret == pytest.ExitCode.OK


def test_the_ini_twins_say_the_same_as_the_options(suite: pytest.Pytester) -> None:
    suite.makeini(
        """
        [pytest]
        rightsize_ladder = small,big
        rightsize_gate = none
        rightsize_strategy = full
        """
    )
    result = suite.runpytest()
    result.stdout.fnmatch_lines(["rightsize: ladder small < big; strategy full", "upper   3/4[*]     4/4 *"])
    assert result.ret == pytest.ExitCode.OK


def test_samples_repeat_each_case(suite: pytest.Pytester) -> None:
    with (suite.path / "big.jsonl").open("a", encoding="utf-8") as file:
        for word in "abcd":
            file.write(json.dumps({"prompt": word, "sample": 1, "text": word}) + "\n")
    result = suite.runpytest("--rightsize-ladder=big", "--rightsize-samples=2")
    result.stdout.fnmatch_lines(["upper   <6/8 *UNSOLVED*"])


def test_the_results_file_has_every_line_and_judges_the_same(suite: pytest.Pytester) -> None:
    suite.runpytest(LADDER, STRICT, "--rightsize-results=run.jsonl")
    lines = [line for line in lines_of(suite.path / "run.jsonl") if line["kind"] != "prompt"]
    assert [line["kind"] for line in lines] == ["run", "plan", *["trial"] * 12, "verdict", "end"]
    assert lines[0]["schema"] == 1
    assert [rung["name"] for rung in lines[0]["ladder"]] == ["tiny", "small", "big"]
    assert {line["outcome"] for line in lines[2:14]} == {"passed", "failed", "not_run"}
    assert lines[2]["answers"][0]["tokens"]["prompt"] == 3
    assert lines[2]["answers"][0]["energy"] is None
    assert lines[-2]["smallest"] == "small"
    assert lines[-1]["exitstatus"] == 1
    assert lines[-1]["gate"] == {"failed": ["oversized: upper"], "warned": [], "waived": []}
    run = read_run(suite.path / "run.jsonl")
    assert [verdict.verdict for verdict in judge(run)] == ["over-sized"]
    assert not run.interrupted


def test_a_report_that_leaves_the_process_has_its_trial_as_plain_data(suite: pytest.Pytester) -> None:
    """As plugins do that write reports to files."""
    suite.makeconftest(
        """
        import json
        def pytest_configure(config):
            global hook
            hook = config.hook
        def pytest_runtest_logreport(report):
            data = hook.pytest_report_to_serializable(config=None, report=report)
            with open("reports.jsonl", "a") as file:
                file.write(json.dumps(data) + "\\n")
        """
    )
    suite.runpytest(LADDER)
    lines = [json.loads(line) for line in (suite.path / "reports.jsonl").read_text(encoding="utf-8").splitlines()]
    trials = [Trial.from_dict(line["rightsize"]) for line in lines if line.get("rightsize")]
    assert {trial.outcome for trial in trials} >= {"passed", "failed"}


def test_workers_of_xdist_come_to_the_same_results(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, STRICT, "-n2", "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(["upper   <3/4    >=3/4[*]   -      small       big       provisional  OVER-SIZED"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [verdict.smallest for verdict in judge(read_run(suite.path / "run.jsonl"))] == ["small"]


def test_dist_each_is_refused(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, "-n2", "--dist=each")
    assert result.ret != pytest.ExitCode.OK
    assert "--dist each would ask every question once per worker" in str(result.stdout) + str(result.stderr)


def test_an_xdist_that_is_too_old_is_refused_with_the_remedy(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = TooOld(package="pytest-xdist", installed="3.6.1", oldest="3.7")
    monkeypatch.setattr("pytest_rightsize.session.distribution.too_old", lambda _: old)
    result = suite.runpytest(LADDER, "-n1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: pytest-xdist 3.6.1 is too old: at least 3.7 is needed: "
            'run `python -m pip install -U "pytest-xdist>=3.7"`, or run without -n'
        ]
    )


def test_k_selects_trials_and_the_summary_speaks_of_those(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, "-k", "tiny or big")
    result.stdout.fnmatch_lines(["rightsize: 4 trials were deselected; the verdicts leave them out"])


def test_lf_runs_without_complaint_after_a_climb(suite: pytest.Pytester) -> None:
    suite.runpytest(LADDER)
    assert suite.runpytest(LADDER, STRICT, "--lf").ret == pytest.ExitCode.TESTS_FAILED


def test_a_wrong_answer_does_not_stop_a_session_with_x(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, "-x")
    result.stdout.fnmatch_lines(["upper   <3/4    >=3/4[*] *"])


def test_collect_only_asks_nobody_and_writes_nothing(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, "--collect-only", "-q", "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(["test_suite.py::test_upper[[]tiny-a]"])
    assert result.ret == pytest.ExitCode.OK
    assert not (suite.path / "run.jsonl").exists()


def test_without_a_terminal_the_gate_still_holds(suite: pytest.Pytester) -> None:
    result = suite.runpytest_subprocess(LADDER, STRICT, "-p", "no:terminal", "--rightsize-results=run.jsonl")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert lines_of(suite.path / "run.jsonl")[-1]["gate"]["failed"] == ["oversized: upper"]


def test_the_marker_is_registered(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, "--strict-markers", "--rightsize-gate=none")
    assert result.ret == pytest.ExitCode.OK
    suite.runpytest("--markers").stdout.fnmatch_lines(["@pytest.mark.rightsize(task=*"])


def test_without_a_ladder_a_task_runs_on_its_chosen_rung_as_an_ordinary_test(suite: pytest.Pytester) -> None:
    suite.runpytest().assert_outcomes(passed=4)
    record(suite.path / "big.jsonl", dict(zip("abcd", "ABCx", strict=True)))
    result = suite.runpytest()
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.no_fnmatch_line("*smallest model*")


def test_without_anything_the_plugin_does_nothing(pytester: pytest.Pytester, fresh_processes: None) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_heavy_is_imported(request):
            assert not request.config.pluginmanager.has_plugin("rightsize-collecting")
            heavy = {"aiohttp", "llama_cpp", "huggingface_hub", "rapidfuzz", "jsonschema", "pynvml"}
            assert not heavy & set(sys.modules)
            own = {name for name in sys.modules if name.startswith("pytest_rightsize")}
            files = ("clocks", "config", "config.options", "hookspecs", "plugin")
            assert own - {"pytest_rightsize"} == {f"pytest_rightsize.{name}" for name in files}
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*rightsize:*")


def test_the_fixture_without_any_rung_says_what_to_do(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_x(model): model.ask('x')")
    pytester.runpytest().stdout.fnmatch_lines(["*the fixture `model` has no rung to ask. Climb a ladder with*"])


@pytest.mark.parametrize(
    ("chosen", "files", "verdict"),
    [
        ('chosen = "vendor/small-1"', {}, "right-sized"),
        ('chosen = { file = "app.toml", key = "llm.model" }', {"app.toml": '[llm]\nmodel = "small"'}, "right-sized"),
        (
            'chosen = { file = "app.json", key = "llm.model" }',
            {"app.json": '{"llm": {"model": "tiny"}}'},
            "UNDER-SIZED",
        ),
        ('chosen = { file = "app.yaml", key = "llm.model" }', {"app.yaml": "llm:\n  model: big"}, "OVER-SIZED"),
        ('chosen = { env = "APP_MODEL" }', {}, "right-sized"),
    ],
)
def test_chosen_is_read_where_the_application_keeps_it(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, chosen: str, files: dict[str, str], verdict: str
) -> None:
    monkeypatch.setenv("APP_MODEL", "vendor/small-1")
    test_file = suite.path / "test_suite.py"
    test_file.write_text(test_file.read_text(encoding="utf-8").replace(', chosen="big"', ""), encoding="utf-8")
    for name, text in files.items():
        (suite.path / name).write_text(text, encoding="utf-8")
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[tasks.upper]\n{chosen}\n")
    suite.runpytest(LADDER).stdout.fnmatch_lines([f"upper * {verdict}"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"tiny.jsonl"', '"tiny.jsonl"\nmodle = "x"', "unknown key 'modle': did you mean 'model'?"),
        ('provider = "replay"', 'provider = "replai"', "unknown provider 'replai': did you mean 'replay'?"),
        ('default = "big"', 'default = "bigg"', "unknown rung 'bigg': did you mean 'big'?"),
        ("[ladder.big]", "[ladder.big", "is not TOML"),
        ("[ladder.big]", '[ladder.big]\napi_key = "sk-secret"', "would hold a literal key, which is refused"),
        (
            "[ladder.big]",
            '[ladder.x]\nprovider = "openai"\n[ladder.big]',
            "no model, which the provider openai needs",
        ),
        ("[ladder.big]", "[ladder.big]\nparams_b = -1", "params_b = -1 cannot be: give a number above 0"),
        ("[ladder.big]", '[ladder.big]\nseed = "x"', "seed = 'x' cannot be: give a whole number"),
        ("[ladder.big]", "[ladder.big]\nprice = { prompt = 1 }", "has no completion: give USD per million tokens"),
        ("[ladder.tiny]", "[tasks.upper]\nsamples = 0\n[ladder.tiny]", "samples = 0 cannot be"),
    ],
)
def test_a_wrong_ladder_file_is_refused_before_anything_runs(
    suite: pytest.Pytester, old: str, new: str, words: str
) -> None:
    path = suite.path / "rightsize.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    result = suite.runpytest(LADDER)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in str(result.stderr)
    assert "rightsize.toml" in str(result.stderr)
    assert "sk-secret" not in str(result.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rightsize-ladder=tiny,smal"], "unknown rung 'smal': did you mean 'small'? Known: tiny, small, big"),
        (["--rightsize-ladder=tiny,tiny"], "names 'tiny' twice"),
        (["--rightsize-ladder="], "was given nothing: name rungs, smallest first"),
        ([LADDER, "--rightsize-config=none.toml"], "none.toml is not there"),
        ([LADDER, "--rightsize-samples=0"], "was given '0': give a whole number, 1 to"),
        ([LADDER, "--rightsize-pass-rate=90"], "was given '90': give a number from 0 to 1"),
        ([LADDER, "--rightsize-gate=oversize"], "did you mean 'oversized'?"),
        ([LADDER, "--rightsize-strategy=clim"], "did you mean 'climb'?"),
        ([LADDER, "--rightsize-results=."], "no file that can be written"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_runs(
    suite: pytest.Pytester, arguments: list[str], words: str
) -> None:
    result = suite.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in str(result.stderr)


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("pas_rate=0.5", "'pas_rate': did you mean 'pass_rate'?"),
        ("pass_rate=90", "pass_rate=90: give a number from 0 to 1"),
        ("samples=True", "samples=True: give a whole number"),
        ("chosen='huge'", "unknown rung or model 'huge'"),
        ("'route'", "without a name: write rightsize(task='route')"),
    ],
)
def test_a_wrong_marker_is_refused_at_collection(suite: pytest.Pytester, marker: str, words: str) -> None:
    suite.makepyfile(test_suite=f"import pytest\n@pytest.mark.rightsize({marker})\ndef test_x(model): model.ask('a')")
    result = suite.runpytest(LADDER)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert words in str(result.stdout)


def test_a_broken_replay_line_is_named_before_anything_runs(suite: pytest.Pytester) -> None:
    with (suite.path / "small.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"prompt": "e", "text": ')
    result = suite.runpytest(LADDER)
    assert result.ret != pytest.ExitCode.OK
    assert "small.jsonl:5: this line of the replay file is not JSON" in str(result.stdout) + str(result.stderr)
    assert "INTERNALERROR" not in str(result.stdout) + str(result.stderr)


def test_a_missing_file_takes_its_rung_out_and_leaves_the_task_undecided(suite: pytest.Pytester) -> None:
    (suite.path / "small.jsonl").unlink()
    result = suite.runpytest(LADDER)
    result.stdout.fnmatch_lines(
        [
            "rightsize: small is not available: *small.jsonl is not there. *",
            "upper * UNDECIDED",
            "gate undecided: *",
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_question_that_was_not_recorded_is_an_error_and_never_a_wrong_answer(suite: pytest.Pytester) -> None:
    record(suite.path / "small.jsonl", dict(zip("bcd", "BCx", strict=True)))
    result = suite.runpytest(LADDER, "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(["upper * UNDECIDED", "*has no answer to 'a'; the nearest recorded one is*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    errors = [line for line in lines_of(suite.path / "run.jsonl") if line.get("outcome") == "error"]
    assert [error["reason"] for error in errors] == ["unrecorded"]


def test_a_private_task_never_reaches_a_rung_that_leaves_the_machine(suite: pytest.Pytester) -> None:
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write(
            '\n[ladder.far]\nprovider = "openai"\nmodel = "x"\nbase_url = "http://192.0.2.1/v1"\n'
            "[tasks.upper]\nprivate = true\n"
        )
    result = suite.runpytest("--rightsize-ladder=tiny,far", "--rightsize-results=run.jsonl")
    trials = [line for line in lines_of(suite.path / "run.jsonl") if line["kind"] == "trial" and line["rung"] == "far"]
    assert {(trial["outcome"], trial["reason"]) for trial in trials} == {("not_run", "private")}
    result.stdout.fnmatch_lines(["upper * UNSOLVED"])


def test_skipped_cases_are_excused(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite="""
        import pytest

        @pytest.mark.rightsize(task="upper", chosen="big")
        @pytest.mark.parametrize("word", ["a", "b", pytest.param("d", marks=pytest.mark.skip)])
        def test_upper(model, word):
            assert model.ask(word) == word.upper()
        """
    )
    suite.runpytest("--rightsize-ladder=small,big").stdout.fnmatch_lines(["upper   2/2[*] *OVER-SIZED"])


def test_an_interrupt_leaves_a_whole_results_file_and_says_so(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite="""
        import pytest

        @pytest.mark.rightsize(task="upper", pass_rate=0.5)
        @pytest.mark.parametrize("word", ["a", "b", "c", "d"])
        def test_upper(model, word):
            if word == "c":
                raise KeyboardInterrupt
            assert model.ask(word) == word.upper()
        """
    )
    result = suite.runpytest_subprocess(LADDER, "--rightsize-results=run.jsonl")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["upper * UNDECIDED", "*interrupted after 2 of 12 trials*"])
    lines = lines_of(suite.path / "run.jsonl")
    assert [line["outcome"] for line in lines if line["kind"] == "trial"] == ["passed", "failed"]
    assert lines[-1]["kind"] == "end"
    assert lines[-1]["totals"]["interrupted"]


def test_two_descriptions_of_one_task_are_refused(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite="""
        import pytest

        @pytest.mark.rightsize(task="t", pass_rate=0.5)
        def test_a(model): assert model.ask("a")

        @pytest.mark.rightsize(task="t", pass_rate=0.6)
        def test_b(model): assert model.ask("b")
        """
    )
    suite.runpytest(LADDER).stdout.fnmatch_lines(["*the task 't' is described differently by *"])


def test_a_conversation_is_one_trial(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite="""
        def test_talk(model):
            chat = model.chat(system="be brief")
            assert chat.ask("hello") == "hi"
            assert chat.ask("bye") == "bye bye"
        """
    )
    said = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]
    then = [*said, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "bye"}]
    lines = [{"messages": said, "text": "hi"}, {"messages": then, "text": "bye bye"}]
    (suite.path / "big.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    suite.runpytest("--rightsize-ladder=big").stdout.fnmatch_lines(["test_suite.py::test_talk * 1/1[*] * unchosen"])


def test_the_built_in_ladder_says_what_is_missing_before_any_test_runs(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile("def test_x(model): assert model.ask('x') == 'y'")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("HF_HOME", str(pytester.path / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(pytester.path / "hub" / "hub"))
    result = pytester.runpytest_subprocess("--rightsize-ladder=1b,4b,30b,frontier")
    result.stdout.fnmatch_lines(
        [
            "rightsize: ladder 1b < 4b < 30b < frontier; strategy climb",
            "rightsize: 1b is not available: *",
            "rightsize: 4b is not available: *",
            "rightsize: 30b is not available: *",
            "rightsize: frontier is not available: the variable OPENAI_API_KEY *export OPENAI_API_KEY=...*",
            "*UNDECIDED*",
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_worker_that_dies_leaves_an_error_and_no_verdict(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite=f"""
        import os, signal, pytest

        @pytest.mark.rightsize(task="upper", pass_rate=0.9)
        @pytest.mark.parametrize("word", ["a", "b", "c"])
        def test_upper(model, word):
            if word == "b":
                os.kill(os.getpid(), {int(signal.SIGKILL)})
            assert model.ask(word) == word.upper()
        """
    )
    assert os.name == "posix"
    result = suite.runpytest_subprocess("--rightsize-ladder=big", "-n1", "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(["upper * UNDECIDED"])
    crashed = [line for line in lines_of(suite.path / "run.jsonl") if line.get("outcome") == "error"]
    assert [line["reason"] for line in crashed] == ["crash"]
    assert result.ret == pytest.ExitCode.TESTS_FAILED


CONFTEST_PROVIDER = """
from concurrent.futures import Future

from pytest_rightsize.records import Reply


class Shout:
    options = {"times": int}
    required = ("times",)
    leaves_machine = False

    def __init__(self, rung):
        self.times = rung.options["times"]

    def check(self):
        return None

    def submit(self, request):
        future = Future()
        future.set_result(Reply(text=request.messages[-1]["content"].upper() * self.times))
        return future

    def close(self):
        pass


def pytest_rightsize_providers():
    return {"shout": Shout}
"""


def test_a_conftest_brings_its_own_provider(suite: pytest.Pytester) -> None:
    suite.makeconftest(CONFTEST_PROVIDER)
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write('\n[ladder.own]\nprovider = "shout"\ntimes = 1\n[ladder.loud]\nprovider = "shout"\ntimes = 2\n')
    result = suite.runpytest("--rightsize-ladder=loud,own", "--rightsize-gate=none")
    result.stdout.fnmatch_lines(["upper   <3/4    >=3/4[*] *", "*tokens unknown"])
    assert result.ret == pytest.ExitCode.OK


def test_the_keys_of_a_provider_of_ones_own_are_checked_too(suite: pytest.Pytester) -> None:
    suite.makeconftest(CONFTEST_PROVIDER)
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write('\n[ladder.own]\nprovider = "shout"\ntines = 1\n')
    result = suite.runpytest("--rightsize-ladder=own")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "unknown key 'tines': did you mean 'times'?" in str(result.stderr)


def test_two_providers_of_one_name_are_refused(suite: pytest.Pytester) -> None:
    suite.makeconftest(CONFTEST_PROVIDER.replace('"shout": Shout', '"replay": Shout'))
    result = suite.runpytest(LADDER)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "two plugins provide 'replay'" in str(result.stderr)


def test_without_a_ladder_each_mistake_is_told_by_its_own_test(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    path = suite.path / "rightsize.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('default = "big"', ""), encoding="utf-8")
    suite.makepyfile(
        test_suite="""
        import pytest, unittest
        @pytest.mark.rightsize(chosen="frontier")
        def test_built_in(model): model.ask("a")
        def test_nowhere(model): model.ask("a")
        class TestOld(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _model(self, model): self.model = model
            @pytest.mark.rightsize(pas_rate=1)
            def test_marked(self): self.model.ask("a")
        @pytest.mark.rightsize(chosen="big")
        def test_right(model): assert model.ask("a") == "A"
        """
    )
    result = suite.runpytest()
    assert result.parseoutcomes() == {"passed": 1, "errors": 3}
    result.stdout.fnmatch_lines_random(
        ["*OPENAI_API_KEY*", "*test_nowhere has no rung to run on*", "*'pas_rate': did you mean 'pass_rate'?*"]
    )
    assert "Traceback" not in str(result.stdout)
    assert "pytest_rightsize" not in str(result.stdout).partition("ERRORS")[2]


def test_the_results_file_says_where_the_test_and_its_chosen_model_stand(suite: pytest.Pytester) -> None:
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tasks.lower]\nchosen = "small"\n')
    suite.makepyfile(
        test_lower="""
        import pytest

        @pytest.mark.rightsize(task="lower")
        def test_lower(model):
            model.ask("a")
        """
    )
    suite.runpytest(LADDER, "--rightsize-results=run.jsonl")
    policies = read_run(suite.path / "run.jsonl").policies
    assert (policies["upper"].test_at, policies["upper"].chosen_at) == ("test_suite.py:3", "test_suite.py:3")
    ladder = (suite.path / "rightsize.toml").read_text(encoding="utf-8").splitlines()
    line = ladder.index('chosen = "small"') + 1
    assert (policies["lower"].test_at, policies["lower"].chosen_at) == ("test_lower.py:3", f"rightsize.toml:{line}")


def test_the_results_file_keeps_each_prompt_once(suite: pytest.Pytester) -> None:
    suite.runpytest(LADDER, "--rightsize-results=run.jsonl", "--rightsize-strategy=full", "-n2")
    lines = lines_of(suite.path / "run.jsonl")
    prompts = [line["messages"] for line in lines if line["kind"] == "prompt"]
    assert sorted(prompt[0]["content"] for prompt in prompts) == ["a", "b", "c", "d"]
    trial = next(trial for trial in read_run(suite.path / "run.jsonl").trials if trial.answers)
    assert trial.answers[0].messages == ({"role": "user", "content": trial.key.case[-2]},)


def test_the_table_stands_in_one_piece(suite: pytest.Pytester) -> None:
    text = str(suite.runpytest("--rightsize-ladder=tiny,small").stdout)
    table = text.partition("smallest model that passes each task")[2].splitlines()[1:]
    assert table[0].startswith("task ")
    assert table[1].startswith("upper ")


BARS = """
    import pytest

    pytestmark = pytest.mark.rightsize(confidence=0.6)

    @pytest.mark.rightsize(task="marked", pass_rate=0.5)
    @pytest.mark.parametrize("word", ["a", "b"])
    def test_marked(model, word):
        assert model.ask(word) == word.upper()

    @pytest.mark.rightsize(task="in file", samples=1)
    @pytest.mark.parametrize("word", ["a", "b"])
    def test_in_file(model, word):
        assert model.ask(word) == word.upper()

    @pytest.mark.rightsize(task="by option")
    @pytest.mark.parametrize("word", ["a", "b"])
    def test_by_option(model, word):
        assert model.ask(word) == word.upper()
"""


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_what_is_nearest_to_the_test_sets_its_bar_and_the_table_says_where(
    suite: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """Marker, then ladder file, then command line, then ini: setting by setting."""
    suite.makepyfile(test_suite=BARS)
    suite.makeini("[pytest]\nrightsize_pass_rate = 0.4\nrightsize_confidence = 0.8\nrightsize_samples = 2\n")
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tasks."in file"]\npass_rate = 0.75\nconfidence = 0.7\n[tasks.marked]\npass_rate = 0.9\n')
    for name in ("small", "big"):
        with (suite.path / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            for word in "ab":
                file.write(json.dumps({"prompt": word, "sample": 1, "text": word.upper()}) + "\n")
    options = ("--rightsize-ladder=small,big", "--rightsize-pass-rate=0.3", "--rightsize-gate=none", *workers)
    result = suite.runpytest(*options, "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(
        [
            "task       bar  *small*",
            "marked     0.5 at 0.6, 2 samples *",
            "in file    0.75 at 0.6 *",
            "by option  0.3 at 0.6, 2 samples *",
            "bars: pass rate from marker (marked), rightsize.toml [[]tasks[]] (in file), "
            "--rightsize-pass-rate (by option); "
            "samples from ini rightsize_samples (marked, by option), marker (in file)",
        ]
    )
    policies = read_run(suite.path / "run.jsonl").policies
    assert policies["in file"].pass_rate_from == 'rightsize.toml [tasks."in file"]'
    assert {policy.confidence_from for policy in policies.values()} == {"marker"}
    verbose = suite.runpytest(*options, "-v")
    verbose.stdout.fnmatch_lines(["bars: *; confidence from marker; samples from *"])


def test_a_results_file_that_does_not_say_where_bars_came_from_is_read(suite: pytest.Pytester) -> None:
    suite.runpytest(LADDER, "--rightsize-results=run.jsonl")
    lines = lines_of(suite.path / "run.jsonl")
    assert lines[1]["pass_rate_from"] == "marker"
    old = [{name: value for name, value in line.items() if not name.endswith("_from")} for line in lines]
    (suite.path / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old), encoding="utf-8")
    assert read_run(suite.path / "old.jsonl").policies["upper"].pass_rate_from is None


@pytest.mark.parametrize("samples", [1, 2])
def test_a_case_is_named_by_its_other_parameters_whatever_words_they_hold(suite: pytest.Pytester, samples: int) -> None:
    """Parameters that look like a rung, before and after ours in the id."""
    suite.makeconftest(
        """
        def pytest_generate_tests(metafunc):
            if "late" in metafunc.fixturenames:
                metafunc.parametrize("late", ["big", "tiny-s0"])
        """
    )
    suite.makepyfile(
        test_suite=f"""
        import pytest

        @pytest.mark.rightsize(task="upper", samples={samples}, pass_rate=0)
        @pytest.mark.parametrize("word", ["big", "x-big", "big-x", "big-s0", "tiny"])
        def test_upper(model, word, late):
            model.ask("a")

        @pytest.mark.rightsize(task="alone", samples={samples}, pass_rate=0)
        def test_alone(model):
            model.ask("a")
        """
    )
    suite.runpytest("--rightsize-ladder=tiny,big", "--rightsize-strategy=full", "--rightsize-results=run.jsonl")
    cases: dict[str, set[str]] = {"tiny": set(), "big": set()}
    for trial in read_run(suite.path / "run.jsonl").trials:
        cases[trial.key.rung].add(trial.key.case)
    words = ("big", "x-big", "big-x", "big-s0", "tiny")
    named = {f"test_suite.py::test_upper[{late}-{word}]" for word in words for late in ("big", "tiny-s0")}
    other = {f"test_suite.py::test_upper[{word}-{late}]" for word in words for late in ("big", "tiny-s0")}
    assert cases["tiny"] == cases["big"]
    assert cases["big"] - {"test_suite.py::test_alone"} in (named, other)
    assert "test_suite.py::test_alone" in cases["big"]
