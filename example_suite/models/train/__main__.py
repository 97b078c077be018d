"""`python -m example_suite.models.train`: cases, training, export and measurement, in that order.

Name some of the steps, or rungs after `train`, to do only those.
"""

from __future__ import annotations

import argparse


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m example_suite.models.train", description=__doc__)
    parser.add_argument("step", nargs="?", default="all", choices=["all", "cases", "train", "export", "measure"])
    parser.add_argument("rungs", nargs="*", help="the rungs to train (default: every one)")
    chosen = parser.parse_args()
    if chosen.step in ("all", "cases"):
        from .cases import write_all

        write_all()
    if chosen.step in ("all", "train"):
        from .train import RECIPES, train

        for rung in chosen.rungs or RECIPES:
            train(rung)
    if chosen.step in ("all", "export"):
        from .export import export_all

        export_all()
    if chosen.step in ("all", "measure"):
        from .measure import measure_all

        measure_all()


if __name__ == "__main__":
    main()
