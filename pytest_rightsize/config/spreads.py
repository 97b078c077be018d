"""Spreads: one table of the ladder file that stands for several rungs, by `quants`, `contexts` or `efforts`; pure.

Tables come in, and go out with each spread replaced by a table for each of its rungs, smallest first. A spread that
cannot be is a ConfigError that names the key.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NoReturn

from pytest_rightsize.config.catalogue import CATALOGUE
from pytest_rightsize.config.table_checks import LARGEST
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.providers import Provider
from pytest_rightsize.records import Json, Rung

__all__ = [
    "CONTEXT_KEYS",
    "EFFORTS",
    "QUANT_BITS",
    "SPREAD_KEYS",
    "RungTable",
    "known_rungs",
    "quant_bits",
    "spread_keys",
    "spread_out",
]

# By `llama-quantize` of Llama 3.1 8B, as llama.cpp's tools/quantize/README.md gives them; variants with larger
# embeddings (_L, _XL) lie a little above. They order files of one model, and are no size of any.
QUANT_BITS: Mapping[str, float] = {
    "TQ1_0": 1.7, "IQ1_S": 2.0, "TQ2_0": 2.1, "IQ1_M": 2.15, "IQ2_XXS": 2.38, "IQ2_XS": 2.59, "IQ2_S": 2.74,
    "IQ2_M": 2.93, "Q2_K_S": 2.97, "Q2_K": 3.16, "IQ3_XXS": 3.25, "Q2_K_L": 3.3, "Q2_K_XL": 3.35, "IQ3_XS": 3.5,
    "Q3_K_S": 3.64, "IQ3_S": 3.66, "IQ3_M": 3.76, "Q3_K_M": 4.0, "Q3_K_L": 4.3, "Q3_K_XL": 4.4, "MXFP4": 4.41,
    "MXFP4_MOE": 4.41, "IQ4_XS": 4.46, "Q4_0": 4.66, "Q4_K_S": 4.67, "IQ4_NL": 4.68, "Q4_K_M": 4.89, "Q4_K_L": 5.0,
    "Q4_K_XL": 5.05, "Q4_1": 5.1, "Q5_0": 5.56, "Q5_K_S": 5.57, "Q5_K_M": 5.7, "Q5_K_L": 5.8, "Q5_K_XL": 5.85,
    "Q5_1": 6.0, "Q6_K": 6.56, "Q6_K_L": 6.7, "Q6_K_XL": 6.8, "Q8_0": 8.5, "Q8_K_XL": 9.5, "F16": 16.0, "BF16": 16.0,
    "F32": 32.0,
}  # fmt: skip
"""Bits that a weight takes in each quantisation of llama.cpp."""
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Efforts of reasoning, by what they spend."""
SPREAD_KEYS = ("quants", "contexts", "efforts")
"""The keys of a rung's table that make several rungs of it."""
CONTEXT_KEYS = ("n_ctx", "max_length")
"""The keys by which a provider takes how many tokens a prompt may have."""
_PLACE = "{quant}"
_HUB = "hf:"


@dataclass(frozen=True, kw_only=True)
class RungTable:
    """The table of one rung; `written_as` is the name of the table in the file, that of the spread for its rungs."""

    table: Mapping[str, Json]
    written_as: str


def spread_keys(provider: str, kind: type[Provider]) -> tuple[str, ...]:
    """The keys of SPREAD_KEYS that a rung of this provider may have."""
    has_effort = {"reasoning_effort", "chat_template_kwargs"} & {*kind.options}
    has_context = {*CONTEXT_KEYS} & {*kind.options}
    return (
        *(["quants"] if provider == "llama_cpp" else []),
        *(["contexts"] if has_context else []),
        *(["efforts"] if has_effort else []),
    )


