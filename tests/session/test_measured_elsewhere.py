"""A provider that measures where its model runs: its answers keep their joules, its totals reach the results file."""

import json

import pytest

from pytest_rightsize.results.results_file import read_run

CONFTEST = """
    from concurrent.futures import Future
    from pytest_rightsize.energy import Energy
    from pytest_rightsize.meter_records import Metering
    from pytest_rightsize.records import Reply, Tokens

    def joules(amount):
        return Energy(joules=amount, low=amount, high=amount, provenance="measured", boundary=frozenset({"gpu.board"}),
                      meter="nvml", devices=("node7/GPU-1",))

    class Far:
        options = {}
        required = ()
        leaves_machine = True
        trusted = True
        takes_room_of = "cluster"
        site = "cluster"
        meter_name = "nvml"

        def __init__(self, rung):
            self._name, self._answers, self.meterings = rung.name, 0, []

        def check(self):
            return None

        def identity(self, sha256):
            return None

        def submit(self, request):
            self._answers += 1
            future = Future()
            future.set_result(Reply(text="A", tokens=Tokens(prompt=1, completion=1), energy=joules(2.0)))
            return future

        def close(self):
            self.meterings.append(Metering(rung=self._name, meter="nvml", served=joules(2.0 * self._answers),
                                           answers=self._answers))

    def pytest_rightsize_providers():
        return {"far": Far}
"""
TESTS = """
    import pytest

    @pytest.mark.rightsize(task="upper", private=True)
    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_upper(model, n):
        assert model.ask(f"a {n}") == "A"
"""


def test_joules_and_totals_of_another_place_are_those_of_the_session(pytester: pytest.Pytester) -> None:
    """And a private task goes to a place that is trusted, which the session says."""
    pytester.makefile(".toml", rightsize='[ladder.far]\nprovider = "far"\n')
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    result = pytester.runpytest("--rightsize-ladder=far", "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(["*trusted with private tasks, and not on this machine: far", "*meter nvml (far)"])
    lines = [json.loads(line) for line in (pytester.path / "run.jsonl").read_text().splitlines()]
    answers = [answer for line in lines if line["kind"] == "trial" for answer in line["answers"]]
    assert [answer["energy"]["joules"] for answer in answers] == [2.0] * 3
    run = read_run(pytester.path / "run.jsonl")
    (metering,) = run.meters
    assert (metering.rung, metering.answers, metering.served and metering.served.joules) == ("far", 3, 6.0)


def test_a_ladder_file_trusts_an_endpoint_by_a_key(pytester: pytest.Pytester) -> None:
    """Without it, the private task is not run there."""
    pytester.makeconftest(CONFTEST.replace("trusted = True", ""))
    pytester.makepyfile(TESTS)
    outcomes = {}
    for key in ("", "trusted = false", "trusted = true"):
        pytester.makefile(".toml", rightsize=f'[ladder.far]\nprovider = "far"\n{key}\n')
        pytester.runpytest("--rightsize-ladder=far", "--rightsize-results=run.jsonl")
        run = read_run(pytester.path / "run.jsonl")
        outcomes[key] = {(trial.outcome, trial.reason) for trial in run.trials}
        assert run.rungs[0].trusted == {"": None, "trusted = false": False, "trusted = true": True}[key]
    assert outcomes == {
        "": {("not_run", "private")},
        "trusted = false": {("not_run", "private")},
        "trusted = true": {("passed", None)},
    }


KNOWN_THERE = """
    from concurrent.futures import Future
    from pathlib import Path
    from pytest_rightsize.errors import RungError
    from pytest_rightsize.records import Identity, Reply, Tokens

    LOG = Path("log")

    def note(text):
        LOG.write_text((LOG.read_text() if LOG.exists() else "") + text + "\\n")

    class Far:
        options = {}
        required = ()
        leaves_machine = False
        takes_room_of = "cluster"
        site = "cluster"
        opened = []

        def __init__(self, rung):
            self._name, self.opens_to_identify, self.meterings = rung.name, True, []

        def check(self):
            return None

        def identity(self, sha256):
            if self.opens_to_identify:
                self._open()
            return Identity(content={"name": self._name}, greedy=True)

        def _open(self):
            if self._name not in self.opened:
                assert not self.opened, "there is one place"
                self.opened.append(self._name)
                self.opens_to_identify = False
                note("opens " + self._name)

        def submit(self, request):
            self._open()
            note("asks " + self._name)
            future = Future()
            future.set_result(Reply(text=self._name, tokens=Tokens(prompt=1, completion=1)))
            return future

        def close(self):
            note("closes " + self._name)
            self.opened.remove(self._name)

    def pytest_rightsize_providers():
        return {"far": Far}
"""


def test_a_fingerprint_that_is_known_only_where_a_model_runs_is_asked_in_the_models_place(
    pytester: pytest.Pytester,
) -> None:
    """The place of the rung before is free by then, and nothing is opened where nothing is asked."""
    rungs = "\n".join(f'[ladder.{name}]\nprovider = "far"' for name in ("small", "big"))
    pytester.makefile(".toml", rightsize=rungs)
    pytester.makeconftest(KNOWN_THERE)
    pytester.makepyfile(TESTS.replace('== "A"', '== "big"'))
    log = pytester.path / "log"
    told = {}
    for options in ("--collect-only", "--rightsize-cache=auto", "--rightsize-cache=replay", "--rightsize-cache=off"):
        log.unlink(missing_ok=True)
        pytester.runpytest(
            "--rightsize-ladder=small,big", "--rightsize-results=run.jsonl", "--rightsize-strategy=full", options
        )
        told[options.rpartition("=")[2]] = log.read_text().split("\n")[:-1] if log.exists() else []
        if options == "--rightsize-cache=replay":
            outcomes = {(trial.key.rung, trial.outcome) for trial in read_run(pytester.path / "run.jsonl").trials}
            assert outcomes == {("small", "failed"), ("big", "passed")}
    asked = [
        *("opens small", "asks small", "asks small", "asks small", "closes small"),
        *("opens big", "asks big", "asks big", "asks big", "closes big"),
    ]
    assert told == {"--collect-only": [], "auto": asked, "replay": [], "off": asked}
