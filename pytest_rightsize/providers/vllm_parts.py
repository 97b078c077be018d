"""Adapters and draft models in the options of a vLLM rung: what its server loads beside the model. Pure.

Each is named by a path or by a repository at the hub, so that `vllm_model.py` can pin it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Json, Rung

__all__ = ["ADAPTER", "DRAFT", "MODALITIES", "Part", "adapter_of", "draft_of", "modality_adapters_of"]

ADAPTER = "lora_modules"
DRAFT = "speculative_config"
MODALITIES = "default_mm_loras"
_ADAPTER_KEYS = ("base_model_name", "name", "path", "revision")
# Names of methods in the place of a model: they draft from the text so far.
_NO_MODELS = ("ngram", "[ngram]")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of them: `key` is how a message calls it, `source` its path or repository, `table` its other values."""

    key: str
    source: str
    revision: str | None = None
    table: Mapping[str, Json]


def adapter_of(rung: Rung) -> Part | None:
    """The LoRA adapter that answers for the rung; raises ConfigError for several, as a rung is one model.

    `table` has its `name`, by which the server is asked.

    >>> options = {"lora_modules": "sql=adapters/sql"}
    >>> adapter_of(Rung(name="4b", provider="vllm", model="m", options=options)).source
    'adapters/sql'
    """
    given = rung.options.get(ADAPTER)
    if given is None:
        return None
    entries = given if isinstance(given, list) else [given]
    if len(entries) != 1:
        raise _refused(rung, ADAPTER, f"names {len(entries)} adapters, and a rung is one model: add a rung for each")
    table = _adapter_table(rung, entries[0])
    name, path, revision = table.get("name"), table.get("path"), table.get("revision")
    texts = [name, path, "x" if revision is None else revision]
    if sorted(table.keys() - {*_ADAPTER_KEYS}) or not all(isinstance(text, str) and text for text in texts):
        raise _refused(rung, ADAPTER, f"is no adapter: write {ADAPTER} = {{ name = ..., path = ... }}, texts both")
    if name in (rung.model, rung.options.get("served_model_name")):
        raise _refused(rung, ADAPTER, "has the name of its model, which the server would mix up: give it another name")
    if rung.options.get("enable_lora") is False:
        raise _refused(rung, ADAPTER, "and enable_lora = false cannot be together: leave one of them out")
    left = {key: value for key, value in table.items() if key not in ("path", "revision")}
    return Part(
        key=f"{ADAPTER}.path", source=str(path), revision=None if revision is None else str(revision), table=left
    )


def modality_adapters_of(rung: Rung) -> Mapping[str, Part]:
    """The adapters that the server adds for images and sound, by modality; raises ConfigError."""
    table = _table(rung, MODALITIES)
    for name, path in table.items():
        if not isinstance(path, str) or not path:
            raise _refused(rung, MODALITIES, f"has {name} = {path!r}: write the path or the repository of an adapter")
    return {name: Part(key=f"{MODALITIES}.{name}", source=str(path), table={}) for name, path in table.items()}


def draft_of(rung: Rung) -> Part | None:
    """The draft model of speculative decoding; None where the method needs none. Raises ConfigError."""
    table = dict(_table(rung, DRAFT))
    model, revision = table.pop("model", None), table.pop("revision", None)
    if model in (None, *_NO_MODELS):
        return None
    if not isinstance(model, str) or not isinstance(revision, str | None) or not model:
        raise _refused(rung, DRAFT, f"has model = {model!r}, revision = {revision!r}: write texts")
    return Part(key=f"{DRAFT}.model", source=model, revision=revision, table=table)


def _adapter_table(rung: Rung, entry: Json) -> Mapping[str, Json]:
    """`name=path`, a JSON text or a table, as a table."""
    if isinstance(entry, str) and not entry.lstrip().startswith("{"):
        name, _, path = entry.partition("=")
        return {"name": name, "path": path}
    return _as_table(rung, ADAPTER, entry)


def _table(rung: Rung, option: str) -> Mapping[str, Json]:
    return _as_table(rung, option, rung.options.get(option, {}))


def _as_table(rung: Rung, option: str, value: Json) -> Mapping[str, Json]:
    """A table of TOML, or one written as JSON for the command line."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise _refused(rung, option, "is no JSON: write a table") from None
    if not isinstance(value, dict):
        raise _refused(rung, option, "is no table: write { key = value }")
    return value


def _refused(rung: Rung, option: str, why: str) -> ConfigError:
    return ConfigError(f"rung {rung.name!r}: engine_options.{option} {why}")
