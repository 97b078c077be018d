"""What is modelled or declared instead of measured: formulas against their reference values, intervals, refusals."""

import sys
import threading
import time
from itertools import pairwise
from math import inf
from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.meters.cpu_time import CpuTime, engine_seconds, joules_of, watts_per_thread
from pytest_rightsize.meters.declared import Declared
from pytest_rightsize.meters.served_formula import board_joules
from pytest_rightsize.meters.served_model import ServedModel, ecologits_wh
from pytest_rightsize.records import Reply, Rung, Tokens

ANSWER = Reply(text="x", seconds=5.0, tokens=Tokens(prompt=10, completion=400, source="reported"))
UNCOUNTED = Reply(text="x", seconds=5.0)


@pytest.mark.parametrize(
    ("tokens", "active_b", "total_b", "pue", "wh"),
    [
        (100, 0.5, 0.5, 1.0, 0.006671018501178557),
        (400, 8.03, 8.03, 1.0, 0.029729662001081503),
        (400, 12.9, 46.7, 1.2, 0.07607852379616013),
        (400, 70.55, 70.55, 1.12, 0.24647408147099564),
        (400, 405.85, 405.85, 1.09, 3.324624886109839),
    ],
)
def test_the_formula_of_ecologits_gives_its_figures(
    tokens: int, active_b: float, total_b: float, pue: float, wh: float
) -> None:
    assert ecologits_wh(tokens, active_b, total_b, pue=pue) == pytest.approx(wh, rel=1e-12)


def served(rung: Rung, **options: Any) -> Any:
    return ServedModel(rung, options, "remote").of_answer(ANSWER)


# Of ML.ENERGY's table: parameters, active ones, bytes of each, board, boards, batch, joules of an output token.
MEASURED = [
    (8.0, 8.0, 2.0, "H100", 1, 8, 0.455),
    (8.0, 8.0, 2.0, "H100", 1, 64, 0.119),
    (8.0, 8.0, 2.0, "H100", 1, 511, 0.070),
    (70.0, 70.0, 2.0, "H100", 4, 64, 0.797),
    (30.0, 3.0, 2.0, "H100", 2, 128, 0.199),
    (117.0, 5.0, 0.53, "H100", 1, 8, 0.684),
    (235.0, 22.0, 1.0, "H100", 8, 64, 2.311),
]


@pytest.mark.parametrize(("params_b", "active_b", "size", "board", "boards", "batch", "measured"), MEASURED)
def test_what_boards_were_measured_to_take_lies_within_the_bounds_whatever_is_known(
    params_b: float, active_b: float, size: float, board: str, boards: int, batch: int, measured: float
) -> None:
    rung = Rung(name="x", provider="openai", params_b=params_b, active_b=active_b)
    told: dict[str, Any] = {"bytes_per_param": size, "accelerator": board, "batch": batch, "boards": boards}
    unknown, known, ecologits = served(rung), served(rung, **told), served(rung, formula="ecologits")
    for energy in (unknown, known, ecologits):
        assert energy.low <= 400 * measured <= energy.high
    assert known.high / known.low == pytest.approx(16)
    assert unknown.high / unknown.low > known.high / known.low
    assert known.joules == pytest.approx(400 * measured, rel=1.0)


def test_the_formulas_say_what_they_cover_and_that_they_are_models() -> None:
    weights = served(Rung(name="70b", provider="openai", params_b=70.55))
    ecologits = served(Rung(name="70b", provider="openai", params_b=70.55), formula="ecologits")
    assert (weights.meter, weights.boundary) == ("served_model:weights", frozenset({"gpu.board"}))
    assert (ecologits.meter, ecologits.boundary) == (
        "served_model:ecologits",
        frozenset({"gpu.board", "host", "pue"}),
    )
    assert weights.provenance == ecologits.provenance == "modelled"
    assert served(Rung(name="70b", provider="openai", params_b=70.55), pue=1.1).meter == "served_model:ecologits"


