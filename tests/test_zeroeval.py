"""Five published models on two published tasks, replayed through real sessions: every figure must come out again."""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.records import Run
from pytest_rightsize.store import read_run
from pytest_rightsize.verdict import judge

DATA = Path(__file__).parents[2] / "shared" / "data" / "zeroeval"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the recorded ZeroEval answers are not in {DATA}: this check was skipped"
)

# The published rule: the first complete JSON object's "answer", else a regular expression, read from the record's
# text; the records carry what it found, so the suite compares that.
SUITE = """
import json
from pathlib import Path

import pytest

ITEMS = [json.loads(line) for line in (Path(__file__).parent / "items.jsonl").read_text(encoding="utf-8").splitlines()]


CASES = [pytest.param(i, marks=pytest.mark.rightsize(task=i["task"]), id=i["item"]) for i in ITEMS]


@pytest.mark.parametrize("item", CASES)
def test_item(model, item):
    assert json.loads(model.ask(item["prompt"]))["correct"]
"""


def _read(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def _rung_name(model: str) -> str:
    return model.partition("@")[0]


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))
    return figures


@pytest.fixture(scope="module")
def models() -> list[str]:
    sizes = {record["model"]: record["size_b"] for record in _read("records.jsonl.gz")}
    return sorted(sizes, key=lambda model: sizes[model])


@pytest.fixture
def replayed(pytester: pytest.Pytester, models: list[str]) -> pytest.Pytester:
    """A suite of all items, and a replay rung for each model; an item's id stands in for its long prompt."""
    items = [{"item": one["item"], "task": one["task"], "prompt": one["item"]} for one in _read("items.jsonl.gz")]
    (pytester.path / "items.jsonl").write_text("".join(json.dumps(one) + "\n" for one in items), encoding="utf-8")
    pytester.makepyfile(test_zeroeval_items=SUITE)
    lines: dict[str, list[str]] = defaultdict(list)
    for record in _read("records.jsonl.gz"):
        text = json.dumps({"output": record["outputs"][0], "correct": record["correct"][0]})
        lines[record["model"]].append(json.dumps({"prompt": record["item"], "text": text}) + "\n")
    ladder = ""
    for model in models:
        (pytester.path / f"{_rung_name(model)}.jsonl").write_text("".join(lines[model]), encoding="utf-8")
        ladder += f'[ladder."{_rung_name(model)}"]\nprovider = "replay"\nfile = "{_rung_name(model)}.jsonl"\n'
    (pytester.path / "rightsize.toml").write_text(ladder, encoding="utf-8")
    return pytester


def _session(replayed: pytest.Pytester, models: list[str], *arguments: str) -> Run:
    ladder = ",".join(map(_rung_name, models))
    result = replayed.runpytest_inprocess(
        f"--rightsize-ladder={ladder}", "--rightsize-results=run.jsonl", "--rightsize-gate=none", "-q", *arguments
    )
    assert result.ret == pytest.ExitCode.OK
    return read_run(replayed.path / "run.jsonl")


def test_the_full_ladder_gives_every_published_figure(
    replayed: pytest.Pytester, models: list[str], expected: dict[str, Any]
) -> None:
    run = _session(replayed, models, "--rightsize-strategy=full", "--rightsize-pass-rate=0.5")
    for verdict in judge(run):
        for model in models:
            standing = verdict.standing[_rung_name(model)]
            assert [standing.passed, standing.trials] == expected["pass"][verdict.task][model][:2]
        smallest = expected["smallest_reaching"][verdict.task]["50"]
        assert verdict.smallest == (smallest and _rung_name(smallest))
    assert _per_item_smallest(run, models) == {
        task: Counter(counts) for task, counts in expected["per_item_smallest"].items()
    }


def _per_item_smallest(run: Run, models: list[str]) -> dict[str, Counter[str]]:
    passing: dict[tuple[str, str], set[str]] = defaultdict(set)
    for trial in run.trials:
        passed = passing[trial.key.task, trial.key.case]
        if trial.outcome == "passed":
            passed.add(trial.key.rung)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (task, _), rungs in passing.items():
        outcomes = [_rung_name(model) in rungs for model in models]
        counts[task][models[outcomes.index(True)] if any(outcomes) else "none"] += 1
        counts[task]["non_monotone"] += outcomes != sorted(outcomes)
    return dict(counts)


@pytest.mark.parametrize("bar", [80, 90])
def test_climbing_finds_the_published_smallest(
    replayed: pytest.Pytester, models: list[str], expected: dict[str, Any], bar: int
) -> None:
    run = _session(replayed, models, f"--rightsize-pass-rate={bar / 100}")
    for verdict in judge(run):
        smallest = expected["smallest_reaching"][verdict.task][str(bar)]
        assert verdict.smallest == (smallest and _rung_name(smallest))