def spread_out(
    tables: Mapping[str, Mapping[str, Json]], providers: Mapping[str, type[Provider]], *, where: str
) -> tuple[dict[str, RungTable], dict[str, tuple[str, ...]]]:
    """The table of each rung by its name, and the names of the rungs of each spread; raises ConfigError."""
    rungs: dict[str, RungTable] = {}
    spreads: dict[str, tuple[str, ...]] = {}
    for name, table in tables.items():
        if not {*SPREAD_KEYS} & {*table}:
            rungs[name] = RungTable(table=table, written_as=name)
            continue
        members = dict(_members(name, table, providers, where=f"{where} [ladder.{name}]"))
        for member in members:
            if member in tables and member != name:
                raise ConfigError(
                    f"{where}: [ladder.{name}] spreads into a rung {member!r}, and there is a table of that name: "
                    f"rename [ladder.{member}], or take it out of the spread"
                )
            if member in rungs:
                raise ConfigError(f"{where}: two spreads have a rung {member!r}: rename one of them")
        rungs |= {member: RungTable(table=each, written_as=name) for member, each in members.items()}
        spreads[name] = tuple(members)
    return rungs, spreads


def known_rungs(rungs: Mapping[str, Rung], spreads: Mapping[str, Sequence[str]]) -> dict[str, Rung]:
    """Every rung that can be named: those of the file, then those of the catalogue whose names it does not take."""
    return dict(rungs) | {name: rung for name, rung in CATALOGUE.items() if name not in (*spreads, *rungs)}


def quant_bits(quant: str) -> float | None:
    """The bits of a weight in a quantisation, in any case of letters; None for a name that is none."""
    return QUANT_BITS.get(quant.upper().removeprefix("UD-"))


def _members(
    name: str, table: Mapping[str, Json], providers: Mapping[str, type[Provider]], *, where: str
) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """The rungs of one spread by name, smallest first."""
    provider = table.get("provider")
    kind = providers.get(provider) if isinstance(provider, str) else None
    plain = {key: value for key, value in table.items() if key not in SPREAD_KEYS}
    if kind is None or not isinstance(provider, str):  # the check of the table says so
        yield name, plain
        return
    for key in SPREAD_KEYS:
        if key in table and key not in spread_keys(provider, kind):
            _refuse(key, provider, where)
    quants = _quants(table, where) if "quants" in table else [None]
    contexts = _contexts(table, kind, where) if "contexts" in table else [None]
    efforts = _efforts(table, where) if "efforts" in table else [None]
    # By memory first, of which the weights take the most, and then by what is spent in it.
    for quant, context, effort in product(quants, contexts, efforts):
        tokens = None if context is None else f"ctx{context}"
        member = "-".join(part for part in (name, quant, tokens, effort) if part is not None)
        one = plain if quant is None else {**plain, "model": _model(plain, quant, where)}
        if context is not None:
            one = {**one, _context_key(kind): context}
        yield member, one if effort is None else _with_effort(one, effort, kind, where)


def _refuse(key: str, provider: str, where: str) -> NoReturn:
    if key == "quants":
        raise ConfigError(
            f"{where}: quants are files of a model in this process, and provider = {provider!r} has none: write a "
            f'table for each model, or use provider = "llama_cpp"'
        )
    if key == "contexts":
        raise ConfigError(
            f"{where}: contexts are for engines that hold a model in this process, and provider = {provider!r} sets no "
            f'context: take contexts out, or use provider = "llama_cpp"'
        )
    raise ConfigError(
        f'{where}: efforts are for models that reason, at an endpoint (provider = "openai") or in this process '
        f'(provider = "llama_cpp"), and provider = {provider!r} knows none: take efforts out'
    )


