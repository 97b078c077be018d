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
        ("logits_processors", "its code on the nodes is unknown to the fingerprint"),
        ("middleware", "its code on the nodes"),
        ("worker_cls", "its code on the nodes"),
        ("speculative_model", "write speculative_config = { model"),
        ("prompt_adapters", "only adapters in lora_modules"),
        ("qlora_adapter_name_or_path", "write the adapter into lora_modules"),
        # A command line takes these for the whole names, and the fingerprint would not.
        ("lora_mod", "write the whole name, lora_modules"),
        ("speculative_conf", "write the whole name, speculative_config"),
        ("chat_templ", "write the whole name, chat_template"),
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


@pytest.mark.parametrize(
    "name",
    [
        *("model_impl", "hf_overrides", "config_format", "served_model_name", "seed", "dtype", "reasoning_parser"),
        *("reasoning", "tokenizer", "revision", "max_lora_rank", "chat_template_content_format"),
    ],
)
def test_names_that_only_resemble_those_are_options(name: str) -> None:
    check_options(rung(**{name: "x"}))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"lora_modules": ["a=x", "b=y"]},
            "lora_modules names 2 adapters, and a rung is one model: add a rung for each",
        ),
        ({"lora_modules": []}, "lora_modules names 0 adapters"),
        ({"lora_modules": "sql"}, "lora_modules is no adapter: write lora_modules = {"),
        ({"lora_modules": "{"}, "lora_modules is no JSON: write a table"),
        ({"lora_modules": 3}, "lora_modules is no table"),
        (
            {"lora_modules": {"name": "a"}},
            "lora_modules is no adapter: write lora_modules = { name = ..., path = ... }",
        ),
        ({"lora_modules": {"name": "a", "path": "x", "rank": 3}}, "lora_modules is no adapter"),
        ({"lora_modules": '{"name": "", "path": "x"}'}, "lora_modules is no adapter"),
        ({"lora_modules": "Qwen/Qwen3-4B=x"}, "lora_modules has the name of its model"),
        ({"lora_modules": "a=x", "served_model_name": "a"}, "lora_modules has the name of its model"),
        ({"lora_modules": "a=x", "enable_lora": False}, "lora_modules and enable_lora = false cannot be together"),
        ({"speculative_config": "x"}, "speculative_config is no JSON: write a table"),
        ({"speculative_config": {"model": 3}}, "speculative_config has model = 3, revision = None: write texts"),
        (
            {"speculative_config": {"model": "x", "revision": 3}},
            "speculative_config has model = 'x', revision = 3: write texts",
        ),
        ({"default_mm_loras": {"image": 3}}, "default_mm_loras has image = 3"),
        ({"served_model_name": ["a", "b"]}, "served_model_name must be one name"),
        ({"model_loader_extra_config": {"tensorizer_uri": "s3://x"}}, "model_loader_extra_config names files"),
    ],
)
def test_models_beside_the_model_are_refused_before_anything_is_placed(options: dict[str, Any], why: str) -> None:
    table = {"engine": "vllm", "engine_options": options}
    for make in (
        lambda: Vllm(rung(**options)),
        lambda: RayReplicas(Rung(name="4b", provider="ray", model="Qwen/Qwen3-4B", options=table)),
    ):
        with pytest.raises(ConfigError) as refused:
            make()
        assert f"rung '4b': engine_options.{why}" in str(refused.value)


def test_one_adapter_is_written_as_the_server_reads_it() -> None:
    given = arguments_of({"lora_modules": {"name": "sql", "path": "/sql"}, "enable_lora": True})
    assert given == ["--lora-modules", '{"name": "sql", "path": "/sql"}', "--enable-lora"]
