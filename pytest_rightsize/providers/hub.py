"""`hf:` references: from `hf:org/repo[:QUANT]` to a GGUF file on this machine.

`find` looks in the local cache only and never at the network; `download` gets what is missing. Both go through
huggingface_hub, so HF_HOME, HF_ENDPOINT and HF_TOKEN hold as everywhere.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers import Problem

__all__ = ["Reference", "download", "find", "is_reference", "parse"]

DEFAULT_QUANT = "Q4_K_M"

_PREFIX = "hf:"
_FORM = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<quant>[\w.-]+))?", re.ASCII)
_PART = re.compile(r"-(?P<index>\d{5})-of-(?P<count>\d{5})\.gguf$")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A model of the hub; `quant` is None where the reference does not name a quantisation."""

    repo: str
    quant: str | None = None


def is_reference(model: str) -> bool:
    """Whether `model` of a ladder file means the hub and not a path."""
    return model.startswith(_PREFIX)


def parse(model: str) -> Reference:
    """Read `hf:org/repo[:QUANT]`; ConfigError if it is not of that form."""
    found = _FORM.fullmatch(model)
    if found is None:
        raise ConfigError(
            f"{model!r} is no reference to a model of the hub: write hf:org/repo or hf:org/repo:QUANT, "
            "such as hf:ggml-org/gemma-3-1b-it-GGUF:Q4_K_M"
        )
    return Reference(repo=found["repo"], quant=found["quant"])
