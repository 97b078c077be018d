"""Run the studies: sessions on recorded answers, their HTML pages, and the pages of docs/studies/, which are printed.

    python -m studies [NAME ...] [--out FOLDER] [--write]

The status is 1 if a page of the docs differs from what was found now; `--write` writes it anew. A study whose data is
no part of this repository and is not here is skipped, and says where to get it.
"""

import argparse
import sys
from pathlib import Path

from studies import qwen3_30b_against_gpt_5, smallest_open_model
from studies.pages import DOCS, rendered
from studies.sessions import make_page
from studies.specialists import study as specialists

STUDIES = {
    "qwen3-30b-against-gpt-5": qwen3_30b_against_gpt_5,
    "smallest-open-model": smallest_open_model,
    "specialists": specialists,
}


def main() -> int:
    """Run the named studies, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(STUDIES)} (default: all)")
    parser.add_argument("--out", type=Path, default=Path(".study"), help="where results and pages go (default: .study)")
    parser.add_argument("--write", action="store_true", help="write the pages of the docs anew")
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in STUDIES]
    if unknown:
        parser.error(f"unknown study {unknown[0]!r}; known: {', '.join(STUDIES)}")
    statuses = [_run(name, args.out / name, write=args.write) for name in args.names or STUDIES]
    return max(statuses)


def _run(name: str, folder: Path, *, write: bool) -> int:
    study = STUDIES[name]
    print(f"--- {name}", flush=True)
    missing = study.missing()
    if missing is not None:
        print(f"skipped: {missing}")
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    results = study.run_sessions(folder)
    make_page(next(iter(results.values())), folder / "report.html")
    page = rendered(name, study.figures(results))
    print(page)
    print(f"HTML page: {folder / 'report.html'}; results: {', '.join(str(path) for path in results.values())}")
    documented = DOCS / f"{name}.md"
    if write:
        documented.write_text(page, encoding="utf-8")
    elif documented.read_text(encoding="utf-8") != page:
        print(
            f"{documented} says something else: look at the difference, and write it anew with --write", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