def _names(table: Mapping[str, Json], key: str, known: Sequence[str], *, where: str) -> list[str]:
    """The list under `key`, each name of it checked against those that are known, whatever its case of letters."""
    names = table[key]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{where}: {key} must be a list of names, as in {key} = {_EXAMPLES[key]}")
    for name in names:
        if name.upper().removeprefix("UD-" if key == "quants" else "") not in {each.upper() for each in known}:
            raise unknown_name(f"{where}: {key}", name, known, noun="quantisation" if key == "quants" else "effort")
    repeated = [name for place, name in enumerate(names) if name.upper() in {each.upper() for each in names[:place]}]
    if repeated:
        raise ConfigError(f"{where}: {key} has {repeated[0]!r} twice: name each once")
    return names


_EXAMPLES: Mapping[str, str] = {"quants": '["Q4_K_M", "Q8_0"]', "efforts": '["low", "high"]'}


def _quants(table: Mapping[str, Json], where: str) -> list[str]:
    names = _names(table, "quants", [*QUANT_BITS], where=where)
    return sorted(names, key=lambda name: quant_bits(name) or 0.0)


def _contexts(table: Mapping[str, Json], kind: type[Provider], where: str) -> list[int]:
    """The tokens of each rung, fewest first."""
    tokens, key = table["contexts"], _context_key(kind)
    if not isinstance(tokens, list) or not tokens or not all(_is_count(each) for each in tokens):
        raise ConfigError(f"{where}: contexts must be a list of numbers of tokens, as in contexts = [2048, 8192]")
    if (most := max(tokens)) > LARGEST["n_ctx"]:
        raise ConfigError(f"{where}: contexts has {most}, and {LARGEST['n_ctx']:,} tokens is the most")
    if len({*tokens}) < len(tokens):
        twice = next(each for place, each in enumerate(tokens) if each in tokens[:place])
        raise ConfigError(f"{where}: contexts has {twice} twice: name each once")
    if key in table:
        raise ConfigError(f"{where} has both contexts and {key}: keep one")
    return sorted(tokens)


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _context_key(kind: type[Provider]) -> str:
    return next(key for key in CONTEXT_KEYS if key in kind.options)


def _efforts(table: Mapping[str, Json], where: str) -> list[str]:
    return sorted(_names(table, "efforts", EFFORTS, where=where), key=lambda name: EFFORTS.index(name.lower()))


def _model(table: Mapping[str, Json], quant: str, where: str) -> str:
    """The model in one quantisation: after the colon of `hf:ORG/REPO`, or in place of `{quant}` in a path."""
    model = table.get("model")
    if not isinstance(model, str) or not model:
        raise ConfigError(f'{where} has quants and no model: add model = "hf:ORG/REPO", or "models/NAME-{_PLACE}.gguf"')
    if _PLACE in model:
        return model.replace(_PLACE, quant)
    if not model.startswith(_HUB):
        raise ConfigError(
            f"{where}: the file {model} has one quantisation, and quants asks for several: write {_PLACE} where their "
            f'names differ, as in model = "models/NAME-{_PLACE}.gguf", or take quants out'
        )
    if ":" in model.removeprefix(_HUB):
        raise ConfigError(
            f"{where}: model = {model!r} names a quantisation, and so does quants: write "
            f'model = "{model.rpartition(":")[0]}"'
        )
    return f"{model}:{quant}"


def _with_effort(table: Mapping[str, Json], effort: str, kind: type[Provider], where: str) -> dict[str, Json]:
    """The table with its effort where the provider takes it: with the request, or as the template's variable."""
    if "reasoning_effort" in kind.options:
        if "reasoning_effort" in table:
            raise ConfigError(f"{where} has both efforts and reasoning_effort: keep one")
        return {**table, "reasoning_effort": effort}
    kwargs = table.get("chat_template_kwargs", {})
    if isinstance(kwargs, Mapping) and "reasoning_effort" in kwargs:
        raise ConfigError(f"{where} has both efforts and a reasoning_effort in chat_template_kwargs: keep one")
    if not isinstance(kwargs, Mapping):  # the check of the table says so
        return dict(table)
    return {**table, "chat_template_kwargs": {**kwargs, "reasoning_effort": effort}}
