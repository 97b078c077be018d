"""The provider `ray` as far as it needs no Ray: what it says of itself, and what a ladder file may say of it."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from pytest_rightsize.config.ladder import parse_ladder
from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.hosting.host import Host
from pytest_rightsize.hosting.ray import provider as provider_module
from pytest_rightsize.hosting.ray.engines import Needs
from pytest_rightsize.hosting.ray.nodes import _look, fits, node_lines, shortage_words
from pytest_rightsize.hosting.ray.provider import RayReplicas
from pytest_rightsize.hosting.wire import rung_to_plain
from pytest_rightsize.meters import MeterProblem
from pytest_rightsize.providers.placement import keeps_private, opens_to_identify, room_of
from pytest_rightsize.records import Rung

CLASSES = {"ray": RayReplicas}


def rung(**options: Any) -> Rung:
    return Rung(name="4b", provider="ray", model="m.gguf", options=options)


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_a_missing_ray_is_a_problem_with_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    problem = RayReplicas(rung()).check()
    assert problem is not None
    assert (problem.what, problem.remedy) == (
        "ray is not installed",
        'run `python -m pip install "pytest-rightsize[ray]"`',
    )


@pytest.mark.parametrize(
    ("address", "variable", "leaves"),
    [
        (None, None, False),
        (None, "head:6379", True),
        ("127.0.0.1:6379", None, True),  # it may place a replica on another machine
        ("ray://head:10001", None, True),
        ("auto", None, True),
        ("local", "head:6379", False),
    ],
)
def test_whether_a_prompt_may_leave_this_machine(
    address: str | None, variable: str | None, leaves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    provider = RayReplicas(rung(**({} if address is None else {"address": address})))
    assert provider.leaves_machine is leaves
    assert keeps_private(provider, rung()) is not leaves
    assert keeps_private(provider, Rung(name="4b", provider="ray", trusted=True))


def test_what_it_says_before_it_is_asked() -> None:
    provider = RayReplicas(rung(replicas=3, n_parallel=4))
    assert provider.in_flight == 3 * 8
    assert (provider.waiting_room, provider.is_loading, provider.meterings) == (0, False, [])
    assert room_of(provider) == "cluster"
    assert opens_to_identify(provider)
    assert provider.meter_name == "chosen on each node"
    provider.close()
    assert RayReplicas(Rung(name="4b", provider="ray", meter="nvml")).meter_name == "nvml"
    assert RayReplicas(Rung(name="4b", provider="ray", meter={"name": "rapl"})).meter_name == "rapl"


def test_how_many_requests_a_rung_takes_at_once() -> None:
    limited = Rung(name="4b", provider="ray", model="m", max_in_flight=10, options={"replicas": 4})
    assert RayReplicas(limited).in_flight == 12
    vllm = {"engine": "vllm", "engine_options": {"max_num_seqs": 64}, "replicas": 2}
    assert RayReplicas(rung(**vllm)).in_flight == 128


def test_the_table_of_the_cluster_is_that_of_its_rungs() -> None:
    plain = {
        "cluster": {"address": "ray://head:10001", "trusted": True, "runtime_env": {"pip": ["pytest-rightsize"]}},
        "ladder": {
            "4b": {"provider": "ray", "model": "m.gguf"},
            "own": {"provider": "ray", "model": "m.gguf", "address": "auto", "trusted": False},
        },
    }
    ladder = parse_ladder(plain, CLASSES, where="f", base_dir=Path())
    assert ladder.rungs["4b"].trusted is True
    assert ladder.rungs["4b"].options == {"address": "ray://head:10001", "runtime_env": {"pip": ["pytest-rightsize"]}}
    assert (ladder.rungs["own"].trusted, ladder.rungs["own"].options["address"]) == (False, "auto")


@pytest.mark.parametrize(
    ("meter", "replicas", "is_refused"),
    [
        ({"name": "prometheus", "url": "http://gpu-1:9400/metrics"}, 2, True),
        ({"name": "prometheus", "urls": ["http://localhost:9400/metrics", "http://10.0.0.1:9400/metrics"]}, 2, True),
        ({"name": "prometheus", "url": "http://gpu-1:9400/metrics"}, 1, False),
        ({"name": "prometheus", "url": "http://localhost:9400/metrics"}, 2, False),  # that of each node
        ({"name": "prometheus", "url": "http://127.0.0.1:9400/metrics"}, 2, False),
        ("nvml", 2, False),
    ],
)
def test_a_meter_of_one_machine_is_not_read_by_several_replicas(meter: Any, replicas: int, is_refused: bool) -> None:
    own = Rung(name="4b", provider="ray", model="m.gguf", meter=meter, options={"replicas": replicas})
    if not is_refused:
        RayReplicas(own)
        return
    with pytest.raises(ConfigError, match=r"and each of 2 replicas would take all joules there .*: write localhost"):
        RayReplicas(own)


def test_the_variables_of_replicas_are_no_part_of_what_a_run_leaves() -> None:
    shown = rung(runtime_env={"pip": ["a"], "env_vars": {"HF_TOKEN": "hf_secret"}}, headers={"x": "secret"}).to_dict()
    assert shown["runtime_env"] == {"pip": ["a"], "env_vars": {"HF_TOKEN": "***"}}
    assert "secret" not in str(shown)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"adress": "head:6379"}, r"f \[cluster\]: unknown key 'adress': did you mean 'address'\?"),
        ({"trusted": "yes"}, r"f \[cluster\]: trusted = 'yes' cannot be: give true or false"),
        ("head:6379", r"f: cluster is 'head:6379', and must be a table"),
    ],
)
def test_a_table_of_a_cluster_that_cannot_be_is_refused(table: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_ladder({"cluster": table, "ladder": {}}, CLASSES, where="f", base_dir=Path())


def test_a_host_of_this_machine_hands_it_the_meters() -> None:
    host = Host(rung(), RayReplicas, {"m": object}, room=4, budget_s=2.0)  # type: ignore[dict-item]  # only handed on
    provider = host._provider
    assert isinstance(provider, RayReplicas)
    assert (dict(provider._meters), provider._budget_s) == ({"m": object}, 2.0)
    assert host.so_far() == []
    assert host.rest() == []


def node(name: str, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {
        "NodeID": f"{name}0123456789",
        "NodeManagerHostname": name,
        "Alive": alive,
        "Resources": {**resources, f"node:{name}": 1.0, "object_store_memory": 1e8},
    }


class Cluster:
    """The module `ray` on a cluster of nodes, of which some cannot be asked."""

    def __init__(self, *nodes: dict[str, Any], broken: str = "", silent: str = "") -> None:
        self.nodes = lambda: [*nodes]
        self._broken, self._silent = broken, silent
        strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node_id, **_: node_id)
        self.util = SimpleNamespace(scheduling_strategies=strategies)

    def remote(self, _: object) -> Any:
        """A task, which is only noted."""

        def options(scheduling_strategy: str, **_: object) -> Any:
            if self._broken and scheduling_strategy.startswith(self._broken):
                raise ValueError("the node has gone\nthis very moment")
            return SimpleNamespace(remote=lambda _: scheduling_strategy)

        return SimpleNamespace(options=options)

    def get(self, seen: str, timeout: float) -> str:
        """What a node says."""
        if self._silent and seen.startswith(self._silent):
            raise TimeoutError
        return "meter rapl"


class SiteMeter:
    """A meter that works at one site alone."""

    options: ClassVar[dict[str, type]] = {}

    def __init__(self, _: Rung, options: object, site: str) -> None:
        self._site = site

    def check(self) -> MeterProblem | None:
        """It reads a machine."""
        return None if self._site == "machine" else MeterProblem(what="it reads machines", remedy="have one")


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (
            "pytest_rightsize.providers.vllm_engine:Vllm",
            "; it cannot answer: vllm is not installed. To get it: run `python -m pip install vllm` on the node; "
            "meter at, which reads the whole machine",
        ),
        ("tests.hosting.ray.held:Held", "; meter none (at: it reads machines)"),
        ("tests.hosting.ray.held:Gone", "; its engine cannot be loaded (AttributeError: "),
    ],
)
def test_the_doctor_asks_a_node_for_the_meter_of_its_engines_place(engine: str, words: str) -> None:
    own = Rung(name="4b", provider="ray", model="m", meter="at")
    meters = {"at": f"{SiteMeter.__module__}:{SiteMeter.__qualname__}"}
    found = _look({"rung": rung_to_plain(own), "provider": engine, "meters": meters})
    assert found.startswith("pytest-rightsize ")
    assert words in found


def test_a_node_that_cannot_be_asked_is_one_line_of_the_doctors() -> None:
    cluster = Cluster(*(node(name, CPU=1.0) for name in "abcd"), broken="b", silent="c")
    assert [line.partition("; ")[2] for line in node_lines(cluster, {}, {"pip": ["x"]})] == [
        "meter rapl",
        "cannot be asked (this very moment)",
        "cannot be asked (TimeoutError)",
        "meter rapl",
    ]


def test_a_cluster_that_cannot_be_asked_is_a_fault_for_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SimpleNamespace()  # without nodes
    monkeypatch.setattr(provider_module, "connect", lambda *_, **__: broken)
    with pytest.raises(RungError, match=r"rung '4b': its cluster cannot be asked for its nodes .*AttributeError"):
        list(RayReplicas(rung()).node_lines())
    assert RayReplicas(rung())._shortage_now().startswith("wanted 1 x 1 CPU; the cluster cannot be asked (Attribute")


def test_what_the_cluster_has_is_held_against_what_a_replica_wants() -> None:
    nodes = [node("a", CPU=4.0, memory=16e9), node("b", CPU=8.0, GPU=2.0), node("c", alive=False, CPU=64.0)]
    assert fits(Needs(cpus=8, gpus=2), nodes)
    assert not fits(Needs(cpus=16), nodes)
    assert not fits(Needs(cpus=1, others={"accelerator_type:H100": 0.001}), nodes)
    assert fits(Needs(cpus=0), [node("d")])
    assert shortage_words(Needs(cpus=16), 2, nodes, {"CPU": 3.0, "node:a": 1.0}) == (
        "wanted 2 x 16 CPU; node a (a01234) has 4 CPU, 16 GB of memory; node b (b01234) has 8 CPU, 2 GPU; "
        "free now: 3 CPU"
    )
    assert shortage_words(Needs(), 1, [], {}) == "wanted 1 x 1 CPU; there is no node; free now: nothing"