def test_more_requests_in_the_batch_and_fewer_bits_take_less_and_a_prompt_takes_more() -> None:
    rung = Rung(name="30b", provider="openai", params_b=30.5, active_b=3.3)
    joules = [served(rung, batch=batch).joules for batch in (8, 32, 128, 512)]
    assert joules == sorted(joules, reverse=True)
    assert served(rung, batch=8, bytes_per_param=0.5).joules < served(rung, batch=8, bytes_per_param=2).joules
    plain, cached, long = (
        _joules_after_a_prompt(rung, prompt=prompt, cached=cached)
        for prompt, cached in ((10, 0), (10_000, 9_000), (10_000, None))
    )
    assert plain < cached < long


def _joules_after_a_prompt(rung: Rung, *, prompt: int, cached: int | None) -> float:
    tokens = Tokens(prompt=prompt, cached=cached, completion=400)
    energy = ServedModel(rung, {}, "remote").of_answer(Reply(text="x", tokens=tokens))
    assert energy.joules is not None
    return energy.joules


def test_a_batch_within_a_range_is_held_by_the_bounds_of_that_range() -> None:
    rung = Rung(name="8b", provider="openai", params_b=8.0)
    some, all_ = served(rung, batch=[16, 64]), served(rung)
    assert all_.low < some.low < some.joules < some.high < all_.high


def test_an_answer_whose_prompt_is_not_counted_says_so() -> None:
    meter = ServedModel(Rung(name="8b", provider="openai", params_b=8.0), {}, "remote")
    assert meter.of_answer(Reply(text="x", tokens=Tokens(completion=4))).flags == ("prompt_not_counted",)
    assert meter.of_answer(ANSWER).flags == ()


@pytest.mark.parametrize("params_b", [1.0, 2000.0])
def test_sizes_that_nobody_measured_have_wider_bounds_and_say_so(params_b: float) -> None:
    energy = served(Rung(name="x", provider="openai", params_b=params_b), batch=64)
    assert energy.flags == ("extrapolated",)
    assert energy.high / energy.low > 16 * 10


def test_a_mixture_with_all_experts_in_use_streams_as_a_dense_model_does() -> None:
    same: dict[str, Any] = {"bytes_per_param": 2.0, "accelerator": "H100", "boards": 1}
    mixture = board_joules(100, 0, params_b=30, active_b=3, batch=4096, **same)
    dense = board_joules(100, 0, params_b=30, active_b=30, batch=4096, **same)
    assert dense - mixture == pytest.approx(100 * 27 * 0.00275)
    few = board_joules(100, 0, params_b=30, active_b=3, batch=1, **same)
    assert few < board_joules(100, 0, params_b=30, active_b=30, batch=1, **same) / 4


def test_guessed_parameters_widen_the_interval() -> None:
    """The sizes that EcoLogits guesses for a closed model give its own range, and its own error besides."""
    rung = Rung(name="frontier", provider="openai")
    sizes: dict[str, Any] = {"params_b": [100.0, 400.0], "active_b": [10.0, 120.0]}
    energy = served(rung, **sizes, formula="ecologits")
    low, high = (3600 * ecologits_wh(400, a, t, pue=1.2, latency_s=5.0) for a, t in ((10.0, 100.0), (120.0, 400.0)))
    assert (energy.low, energy.high) == (pytest.approx(low / 30), pytest.approx(high * 10))
    guessed = served(rung, **sizes)
    ends = [served(Rung(name="x", provider="x", params_b=t, active_b=a)) for a, t in ((10.0, 100.0), (120.0, 400.0))]
    assert (guessed.low, guessed.high) == (ends[0].low, ends[1].high)


def test_a_model_of_unknown_size_is_a_problem_and_not_a_guess() -> None:
    meter = ServedModel(Rung(name="frontier", provider="openai"), {}, "remote")
    problem = meter.check()
    assert problem is not None
    assert "params_b" in problem.remedy
    assert meter.of_answer(ANSWER).joules is None


