"""Sessions with meters: the header, the answers' energy, the results file, workers, and what is concluded."""

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.answers import answer_record
from pytest_rightsize.energy import Energy
from pytest_rightsize.meters.attribution.metered import Metered
from pytest_rightsize.providers.reasoning import with_reasoning_apart
from pytest_rightsize.records import AnswerRecord, Price, Reply, Rung, Tokens
from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.session.metering import Meters
from tests.meters.attribution.test_metered import Sleeper

CONFTEST = """
    import threading, time
    from concurrent.futures import Future
    from pytest_rightsize.errors import ConfigError
    from pytest_rightsize.meters import Facts
    from pytest_rightsize.records import Reply, Tokens

    BUSY = {}

    class Shouter:
        options = {"watts": int, "wrong": list}
        required = ()
        site = "process"
        leaves_machine = False
        in_flight = 4

        def __init__(self, rung):
            self.rung = rung

        def check(self):
            return None

        def identity(self, sha256):
            return None

        def submit(self, request):
            future = Future()
            watts = self.rung.options.get("watts", 100)

            def answer():
                BUSY[threading.get_ident()] = watts
                started = time.monotonic()
                time.sleep(0.02)
                del BUSY[threading.get_ident()]
                said = request.messages[-1]["content"]
                text = said if said in self.rung.options.get("wrong", ()) else said.upper()
                tokens = Tokens(prompt=3, completion=2, source="counted")
                future.set_result(Reply(text=text, seconds=time.monotonic() - started, tokens=tokens))

            threading.Thread(target=answer, name="rightsize shouter", daemon=True).start()
            return future

        def close(self):
            pass

    class Strip:
        facts = Facts(device="strip:1", boundary="host", meter="strip", exact=True, factors=(0.9, 1.1), systematic=0.1,
                      poll_s=0.002)

        def __init__(self):
            self.total, self.at = 0.0, time.monotonic()

        def read(self):
            now = time.monotonic()
            self.total += (now - self.at) * (10 + sum(list(BUSY.values())))
            self.at = now
            return self.total

        def others(self):
            return None

    class PowerStrip:
        options = {"outlet": int}

        def __init__(self, rung, options, site):
            if options.get("outlet", 1) > 4:
                raise ConfigError(f"rung {rung.name!r}: there is no outlet {options['outlet']}: the strip has 4")

        def check(self):
            return None

        def counters(self):
            return [Strip()]

        def of_answer(self, reply):
            raise NotImplementedError

    def pytest_rightsize_providers():
        return {"shouter": Shouter}

    def pytest_rightsize_meters():
        return {"power_strip": PowerStrip}
"""
SUITE = """
    import pytest

    @pytest.mark.rightsize(task="upper", pass_rate=0.75, chosen="big")
    @pytest.mark.parametrize("word", ["a", "b", "c", "d", "e", "f", "g", "h"])
    def test_upper(model, word):
        answer = model.ask(word)
        assert answer.energy.joules > 0
        assert answer.energy.low <= answer.energy.joules <= answer.energy.high
        assert answer == word.upper()
"""
LADDER = """
    electricity_usd_per_kwh = 0.36
    [ladder.small]
    provider = "shouter"
    watts = 400
    wrong = ["a"]
    meter = { name = "power_strip", idle_s = 0 }
    [ladder.big]
    provider = "shouter"
    watts = 40
    meter = { name = "power_strip", idle_s = 0 }
"""
FULL = ("--rightsize-ladder=small,big", "--rightsize-strategy=full", "--rightsize-gate=none")


