"""The table of a rung of the provider `ray`, read: what a replica runs, what of a node it takes, how many there are.

A Rung comes in, one of the engine's own provider goes out, for a process on a node. Pure.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.records import Json, Rung

__all__ = ["ENGINES", "KEYS", "Needs", "engine_of", "inner_rung", "needs_of", "replicas_of"]

ENGINES: Mapping[str, str] = {
    "llama_cpp": "pytest_rightsize.providers.llama_cpp.provider:LlamaCpp",
    "vllm": "pytest_rightsize.providers.vllm_engine:Vllm",
}
"""Where the class of each engine is; another is named by `package.module:Class`, which the nodes can import."""
KEYS: Mapping[str, type | tuple[type, ...]] = {
    "address": str,
    "engine": str,
    "engine_options": dict,
    "place_timeout_s": (int, float),
    "replicas": int,
    "resources": dict,
    "restarts": int,
    "runtime_env": dict,
}
"""The keys of such a rung beside those of llama_cpp, with their types."""
_MOST_REPLICAS = 1000


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What one replica takes of its node, in Ray's words; `memory_bytes` is None where nothing was said of it.

    >>> str(Needs(cpus=8, gpus=1, others={"accelerator_type:H100": 0.001}))
    '8 CPU, 1 GPU, 0.001 accelerator_type:H100'
    """

    cpus: float = 1
    gpus: float = 0
    memory_bytes: int | None = None
    others: Mapping[str, float] = field(default_factory=dict)

    def by_name(self) -> dict[str, float]:
        """The amounts by the names that Ray gives them."""
        memory = {} if self.memory_bytes is None else {"memory": float(self.memory_bytes)}
        named = {"CPU": self.cpus, "GPU": self.gpus, **memory, **self.others}
        return {name: amount for name, amount in named.items() if amount > 0}

    def __str__(self) -> str:
        """The amounts in words."""
        return amounts_in_words(self.by_name()) or "nothing"


def amounts_in_words(amounts: Mapping[str, float]) -> str:
    """`8 CPU, 16 GB of memory`."""
    return ", ".join(
        f"{amount / 1e9:.3g} GB of memory" if name == "memory" else f"{amount:g} {name}"
        for name, amount in amounts.items()
    )


def engine_of(rung: Rung) -> str:
    """The place of the engine's class; raises ConfigError for a name that is none."""
    name = str(rung.options.get("engine", "llama_cpp"))
    if name in ENGINES:
        return ENGINES[name]
    module, colon, kind = name.partition(":")
    if not (colon and kind.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise unknown_name(f"rung {rung.name!r}: engine", name, [*ENGINES, "package.module:Class"], noun="engine")
    return name


def replicas_of(rung: Rung) -> int:
    """How many replicas there are; raises ConfigError for a number that cannot be."""
    count, restarts = rung.options.get("replicas", 1), rung.options.get("restarts", 1)
    if not 1 <= count <= _MOST_REPLICAS:
        raise ConfigError(f"rung {rung.name!r}: replicas = {count} cannot be: give 1 to {_MOST_REPLICAS}")
    if restarts < 0:
        raise ConfigError(f"rung {rung.name!r}: restarts = {restarts} cannot be: give 0 or more")
    if rung.options.get("place_timeout_s", 1) <= 0:
        raise ConfigError(f"rung {rung.name!r}: place_timeout_s must be above 0: give seconds")
    return int(count)


def needs_of(rung: Rung) -> Needs:
    """What one replica takes; raises ConfigError for amounts that cannot be."""
    wanted: dict[str, Json] = dict(rung.options.get("resources", {}))
    for name, amount in wanted.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < math.inf:
            raise ConfigError(f"rung {rung.name!r}: resources.{name} = {amount!r} cannot be: give a number, 0 or more")
    for name, key in {"CPU": "cpu", "GPU": "gpu", "memory": "memory_gb"}.items():
        if name in wanted:
            raise ConfigError(f"rung {rung.name!r}: resources.{name} cannot be: write {key}")
    memory_gb = wanted.pop("memory_gb", None)
    needs = Needs(
        cpus=wanted.pop("cpu", 1),
        gpus=wanted.pop("gpu", 0),
        memory_bytes=None if memory_gb is None else int(memory_gb * 1e9),
        others={name: float(amount) for name, amount in wanted.items()},
    )
    _check_boards(rung, needs)
    return needs


def _check_boards(rung: Rung, needs: Needs) -> None:
    """Refuse a model that is spread over more boards than its replica reserves: it would take those of others."""
    options: Mapping[str, Json] = rung.options.get("engine_options", {})
    sizes = [options.get(f"{name}_parallel_size", 1) for name in ("tensor", "pipeline", "data")]
    boards = math.prod(size for size in sizes if isinstance(size, int))
    if rung.options.get("engine") == "vllm" and boards > max(1, needs.gpus):
        raise ConfigError(
            f"rung {rung.name!r}: engine_options spread the model over {boards} GPUs, and resources reserve "
            f"{needs.gpus:g}: write resources = {{ gpu = {boards} }}"
        )


def inner_rung(rung: Rung) -> Rung:
    """The rung of the engine's own provider, as a replica makes it; raises ConfigError for keys of another engine."""
    engine = str(rung.options.get("engine", "llama_cpp"))
    own = {key: value for key, value in rung.options.items() if key not in KEYS}
    given: Mapping[str, Json] = rung.options.get("engine_options", {})
    if engine == "llama_cpp":
        if given:
            raise ConfigError(
                f"rung {rung.name!r}: engine_options are for other engines: write the keys of llama_cpp into the "
                f"rung's own table"
            )
        # llama.cpp would take every core of the node, whatever the replica reserved.
        own.setdefault("n_threads", max(1, math.ceil(needs_of(rung).cpus)))
    elif engine == "vllm" and "download" in given:
        raise ConfigError(f"rung {rung.name!r}: engine_options.download cannot be: write it into the rung's own table")
    elif unread := sorted(own.keys() - {"download"}):
        raise ConfigError(
            f"rung {rung.name!r}: {unread[0]} is a key of llama_cpp, and the engine is {engine}: what it takes goes "
            f"into engine_options"
        )
    share = None if rung.max_in_flight is None else math.ceil(rung.max_in_flight / replicas_of(rung))
    return replace(
        rung,
        provider=engine if engine in ENGINES else "ray",
        options=own if engine == "llama_cpp" else {**given, **(own if engine == "vllm" else {})},
        max_in_flight=share,
    )
