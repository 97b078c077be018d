"""`rightsize scan`: the calls of every SDK that is served, the tests that reach them, and where the model is named."""

import json
from pathlib import Path

import pytest

from pytest_rightsize.authoring.model_calls import imports_of, model_calls
from pytest_rightsize.authoring.repository_scan import scan
from pytest_rightsize.commands.__main__ import main

SUITES = sorted((Path(__file__).parents[1] / "served" / "sdks" / "suites").glob("*_suite.py"))


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.stem)
def test_calls_of_each_served_sdk_are_found(suite: Path) -> None:
    assert model_calls(suite.read_text("utf-8"))


CALL = "client.chat.completions.create(model={}, messages=[])"


@pytest.mark.parametrize(
    ("source", "sdk", "model", "variable"),
    [
        (CALL.format("'gpt-5'"), "openai", "gpt-5", None),
        ("MODEL = 'gpt-5'\n" + CALL.format("MODEL"), "openai", "gpt-5", None),
        ("self.model: str = 'gpt-5'\n" + CALL.format("self.model"), "openai", "gpt-5", None),
        ("import os\n" + CALL.format("os.environ['M']"), "openai", None, "M"),
        ("import os\nM = os.getenv('LLM', 'gpt-5')\n" + CALL.format("M"), "openai", "gpt-5", "LLM"),
        (CALL.format("settings.model"), "openai", None, None),
        ("client.chat.completions.create(**asked)", "openai", None, None),
        ("get_client().responses.create(model='gpt-5', input='x')", "openai", "gpt-5", None),
        ("client.beta.chat.completions.parse(model='m')", "openai", "m", None),
        ("client.messages.create(model='claude', max_tokens=5)", "anthropic", "claude", None),
        ("client.aio.models.generate_content(model='gemini', contents='x')", "google-genai", "gemini", None),
        ("import ollama\nollama.chat(model='qwen3', messages=[])", "ollama", "qwen3", None),
        ("from ollama import chat as ask\nask('qwen3')", "ollama", None, None),
        ("from ollama import Client\nc = Client()\nc.generate('qwen3', 'x')", "ollama", "qwen3", None),
        ("import litellm\nlitellm.completion('gpt-5', messages=[])", "litellm", "gpt-5", None),
        ("from langchain_openai import ChatOpenAI\nChatOpenAI(model='gpt-5')", "langchain", "gpt-5", None),
        ("from pydantic_ai import Agent\nAgent('openai:gpt-5')", "pydantic-ai", "openai:gpt-5", None),
        ("from agents import Agent\nAgent(name='x', model='gpt-5')", "openai-agents", "gpt-5", None),
        (
            "import requests\nrequests.post(BASE + '/chat/completions', json={'model': 'gpt-5'})",
            "openai (HTTP)",
            "gpt-5",
            None,
        ),
        (
            "URL = f'{HOST}/v1/messages'\nclient.post(URL, json=dict(a={'model': 'claude'}))",
            "anthropic (HTTP)",
            "claude",
            None,
        ),
    ],
)
def test_a_call_is_found_with_its_model(source: str, sdk: str, model: str | None, variable: str | None) -> None:
    (call,) = model_calls(source)
    assert (call.sdk, call.model, call.variable) == (sdk, model, variable)
    assert call.line == len(source.splitlines())


@pytest.mark.parametrize(
    "source",
    [
        "twilio.messages.create(to='x', body='y')",
        "requests.post('https://example.com/chat', json={'model': 'car'})",
        "Agent('007')",
        "chat('hello')",
        "db.models.create(model='x')",
        'x = "client.chat.completions.create(model=1)"',
    ],
)
def test_what_is_no_model_call_is_left_out(source: str) -> None:
    assert model_calls(source) == []


def test_the_function_around_a_call_is_named() -> None:
    source = f"class Shop:\n    async def route(self):\n        return await {CALL.format('m')}\n"
    assert model_calls(source)[0].function == "Shop.route"


def test_relative_imports_are_resolved() -> None:
    source = "import os.path\nfrom . import llm\nfrom ..core import ask\nfrom shop.app import route"
    wanted = {"os.path", "shop.web.llm", "shop.core.ask", "shop.app", "shop.app.route"}
    assert imports_of(source, "shop.web") >= wanted


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An application of which one file is reached by a test, through another."""
    files = {
        "src/shop/__init__.py": "",
        "src/shop/app.py": "from shop import llm\n\ndef route(ticket): return llm.ask(ticket)\n",
        "src/shop/llm.py": f"from .config import settings\n{CALL.format('settings.llm.model')}\n",
        "src/shop/config.py": "settings = None\n",
        "src/shop/summary.py": f"import os\n{CALL.format('names[5]')}\n{CALL.format('settings.llm.model')}\n",
        "src/shop/old.py": "print 'python 2'\n",
        "settings.toml": "[llm]\nmodel = 'gpt-5'\nother = 'x'\n",
        ".venv/lib/x.py": CALL.format("'hidden'"),
        "tests/test_app.py": "from shop import app\n\ndef test_route(model, ticket): assert app.route(ticket)\n",
        "tests/test_plain.py": "from shop import summary\n\ndef test_it(): assert summary\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_repository_is_scanned_with_the_tests_that_reach_each_call(project: Path) -> None:
    found = scan(project)
    assert [(each.file, each.call.line, each.tests) for each in found.calls] == [
        ("src/shop/llm.py", 2, ("tests/test_app.py",)),
        ("src/shop/summary.py", 2, ()),
        ("src/shop/summary.py", 3, ()),
    ]
    assert [each.chosen for each in found.calls] == [
        '{ file = "settings.toml", key = "llm.model" }',
        None,
        '{ file = "settings.toml", key = "llm.model" }',
    ]
    assert (found.files, list(found.unread)) == (8, ["src/shop/old.py"])


def test_it_is_printed_with_a_proposal_for_what_no_test_reaches(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", str(project)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["src/shop/llm.py:2", "openai", "(settings.llm.model)", "tests/test_app.py"]
    assert "3 model calls in 8 Python files; no test with a model imports the file of 2 of them" in lines
    assert 'chosen = { file = "settings.toml", key = "llm.model" }   # src/shop/summary.py:3' in lines
    assert lines[-1] == "not read, as it is no Python of this version: src/shop/old.py"
    assert main(["scan", str(project), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["calls"]) == 3


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        (1, "1 model call in 1 Python file; no test with a model imports the file of 1 of them"),
        (2, "2 model calls in 1 Python file; no test with a model imports the file of 2 of them"),
    ],
)
def test_one_call_is_one_call(calls: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = 'openai.OpenAI().chat.completions.create(model="gpt-5", messages=[])\n'
    (tmp_path / "app.py").write_text("import openai\n" + calls * call, encoding="utf-8")
    assert main(["scan", str(tmp_path)]) == 0
    assert words in capsys.readouterr().out.splitlines()


def test_a_project_without_a_call_and_what_is_no_folder_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", str(tmp_path)]) == 0
    assert "no model call in 0 Python files" in capsys.readouterr().out
    assert main(["scan", str(tmp_path / "none")]) == 2
    assert "none is no folder" in capsys.readouterr().err