@pytest.fixture
def metered(pytester: pytest.Pytester) -> pytest.Pytester:
    """A small rung that takes ten times the power of the big one, both on one power strip."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_upper=SUITE)
    pytester.makefile(".toml", rightsize=LADDER)
    return pytester


def lines_of(pytester: pytest.Pytester, kind: str) -> list[dict[str, Any]]:
    lines = (pytester.path / "run.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["kind"] == kind]


def test_a_session_says_its_meters_and_every_answer_has_its_energy(metered: pytest.Pytester) -> None:
    result = metered.runpytest(*FULL, "--rightsize-results=run.jsonl")
    result.assert_outcomes(passed=15)
    result.stdout.fnmatch_lines(["rightsize: meter power_strip (small, big)"])
    result.stdout.fnmatch_lines(["J: measured_shared, host, gross (small, big)"])
    energies = [answer["energy"] for trial in lines_of(metered, "trial") for answer in trial["answers"]]
    assert {(energy["provenance"], tuple(energy["boundary"])) for energy in energies} == {
        ("measured_shared", ("host",))
    }
    seen = lines_of(metered, "metering")
    assert [line["rung"] for line in seen] == ["small", "big"]
    run = read_run(metered.path / "run.jsonl")
    for metering in run.meters:
        total = sum(
            answer.energy.joules or 0
            for trial in run.trials
            if trial.key.rung == metering.rung
            for answer in trial.answers
            if answer.energy is not None
        )
        assert metering.served is not None
        assert total == pytest.approx(metering.served.joules, rel=1e-6)


def test_a_false_economy_is_called_out_and_the_objective_is_followed(metered: pytest.Pytester) -> None:
    result = metered.runpytest(*FULL, "--rightsize-results=run.jsonl", "--rightsize-objective=energy")
    result.stdout.fnmatch_lines(
        [
            "task *J/case*J/passed*J/token*prompt*completion*s/case*",
            "upper: of those that pass: smallest small, least energy big (* J a passed case), least cost big (*",
            "upper: false economy: small takes * times the energy of big for a passed case (95 % interval *",
            "upper: recommended by energy: big",
        ]
    )
    (verdict,) = lines_of(metered, "verdict")
    assert (verdict["smallest"], verdict["recommended"]) == ("small", "big")
    (end,) = lines_of(metered, "end")
    (conclusion,) = end["totals"]["conclusions"]
    assert conclusion["false_economies"][0]["quantity"] == "energy"
    assert conclusion["smallest"] == "small"
    assert [leader["quantity"] for leader in conclusion["leaders"]] == ["energy", "cost", "latency"]
    assert [leader["rung"] for leader in conclusion["leaders"]][:2] == ["big", "big"]
    (spent, _) = end["totals"]["spending"]["tasks"]
    assert spent["energy_per_case"]["joules"] == pytest.approx(spent["energies"][0]["energy"]["joules"] / 8)
    assert spent["energy_per_pass"]["joules"] > spent["energy_per_case"]["joules"]
    assert spent["energy_per_output_token"]["joules"] == pytest.approx(spent["energy_per_case"]["joules"] / 2)
    assert (spent["prompt"]["sum"], spent["completion"]["sum"], spent["reasoning"]["unknown"]) == (24, 16, 8)
    assert "ranking_note" in end["totals"]
    live = end["totals"]["spending"]["live"]
    assert live["answers"] == 16
    assert live["energies"][0]["energy"]["joules"] > 0


def test_what_the_right_sized_choice_saves_is_said_with_an_interval(metered: pytest.Pytester) -> None:
    metered.makefile(".toml", rightsize=LADDER.replace("watts = 40\n", "watts = 4000\n"))
    result = metered.runpytest(*FULL)
    result.stdout.fnmatch_lines(
        ["upper: small instead of big saves * per 1,000 cases (95 % interval * to *; measured_shared)"]
    )


def test_electricity_has_its_price_on_this_machine(metered: pytest.Pytester) -> None:
    metered.runpytest(*FULL, "--rightsize-results=run.jsonl")
    for trial in lines_of(metered, "trial"):
        for answer in trial["answers"]:
            assert answer["cost_usd"] == pytest.approx(answer["energy"]["joules"] / 3.6e6 * 0.36)


def test_workers_take_turns_and_tell_the_controller_what_their_meters_saw(metered: pytest.Pytester) -> None:
    result = metered.runpytest("-n2", *FULL, "--rightsize-results=run.jsonl")
    result.assert_outcomes(passed=15)
    run = read_run(metered.path / "run.jsonl")
    assert sum(metering.answers for metering in run.meters) == 16
    assert all(answer.energy and answer.energy.joules for trial in run.trials for answer in trial.answers)


def test_one_test_at_a_time_is_measured_without_sharing(metered: pytest.Pytester) -> None:
    metered.runpytest(*FULL, "--rightsize-results=run.jsonl", "--rightsize-concurrency=1")
    provenances = {
        answer["energy"]["provenance"] for trial in lines_of(metered, "trial") for answer in trial["answers"]
    }
    assert provenances == {"measured"}


@pytest.mark.parametrize(
    ("meter", "words"),
    [
        ('"power_stripe"', "*unknown meter 'power_stripe': did you mean 'power_strip'?*"),
        ('{ name = "power_strip", outlets = 1 }', "*unknown key 'outlets': did you mean 'outlet'?*"),
        ('{ name = "power_strip", outlet = "x" }', "*outlet = 'x' cannot be: give int*"),
        ('{ name = "power_strip", outlet = 7 }', "*there is no outlet 7: the strip has 4*"),
        ('{ name = "power_strip", basis = "netto" }', "*unknown basis 'netto'*"),
        ("{ outlet = 1 }", "*has no name*"),
    ],
)
def test_a_meter_that_cannot_be_is_refused_before_any_model_is_called(
    metered: pytest.Pytester, meter: str, words: str
) -> None:
    metered.makefile(".toml", rightsize=LADDER.replace('{ name = "power_strip", idle_s = 0 }', meter))
    result = metered.runpytest(*FULL)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (
            "--rightsize-objective=joules",
            "*--rightsize-objective: unknown name 'joules'*Known: size, energy, *",
        ),
        ("--rightsize-energy-budget=ten", "*--rightsize-energy-budget was given 'ten': give seconds*"),
    ],
)
def test_options_that_cannot_be_are_refused(metered: pytest.Pytester, option: str, words: str) -> None:
    result = metered.runpytest(*FULL, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])


def test_an_electricity_price_that_cannot_be_is_refused(metered: pytest.Pytester) -> None:
    metered.makefile(".toml", rightsize=LADDER.replace("= 0.36", "= -1"))
    result = metered.runpytest(*FULL)
    result.stderr.fnmatch_lines(["*electricity_usd_per_kwh = -1 cannot be: give USD per kilowatt hour*"])


def test_rungs_that_lack_a_meter_for_one_reason_are_named_together(metered: pytest.Pytester) -> None:
    conftest = CONFTEST.replace("import threading, time", "import threading, time, types")
    strip = conftest.index("class PowerStrip")
    broken = conftest[strip:].replace("return None", "return types.SimpleNamespace(what='no strip')", 1)
    metered.makeconftest(conftest[:strip] + broken)
    result = metered.runpytest(*FULL)
    result.stdout.fnmatch_lines(["rightsize: energy: not measured (rightsize doctor says why)"])
    assert "rightsize: meter" not in result.stdout.str()


def test_no_library_for_boards_is_loaded_where_no_board_is(metered: pytest.Pytester) -> None:
    metered.makefile(".toml", rightsize=LADDER.replace('meter = { name = "power_strip", idle_s = 0 }', ""))
    metered.makepyfile(test_last="import sys\ndef test_last():\n    assert 'pynvml' not in sys.modules\n")
    result = metered.runpytest_subprocess(*FULL, "-k", "last or upper")
    assert "test_last.py F" not in result.stdout.str()
    result.stdout.fnmatch_lines(["rightsize: meter cpu_time (small, big)"])


FAKE_BOARD = """
    import time
    from types import SimpleNamespace

    class Fake:
        class NVMLError(Exception):
            pass

        def nvmlInit(self):
            pass

        def nvmlDeviceGetCount(self):
            return 1

        def nvmlDeviceGetHandleByIndex(self, index):
            return index

        def nvmlDeviceGetUUID(self, handle):
            return "GPU-7"

        def nvmlDeviceGetName(self, handle):
            return "NVIDIA H100"

        def nvmlDeviceGetTotalEnergyConsumption(self, handle):
            tick = time.monotonic() // 0.005 * 0.005
            return int(tick * 150 * 1000)  # 150 W, in ticks of 5 ms

        def nvmlDeviceGetComputeRunningProcesses(self, handle):
            return []

    def make():
        return Fake()
