"""Feeds the readers what atheris makes up: `python -m tests.benchmarks.fuzz results -max_total_time=60`.

The first argument names a target of tests/hostile.py; the rest are libFuzzer's own (a folder of samples, limits). A
crash is whatever is not one of the project's own errors; libFuzzer leaves its input in a file. Needs atheris, which pip
installs.
"""

import sys

from tests.hostile import TARGETS


def main() -> None:
    """Run one target until it crashes or is stopped."""
    import atheris  # no part of any group: it is built with a compiler's fuzzer library, and no check needs it

    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"name one of {', '.join(TARGETS)}")
    target = TARGETS[sys.argv.pop(1)]
    atheris.instrument_all()
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
