"""`rightsize record`: a command is run, its calls pass, and a draft is written."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main
from tests.providers.openai.endpoint import Answering, Endpoint, completion, serve

KEY = "sk-not-to-be-written"
APP = """
import json, os, sys, urllib.request

def ask(prompt, path="chat/completions"):
    body = json.dumps({"model": "big", "messages": [{"role": "user", "content": prompt}]}).encode()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
    request = urllib.request.Request(f"{os.environ['OPENAI_BASE_URL']}/{path}", body, headers)
    try:
        with urllib.request.urlopen(request) as response:
            return json.load(response)["choices"][0]["message"]["content"]
    except urllib.error.HTTPError as error:
        return error.code

"""


def script(asked: dict[str, Any]) -> Answering:
    prompt = asked["messages"][0]["content"]
    if prompt == "fail":
        return Answering(status=500, body={"error": {"message": "no"}})
    finish_reason = "length" if prompt == "cut" else "stop"
    return Answering(body=completion(prompt.rpartition(" ")[2].upper(), finish_reason=finish_reason))


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with serve(script) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield running


def record(folder: Path, code: str, *options: str) -> int:
    return main(["record", "--dir", str(folder), *options, "--", sys.executable, "-c", APP + code])


def cases(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "cases.jsonl").read_text(encoding="utf-8").splitlines()]


def test_distinct_calls_become_cases(endpoint: Endpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = "print([ask(text) for text in ('Shout: hi', 'Shout: ho', 'Shout: hi', 'fail')], ask('x', 'embeddings'))"
    assert record(tmp_path, code) == 0
    out, err = capfd.readouterr()
    assert out == "['HI', 'HO', 'HI', 500] X\n"
    assert [(case["test"], case["ask"], case["one_of"], case["calls"]) for case in cases(tmp_path)] == [
        ("test_shout", {"prompt": "Shout: hi"}, ["HI"], 2),
        ("test_shout", {"prompt": "Shout: ho"}, ["HO"], 1),
    ]
    host = endpoint.url.removeprefix("http://").removesuffix("/v1")
    told = [line.removeprefix("rightsize record: ") for line in err.splitlines()]
    assert told[:3] == [
        f"no case: 1 call, POST /v1/chat/completions: {host} answered 500",
        "passed on and not recorded, as they ask no model for text: POST /v1/embeddings (1)",
        f"3 calls to {host}: 2 cases in 1 task",
    ]
    assert endpoint.keys == [f"Bearer {KEY}"] * 5
    assert KEY not in "".join(path.read_text(encoding="utf-8") for path in tmp_path.iterdir()) + err


def test_an_answer_that_was_cut_off_is_told_with_parameters_that_are_left_out(
    endpoint: Endpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = APP.replace('"messages"', '"reasoning_effort": "low", "messages"') + "ask('cut')"
    command = [sys.executable, "-c", code]
    assert main(["record", "--dir", str(tmp_path), "--", *command]) == 0
    (case,) = cases(tmp_path)
    assert (case["answer"], case["finish_reason"]) == ("CUT", "length")
    assert [line.removeprefix("rightsize record: ") for line in capfd.readouterr().err.splitlines()[-2:]] == [
        "1 answer was cut off at a limit, so nothing is expected there: raise max_tokens",
        "left out of the cases, as not every model takes them: reasoning_effort",
    ]


def test_a_question_that_got_two_answers_is_told(
    endpoint: Endpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["A", "B", "B"])
    with serve(lambda _: Answering(body=completion(next(answers)))) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        assert record(tmp_path, "ask('a'); ask('a'); ask('a')") == 0
    (case,) = cases(tmp_path)
    assert (case["one_of"], case["also_answered"], case["calls"]) == (["B"], ["A"], 3)
    assert "asked again, 1 of the questions got another answer: see also_answered" in capfd.readouterr().err


def test_the_exit_status_is_the_commands_own(endpoint: Endpoint, tmp_path: Path) -> None:
    assert record(tmp_path, "ask('a'); sys.exit(3)") == 3
    assert len(cases(tmp_path)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_a_command_that_a_signal_ends_leaves_its_calls(endpoint: Endpoint, tmp_path: Path) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    # the signal goes to the parent, which passes it on
    code = "ask('a'); import signal, time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)"
    assert record(tmp_path, code) == 128 + signal.SIGTERM
    assert len(cases(tmp_path)) == 1
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_nothing_is_written_where_no_call_came_by(
    endpoint: Endpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert record(tmp_path, "pass") == 0
    assert [*tmp_path.iterdir()] == []
    assert "no call came by. The command made none, or its base_url is fixed" in capfd.readouterr().err


def test_files_that_are_there_are_refused_before_the_command_runs(
    endpoint: Endpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cases.jsonl").touch()
    assert record(tmp_path, "ask('a')") == 2
    assert "is there already" in capfd.readouterr().err
    assert endpoint.requests == []
    assert record(tmp_path, "ask('a')", "--force") == 0
    assert len(cases(tmp_path)) == 1


def test_an_upstream_by_option(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert record(tmp_path, "ask('a')", "--upstream", endpoint.url) == 0
    assert record(tmp_path, "ask('a')", "--force", "--upstream", f"OPENAI_BASE_URL={endpoint.url}") == 0
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no command was given: rightsize record -- python app.py"),
        (["--"], "no command was given"),
        (["--", "no-such-command"], "no-such-command cannot be started (No such file or directory)"),
        (["--upstream", "OPENAI_BASE=http://x", "--", "true"], "unknown variable 'OPENAI_BASE'"),
    ],
)
def test_what_cannot_be_run_is_said(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", "--dir", str(tmp_path), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_calls_are_kept_somewhere_if_the_folder_has_gone(
    endpoint: Endpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "gone"
    assert record(folder, f"ask('a'); os.rmdir({str(folder)!r})") == 0
    written = next(line for line in capfd.readouterr().err.splitlines() if "written: " in line)
    elsewhere = Path(written.partition("written: ")[2].partition(" and ")[0])
    assert len(elsewhere.read_text(encoding="utf-8").splitlines()) == 1
    os.remove(elsewhere)