"""


def test_a_session_on_a_simulated_board_is_measured_from_end_to_end(
    metered: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    metered.makepyfile(fake_board=FAKE_BOARD)
    metered.syspathinsert()
    monkeypatch.setenv("RIGHTSIZE_NVML", "fake_board:make")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    metered.makefile(".toml", rightsize=LADDER.replace('"power_strip", idle_s = 0', '"nvml", idle_s = 0.1'))
    result = metered.runpytest(*FULL, "--rightsize-results=run.jsonl")
    result.assert_outcomes(passed=15)
    result.stdout.fnmatch_lines(["rightsize: meter nvml (small, big)"])
    for seen in read_run(metered.path / "run.jsonl").meters:
        assert seen.idle_w == pytest.approx(150, rel=0.15)
        assert seen.total is not None
        assert seen.total.devices == ("nvml:GPU-7",)
        assert seen.total.joules == pytest.approx(150 * (seen.total.window_s or 0), rel=0.1)


FAKE_MACHINE = """

    import os, pathlib

    POWERCAP = pathlib.Path(os.environ["RIGHTSIZE_POWERCAP_ROOT"])
    PROC = pathlib.Path(os.environ["RIGHTSIZE_PROC_ROOT"])

    def write(path, text):
        # As a whole, or a reader would find half a number.
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".new").write_text(text)
        os.replace(path.with_suffix(".new"), path)

    def machine():
        # 20 W idle; others compute on one thread all the time, at 30 W, as this process does while it answers.
        start = at = time.monotonic()
        joules = own = 0.0
        while True:
            now = time.monotonic()
            busy = bool(BUSY)
            joules += (now - at) * (20 + (60 if busy else 0))
            own += (now - at) * busy
            at = now
            write(POWERCAP / "intel-rapl:0" / "energy_uj", f"{int(1e9 + joules * 1e6)}")
            ticks = int(100 * (own + (now - start)))
            write(PROC / "stat", f"cpu  {ticks} 0 0 999 0 0 0 0 0 0")
            write(PROC / "self" / "stat", f"7 (x) S {'0 ' * 10}{int(100 * own)} 0 0 0 0")
            time.sleep(0.002)

    write(POWERCAP / "intel-rapl:0" / "name", "package-0")
    write(POWERCAP / "intel-rapl:0" / "max_energy_range_uj", "262143328850")
    threading.Thread(target=machine, daemon=True).start()
    while not (PROC / "self" / "stat").exists():
        time.sleep(0.001)
