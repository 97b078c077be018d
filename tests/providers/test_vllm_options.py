"""The options of a vLLM rung: what the command of the server is given, and what is refused."""

from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.hosting.ray.provider import RayReplicas
from pytest_rightsize.providers.vllm_engine import Vllm
from pytest_rightsize.providers.vllm_options import arguments_of, check_options, server_options
from pytest_rightsize.records import Rung


def rung(**options: Any) -> Rung:
    return Rung(name="4b", provider="vllm", model="Qwen/Qwen3-4B", options=options)


def test_options_are_those_of_the_servers_command() -> None:
    options = {
        "max_model_len": 8192,
        "enable_prefix_caching": False,
        "enforce_eager": True,
        "override_generation_config": {"top_k": 20},
        "chat_template_kwargs": {"enable_thinking": False},
        "download": True,
    }
    check_options(rung(**options))
    assert arguments_of(server_options(rung(**options))) == [
        *("--max-model-len", "8192", "--no-enable-prefix-caching", "--enforce-eager"),
        *("--override-generation-config", '{"top_k": 20}'),
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("host", "listens at a free port of its own machine, which is chosen for it: leave it out"),
        ("port", "listens at a free port"),
        ("uds", "listens at a free port"),
        ("ud", "listens at a free port"),  # a command line takes it for --uds
        ("api_key", "gets a key that nobody else has: leave it out"),
        ("hf_token", "a key has no place in a ladder file: set the variable HF_TOKEN on the nodes"),
        ("headless", "a server without an API cannot be asked: leave it out"),
        ("ssl_keyfile", "asked on its own machine alone, without TLS: leave it out"),
        ("ssl_cert_reqs", "without TLS"),
        ("enable_ssl_refresh", "without TLS"),
        ("config", "write them into engine_options"),
        ("root_path", "asked at its root"),
        ("model", "named by the rung's own key model"),
        ("--tensor", "write that of `vllm serve` without --, and with _ for -"),
    ],
)
def test_what_is_set_for_each_replica_is_no_option(name: str, why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Vllm(rung(**{name: "secret"}))
    assert f"rung '4b': engine_options.{name} cannot be: " in str(refused.value)
    assert why in str(refused.value)
    assert "secret" not in str(refused.value)
    with pytest.raises(ConfigError):  # before anything is placed
        RayReplicas(Rung(name="4b", provider="ray", model="m", options={"engine": "vllm", "engine_options": {name: 1}}))


@pytest.mark.parametrize("name", ["model_impl", "hf_overrides", "config_format", "served_model_name", "seed", "dtype"])
def test_names_that_only_resemble_those_are_options(name: str) -> None:
    check_options(rung(**{name: "x"}))
