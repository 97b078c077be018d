"""Five published models on two published tasks, replayed through real sessions: every figure must come out again."""

import gzip
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.judging.comparison import compare
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run
from pytest_rightsize.results.results_file import read_run
from studies.pages import DOCS, rendered
from studies.smallest_open_model import figures
from tests import forked

DATA = Path(__file__).parents[3] / "shared" / "data" / "zeroeval"
# What pytest does for the output and the log of each trial, of which there is none, is a tenth of the time.
PLAIN = ("-q", "-s", "-p", "no:logging", "-p", "no:cacheprovider", "--rightsize-gate=none")
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the recorded ZeroEval answers are not in {DATA}: this check was skipped"
)

# The published rule: the first complete JSON object's "answer", else a regular expression, read from the record's
# text; the records carry what it found, so the suite compares that.
SUITE = """
import json
from pathlib import Path

import pytest

ITEMS = [json.loads(line) for line in Path(__file__).with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]


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


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory, models: list[str]) -> Path:
    """A suite for each task, and a replay rung for each model; an item's id stands in for its long prompt."""
    folder = tmp_path_factory.mktemp("zeroeval")
    items = [{"item": one["item"], "task": one["task"], "prompt": one["item"]} for one in _read("items.jsonl.gz")]
    for task in {one["task"] for one in items}:
        of_task = "".join(json.dumps(one) + "\n" for one in items if one["task"] == task)
        (folder / f"test_{task}.jsonl").write_text(of_task, encoding="utf-8")
        (folder / f"test_{task}.py").write_text(SUITE, encoding="utf-8")
    lines: dict[str, list[str]] = defaultdict(list)
    for record in _read("records.jsonl.gz"):
        text = json.dumps({"output": record["outputs"][0], "correct": record["correct"][0]})
        lines[record["model"]].append(json.dumps({"prompt": record["item"], "text": text}) + "\n")
    ladder = ""
    for model in models:
        (folder / f"{_rung_name(model)}.jsonl").write_text("".join(lines[model]), encoding="utf-8")
        name = _rung_name(model)
        ladder += f'[ladder."{name}"]\nprovider = "replay"\ncomplete = false\nfile = "{name}.jsonl"\n'
    (folder / "rightsize.toml").write_text(ladder, encoding="utf-8")
    return folder


def _session(replayed: Path, models: list[str], *arguments: str) -> Path:
    """Run a session on the recorded answers; its results file."""
    results = replayed / "run.jsonl"
    options = [f"--rightsize-ladder={','.join(map(_rung_name, models))}", f"--rightsize-results={results}"]
    command = [sys.executable, "-m", "pytest", "-p", "pytest_rightsize.plugin", *PLAIN, *options, *arguments]
    # Whatever else is installed for other tests costs as much for each of 10,595 trials as the trial does.
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = forked.run(command, cwd=replayed, env=alone)
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    return results


@pytest.fixture(scope="module")
def full(replayed: Path, models: list[str]) -> Path:
    """The results file of the full ladder."""
    results = _session(replayed, models, "--rightsize-strategy=full", "--rightsize-pass-rate=0.5")
    return results.rename(replayed / "full.jsonl")


@pytest.fixture(scope="module")
def full_run(full: Path) -> Run:
    """What stands in it."""
    return read_run(full)


def test_the_full_ladder_gives_every_published_figure(
    full_run: Run, models: list[str], expected: dict[str, Any]
) -> None:
    for verdict in judge(full_run):
        for model in models:
            standing = verdict.standing[_rung_name(model)]
            assert [standing.passed, standing.trials] == expected["pass"][verdict.task][model][:2]
        smallest = expected["smallest_reaching"][verdict.task]["50"]
        assert verdict.smallest == (smallest and _rung_name(smallest))
    assert _per_item_smallest(full_run, models) == {
        task: Counter(counts) for task, counts in expected["per_item_smallest"].items()
    }