"""


@pytest.mark.parametrize("share", ["device", "process"])
def test_a_session_on_a_planted_machine_is_measured_from_end_to_end(
    metered: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, share: str
) -> None:
    """A package that two processes share: all of it by default, this one's own half above idle power where wanted."""
    monkeypatch.setenv("RIGHTSIZE_POWERCAP_ROOT", str(metered.path / "powercap"))
    monkeypatch.setenv("RIGHTSIZE_PROC_ROOT", str(metered.path / "proc"))
    metered.makeconftest(CONFTEST.replace("time.sleep(0.02)", "time.sleep(0.2)") + FAKE_MACHINE)
    meter = f'{{ name = "rapl", share = "{share}", idle_s = 0.3 }}'
    metered.makefile(".toml", rightsize=LADDER.replace('{ name = "power_strip", idle_s = 0 }', meter))
    result = metered.runpytest(*FULL, "--rightsize-results=run.jsonl", "--rightsize-concurrency=1")
    result.assert_outcomes(passed=15)
    run = read_run(metered.path / "run.jsonl")
    energies = [answer.energy for trial in run.trials for answer in trial.answers if answer.energy is not None]
    small, big = run.meters
    assert [power.state for power in small.idle_powers] == ["cold", "resident"]
    # Found once, before any model was loaded; the second rung only has it from the first.
    assert small.cold_w == big.cold_w == pytest.approx(20, rel=0.25)
    assert (small.idle_w or 0) == pytest.approx(20, rel=0.25)
    kinds = {(energy.provenance, energy.basis, energy.scope) for energy in energies}
    each = sum(energy.joules or 0 for energy in energies) / len(energies)
    if share == "device":
        # Others are busy, which shows after a second: it is nobody's own.
        assert {(basis, scope) for _, basis, scope in kinds} == {("gross", "device")}
        assert "contended" in energies[-1].flags
        assert each == pytest.approx(0.2 * 80, rel=0.25)
        assert any('share = "process" } leaves them out' in note for note in small.notes)
    else:
        assert kinds == {("measured_shared", "marginal", "case")}
        assert each == pytest.approx(0.2 * 60 / 2, rel=0.25)
        assert small.others is not None
        for seen in (small, big):
            parts = (seen.load, seen.served, seen.lost, seen.others, seen.idle)
            total = sum(part.joules or 0 for part in parts if part is not None)
            assert seen.total is not None
            assert total == pytest.approx(seen.total.joules, rel=1e-6)


