"""`rightsize route`: tasks go where their verdict is sure enough, else they stay with the chosen rung."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Rung
from pytest_rightsize.results.results_file import ResultsFile
from tests.runs import make_run

Written = Callable[..., str]
ALL = "1" * 40
TASKS = {
    "sure": {"a": ALL, "b": ALL},
    "provisional": {"a": "111", "b": "111"},
    "unsolved": {"a": "0" * 40, "b": "0" * 40},
}
RUNGS = [
    Rung(name="a", provider="llama_cpp", model="a.gguf"),
    Rung(
        name="b",
        provider="openai",
        model="gpt-5",
        options={"base_url": "https://api.example.com/v1", "api_key_env": "A_KEY"},
    ),
]


@pytest.fixture
def route(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Written:
    """Run the command on three tasks; what it prints."""

    def route(*arguments: str, status: int = 0, chosen: str | None = "b", whole: bool = True) -> str:
        run = replace(make_run(TASKS, chosen=chosen, pass_rate=0.8), rungs=RUNGS)
        file = ResultsFile(tmp_path / "run.jsonl", rungs=RUNGS, about={"settings": {"strategy": run.strategy}})
        file.plan(run.policies.values(), run.planned)
        for trial in run.trials:
            file.trial(trial)
        if whole:
            file.end(judge(run), exitstatus=1, failed=[], totals={})
        assert main(["route", str(file.path), *arguments]) == status
        printed = capsys.readouterr()
        return printed.err or printed.out

    return route


def test_a_cascade_is_written_with_its_rungs_and_its_check(route: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    cascade = Rung(name="a", provider="cascade", options={"rungs": ["tiny", "b"], "accept": "schema"})
    monkeypatch.setitem(globals(), "RUNGS", [cascade, RUNGS[1]])
    written = json.loads(route())["routes"]["sure"]
    assert (written["rung"], written["provider"], written["accept"]) == ("a", "cascade", "schema")
    assert [member["rung"] for member in written["rungs"]] == ["tiny", "b"]
    assert written["rungs"][1]["base_url"] == "https://api.example.com/v1"
    assert '# "sure" is left out: a is a cascade, whose check a proxy does not run' in route("--format", "litellm")


def test_a_sure_verdict_moves_a_task_and_a_provisional_one_does_not(route: Written) -> None:
    routes = json.loads(route())["routes"]
    assert {task: plain["rung"] for task, plain in routes.items()} == {"sure": "a", "provisional": "b", "unsolved": "b"}
    assert routes["sure"]["because"] == "over-sized: a passes (shown)"
    assert routes["provisional"]["because"] == "a passes, which is only provisional: the chosen one stays"
    assert routes["unsolved"] == {
        "because": "unsolved: the chosen one stays",
        "evidence": "shown",
        "rung": "b",
        "provider": "openai",
        "model": "gpt-5",
        "base_url": "https://api.example.com/v1",
        "api_key_env": "A_KEY",
    }


@pytest.mark.parametrize(
    ("a", "b", "because"),
    [
        # That a, which is chosen, fails is shown; that b passes is not.
        ("0" * 40, "1" * 36 + "0" * 4, "under-sized (shown): b passes"),
        (
            "1" * 31 + "0" * 9,
            "1" * 40,
            "b passes, but that the task is under-sized is only provisional: the chosen one stays",
        ),
    ],
)
def test_how_sure_a_verdict_is_is_not_said_of_a_rung_that_it_does_not_rest_on(
    route: Written, monkeypatch: pytest.MonkeyPatch, a: str, b: str, because: str
) -> None:
    monkeypatch.setitem(globals(), "TASKS", {"t": {"a": a, "b": b}})
    assert json.loads(route(chosen="a"))["routes"]["t"]["because"] == because


def test_less_evidence_is_enough_where_that_is_asked_for(route: Written) -> None:
    routes = json.loads(route("--evidence=provisional"))["routes"]
    assert routes["provisional"]["rung"] == "a"


def test_without_a_chosen_rung_a_task_is_left_out_and_the_status_says_so(route: Written) -> None:
    routes = json.loads(route(status=1, chosen=None))["routes"]
    assert routes["unsolved"]["rung"] is None
    assert routes["unsolved"]["because"] == "unsolved, and no rung of the ladder is chosen"


def test_litellm_gets_a_model_for_each_task(route: Written, tmp_path: Path) -> None:
    path = tmp_path / "litellm.yaml"
    route("--format=litellm", f"--output={path}", "--base-url=a=http://localhost:8080/v1")
    plain: Any = yaml.safe_load(path.read_text("utf-8"))
    assert plain["model_list"] == [
        {
            "model_name": "sure",
            "litellm_params": {"model": "openai/a.gguf", "api_base": "http://localhost:8080/v1", "api_key": "none"},
        },
        *(
            {
                "model_name": task,
                "litellm_params": {
                    "model": "openai/gpt-5",
                    "api_base": "https://api.example.com/v1",
                    "api_key": "os.environ/A_KEY",
                },
            }
            for task in ("provisional", "unsolved")
        ),
    ]


def test_a_model_that_no_proxy_can_ask_is_left_out_with_the_way_on(route: Written) -> None:
    text = route("--format=litellm")
    assert '# "sure" is left out: a is no endpoint (llama_cpp): serve it, and give --base-url a=URL' in text
    assert [each["model_name"] for each in yaml.safe_load(text)["model_list"]] == ["provisional", "unsolved"]


def test_where_no_task_can_be_routed_the_list_is_empty_and_no_null(route: Written) -> None:
    text = route("--format=litellm", chosen="a")
    assert yaml.safe_load(text) == {"model_list": []}
    assert text.count("is left out") == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--base-url=c=http://x/v1"], "unknown rung 'c'"),
        (["--base-url=http://x/v1"], "give RUNG=URL, as in 4b=http://localhost:8080/v1"),
        ([f"--output={__file__}/x.json"], "which is no file: give a file"),
        ([f"--output={__file__}"], "is no routing table"),
    ],
)
def test_what_cannot_be_is_told(route: Written, arguments: list[str], words: str) -> None:
    assert words in route(*arguments, status=2)


def test_a_run_that_was_cut_off_routes_nothing(route: Written) -> None:
    assert "was cut off: route by the results of a session that ran to its end" in route(status=2, whole=False)
