"""What SDKs ask beside questions, and the error for what nothing serves."""

from typing import Any

import pytest

from pytest_rightsize.served.wires import listing, unserved


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/models", lambda said: [model["id"] for model in said["data"]]),
        ("/t/token/v1/models", lambda said: [model["id"] for model in said["data"]]),
        ("/v1beta/models", lambda said: [model["name"].removeprefix("models/") for model in said["models"]]),
        ("/api/tags", lambda said: [model["name"] for model in said["models"]]),
    ],
)
def test_the_list_of_models(path: str, names: Any) -> None:
    assert names(listing("GET", path, ["gpt-x", "claude-x"])) == ["gpt-x", "claude-x"]


def test_any_model_is_described() -> None:
    """An application may make sure that its own is there."""
    described = listing("GET", "/v1/models/vendor/model-1", [])
    assert described is not None
    names = ("id", "object", "created", "owned_by", "type", "display_name")
    assert [described[name] for name in names] == [
        *("vendor/model-1", "model", 0, "rightsize"),
        *("model", "vendor/model-1"),
    ]
    gemini, ollama = listing("GET", "/v1beta/models/gemini-x", []), listing("POST", "/api/show", [])
    assert gemini is not None
    assert gemini["name"] == "models/gemini-x"
    assert ollama is not None
    assert "tools" in ollama["capabilities"]
    assert listing("GET", "/api/version", []) == {"version": "0.12.0"}


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/files"), ("POST", "/v1/models"), ("DELETE", "/v1/models/x")])
def test_no_list(method: str, path: str) -> None:
    assert listing(method, path, ["x"]) is None


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/v1/embeddings", ("error", "message")),
        ("/v1/messages/count_tokens", ("error", "message")),
        ("/api/embed", ("error",)),
        ("/v1beta/models/gemini-x:embedContent", ("error", "message")),
    ],
)
def test_an_unserved_path_is_a_404_in_the_form_of_its_sdk(path: str, where: tuple[str, ...]) -> None:
    status, body, text = unserved("POST", path)
    for name in where:
        body = body[name]
    assert (status, body) == (404, text)
    assert text.startswith(f"rightsize does not serve POST {path}; it serves POST to /v1/chat/completions, ")


def test_the_form_is_that_of_the_vendor() -> None:
    assert unserved("POST", "/v1/messages/count_tokens")[1]["type"] == "error"
    assert unserved("POST", "/v1beta/models/x:countTokens")[1]["error"]["status"] == "NOT_FOUND"
    assert unserved("POST", "/v1/embeddings")[1]["error"]["type"] == "not_found_error"
