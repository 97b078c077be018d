"""What a request through a Ray actor costs, and what a second replica brings: ratios in one run.

    python -m tests.benchmarks.bench_ray --json bench-ray.json

A Ray of this machine with two processors is started. A model that only waits answers 200 requests with one replica and
with two; then one that answers at once is asked one request at a time, and a bare actor is pinged beside it. It sets no
limit, as machines differ. Ray must be installed, as it is in the environment of `tox run -e ray`.
"""

import argparse
import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

from pytest_rightsize.hosting.ray.provider import RayReplicas
from pytest_rightsize.records import Identity, Reply, Request, Rung

_ROOT = Path(__file__).parents[2]
_WAIT_S = 0.25
_REQUESTS = 200
_AT_ONCE = 8
_PINGS = 300


class Waits:
    """Answers after `wait_s`, as many at once as it is given."""

    options: ClassVar[dict[str, type]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    leaves_machine = False
    site = None
    in_flight = _AT_ONCE

    def __init__(self, rung: Rung) -> None:
        self._wait_s = float(rung.options["wait_s"])

    def check(self) -> None:
        """Nothing is missing."""

    def identity(self, sha256: object) -> Identity:
        """One model."""
        return Identity(content={"provider": "waits"})

    def submit(self, request: Request) -> Future[Reply]:
        """Answer in a while."""
        future: Future[Reply] = Future()
        threading.Timer(self._wait_s, future.set_result, [Reply(text="a", seconds=self._wait_s)]).start()
        return future

    def close(self) -> None:
        """Nothing is to be freed."""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the figures go")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ.pop("RAY_ADDRESS", None)
    figures: dict[str, Any] = {}
    walls = {count: _wall_s(count) for count in (1, 2)}
    figures["wall_s"], figures["speedup"] = walls, walls[1] / walls[2]
    figures |= _one_at_a_time()
    print(json.dumps(figures, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _replicas(count: int, wait_s: float) -> RayReplicas:
    options = {
        "engine": f"{__spec__.name}:Waits",
        "engine_options": {"wait_s": wait_s},
        "replicas": count,
        "resources": {"cpu": 0.5},
    }
    return RayReplicas(
        Rung(name="waits", provider="ray", meter="none", options=options, max_in_flight=count * _AT_ONCE)
    )


def _asked(n: int) -> Request:
    return Request(messages=({"role": "user", "content": str(n)},))


def _wall_s(count: int) -> float:
    """Seconds for all requests, from when every replica is up."""
    provider = _replicas(count, _WAIT_S)
    provider.submit(_asked(0)).result()
    while provider._pool is None or provider._pool.room < count * _AT_ONCE:
        time.sleep(0.05)
    begun = time.perf_counter()
    for reply in [provider.submit(_asked(n)) for n in range(_REQUESTS)]:
        reply.result()
    wall_s = time.perf_counter() - begun
    provider.close()
    return wall_s


def _one_at_a_time() -> dict[str, float]:
    """Median milliseconds of a request to a model that answers at once, and of a call to a bare actor."""
    import ray

    provider = _replicas(1, 0.0)
    provider.submit(_asked(0)).result()
    bare = ray.remote(_Bare).options(num_cpus=0.5).remote()
    ray.get(bare.ping.remote())
    rounds: dict[str, Callable[[], object]] = {
        "request_ms": lambda: provider.submit(_asked(1)).result(),
        "ping_ms": lambda: ray.get(bare.ping.remote()),
    }
    figures = {name: 1000 * median(_seconds(call) for _ in range(_PINGS)) for name, call in rounds.items()}
    provider.close()
    return {**figures, "ratio": figures["request_ms"] / figures["ping_ms"]}


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


class _Bare:
    async def ping(self) -> int:
        """Answer."""
        return 1


if __name__ == "__main__":
    main()
