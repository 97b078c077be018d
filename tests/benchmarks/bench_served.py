"""Cost of the application under test: `python -m tests.benchmarks.bench_served`.

The same tests by `model.ask`, by an unmodified function with one `openai.OpenAI`, and as async tests, each a whole
process against one endpoint that answers after 200 ms, with 64 in flight. Prints and writes as JSON the wall time and
user CPU of each, the ratios to `model.ask`, and the user CPU that a test takes beyond it.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.processes import ProcessUsage, endpoint, run

__all__ = ["main"]

_APP = """
import openai

client = openai.OpenAI(max_retries=0)
aclient = openai.AsyncOpenAI(max_retries=0)

def messages(text):
    return [{"role": "user", "content": text}]

def answer(text):
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages(text)).choices[0].message.content

def answer_fresh(text):
    fresh = openai.OpenAI(max_retries=0)
    return fresh.chat.completions.create(model="gpt-4o-mini", messages=messages(text)).choices[0].message.content

async def aanswer(text):
    made = await aclient.chat.completions.create(model="gpt-4o-mini", messages=messages(text))
    return made.choices[0].message.content
"""
_TEST = """
import pytest
import app
@pytest.mark.rightsize(task="many")
{marker}@pytest.mark.parametrize("n", range({tests}))
{start} test_many(model, n):
    assert str(n) in {call}
"""
_ASYNC = '@pytest.mark.asyncio(loop_scope="session")\n'
_QUESTION = '(f"question number {n}")'
_KINDS = {
    "ask": {"marker": "", "start": "def", "call": f"model.ask{_QUESTION}"},
    "app": {"marker": "", "start": "def", "call": f"app.answer{_QUESTION}"},
    "aask": {"marker": _ASYNC, "start": "async def", "call": f"await model.aask{_QUESTION}"},
    "async_app": {"marker": _ASYNC, "start": "async def", "call": f"await app.aanswer{_QUESTION}"},
    "app_client_per_call": {"marker": "", "start": "def", "call": f"app.answer_fresh{_QUESTION}"},
}
# Building a client reads all certificates: there is no need to do that a thousand times to know its cost.
_PART = {"app_client_per_call": 0.1}
_LADDER = """
[ladder.far]
provider = "openai"
base_url = "{url}"
model = "m"
max_in_flight = 64
[app]
serve = true
"""


def measure(*, tests: int, rounds: int, latency: float, kinds: list[str]) -> dict[str, Any]:
    """Run the sessions in turns; returns medians."""
    usages: dict[str, list[ProcessUsage]] = {kind: [] for kind in kinds}
    counts = {kind: max(1, round(tests * _PART.get(kind, 1.0))) for kind in kinds}
    with tempfile.TemporaryDirectory() as name, endpoint(latency) as url:
        folder = Path(name)
        (folder / "rightsize.toml").write_text(_LADDER.format(url=url), encoding="utf-8")
        (folder / "app.py").write_text(_APP, encoding="utf-8")
        (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = session\n", encoding="utf-8")
        env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": f"{folder}{os.pathsep}{os.getcwd()}"}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin"]
        command += ["-p", "pytest_rightsize.plugin", "--rightsize-ladder=far", "--rightsize-cache=off"]
        command += ["--rightsize-strategy=full", "test_many.py"]
        for _ in range(rounds):
            for kind in kinds:
                text = _TEST.format(tests=counts[kind], **_KINDS[kind])
                (folder / "test_many.py").write_text(text, encoding="utf-8")
                usages[kind].append(run(command, folder, env))
    wall_s = {kind: median(usage.wall_s for usage in seen) for kind, seen in usages.items()}
    user_s = {kind: median(usage.user_s for usage in seen) for kind, seen in usages.items()}
    user_ms = {kind: 1000 * user_s[kind] / counts[kind] for kind in kinds}
    return {
        "tests": counts,
        "wall_s": {kind: round(value, 3) for kind, value in wall_s.items()},
        "user_s": {kind: round(value, 3) for kind, value in user_s.items()},
        "wall_by_that_of_ask": {
            kind: round(wall_s[kind] / wall_s["ask"], 2) for kind in kinds if counts[kind] == counts["ask"]
        },
        "user_ms_a_test_beyond_ask": {kind: round(user_ms[kind] - user_ms["ask"], 2) for kind in kinds},
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("bench-served.json"), help="where the numbers go")
    parser.add_argument("--tests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--kinds", nargs="+", choices=list(_KINDS), default=list(_KINDS))
    options = vars(parser.parse_args())
    target = options.pop("json")
    text = json.dumps(measure(**options), indent=2) + "\n"
    target.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