def test_an_answer_without_counted_tokens_is_unknown() -> None:
    rung = Rung(name="8b", provider="openai", params_b=8.0)
    assert ServedModel(rung, {}, "remote").of_answer(UNCOUNTED).reason == "the output tokens are not known"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"formula": "weigths"}, "did you mean 'weights'"),
        ({"params_b": [4, 2]}, "give a number above 0"),
        ({"batch": 0}, "batch = 0 cannot be: give a number above 0, or"),
        ({"batch": [8, True]}, "give a number above 0"),
        ({"batch": [64, 8]}, "give a number above 0"),
        ({"accelerator": "A100"}, "'A100' has not been measured: give H100 or B200, or leave it out"),
        ({"boards": 0}, "boards = 0 cannot be"),
        ({"bytes_per_param": -1}, "bytes_per_param = -1 cannot be"),
        ({"formula": "weights", "pue": 1.1}, "pue is not used by the formula weights"),
        ({"pue": 1.1, "batch": 8}, "batch is not used by the formula ecologits"),
        ({"formula": "ecologits", "batch": 8}, "batch is not used by the formula ecologits"),
    ],
)
def test_options_of_served_models_that_cannot_be_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ServedModel(Rung(name="8b", provider="openai", params_b=8.0), options, "remote")


@pytest.mark.parametrize(
    ("watts", "threads", "seconds", "joules"), [(240, 64, 3.6, 13.5), (85, 8, 4.0, 42.5), (120, 2, 2.0, 120.0)]
)
def test_processor_seconds_cost_the_power_of_a_thread(
    watts: float, threads: int, seconds: float, joules: float
) -> None:
    assert joules_of(seconds, watts / threads) == pytest.approx(joules)


def test_a_processor_that_is_not_in_the_table_has_a_wider_interval() -> None:
    assert watts_per_thread("AMD EPYC 7763 64-Core Processor") == (280 / 128, True)
    assert watts_per_thread("AMD EPYC") == (4.0, False)
    rung = Rung(name="1b", provider="llama_cpp")
    known = CpuTime(rung, {"tdp_w": 240, "threads": 64}, "process").counters()[0].facts
    assert (known.factors, "tdp_unknown" in known.flags) == ((0.34, 2.3), False)
    assert known.provenance == "modelled"


def test_the_models_threads_are_told_from_the_tests() -> None:
    """A thread named as a model's has its seconds counted, and what the test itself computes has not."""

    def burn() -> None:
        end = time.thread_time() + 0.15
        while time.thread_time() < end:
            pass

    seen: dict[int, float] = {}
    start = engine_seconds(seen)
    burn()
    idle = engine_seconds(seen)
    model = threading.Thread(target=burn, name="rightsize 1b")
    model.start()
    model.join()
    assert idle - start < 0.1
    assert engine_seconds(seen) - idle == pytest.approx(0.15, abs=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the time of one thread")
def test_what_is_left_for_the_model_does_not_fall_back_while_others_are_busy() -> None:
    """Else a reading is worth nothing until it has caught up, and answers meanwhile seem to have taken nothing."""
    seen: dict[int, float] = {}
    told = []
    for _ in range(2000):
        sum(range(2000))
        told.append(engine_seconds(seen))
    assert max(one - other for one, other in pairwise(told)) < 1e-3


def test_another_process_has_no_thread_here() -> None:
    problem = CpuTime(Rung(name="far", provider="openai"), {}, "machine").check()
    assert problem is not None
    assert "another process" in problem.what


@pytest.mark.parametrize("options", [{"tdp_w": 100}, {"watts_per_thread": 0}])
def test_half_a_processor_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="cpu_time"):
        CpuTime(Rung(name="1b", provider="llama_cpp"), options, "process")


def declared(**options: Any) -> Any:
    return Declared(Rung(name="frontier", provider="openai"), options, "remote").of_answer(ANSWER)


