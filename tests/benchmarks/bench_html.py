"""Time that a large run takes to open in a browser: `python -m tests.benchmarks.bench_html`.

Prints and writes as JSON the size of the page of 10,000 cases on four rungs, the seconds to make it, and in chromium
the seconds until its verdicts are painted and until its list of cases is there. Then the seconds of a search, begun at
once, for words that are nowhere, and of another for words that are everywhere but never in this order: that one reads
all texts.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.reports.html.report import HtmlReport
from tests.reports.rich_run import large_run

__all__ = ["main"]

_CHROMIUM = "chromium"
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


def measure(*, cases: int, rounds: int) -> dict[str, Any]:
    """Make the page once, open it several times."""
    run = large_run(cases=cases)
    started = time.perf_counter()
    text = HtmlReport().render(run, judge(run))
    made_s = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(text, encoding="utf-8")
        first = run.trials[0].answers[0].text.split()
        searches = {"search_s": "no text says this", "search_all_s": " ".join(reversed(first[:4]))}
        opened = [times for _ in range(rounds) for times in _opened(path, cases, searches)]
    made = {"cases": cases, "rungs": len(run.rungs), "size_mb": round(len(text) / 1e6, 2), "made_s": round(made_s, 2)}
    names = dict.fromkeys(name for times in opened for name in times)
    return made | {name: round(median(times[name] for times in opened if name in times), 3) for name in names}


def _opened(path: Path, cases: int, searches: Mapping[str, str]) -> Iterator[dict[str, float]]:
    """The seconds until the page is painted, ready and searched; opened once for each search."""
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which(_CHROMIUM), args=["--no-sandbox"])
        for name, query in searches.items():
            page = browser.new_context(offline=True, viewport={"width": 1280, "height": 900}).new_page()
            started = time.perf_counter()
            page.goto(f"file://{path}", wait_until="commit")
            page.wait_for_selector("html[data-ready=true]")
            ready_s = time.perf_counter() - started
            started = time.perf_counter()
            page.fill("#search", query)
            expect(page.locator("#status")).to_have_text(re.compile(f"^0 of {cases:,} cases"), timeout=60_000)
            search_s = time.perf_counter() - started
            painted = page.evaluate(_PAINTED)
            yield {"painted_s": (painted or 0.0) / 1000, "ready_s": ready_s, name: search_s}
            page.context.close()
        browser.close()


def main() -> int:
    """Measure, print, write; 1 where there is no browser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if shutil.which(_CHROMIUM) is None:
        print("no chromium on the PATH", file=sys.stderr)
        return 1
    numbers = measure(cases=args.cases, rounds=args.rounds)
    print(json.dumps(numbers, indent=2))
    if args.json:
        args.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
