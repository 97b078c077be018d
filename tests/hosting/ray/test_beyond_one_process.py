"""Workers that share a model, and long suites: what of more than one process needs no Ray.

`tox run -e ray` runs these, as they take minutes; shards and merging are tested in tests/session/test_sharding.py and
tests/commands/test_merge.py, which it runs too.
"""

import os
from pathlib import Path

import pytest

from tests.benchmarks import bench_hosts, bench_scale

pytestmark = pytest.mark.skipif(os.environ.get("RIGHTSIZE_RAY") != "required", reason="takes minutes: tox run -e ray")

MODELS = Path(__file__).parents[3] / "example_suite" / "models"
# Slots that nobody needs: with them a tiny model takes as much memory as a real one, and a second would be seen.
LADDER = "\n".join(
    f'[ladder.{name}]\nprovider = "llama_cpp"\nmodel = "{(MODELS / model).as_posix()}.gguf"\n'
    "n_threads = 1\nn_ctx = 4096\nn_parallel = 256"
    for name, model in (("short", "60k"), ("long", "160k"))
)
# Processor time on a busy machine is up to so many times that on an idle one; `tests.benchmarks.bench_scale` measures.
_NOISE = 2
TESTS = """
import pytest

@pytest.mark.rightsize(task="say")
@pytest.mark.parametrize("n", range(8))
def test_say(model, n):
    assert model.ask(f"amount: {n} dollars", max_tokens=8) == "?"
"""


def test_workers_share_one_model_and_take_little_memory_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    pytest.importorskip("xdist")
    (tmp_path / "rightsize.toml").write_text(LADDER)
    (tmp_path / "test_it.py").write_text(TESTS)
    options = ("--rightsize-strategy=full",)
    one = bench_hosts.measure(tmp_path, *options)
    shared = bench_hosts.measure(tmp_path, *options, "-n4", "--rightsize-hosts=shared")
    assert shared.texts == one.texts
    assert len(shared.texts) == 16
    assert shared.meterings == one.meterings == 2, "one account of each rung, whichever worker asked"
    assert shared.peak_mb <= 1.15 * one.peak_mb + 4 * 60


def test_wrong_answers_cost_little_more_than_right_ones(tmp_path: Path) -> None:
    """In one long file: pytest would show each with the source of the whole."""
    assert bench_scale.wrong_answers(tmp_path, 1.0)["ratio"] <= _NOISE * 1.3


def test_replayed_trials_take_little_more_memory_than_pytest_itself(tmp_path: Path) -> None:
    """Which takes 6 kB for each test that it collects; `tests.benchmarks.bench_scale` has ten times as many."""
    found = bench_scale.replayed(tmp_path, 0.1)
    assert found["trials"] == 5_000
    assert found["peak_mb"] <= found["bare_pytest_peak_mb"] + 80
    assert found["user_ms_a_trial"] <= _NOISE * 3 * found["bare_pytest_user_ms_a_test"]
