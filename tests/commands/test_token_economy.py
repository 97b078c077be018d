"""Published figures of real models, reproduced by `rightsize compare --json` on sessions that replay their answers.

The data is that of the study, with the figures that its README tells of.
"""

import gzip
import json
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.judging.comparison import compare
from pytest_rightsize.records import AnswerRecord, Run, Rung, Tokens, Trial, TrialKey

STUDY = Path(__file__).parents[2] / "studies" / "qwen3-30b-against-gpt-5"


@cache
def expected() -> Any:
    with gzip.open(STUDY / "data" / "expected.json.gz", "rt", encoding="utf-8") as file:
        return json.load(file)


def close(figure: float | None, published: float) -> bool:
    return figure == pytest.approx(published, rel=1e-6, abs=1e-9)


def figures(pair: dict[str, Any], published: dict[str, Any]) -> Iterator[tuple[str, float | None, float]]:
    """Each figure of a pair beside the published one, with its name."""
    first, of_first = pair["first_sample"], published["first_sample"]
    for name in ("n", "both", "only_a", "only_b", "neither", "mcnemar_p"):
        yield f"first {name}", first[name], of_first[name]
    for place, end in enumerate(("low", "high")):
        yield f"tango {end}", first["difference"][end], of_first["tango_95"][place]
        yield f"tango 90 {end}", first["difference"][f"{end}90"], of_first["tango_90"][place]
        yield f"paired t {end}", pair["paired_t"][end], published["case_means"]["paired_t_95"][place]
        yield f"paired t 90 {end}", pair["paired_t"][f"{end}90"], published["case_means"]["paired_t_90"][place]
    yield "difference", pair["difference"]["value"], published["case_means"]["difference"]
    for name, count in published["trials_paired_by_sample_number"].items():
        yield f"samples {name}", pair["samples"][name], count
    for kind in ("completion", "reasoning"):
        ratio, of_ratio = pair["ratios"][f"{kind}_tokens"], published[f"{kind}_tokens_ratio_a_over_b"]
        yield f"{kind} ratio", ratio["value"], of_ratio["geometric_mean_of_case_mean_ratios"]
        yield f"{kind} low", ratio["low"], of_ratio["log_t_95"][0]
        yield f"{kind} high", ratio["high"], of_ratio["log_t_95"][1]
        yield f"{kind} of totals", ratio["of_totals"], of_ratio["ratio_of_totals"]
        alone, of_alone = first["ratios"][f"{kind}_tokens"], of_ratio["first_sample_only"]
        yield f"first {kind} ratio", alone["value"], of_alone["geometric_mean"]
        yield f"first {kind} low", alone["low"], of_alone["log_t_95"][0]
    for side in "ab":
        tokens, of_model = pair[f"tokens_{side}"], expected()["models"][published["task"]][published[side]]
        yield f"passed {side}", tokens["passed"], of_model["correct"]
        yield f"rate {side}", pair[f"rate_{side}"], of_model["mean_of_case_means"]
        yield f"tokens {side}", tokens["completion_tokens_per_trial"], of_model["mean_completion_tokens"]
        yield f"per pass {side}", tokens["completion_tokens_per_pass"], of_model["completion_tokens_per_correct"]
        yield f"reasoning {side}", tokens["reasoning_tokens_per_trial"], of_model["mean_reasoning_tokens"]


def wrong(plain: dict[str, Any], published: dict[str, Any]) -> list[tuple[Any, ...]]:
    task = published["task"]
    pair = plain["overall"] if task == "(all)" else plain["tasks"][task]
    where = (task, published["a"], published["b"])
    return [(*where, *figure) for figure in figures(pair, published) if not close(figure[1], figure[2])]


def test_every_published_pair() -> None:
    with gzip.open(STUDY / "data" / "records.jsonl.gz", "rt", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    pairs = expected()["pairs"]
    models = {pair[side] for pair in pairs for side in "ab"}
    run = Run(
        rungs=[Rung(name=model, provider="replay") for model in sorted(models)],
        trials=[_trial(record) for record in records if record["model"] in models],
    )
    plain = {
        (a, b): compare(run, a, run, b).to_dict() for a, b in dict.fromkeys((pair["a"], pair["b"]) for pair in pairs)
    }
    assert len(pairs) == 48
    assert [each for pair in pairs for each in wrong(plain[pair["a"], pair["b"]], pair)] == []


def _trial(record: dict[str, Any]) -> Trial:
    tokens = Tokens(completion=record["completion_tokens"], reasoning=record["reasoning_tokens"])
    return Trial(
        key=TrialKey(task=record["task"], case=record["case"], rung=record["model"], sample=record["sample"]),
        outcome="passed" if record["correct"] else "failed",
        answers=(AnswerRecord(text="", tokens=tokens),),
    )


def pairs_to_try() -> list[tuple[str, str]]:
    """The pair that the study is about; all twelve, which takes a minute, with RIGHTSIZE_PAIRS=all."""
    known = list(dict.fromkeys((pair["a"], pair["b"]) for pair in expected()["pairs"]))
    return known if os.environ.get("RIGHTSIZE_PAIRS") == "all" else [("qwen3-30b-a3b-think", "gpt-5")]


@pytest.mark.parametrize("strategy", ["full", "climb", "bisect"])
@pytest.mark.parametrize("rungs", pairs_to_try(), ids="-".join)
def test_sessions_reproduce_them_under_each_strategy(
    rungs: tuple[str, str], strategy: str, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a climb the chosen rung is asked for savings alone, and is compared all the same."""
    study, path = pytester.path / "study", pytester.path / "run.jsonl"
    shutil.copytree(STUDY, study)
    suite = (study / "test_prompts.py").read_text(encoding="utf-8")
    assert 'chosen="gpt-5"' in suite
    (study / "test_prompts.py").write_text(suite.replace('chosen="gpt-5"', f'chosen="{rungs[1]}"'), encoding="utf-8")
    pytester.runpytest(
        *(study, "--rootdir", study, "--rightsize-gate=none", f"--rightsize-results={path}"),
        *(f"--rightsize-ladder={','.join(rungs)}", f"--rightsize-strategy={strategy}"),
        *("--rightsize-savings=full", "--rightsize-stopping=none"),
    )
    capsys.readouterr()
    assert main(["compare", str(path), "--rungs", ",".join(rungs), "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    pairs = [pair for pair in expected()["pairs"] if (pair["a"], pair["b"]) == rungs]
    assert len(pairs) == 4
    assert [each for pair in pairs for each in wrong(plain, pair)] == []