def test_the_page_of_the_study_says_what_this_session_found(full: Path) -> None:
    """RIGHTSIZE_GOLDEN=write writes it anew, as `python -m studies --write` does."""
    page, documented = rendered("smallest-open-model", figures({"full": full})), DOCS / "smallest-open-model.md"
    if os.environ.get("RIGHTSIZE_GOLDEN") == "write":
        documented.write_text(page, encoding="utf-8")
    assert documented.read_text(encoding="utf-8") == page


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


# STATISTICS.md: the difference, and the ends of Tango's 95 % and 90 % intervals.
TANGO = {
    "crux: gemma-2-2b-it vs gemma-2-9b-it": (-0.2450, -0.281773, -0.208649, -0.275821, -0.214483),
    "crux: Meta-Llama-3.1-70B-Instruct vs Llama-3.1-405B-Inst@sambanova": (
        -0.0875,
        -0.117783,
        -0.058198,
        -0.112803,
        -0.062897,
    ),
    "gsm: gemma-2-9b-it vs gemma-2-27b-it": (-0.028052, -0.045088, -0.011615, -0.042264, -0.014267),
    "gsm: Meta-Llama-3.1-70B-Instruct vs Llama-3.1-405B-Inst@sambanova": (
        -0.017437,
        -0.029747,
        -0.006022,
        -0.027641,
        -0.007876,
    ),
}


def test_compare_gives_every_published_pair_and_interval(
    full: Path, full_run: Run, models: list[str], expected: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """On the file of a real session: ten pairs, and the four intervals of STATISTICS.md.

    Those with the largest model by the command, which reads the whole file, and the others by what it calls.
    """
    pairs: dict[str, list[str]] = defaultdict(list)
    for title in expected["mcnemar"]:
        pairs[title.partition(": ")[2]].append(title)
    compared = {pair: tuple(map(_rung_name, pair.split(" vs "))) for pair in pairs}
    largest = _rung_name(models[-1])
    smaller = [rung for rung, last in compared.values() if last == largest]
    assert main(["compare", str(full), "--rungs", ",".join([*smaller, largest]), "--json"]) == 0
    by_command = dict(zip(smaller, json.loads(capsys.readouterr().out)["comparisons"], strict=True))
    for pair, titles in pairs.items():
        rung, last = compared[pair]
        plain = by_command[rung] if last == largest else compare(full_run, rung, full_run, last).to_dict()
        assert plain["differs"] == []
        for title in titles:
            _check_pair(plain["tasks"][title.partition(": ")[0]], title, expected["mcnemar"][title])


def _check_pair(paired: dict[str, Any], title: str, figures: dict[str, Any]) -> None:
    assert (paired["only_a"], paired["only_b"]) == (figures["only_first"], figures["only_second"])
    assert paired["n"] == sum(figures[name] for name in ("both", "only_first", "only_second", "neither"))
    assert paired["mcnemar_p"] == pytest.approx(figures["exact_p"], rel=1e-6, abs=0)
    assert len(paired["changed"]) == figures["only_first"] + figures["only_second"]
    if title in TANGO:
        delta = paired["difference"]
        found = [delta[key] for key in ("value", "low", "high", "low90", "high90")]
        assert found == pytest.approx(TANGO[title], abs=6e-7)


@pytest.mark.parametrize(("strategy", "bar", "tasks"), [("climb", 80, ["crux", "gsm"]), ("bisect", 90, ["crux"])])
def test_climbing_finds_the_published_smallest_with_fewer_trials(
    replayed: Path, models: list[str], expected: dict[str, Any], strategy: str, bar: int, tasks: list[str]
) -> None:
    options = (f"--rightsize-pass-rate={bar / 100}", f"--rightsize-strategy={strategy}")
    run = read_run(_session(replayed, models, *options, *(f"test_{task}.py" for task in tasks)))
    assert set(run.policies) == set(tasks)
    assert sum(trial.outcome != "not_run" for trial in run.trials) < 0.8 * len(run.trials)
    for verdict in judge(run):
        smallest = expected["smallest_reaching"][verdict.task][str(bar)]
        assert verdict.smallest == (smallest and _rung_name(smallest))
