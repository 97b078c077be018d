"""The example application: its tests climb the ladder on answers that were recorded from the example's own models."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.results.results_file import read_run
from tests import forked

ROOT = Path(__file__).parents[1]
APP = ROOT / "example_suite" / "app"


def test_the_application_is_not_touched() -> None:
    """It knows OpenAI's SDK, and nothing of this project."""
    text = (APP / "helpdesk.py").read_text(encoding="utf-8")
    assert "openai.OpenAI()" in text
    assert "rightsize" not in text


def test_its_tests_climb_the_ladder(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    answers, results = tmp_path / "answers.jsonl", tmp_path / "run.jsonl"
    answers.write_bytes(gzip.decompress((APP / "answers.jsonl.gz").read_bytes()))
    assert main(["cache", "import", str(answers), "--dir", str(tmp_path / "cache")]) == 0
    options = ["--rightsize-ladder=25k,60k,160k,frontier", f"--rightsize-results={results}", "-p", "no:cacheprovider"]
    options += ["-p", "pytest_rightsize.plugin"]
    options += ["--rightsize-cache=replay", f"--rightsize-cache-dir={tmp_path / 'cache'}"]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    alone = {**os.environ, "PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = forked.run([sys.executable, "-m", "pytest", *options], cwd=APP, env=alone)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    run = read_run(results)
    assert {verdict.task: (verdict.smallest, verdict.verdict) for verdict in judge(run)} == {
        "app-route": ("25k", "over-sized"),
        "app-order": ("frontier", "right-sized"),
        "app-quote": ("frontier", "right-sized"),
    }
    assert {trial.outcome for trial in run.trials} == {"passed", "failed"}
    asked = {task: {len(t.answers) for t in run.trials if t.key.task == task} for task in run.policies}
    assert asked["app-route"] == asked["app-order"] == {1}
    # An agent of two to four turns; a model that names no known product gets no second one.
    assert asked["app-quote"] >= {2, 3, 4}
    calls = [call for trial in run.trials for answer in trial.answers for call in answer.tool_calls]
    assert {call["function"]["name"] for call in calls} == {"place_order"}
