"""What a rung of the provider `ray` asks of the cluster, and what its replicas run."""

from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.hosting.ray.engines import Needs, engine_of, inner_rung, needs_of
from pytest_rightsize.hosting.ray.provider import RayReplicas
from pytest_rightsize.records import Rung


def rung(**options: Any) -> Rung:
    common = {name: options.pop(name) for name in ("model", "max_in_flight") if name in options}
    return Rung(name="4b", provider="ray", options=options, **common)


def test_what_a_replica_takes_of_its_node() -> None:
    needs = needs_of(rung(resources={"cpu": 8, "gpu": 1, "memory_gb": 16, "accelerator_type:H100": 0.001}))
    assert needs == Needs(cpus=8, gpus=1, memory_bytes=16_000_000_000, others={"accelerator_type:H100": 0.001})
    assert str(needs) == "8 CPU, 1 GPU, 16 GB of memory, 0.001 accelerator_type:H100"
    assert needs_of(rung()).by_name() == {"CPU": 1}
    assert str(needs_of(rung(resources={"cpu": 0}))) == "nothing"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replicas": 0}, "replicas = 0 cannot be: give 1 to 1000"),
        ({"replicas": 1001}, "replicas = 1001 cannot be"),
        ({"restarts": -1}, "restarts = -1 cannot be"),
        ({"place_timeout_s": 0}, "place_timeout_s must be above 0"),
        ({"resources": {"cpu": -1}}, "resources.cpu = -1 cannot be"),
        ({"resources": {"gpu": True}}, "resources.gpu = True cannot be"),
        ({"resources": {"gpu": float("inf")}}, "resources.gpu = inf cannot be"),
        ({"resources": {"GPU": 1}}, "resources.GPU cannot be: write gpu"),
        ({"engine": "llama_ccp"}, "unknown engine 'llama_ccp': did you mean 'llama_cpp'?"),
        ({"engine": "my.module:"}, "unknown engine"),
        ({"engine_options": {"n_ctx": 4096}}, "write the keys of llama_cpp into the rung's own table"),
        ({"engine": "vllm", "engine_options": {"download": True}}, "write it into the rung's own table"),
        ({"engine": "vllm", "n_ctx": 4096}, "n_ctx is a key of llama_cpp, and the engine is vllm"),
        (
            {"engine": "vllm", "resources": {"gpu": 1}, "engine_options": {"tensor_parallel_size": 4}},
            "spread the model over 4 GPUs, and resources reserve 1: write resources = { gpu = 4 }",
        ),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        RayReplicas(rung(**options))
    assert words in str(refused.value)


def test_llama_cpp_takes_as_many_threads_as_its_replica_reserves() -> None:
    inner = inner_rung(rung(replicas=3, resources={"cpu": 7.5}, n_ctx=2048, max_in_flight=10, restarts=0))
    assert (inner.provider, inner.options, inner.max_in_flight) == ("llama_cpp", {"n_ctx": 2048, "n_threads": 8}, 4)
    assert inner_rung(rung(n_threads=2)).options["n_threads"] == 2


def test_other_engines_take_their_own_options() -> None:
    inner = inner_rung(rung(engine="vllm", engine_options={"max_model_len": 8192}))
    assert (inner.provider, inner.options) == ("vllm", {"max_model_len": 8192})
    assert inner_rung(rung(engine="vllm", download=True)).options == {"download": True}
    own = rung(engine="mine.engines:Fast", engine_options={"speed": 2}, download=True)
    assert engine_of(own) == "mine.engines:Fast"
    assert inner_rung(own).options == {"speed": 2}