def priced(energy: Energy | None, **more: Any) -> float | None:
    tokens = Tokens(prompt=1_000_000, completion=0, source="reported")
    reply = Reply(text="x", tokens=tokens, energy=energy)
    return answer_record(reply, Rung(name="r", provider="x", **more)).cost_usd


def test_money_is_known_only_where_a_price_and_the_amount_are() -> None:
    energy = Energy(joules=3.6e6, provenance="measured")
    assert priced(energy, electricity_usd_per_kwh=0.3) == pytest.approx(0.3)
    assert priced(energy, electricity_usd_per_kwh=0.3, price=Price(prompt=2.0, completion=1.0)) == 2.0
    assert priced(energy) is None
    assert priced(None, electricity_usd_per_kwh=0.3) is None
    assert priced(Energy(reason="no counter"), electricity_usd_per_kwh=0.3) is None


@pytest.mark.parametrize(
    ("price", "leaves", "budget_s"),
    [(None, False, 5.0), (Price(prompt=1.0, completion=1.0), False, 0.0), (None, True, 0.0)],
    ids=["free and here", "paid", "elsewhere"],
)
def test_what_costs_money_is_never_asked_for_again(price: Price | None, leaves: bool, budget_s: float) -> None:
    provider = Sleeper()
    provider.leaves_machine = leaves
    wrapped = Meters([], budget_s=5.0).wrap(Rung(name="r", provider="x", price=price), provider, room=lambda: 1)
    assert isinstance(wrapped, Metered)
    assert wrapped._budget_s == budget_s


def test_characters_are_counted_beside_tokens() -> None:
    rung = Rung(name="r", provider="x")
    record = answer_record(with_reasoning_apart(Reply(text="<think>hm</think>yes"), rung), rung)
    assert (record.tokens.characters, record.reasoning) == (5, "hm")
    assert AnswerRecord.from_dict(record.to_dict()) == record


def test_a_rung_elsewhere_pays_no_electricity_of_ours(pytester: pytest.Pytester) -> None:
    """A served model's joules may be modelled, but whoever serves it has a price of his own, which nobody told."""
    pytester.makeconftest(
        CONFTEST.replace("leaves_machine = False", "leaves_machine = True").replace('"process"', '"remote"')
    )
    pytester.makepyfile(test_upper=SUITE)
    pytester.makefile(".toml", rightsize=LADDER)
    pytester.runpytest(*FULL, "--rightsize-results=run.jsonl")
    answers = [answer for trial in lines_of(pytester, "trial") for answer in trial["answers"]]
    assert answers
    assert all(answer["cost_usd"] is None for answer in answers)
    assert Path(pytester.path / "run.jsonl").exists()
