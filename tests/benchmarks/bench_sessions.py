"""Time of a session of many tests with one question each, against a slow endpoint.

    python -m tests.benchmarks.bench_sessions --json bench-sessions.json
    python -m tests.benchmarks.bench_sessions --tests 10000 --latency 0.02 --in-flight 256 --json bench-10000.json

Whole processes, in turn within one run: this plugin; a bare asyncio and aiohttp client; `pytest -n 16` with a plain
client; promptfoo and inspect-ai where they are installed; and, as machines differ, tests without this plugin that ask
no model. Prints the ratios and writes them as JSON.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks.processes import ProcessUsage, endpoint, median_of, run

__all__ = ["main"]

_TEST = """
import pytest
@pytest.mark.rightsize(task="many")
@pytest.mark.parametrize("n", range({tests}))
def test_many(model, n):
    assert str(n) in model.ask(f"question number {{n}} about something")
"""
_SILENT_TEST = """
import pytest
@pytest.mark.parametrize("n", range({tests}))
def test_many(n):
    assert str(n) in f"question number {{n}} about something"
"""
_PLAIN_TEST = """
import http.client, json, urllib.parse, pytest
@pytest.fixture(scope="session")
def ask():
    parts = urllib.parse.urlsplit("{url}")
    line = http.client.HTTPConnection(parts.hostname, parts.port)
    def ask(prompt):
        body = json.dumps({{"model": "m", "messages": [{{"role": "user", "content": prompt}}]}})
        line.request("POST", parts.path + "/chat/completions", body)
        return json.loads(line.getresponse().read())["choices"][0]["message"]["content"]
    yield ask
    line.close()
@pytest.mark.parametrize("n", range({tests}))
def test_many(ask, n):
    assert str(n) in ask(f"question number {{n}} about something")
"""
_BARE = """
import asyncio, json, aiohttp
async def main():
    numbers = iter(range({tests}))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async def worker():
            for n in numbers:
                body = {{"model": "m", "messages": [
                    {{"role": "user", "content": f"question number {{n}} about something"}}]}}
                async with session.post("{url}/chat/completions", json=body) as response:
                    said = await response.json()
                    assert str(n) in said["choices"][0]["message"]["content"]
        await asyncio.gather(*(worker() for _ in range({in_flight})))
asyncio.run(main())
"""
_INSPECT = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
@task
def many():
    samples = [Sample(input=f"question number {{n}} about something", target=str(n)) for n in range({tests})]
    return Task(dataset=samples, solver=generate(), scorer=includes())
"""
_LADDER = '[ladder.far]\nprovider = "openai"\nmodel = "m"\nbase_url = "{url}"\n'


@dataclass(frozen=True, kw_only=True)
class Job:
    """The same work for every contender: `tests` questions, `in_flight` at once, to the endpoint at `url`."""

    tests: int
    in_flight: int
    url: str
    folder: Path

    def write(self, name: str, text: str) -> Path:
        """Write a file from a template, filled with this job's numbers."""
        path = self.folder / name
        path.write_text(text.format(tests=self.tests, in_flight=self.in_flight, url=self.url), encoding="utf-8")
        return path


def rightsize(job: Job) -> ProcessUsage:
    """This plugin, without others that are installed."""
    return _rightsize(job)


def start_up(job: Job) -> ProcessUsage:
    """The start-up of this plugin: the same session with one test."""
    return _rightsize(job, "-k", "many[far-1]")


def _rightsize(job: Job, *more: str) -> ProcessUsage:
    job.write("test_many.py", _TEST)
    job.write("rightsize.toml", _LADDER)
    # Every round asks for all answers and records them; without this the second would find those of the first.
    fresh = "--rightsize-cache=refresh"
    options = ["--rightsize-ladder=far", f"--rightsize-concurrency={job.in_flight}", fresh, *more]
    return run(_pytest("-p", "pytest_rightsize.plugin", "test_many.py", *options), job.folder, ALONE)


ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": os.getcwd()}


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


def bare(job: Job) -> ProcessUsage:
    """The least code of a client."""
    return run([sys.executable, str(job.write("bare.py", _BARE))], job.folder)


def silent(job: Job) -> ProcessUsage:
    """As many tests that ask no model, in pytest without this plugin: the machine's own time for a test."""
    job.write("test_silent.py", _SILENT_TEST)
    return run(_pytest("test_silent.py"), job.folder, ALONE)


