"""The options of a vLLM rung: which `vllm serve` is given, which are refused, and which belong to requests. Pure."""

import json
from collections.abc import Mapping

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers import vllm_parts
from pytest_rightsize.records import Json, Rung

__all__ = ["FILES", "OF_REQUESTS", "REVISIONS", "arguments_of", "check_options", "server_options"]

REVISIONS = {"model": "revision", "tokenizer": "tokenizer_revision"}
"""Options that name a repository or a path, each with the option of its commit."""
FILES = (
    *REVISIONS,
    *("chat_template", "generation_config", "hf_config_path", "quantization_param_path"),
    *("reasoning_parser_plugin", "tool_parser_plugin"),
)
"""Those that may name a file or a folder, of which answers depend."""

OF_REQUESTS = ("chat_template_kwargs", "reasoning", "reasoning_effort", "timeout_s")
"""Options of a request, which the provider `openai` takes and no server."""
_OWN = (*OF_REQUESTS, "download")
_CODE = "its code on the nodes is unknown to the fingerprint of recorded answers: leave it out"
_DRAFT = "write speculative_config = { model = ..., num_speculative_tokens = ... }"
_PLACE = "each replica's server listens at a free port of its own machine, which is chosen for it: leave it out"
_REFUSED: Mapping[str, str] = {
    "api_key": "each replica's server gets a key that nobody else has: leave it out",
    "config": "the options of that file would be unknown here: write them into engine_options",
    "fd": _PLACE,
    "headless": "a server without an API cannot be asked: leave it out",
    "hf_token": "a key has no place in a ladder file: set the variable HF_TOKEN on the nodes",
    "host": _PLACE,
    "logits_processors": _CODE,
    "middleware": _CODE,
    "model": "the model is named by the rung's own key model: leave it out",
    "port": _PLACE,
    "prompt_adapters": "only adapters in lora_modules have a part in the fingerprint of recorded answers: leave it out",
    "qlora_adapter_name_or_path": "write the adapter into lora_modules",
    "root_path": "the server is asked at its root: leave it out",
    "scheduler_cls": _CODE,
    "spec_model": _DRAFT,
    "speculative_model": _DRAFT,
    "uds": _PLACE,
    "worker_cls": _CODE,
    "worker_extension_cls": _CODE,
}
# What the server loads beside its model is read under these names.
_WHOLE = (*FILES, *REVISIONS.values(), vllm_parts.ADAPTER, vllm_parts.DRAFT, vllm_parts.MODALITIES, "code_revision")
# Options in their own right, though others begin as they do.
_IN_OWN_RIGHT = (*_WHOLE, *_OWN, "reasoning_parser")
_TLS = "the server is asked on its own machine alone, without TLS: leave it out"


def check_options(rung: Rung) -> None:
    """Raise ConfigError for an option that the server cannot be given, with the reason.

    That is also one by which it would load what is no part of the fingerprint of recorded answers.
    """
    for name in rung.options:
        why = _REFUSED.get(name) or (_TLS if name.startswith("ssl") or name == "enable_ssl_refresh" else None)
        # A command line takes the beginning of an option's name for the whole.
        why = why or next((words for whole, words in _REFUSED.items() if whole.startswith(name)), None)
        if why is None and name not in _IN_OWN_RIGHT:
            why = next((f"write the whole name, {whole}" for whole in _WHOLE if whole.startswith(name)), None)
        if why is None and not name.isidentifier():
            why = "it is no name of an option: write that of `vllm serve` without --, and with _ for -"
        if why is not None:
            raise ConfigError(f"rung {rung.name!r}: engine_options.{name} cannot be: {why}")
    for name in ("model_loader_extra_config", "served_model_name"):
        _check_value(rung, name)
    vllm_parts.adapter_of(rung)
    vllm_parts.draft_of(rung)
    vllm_parts.modality_adapters_of(rung)


def _check_value(rung: Rung, name: str) -> None:
    """Refuse what names models in a value of an option."""
    value = rung.options.get(name)
    if name == "served_model_name" and not isinstance(value, str | None):
        raise ConfigError(f"rung {rung.name!r}: engine_options.served_model_name must be one name, a text")
    written = json.dumps(value)
    if name == "model_loader_extra_config" and any(part in written for part in ("://", "adapter", "path", "uri")):
        raise ConfigError(
            f"rung {rung.name!r}: engine_options.{name} names files, which the fingerprint of recorded answers does "
            f"not know: name a folder in model, and adapters in {vllm_parts.ADAPTER}"
        )


def server_options(rung: Rung) -> dict[str, Json]:
    """The options that the server is given."""
    return {name: value for name, value in rung.options.items() if name not in _OWN}


def arguments_of(options: Mapping[str, Json]) -> list[str]:
    """The arguments of `vllm serve` for options.

    >>> arguments_of({"model": "Qwen/Qwen3-4B", "max_model_len": 8192, "enforce_eager": True})
    ['--model', 'Qwen/Qwen3-4B', '--max-model-len', '8192', '--enforce-eager']
    """
    arguments: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            arguments.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, dict | list):
            arguments += [flag, json.dumps(value)]
        else:
            arguments += [flag, str(value)]
    return arguments
