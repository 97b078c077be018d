"""The options of a vLLM rung: which `vllm serve` is given, which are refused, and which belong to requests. Pure."""

import json
from collections.abc import Mapping

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Json, Rung

__all__ = ["OF_REQUESTS", "arguments_of", "check_options", "server_options"]

OF_REQUESTS = ("chat_template_kwargs", "reasoning", "reasoning_effort", "timeout_s")
"""Options of a request, which the provider `openai` takes and no server."""
_OWN = (*OF_REQUESTS, "download")
_PLACE = "each replica's server listens at a free port of its own machine, which is chosen for it: leave it out"
_REFUSED: Mapping[str, str] = {
    "api_key": "each replica's server gets a key that nobody else has: leave it out",
    "config": "the options of that file would be unknown here: write them into engine_options",
    "fd": _PLACE,
    "headless": "a server without an API cannot be asked: leave it out",
    "hf_token": "a key has no place in a ladder file: set the variable HF_TOKEN on the nodes",
    "host": _PLACE,
    "model": "the model is named by the rung's own key model: leave it out",
    "port": _PLACE,
    "root_path": "the server is asked at its root: leave it out",
    "uds": _PLACE,
}
_TLS = "the server is asked on its own machine alone, without TLS: leave it out"


def check_options(rung: Rung) -> None:
    """Raise ConfigError for an option that the server cannot be given, with the reason."""
    for name in rung.options:
        why = _REFUSED.get(name) or (_TLS if name.startswith("ssl") or name == "enable_ssl_refresh" else None)
        # A command line takes the beginning of an option's name for the whole.
        why = why or next((words for whole, words in _REFUSED.items() if whole.startswith(name)), None)
        if why is None and not name.isidentifier():
            why = "it is no name of an option: write that of `vllm serve` without --, and with _ for -"
        if why is not None:
            raise ConfigError(f"rung {rung.name!r}: engine_options.{name} cannot be: {why}")


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
