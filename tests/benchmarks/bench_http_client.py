"""Cost of the openai provider over a bare aiohttp client: `python -m tests.benchmarks.bench_http_client`.

Both send the same requests to one endpoint, a process of its own, in alternating rounds of one run. Prints JSON: the
median of each client's rounds, and the ratios of wall time and of user CPU, which compare between machines.
"""

import argparse
import asyncio
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import Request, Rung
from tests.benchmarks.processes import endpoint


def _user_s() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def _messages(number: int) -> list[dict[str, Any]]:
    return [{"role": "user", "content": f"question number {number} about something"}]


def bare(url: str, requests: int, in_flight: int) -> None:
    """Send the requests with the least code that a client of this protocol can have."""
    import aiohttp

    async def run() -> None:
        numbers = iter(range(requests))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def worker() -> None:
                for number in numbers:
                    body = {"model": "m", "messages": _messages(number)}
                    async with session.post(f"{url}/chat/completions", json=body) as response:
                        reply = await response.json()
                        assert reply["choices"][0]["message"]["content"] == _messages(number)[0]["content"]

            await asyncio.gather(*(worker() for _ in range(in_flight)))

    asyncio.run(run())


def provider(url: str, requests: int, in_flight: int) -> None:
    """Send the same requests through the provider, as the engine does."""
    rung = OpenAI(Rung(name="far", provider="openai", model="m", max_in_flight=in_flight, options={"base_url": url}))
    futures = [rung.submit(Request(messages=tuple(_messages(number)))) for number in range(requests)]
    for number, future in enumerate(futures):
        assert future.result().text == _messages(number)[0]["content"]
    rung.close()


def measure(client: Callable[[str, int, int], None], url: str, requests: int, in_flight: int) -> tuple[float, float]:
    """Wall seconds, and user CPU milliseconds for each request."""
    started, user_s = time.perf_counter(), _user_s()
    client(url, requests, in_flight)
    return time.perf_counter() - started, (_user_s() - user_s) * 1000 / requests


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("bench-http-client.json"), help="where the numbers go")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds the endpoint takes")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with endpoint(args.latency) as url:
        clients = {"bare": bare, "provider": provider}
        for client in clients.values():
            client(url, 10, 10)  # imports and first connections are not part of the cost of a request
        rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
        for _ in range(args.rounds):
            for name, client in clients.items():
                rounds[name].append(measure(client, url, args.requests, args.in_flight))
    medians = {
        name: {
            "wall_s": round(statistics.median(wall_s for wall_s, _ in times), 3),
            "user_ms_per_request": round(statistics.median(user_ms for _, user_ms in times), 3),
        }
        for name, times in rounds.items()
    }
    ratios = {key: round(medians["provider"][key] / medians["bare"][key], 2) for key in medians["bare"]}
    ideal_s = args.latency * -(-args.requests // args.in_flight)
    job = {"requests": args.requests, "latency_s": args.latency, "in_flight": args.in_flight, "rounds": args.rounds}
    text = json.dumps({**job, "ideal_wall_s": round(ideal_s, 3), **medians, "ratio": ratios}, indent=2) + "\n"
    args.json.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