def test_a_declared_figure_names_its_source_and_is_no_measurement() -> None:
    energy = declared(wh_per_request=0.24, source="the vendor's paper, May 2025", boundary=["gpu.board", "host", "pue"])
    assert (energy.joules, energy.provenance, energy.low) == (864.0, "vendor_declared", None)
    assert energy.kind.boundary == ("gpu.board", "host", "pue")
    assert energy.flags == ("source: the vendor's paper, May 2025",)


def test_a_figure_for_each_token_needs_the_tokens() -> None:
    energy = declared(j_per_token=2.0, low=1.0, high=4.0, source="us")
    assert (energy.low, energy.joules, energy.high) == (400, 800, 1600)
    meter = Declared(Rung(name="x", provider="openai"), {"j_per_token": 2.0, "source": "us"}, "remote")
    assert meter.of_answer(UNCOUNTED).joules is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"source": "us"}, "needs one of wh_per_request"),
        ({"wh_per_request": 1, "j_per_token": 1, "source": "us"}, "needs one of"),
        ({"wh_per_request": 1}, "needs its source"),
        ({"wh_per_request": 1, "source": "us", "low": 0.5}, "give both or neither"),
        ({"wh_per_request": 1, "source": "us", "boundary": ["gpu.bord"]}, "did you mean 'gpu.board'"),
    ],
)
def test_a_declaration_that_is_none_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        declared(**options)


@pytest.mark.parametrize("tokens", [1, 100, 400, 4000])
@pytest.mark.parametrize(("active_b", "total_b"), [(0.5, 0.5), (8.03, 8.03), (12.9, 46.7), (405.85, 405.85)])
@pytest.mark.parametrize("latency_s", [0.5, 5.0, inf])
def test_the_formula_is_that_of_the_installed_ecologits(
    tokens: int, active_b: float, total_b: float, latency_s: float
) -> None:
    """Fails where the package has changed its constants: look at them, and take them over."""
    llm = pytest.importorskip("ecologits.impacts.llm", reason="ecologits is in the dependency group crosscheck")
    theirs = llm.compute_llm_impacts_dag(
        model_active_parameter_count=active_b,
        model_total_parameter_count=total_b,
        output_token_count=tokens,
        request_latency=latency_s,
        if_electricity_mix_adpe=0.0,
        if_electricity_mix_pe=0.0,
        if_electricity_mix_gwp=0.0,
        if_electricity_mix_wue=0.0,
        datacenter_pue=1.2,
        datacenter_wue=0.0,
    )["request_energy"]
    ours = ecologits_wh(tokens, active_b, total_b, pue=1.2, latency_s=latency_s) / 1000
    assert ours == pytest.approx(float(getattr(theirs, "value", theirs)), rel=1e-9), "upstream constants changed"


@pytest.mark.parametrize(("tdp_w", "threads", "seconds"), [(240, 64, 3.6), (85, 8, 4.0), (120, 2, 2.0)])
def test_the_product_is_that_of_the_installed_codecarbon(
    tdp_w: int, threads: int, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process mode: rated power times the share of all threads' time, over 10 s."""
    hardware = pytest.importorskip(
        "codecarbon.external.hardware", reason="codecarbon is in the dependency group crosscheck"
    )
    cpu = hardware.CPU(output_dir=".", mode="cpu_load", model="x", tdp=tdp_w, tracking_mode="process")
    moments, times = iter([1000.0, 1010.0]), iter([{1: 5.0}, {1: 5.0 + seconds}])
    monkeypatch.setattr(hardware.time, "time", lambda: next(moments))
    monkeypatch.setattr(cpu, "_get_process_cpu_times", lambda: next(times))
    monkeypatch.setattr(cpu, "_cpu_count", threads)
    cpu._get_power_from_cpu_load()
    theirs = cpu._get_power_from_cpu_load().W * 10.0
    assert joules_of(seconds, tdp_w / threads) == pytest.approx(theirs, rel=1e-9), "upstream formula changed"
