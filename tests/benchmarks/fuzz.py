"""Feeds one reader inputs of atheris: `python -m tests.benchmarks.fuzz results odd -max_total_time=60`.

The first argument names a target of tests/hostile.py or tests/hostile_sources.py, the second the kind of inputs:
`bytes`, any, beginning with its sample, or `odd`, its sample with something odd in it. The rest are libFuzzer's own. A
crash is any error that is not one of the project's own; libFuzzer leaves its input in a file. The benchmark `fuzz` runs
all targets.
"""

import sys
from collections.abc import Callable

__all__ = ["WAYS", "main"]

WAYS = ("bytes", "odd")


def main() -> None:
    """Run one target until it crashes or is stopped; libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["pytest_rightsize", "tomllib"]):
        from tests import hostile, hostile_sources
    targets = {**hostile.TARGETS, **hostile_sources.TARGETS}
    names, way = [*targets], sys.argv[2] if len(sys.argv) > 2 else ""
    if len(sys.argv) < 3 or sys.argv[1] not in names or way not in WAYS:
        sys.exit(f"name one of {', '.join(names)}, and one of {', '.join(WAYS)}")
    name = sys.argv[1]
    atheris.Setup([sys.argv[0], *sys.argv[3:]], targets[name] if way == "bytes" else _odd(name))
    atheris.Fuzz()


def _odd(name: str) -> Callable[[bytes], object]:
    """A target whose bytes from atheris decide what hypothesis draws."""
    from hypothesis import HealthCheck, given, settings

    from tests import hostile, hostile_sources

    inputs = {**hostile.ODD, **hostile_sources.ODD}[name]
    read = {**hostile.TARGETS, **hostile_sources.TARGETS}[name]

    @settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs)
    def feed(content: bytes) -> None:
        read(content)

    target: Callable[[bytes], object] = feed.hypothesis.fuzz_one_input  # type: ignore[attr-defined]  # set by @given
    return target


if __name__ == "__main__":
    main()
