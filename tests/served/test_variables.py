"""The variables by which SDKs of a process find the endpoint."""

from pathlib import Path

import pytest

from pytest_rightsize.served.variables import DUMMY_KEY, variables, with_keys

ROOT = "http://127.0.0.1:4711/t/abc"


def test_each_sdk_gets_the_root_in_its_own_form() -> None:
    assert variables(ROOT) == {
        "OPENAI_BASE_URL": f"{ROOT}/v1",
        "OPENAI_API_BASE": f"{ROOT}/v1",
        "VLLM_BASE_URL": f"{ROOT}/v1",
        "OLLAMA_BASE_URL": f"{ROOT}/v1",
        "AZURE_OPENAI_ENDPOINT": ROOT,
        "AZURE_API_BASE": ROOT,
        "ANTHROPIC_BASE_URL": ROOT,
        "ANTHROPIC_API_BASE": ROOT,
        "OLLAMA_HOST": ROOT,
        "OLLAMA_API_BASE": ROOT,
        "GOOGLE_GEMINI_BASE_URL": ROOT,
        "GOOGLE_VERTEX_BASE_URL": ROOT,
        "GEMINI_API_BASE": ROOT,
        "GROQ_BASE_URL": ROOT,
    }


def test_a_dummy_key_is_set_only_where_the_user_has_none() -> None:
    keys = with_keys(ROOT, {"OPENAI_API_KEY": "sk-real", "ANTHROPIC_API_KEY": ""})
    assert "OPENAI_API_KEY" not in keys
    assert keys["ANTHROPIC_API_KEY"] == keys["GOOGLE_API_KEY"] == DUMMY_KEY


@pytest.mark.parametrize("known", ["GEMINI_API_KEY", "GOOGLE_API_KEY"])
def test_one_of_two_names_of_a_key_is_enough(known: str) -> None:
    """google-genai warns where both are set."""
    assert not {"GEMINI_API_KEY", "GOOGLE_API_KEY"} & set(with_keys(ROOT, {known: "real"}))


@pytest.mark.parametrize(
    ("environment", "excluded"),
    [
        ({}, None),
        ({"NO_PROXY": "intranet"}, None),
        ({"HTTP_PROXY": "http://p:1"}, "127.0.0.1,localhost"),
        ({"all_proxy": "http://p:1", "NO_PROXY": "intranet, .lan"}, "intranet,.lan,127.0.0.1,localhost"),
        ({"https_proxy": "http://p:1", "no_proxy": "a", "NO_PROXY": "b"}, "a,127.0.0.1,localhost"),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "localhost"}, "localhost,127.0.0.1"),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
    ],
)
def test_no_proxy_gets_what_goes_to_this_machine(environment: dict[str, str], excluded: str | None) -> None:
    found = with_keys(ROOT, environment)
    assert (found.get("NO_PROXY"), found.get("no_proxy")) == (excluded, excluded)


def test_the_docs_name_each_variable() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "application.md").read_text(encoding="utf-8")
    assert [name for name in variables(ROOT) if f"`{name}`" not in docs] == []
