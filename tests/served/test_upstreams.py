"""Where calls go: by option, by environment, or to the vendor; and back from a path at the endpoint."""

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.served.upstreams import detour, target, upstreams

ROOT = "http://127.0.0.1:5"


@pytest.mark.parametrize(
    ("environment", "given", "name", "address"),
    [
        ({}, {}, "OPENAI_BASE_URL", "https://api.openai.com/v1"),
        ({}, {}, "OPENAI_API_BASE", "https://api.openai.com/v1"),
        ({}, {}, "ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
        ({}, {}, "OLLAMA_HOST", "http://127.0.0.1:11434"),
        ({}, {}, "AZURE_OPENAI_ENDPOINT", None),
        ({"AZURE_OPENAI_ENDPOINT": "https://x.azure.com"}, {}, "AZURE_OPENAI_ENDPOINT", "https://x.azure.com"),
        ({"OPENAI_BASE_URL": "http://a/v1"}, {}, "OPENAI_BASE_URL", "http://a/v1"),
        # with one variable of a vendor set, its SDKs do not call the vendor by another
        ({"OPENAI_BASE_URL": "http://a/v1"}, {}, "OPENAI_API_BASE", "http://a/v1"),
        ({"OPENAI_API_BASE": "http://a/v1"}, {}, "OPENAI_BASE_URL", "http://a/v1"),
        ({"OPENAI_BASE_URL": "http://a/v1"}, {"OPENAI_BASE_URL": "http://b/v1"}, "OPENAI_BASE_URL", "http://b/v1"),
        ({}, {"OPENAI_BASE_URL": "http://b/v1"}, "OPENAI_API_BASE", "http://b/v1"),
        ({"OLLAMA_HOST": "0.0.0.0"}, {}, "OLLAMA_HOST", "http://127.0.0.1:11434"),
        ({"OLLAMA_HOST": "gpu"}, {}, "OLLAMA_HOST", "http://gpu:11434"),
        ({"OLLAMA_HOST": "gpu:80"}, {}, "OLLAMA_HOST", "http://gpu:80"),
        ({"OLLAMA_HOST": "https://gpu"}, {}, "OLLAMA_HOST", "https://gpu"),
    ],
)
def test_an_address(environment: dict[str, str], given: dict[str, str], name: str, address: str | None) -> None:
    assert upstreams(environment, given).get(name) == address


def test_what_is_no_address_or_no_variable_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"OPENAI_BASE_URL is 'localhost:1', which is no address: .* https://"):
        upstreams({"OPENAI_BASE_URL": "localhost:1"}, {})
    with pytest.raises(
        ConfigError, match=r"--upstream: unknown variable 'OPENAI_BASE': did you mean 'OPENAI_BASE_URL'"
    ):
        upstreams({}, {"OPENAI_BASE": "http://a"})


def test_a_process_is_led_past_the_endpoint_and_keeps_its_keys() -> None:
    environment = {"OPENAI_API_KEY": "k", "HTTPS_PROXY": "http://proxy:1"}
    variables = detour(ROOT, upstreams(environment, {}), environment)
    assert variables["OPENAI_BASE_URL"] == f"{ROOT}/to/OPENAI_BASE_URL/v1"
    assert variables["OLLAMA_HOST"] == f"{ROOT}/to/OLLAMA_HOST"
    assert variables["NO_PROXY"] == variables["no_proxy"] == "127.0.0.1,localhost"
    assert not [name for name in variables if name.endswith("KEY")]
    assert "AZURE_OPENAI_ENDPOINT" not in variables


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/to/OPENAI_BASE_URL/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("/to/OPENAI_BASE_URL/v1/files?limit=2&x=a%20b", "https://api.openai.com/v1/files?limit=2&x=a%20b"),
        ("/to/OPENAI_BASE_URL/v1", "https://api.openai.com/v1/"),
        ("/to/ANTHROPIC_BASE_URL/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("/to/AZURE_OPENAI_ENDPOINT/openai/x?b=2", "https://x.azure.com/base/openai/x?api-version=1&b=2"),
        ("/to/NONE/v1/messages", None),
        ("/v1/messages", None),
    ],
)
def test_the_way_back(path: str, url: str | None) -> None:
    azure = {"AZURE_OPENAI_ENDPOINT": "https://x.azure.com/base/?api-version=1"}
    assert target(path, upstreams(azure, {})) == url
