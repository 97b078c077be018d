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