def sixteen_workers(job: Job) -> ProcessUsage:
    """Plain tests that wait for their answers, in 16 processes."""
    job.write("test_plain.py", _PLAIN_TEST)
    return run(_pytest("-p", "xdist", "-n", "16", "test_plain.py"), job.folder, ALONE)


def promptfoo(job: Job) -> ProcessUsage:
    """The same questions in promptfoo."""
    config = {
        "prompts": ["question number {{n}} about something"],
        "providers": [{"id": "openai:chat:m", "config": {"apiBaseUrl": job.url, "apiKey": "none"}}],
        "tests": [{"vars": {"n": str(n)}, "assert": [{"type": "contains", "value": str(n)}]} for n in range(job.tests)],
    }
    (job.folder / "promptfooconfig.json").write_text(json.dumps(config), encoding="utf-8")
    quiet = {
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_CONFIG_DIR": str(job.folder / "promptfoo"),
    }
    command = [_tool_path("promptfoo") or "", "eval", "-c", "promptfooconfig.json", "-j", str(job.in_flight)]
    return run([*command, "--no-cache", "--no-table", "--no-progress-bar"], job.folder, quiet)


def inspect(job: Job) -> ProcessUsage:
    """The same questions in inspect-ai."""
    job.write("many.py", _INSPECT)
    command = [_tool_path("inspect") or "", "eval", "many.py", "--model", "openai-api/far/m", "--display", "none"]
    limits = ["--max-connections", str(job.in_flight), "--max-samples", str(job.in_flight)]
    return run([*command, *limits], job.folder, {"FAR_API_KEY": "none", "FAR_BASE_URL": job.url})


def _tool_path(command: str) -> str | None:
    """The path of a tool, from the variable RIGHTSIZE_BENCH_<TOOL> or the PATH; None where it is not installed."""
    return os.environ.get(f"RIGHTSIZE_BENCH_{command.upper()}") or shutil.which(command)


def contenders(job: Job) -> Mapping[str, Callable[[Job], ProcessUsage]]:
    """The contenders that are installed on this machine, by name."""
    own: dict[str, Callable[[Job], ProcessUsage]] = {
        "bare": bare,
        "silent": silent,
        "rightsize": rightsize,
        "start_up": start_up,
    }
    others = {
        "pytest_n16": sixteen_workers if find_spec("xdist") and job.tests <= 2000 else None,
        "promptfoo": promptfoo if _tool_path("promptfoo") and job.tests <= 2000 else None,
        "inspect": inspect if _tool_path("inspect") and job.tests <= 2000 else None,
    }
    return own | {name: contender for name, contender in others.items() if contender is not None}


def measure(*, tests: int, latency: float, in_flight: int, rounds: int) -> dict[str, Any]:
    """Run all contenders in turn; returns the medians of the rounds, and the ratios of their wall times."""
    usages: dict[str, list[ProcessUsage]] = {}
    with endpoint(latency) as url, tempfile.TemporaryDirectory() as folder:
        job = Job(tests=tests, in_flight=in_flight, url=url, folder=Path(folder))
        for number in range(rounds):
            for name, contender in contenders(job).items():
                usage = contender(job)
                usages.setdefault(name, []).append(usage)
                print(f"round {number + 1}: {name} {usage.wall_s:.2f} s, user {usage.user_s:.2f} s", flush=True)
    medians = {name: median_of(of_rounds) for name, of_rounds in usages.items()}
    own, start = medians["rightsize"], medians["start_up"]
    return {
        "tests": tests,
        "latency_s": latency,
        "in_flight": in_flight,
        "ideal_wall_s": round(latency * -(-tests // in_flight), 3),
        **medians,
        "user_ms_per_test": round(own["user_s"] / tests * 1000, 3),
        "user_ms_per_silent_test": round(medians["silent"]["user_s"] / tests * 1000, 3),
        "ratio_to_bare_and_start_up": round(own["wall_s"] / (medians["bare"]["wall_s"] + start["wall_s"]), 3),
        **{
            f"ratio_to_{name}": round(own["wall_s"] / medians[name]["wall_s"], 3)
            for name in medians
            if name not in ("rightsize", "silent", "start_up")
        },
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("bench-sessions.json"), help="where the numbers go")
    parser.add_argument("--tests", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds the endpoint takes")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = vars(parser.parse_args())
    target = options.pop("json")
    measured = measure(**options)
    text = json.dumps(measured, indent=2) + "\n"
    target.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
