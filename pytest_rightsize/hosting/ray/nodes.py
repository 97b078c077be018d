"""The nodes of a Ray cluster: what each has and has free, and which meters and versions it has.

Asked of Ray and of a short task on each node; no model is loaded, and no request leaves this machine.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_rightsize.hosting.ray.engines import Needs, amounts_in_words
from pytest_rightsize.hosting.wire import ClassesAt, class_at, rung_from_plain
from pytest_rightsize.meters import Site, site_of
from pytest_rightsize.meters.choice import choose
from pytest_rightsize.providers.broken_providers import checked, made
from pytest_rightsize.providers.environment import error_words, known_secrets

__all__ = ["fits", "node_lines", "shortage_words"]

# Names that Ray gives to every node, or uses for itself.
_INTERNAL = ("node:", "object_store_memory")
_LOOKS_WITHIN_S = 60.0
# What a meter reads there, by the site of the engine: vLLM's model is in a process beside the actor.
_READS: Mapping[Site | None, str] = {"process": "the replica's own process", "machine": "the whole machine"}


def fits(needs: Needs, nodes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether some node has room for a replica when it is empty."""
    wanted = needs.by_name()
    return any(
        all(node["Resources"].get(name, 0.0) >= amount for name, amount in wanted.items())
        for node in nodes
        if node["Alive"]
    )


def shortage_words(needs: Needs, replicas: int, nodes: Sequence[Mapping[str, Any]], free: Mapping[str, float]) -> str:
    """What was wanted of the cluster, what it has on each node, and what of that nobody uses now."""
    there = "; ".join(f"{_name(node)} has {_has(node)}" for node in nodes if node["Alive"]) or "there is no node"
    return f"wanted {replicas} x {needs}; {there}; free now: {amounts_in_words(_shown(free)) or 'nothing'}"


def node_lines(ray: Any, served: Mapping[str, Any], runtime_env: Mapping[str, Any] | None) -> Iterator[str]:
    """A line for each node: its resources, its versions, and the meter that would measure the rung there."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    options: dict[str, Any] = {} if runtime_env is None else {"runtime_env": dict(runtime_env)}
    options |= {"num_cpus": 0, "max_retries": 0}
    look = ray.remote(_look)

    seen: list[Any] = []
    for node in nodes:  # all are asked before the first has answered
        try:
            place = strategy(node_id=node["NodeID"], soft=False)
            seen.append(look.options(scheduling_strategy=place, **options).remote(dict(served)))
        except Exception as error:  # of Ray, whose errors are of many kinds
            seen.append(error)
    for node, one in zip(nodes, seen, strict=True):
        yield f"{_name(node)}: {_has(node)}; {_found(ray, one)}"


def _found(ray: Any, seen: Any) -> str:
    """What a node has said; one node's trouble is a part of its line."""
    try:
        if isinstance(seen, Exception):
            raise seen
        return str(ray.get(seen, timeout=_LOOKS_WITHIN_S))
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return f"cannot be asked ({known_secrets().words(lines[-1])[:200]})"


def _look(served: Mapping[str, Any]) -> str:
    """The versions of a node, what its engine lacks, and its meter; runs there."""
    from pytest_rightsize.hosting.ray.actor import versions

    shown = ", ".join(f"{name} {number}" for name, number in versions().items())
    rung = rung_from_plain(served["rung"])
    try:
        provider = made(class_at(served["provider"]), rung)
        problem = checked(provider, rung.name)
    except Exception as error:
        return f"{shown}; its engine cannot be loaded ({error_words(error)})"
    lacks = "" if problem is None else f"; it cannot answer: {problem.what}. To get it: {problem.remedy}"
    site = site_of(provider)
    if site not in _READS:
        return f"{shown}{lacks}; no meter, as the model runs elsewhere"
    choice = choose(rung, site, ClassesAt(served["meters"]))
    reads = f", which reads {_READS[site]}" if choice.meters else ""
    return f"{shown}{lacks}; meter {choice}{reads}"


def _name(node: Mapping[str, Any]) -> str:
    return f"node {node['NodeManagerHostname']} ({str(node['NodeID'])[:6]})"


def _has(node: Mapping[str, Any]) -> str:
    return amounts_in_words(_shown(node["Resources"])) or "nothing"


def _shown(resources: Mapping[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in sorted(resources.items()) if not name.startswith(_INTERNAL)}
