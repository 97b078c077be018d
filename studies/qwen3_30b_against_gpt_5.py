"""Figures of the study "Qwen3-30B against GPT-5", from the results files of its two sessions.

Rates, intervals and ratios are the program's own, as `rightsize compare --json` has them; sums and quotients of tokens,
USD and joules are made here.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from math import fsum
from pathlib import Path
from typing import Any

from pytest_rightsize.judging.comparison import compare
from pytest_rightsize.judging.conclusions import conclude
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run, Trial
from pytest_rightsize.results.results_file import no_trial, read_run
from studies.sessions import FOLDER, run_session

__all__ = ["BARS", "LADDER", "OTHERS", "PAIRS", "figures", "missing", "run_sessions"]

SUITE = FOLDER / "qwen3-30b-against-gpt-5"
LADDER = (
    *("deepseek-r1-distill-qwen-7b", "gpt-oss-20b", "qwen3-30b-a3b-think", "gpt-oss-120b", "qwen3-235b-a22b-think"),
    "gpt-5",
)
OTHERS = ("o4-mini-high-long", "claude-opus-4.1", "magistral-small-2506")
BARS = (0.5, 0.8, 0.9)
QWEN, GPT_5, OSS = "qwen3-30b-a3b-think", "gpt-5", "gpt-oss-120b"
# What is compared with what, in the order of the page.
PAIRS = (
    (QWEN, GPT_5),
    (QWEN, "o4-mini-high-long"),
    (QWEN, "claude-opus-4.1"),
    (QWEN, OSS),
    (QWEN, "qwen3-235b-a22b-think"),
    ("deepseek-r1-distill-qwen-7b", GPT_5),
    ("gpt-oss-20b", GPT_5),
    (OSS, GPT_5),
    ("qwen3-235b-a22b-think", GPT_5),
    ("magistral-small-2506", GPT_5),
    ("o4-mini-high-long", GPT_5),
    ("gpt-oss-20b", OSS),
)


def missing() -> None:
    """None: the data is part of the repository."""


def run_sessions(folder: Path) -> dict[str, Path]:
    """Run every rung of the ladder, and the three others, on all prompts; the results files by name."""
    ladder = run_session(SUITE, folder / "ladder.jsonl", "--rightsize-strategy=full")
    others = run_session(
        *(SUITE, folder / "others.jsonl", "--rightsize-strategy=full", f"--rightsize-ladder={','.join(OTHERS)}")
    )
    return {"ladder": ladder, "others": others}


def figures(results: Mapping[str, Path]) -> dict[str, Any]:
    """All that the page's template names."""
    ladder, others = (read_run(results[name], words_of=no_trial) for name in ("ladder", "others"))
    pairs = {pair: _pair(*pair, ladder, others) for pair in PAIRS}
    rungs = [_rung(rung, ladder) for rung in LADDER]
    by_name = {rung["name"]: rung for rung in rungs}
    qwen, gpt_5, oss = (by_name[name] for name in (QWEN, GPT_5, OSS))
    return {
        "rungs": rungs,
        "others": [_rung(rung, others) for rung in OTHERS],
        "tasks": [verdict.task for verdict in judge(ladder)],
        "smallest": _smallest(ladder),
        "pairs": [{"a": a, "b": b, **pair} for (a, b), pair in pairs.items()],
        "qwen": qwen,
        "gpt_5": gpt_5,
        "oss": oss,
        "against_gpt_5": pairs[QWEN, GPT_5],
        "against_oss": pairs[QWEN, OSS],
        "missed": _missed(ladder),
        "easy": _easy(ladder),
        "evidence": sorted({str(verdict.evidence) for verdict in judge(ladder)}),
        "cheaper_than_gpt_5": gpt_5["usd_per_1000"] / qwen["usd_per_1000"],
        "dearer_than_oss": qwen["usd_per_1000"] / oss["usd_per_1000"],
        "energy": _energy(by_name),
        "false_economies": [
            f"{conclusion.task}: {economy}"
            for conclusion in conclude(ladder, judge(ladder))
            for economy in conclusion.false_economies
        ],
    }


def _trials(rung: str, run: Run, task: str | None = None) -> list[Trial]:
    return [trial for trial in run.trials if trial.key.rung == rung and task in (None, trial.key.task)]


