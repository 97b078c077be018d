"""Workers that share a model, and long suites: what of more than one process needs no Ray.

`tox run -e ray` runs these, as they take minutes; shards and merging are tested in tests/session/test_sharding.py and
tests/commands/test_merge.py, which it runs too.
"""

import os
import pstats
from pathlib import Path

import pytest

from tests.benchmarks import bench_hosts, bench_scale

pytestmark = pytest.mark.skipif("RIGHTSIZE_RAY" not in os.environ, reason="takes minutes: tox run -e ray")

MODELS = Path(__file__).parents[3] / "example_suite" / "models"
# Slots that nobody needs: with them a tiny model takes as much memory as a real one, and a second would be seen.
LADDER = "\n".join(
    f'[ladder.{name}]\nprovider = "llama_cpp"\nmodel = "{(MODELS / model).as_posix()}.gguf"\n'
    "n_threads = 1\nn_ctx = 4096\nn_parallel = 256"
    for name, model in (("short", "60k"), ("long", "160k"))
)
TESTS = """
import pytest

# A task stays with one worker.
@pytest.mark.parametrize("n", [pytest.param(n, marks=pytest.mark.rightsize(task=f"say {n % 4}")) for n in range(8)])
def test_say(model, n):
    assert model.ask(f"amount: {n} dollars", max_tokens=8) == "?"
"""


def test_workers_share_one_model_and_take_little_memory_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    pytest.importorskip("xdist")
    (tmp_path / "rightsize.toml").write_text(LADDER)
    (tmp_path / "test_it.py").write_text(TESTS)
    options = ("--rightsize-strategy=full",)
    # On a busy machine the largest of a session's samples may be less than its peak.
    one = max((bench_hosts.measure(tmp_path, *options) for _ in range(3)), key=lambda usage: usage.peak_mb)
    shared = bench_hosts.measure(tmp_path, *options, "-n4", "--rightsize-hosts=shared")
    assert shared.texts == one.texts
    assert len(shared.texts) == 16
    assert shared.meterings == one.meterings == 2, "one account of each rung, whichever worker asked"
    assert shared.peak_mb <= 1.15 * one.peak_mb + 4 * 60


def counted(folder: Path, *options: str, plugin: bool = True) -> tuple[int, float]:
    """How many calls of functions a session makes, which no other process changes, and its peak memory in MB."""
    usage = bench_scale.session_of(folder, *options, plugin=plugin, within=("-m", "cProfile", "-o", "calls"))
    return pstats.Stats(str(folder / "calls")).total_calls, usage.peak_mb  # type: ignore[attr-defined]  # not in its stub


def test_wrong_answers_cost_little_more_than_right_ones(tmp_path: Path) -> None:
    """In one long file: pytest would show each with the source of the whole, in several times as many calls."""
    right, wrong = (
        counted(
            bench_scale.suite_of(tmp_path / f"wrong-{share}", tasks=100, cases=100, wrong=share),
            *bench_scale.OPTIONS,
            "--rightsize-strategy=full",
        )[0]
        for share in (0.0, 0.5)
    )
    assert wrong <= 1.3 * right


def test_a_replayed_trial_takes_little_more_than_a_test_of_pytest_itself(tmp_path: Path) -> None:
    """Which takes 6 kB for each test that it collects; `tests.benchmarks.bench_scale` has many more, and times them."""
    few, many = 300, 1500
    seen, bare = (
        [counted(suite, *options, plugin=plugin) for suite in suites]
        for suites, options, plugin in (
            (
                [bench_scale.suite_of(tmp_path / f"{cases}", tasks=50, cases=cases) for cases in (few, many)],
                (*bench_scale.OPTIONS, "--rightsize-results=run.jsonl"),
                True,
            ),
            ([bench_scale.bare_suite_of(tmp_path / f"bare-{cases}", cases) for cases in (few, many)], (), False),
        )
    )

    def of_each(of: list[tuple[int, float]]) -> tuple[float, float]:
        """The calls and the kB of a test: what a session takes beside its tests is in both."""
        (few_calls, few_mb), (many_calls, many_mb) = of
        return (many_calls - few_calls) / (many - few), (many_mb - few_mb) * 1e3 / (many - few)

    (calls, kilobytes), (bare_calls, bare_kilobytes) = of_each(seen), of_each(bare)
    assert calls <= 3 * bare_calls
    assert kilobytes <= bare_kilobytes + 4, "the records of ended trials would be 6 kB each"
    assert len((tmp_path / f"{many}" / "run.jsonl").read_text(encoding="utf-8").splitlines()) > many
    assert seen[1][1] <= bare[1][1] + 80