def _rung(rung: str, run: Run) -> dict[str, Any]:
    """A rung's passes by task, and what an answer and a passed case take; None where that is not known."""
    trials = _trials(rung, run)
    passed = sum(trial.outcome == "passed" for trial in trials)
    tokens = fsum(answer.tokens.completion or 0 for trial in trials for answer in trial.answers)
    costs = [answer.cost_usd for trial in trials for answer in trial.answers]
    record = next(each for each in run.rungs if each.name == rung)
    return {
        "name": rung,
        "params_b": record.params_b,
        "passed": passed,
        "trials": len(trials),
        "by_task": {
            task: {
                "passed": sum(trial.outcome == "passed" for trial in _trials(rung, run, task)),
                "trials": len(_trials(rung, run, task)),
            }
            for task in run.policies
        },
        "tokens_per_run": tokens / len(trials),
        "tokens_per_pass": tokens / passed,
        "usd_per_1000": None if None in costs else 1000 * fsum(cost or 0.0 for cost in costs) / passed,
    }


def _pair(a: str, b: str, ladder: Run, others: Run) -> dict[str, Any]:
    """The comparison of two rungs: all cases together, and the ratio of completion tokens in each task."""
    run_a, run_b = (others if rung in OTHERS else ladder for rung in (a, b))
    plain = compare(run_a, a, run_b, b).to_dict()
    overall: dict[str, Any] = plain["overall"]
    return {
        "difference": overall["paired_t"],
        "wide_difference": overall["difference"],
        "non_inferior": overall["non_inferior"]["holds"],
        "ratio": overall["ratios"]["completion_tokens"],
        "by_task": {task: paired["ratios"]["completion_tokens"]["value"] for task, paired in plain["tasks"].items()},
    }


def _smallest(ladder: Run) -> list[dict[str, Any]]:
    """The smallest rung that passes each task, at each bar."""
    rows = []
    for bar in BARS:
        policies = {task: replace(policy, pass_rate=bar) for task, policy in ladder.policies.items()}
        verdicts = judge(replace(ladder, policies=policies))
        rows.append({"bar": bar, "by_task": {verdict.task: verdict.smallest for verdict in verdicts}})
    return rows


def _missed(ladder: Run) -> dict[str, Any]:
    """The cases that Qwen3-30B did not pass in all runs: how many, of how many, and in which task."""
    cases = {(trial.key.task, trial.key.case) for trial in _trials(QWEN, ladder) if trial.outcome != "passed"}
    tasks = sorted({task for task, _ in cases})
    in_task = {trial.key.case for trial in _trials(QWEN, ladder) if trial.key.task in tasks}
    failed = sum(trial.outcome != "passed" for trial in _trials(QWEN, ladder))
    return {"runs": failed, "cases": len(cases), "tasks": tasks, "of": len(in_task)}


def _easy(ladder: Run) -> dict[str, int]:
    """The cases of knowledge and math: how many there are, and the runs of all rungs on them."""
    trials = [trial for trial in ladder.trials if trial.key.task != "logic-puzzle"]
    return {
        "cases": len({(trial.key.task, trial.key.case) for trial in trials}),
        "runs": len(trials),
        "passed": sum(trial.outcome == "passed" for trial in trials),
    }


def _energy(rungs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Joules of the boards for a passed case, by ML.ENERGY's joules per token: by batch, and at each model's least."""
    published = json.loads((SUITE / "data" / "energy.json").read_text(encoding="utf-8"))
    rows = []
    for name, model in published["models"].items():
        per_token = {each["batch"]: each["joules_per_token"] for each in model["configurations"]}
        least = min(model["configurations"], key=lambda each: each["joules_per_token"])
        joules = {batch: rungs[name]["tokens_per_pass"] * per_token[batch] for batch in (8, 64, 128)}
        rows.append(
            {
                "name": name,
                "per_token": per_token,
                "joules": joules,
                "least": {**least, "joules": rungs[name]["tokens_per_pass"] * least["joules_per_token"]},
            }
        )
    qwen, oss = (next(row for row in rows if row["name"] == name) for name in (QWEN, OSS))
    ratios = {batch: qwen["joules"][batch] / oss["joules"][batch] for batch in (8, 64, 128)}
    at_least = qwen["least"]["joules"] / oss["least"]["joules"]
    return {
        "source": published["source"],
        "published": published["published"],
        "session_batch": published["session_batch"],
        "rows": rows,
        "ratios": ratios,
        "ratio_at_least": at_least,
        "low": min(*ratios.values(), at_least),
        "high": max(*ratios.values(), at_least),
    }
