"""Mutates a copy of the modules on the command line (all by default), and counts the mutants that their tests kill.

The mutants of a module are a sample with a seed. Those that `equivalents.toml` names are left out, as are those that
cannot be imported. A test kills a mutant if it fails on it twice; one that fails once only, as on a busy machine, is
named and left out from then on. Prints the survivors and one line a module; exit status 1 below 92 % killed. The tree
that it runs in is never changed.
"""

import argparse
import ast
import contextlib
import difflib
import importlib
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from tests.mutants.catalogue import PACKAGE, ROOT, Mutant, covering_tests, equivalents, files_of, modules
from tests.mutants.order import TestOrder

_LEAST_KILLED = 0.92
_SAMPLE = 30
_POLL_S = 0.02
# Tests that take less than so much processor time in so long wait for what a mutant keeps from coming.
_IDLE_S, _LEAST_WORK = 60.0, 0.05
# Names of files in the copy.
_ORDER = "order.json"
_OUTPUT = "output.txt"
# So many tests may fail unchanged; of more, something is wrong.
_UNCHANGED_RUNS = 5
_NO_MISTAKES = tuple(f"_{old}_{new}" for old in ("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE") for new in ("Is", "IsNot"))
_ORDERS = ("_Lt", "_LtE", "_Gt", "_GtE")
# Two (line, column) pairs.
_Span = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class _Tally:
    """Mutants of a module that were run, and how many of them were killed."""

    killed: int
    total: int

    def __str__(self) -> str:
        share = f" ({100 * self.killed / self.total:.0f} %)" if self.total else ""
        return f"{self.killed}/{self.total} killed{share}"


def mutants_of(module: str, source: random.Random | None = None) -> Iterator[tuple[Mutant, str]]:
    """Every mutant of a module with its whole text, but for those that are no mistakes; shuffled if there is a source.

    Left out are changes of annotations and of the switches of `@dataclass`, which do nothing when tests run, `is`
    for what compares numbers or texts, and an order of texts for `==` with a literal text.
    """
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code

    text = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    declared, texts = _spans(text)
    nodes = list(ast_nodes(get_ast(text)))
    places = []
    for name in plugins.operator_names():
        operator_class = plugins.get_operator(name)
        if operator_class.arguments() or name.endswith((*_NO_MISTAKES, "_Is_Eq", "_IsNot_NotEq")):
            continue
        operator = operator_class()
        left_out = declared + texts if name.endswith(_ORDERS) else declared
        positions = [place for node in nodes for place in operator.mutation_positions(node)]
        places += [(operator, n) for n, (start, _) in enumerate(positions) if not _lies_in(start, left_out)]
    if source is not None:
        source.shuffle(places)
    for operator, occurrence in places:
        mutated = mutate_code(text, operator, occurrence)
        if mutated is not None and mutated != text and _is_python(mutated):
            mutant = _described(module, text, mutated)
            # The star before keyword arguments is no product.
            if mutant.becomes != mutant.line.replace("*,", "/,"):
                yield mutant, mutated


def _is_python(text: str) -> bool:
    """Whether it can be parsed: the star before keyword parameters, for one, cannot become another sign."""
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _spans(source: str) -> tuple[list[_Span], list[_Span]]:
    """The spans of annotations and `@dataclass(...)`, and those of comparisons with a literal text."""
    declared, texts = [], []
    for node in ast.walk(ast.parse(source)):
        parts = [getattr(node, field, None) for field in ("annotation", "returns")]
        parts += [one for one in getattr(node, "decorator_list", ()) if ast.unparse(one).startswith("dataclass(")]
        declared += [_span(part) for part in parts if part is not None]
        if isinstance(node, ast.Compare) and any(
            isinstance(side, ast.Constant) and isinstance(side.value, str) for side in (node.left, *node.comparators)
        ):
            texts.append(_span(node))
    return declared, texts


def _span(node: ast.expr) -> _Span:
    return (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)


def _lies_in(place: tuple[int, int], spans: Sequence[_Span]) -> bool:
    return any(start <= place < end for start, end in spans)


def _described(module: str, source: str, mutated: str) -> Mutant:
    """The mutant by its changed lines, without indentation, so that its name outlives edits elsewhere in the file."""
    changes = list(difflib.ndiff(source.splitlines(), mutated.splitlines()))
    before, after = (" ".join(line[2:].strip() for line in changes if line[:1] == sign) for sign in "-+")
    return Mutant(module=module, line=before, becomes=after)


def _is_killed(copy: Path, tests: Sequence[str], limit_s: float, *, keeps_bytecode: bool = False) -> bool | None:
    """Whether the tests fail on the copy; None where they cannot even be collected. Endless or crashing is killed.

    Endless is more than `limit_s` of processor time, ten times that of waiting, or a minute in which next to nothing is
    done. Other work on the machine and a stopped process do not count, so that a busy machine kills no mutant.
    """
    child = os.fork()
    if not child:
        _run_tests(copy, tests, limit_s, keeps_bytecode=keeps_bytecode)
    waited_s, last = 0.0, time.monotonic()
    worked_s, seen_at_s = 0.0, 0.0
    while waited_s < 10 * limit_s:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            ended = os.waitstatus_to_exitcode(status)
            return ended < 0 or {0: False, 1: True}.get(ended)
        time.sleep(_POLL_S)
        now = time.monotonic()
        waited_s, last = waited_s + min(now - last, 10 * _POLL_S), now
        if waited_s >= seen_at_s + _IDLE_S:
            before_s, worked_s, seen_at_s = worked_s, _work_of(child), waited_s
            if worked_s - before_s < _LEAST_WORK * _IDLE_S:
                break
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _work_of(process: int) -> float:
    """The processor seconds of a running process; where the system does not tell, a clock that never stands still."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _is_noticed(copy: Path, files: Sequence[str], limit_s: float) -> bool | None:
    """As `_is_killed`, by the first file of tests and then by the others: most mutants need only the first."""
    own = _is_killed_again(copy, files[:1], limit_s)
    return own if own is not False or len(files) == 1 else _is_killed_again(copy, files[1:], limit_s)


def _is_killed_again(copy: Path, tests: Sequence[str], limit_s: float) -> bool | None:
    """As `_is_killed`, by a test that fails again; one that does not is left out, and the others are run."""
    while True:
        outcome = _is_killed(copy, tests, limit_s)
        failed = TestOrder(copy / _ORDER).last_failed
        if not outcome or not failed or _is_killed(copy, failed, limit_s):
            return outcome
        _leave_out(copy, failed)


def _leave_out(copy: Path, tests: Sequence[str]) -> None:
    TestOrder(copy / _ORDER).leave_out(list(tests))
    print(f"left out, as they fail for no mutant: {' '.join(tests)}", flush=True)


def _run_tests(copy: Path, tests: Sequence[str], limit_s: float, *, keeps_bytecode: bool) -> NoReturn:
    """Run the tests of the copy in this process, a child that has imported what is not the project's, and end it."""
    status = 2
    try:
        os.setsid()
        os.chdir(copy)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit_s), resource.RLIM_INFINITY))
        output = os.open(copy / _OUTPUT, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for stream in range(3):
            os.dup2(output, stream)
        # No bytecode of a mutant: it may have the size and the second of the one before.
        os.environ.update(PYTHONPATH=str(copy), PYTHONDONTWRITEBYTECODE="" if keeps_bytecode else "1")
        sys.dont_write_bytecode = not keeps_bytecode
        sys.path.insert(0, str(copy))
        for name in list(sys.modules):
            if name.partition(".")[0] in {"tests", PACKAGE.name}:
                del sys.modules[name]
        order = TestOrder(copy / _ORDER)
        order.forget_failures()
        options = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
        status = pytest.main([*options, *tests], plugins=[order])
        order.end()
    finally:
        os._exit(status)


def _import_what_tests_need(imports: Sequence[str]) -> None:
    """Import the modules of others here, so that no later run of the tests has to."""
    for name in imports:
        if name.partition(".")[0] not in {"tests", PACKAGE.name, "__main__", "conftest"}:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def _processor_s() -> float:
    """Processor time of the runs of the tests so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _unchanged_s(copy: Path, tests: Sequence[str]) -> float:
    """Processor time of the tests on the unchanged copy, which they must pass. SystemExit if they do not."""
    for _ in range(_UNCHANGED_RUNS):
        before_s = _processor_s()
        outcome = _is_killed(copy, tests, 3600, keeps_bytecode=True)
        failed = TestOrder(copy / _ORDER).last_failed
        if outcome is False:
            _import_what_tests_need(TestOrder(copy / _ORDER).imports)
            return _processor_s() - before_s
        if not failed:
            break
        _leave_out(copy, failed)
    print((copy / _OUTPUT).read_text(encoding="utf-8", errors="replace"), file=sys.stderr)
    raise SystemExit(f"these tests do not pass unchanged: {' '.join(tests)}")


def measure(module: str, copy: Path, limit_s: float, *, sample: int, seed: int) -> _Tally:
    """Run a sample of a module's mutants, and print those that survive; for `limit_s` see `_is_killed`."""
    files, target = files_of(covering_tests(module)), copy / PACKAGE.name / f"{module}.py"
    source = target.read_text(encoding="utf-8")
    for bytecode in (target.parent / "__pycache__").glob(f"{target.stem}.*"):
        bytecode.unlink()
    skipped = {(mutant.module, mutant.line, mutant.becomes) for mutant in equivalents()}
    killed = total = 0
    for mutant, mutated in mutants_of(module, random.Random(f"{seed} {module}")):
        if total == sample:
            break
        if (mutant.module, mutant.line, mutant.becomes) in skipped:
            continue
        target.write_text(mutated, encoding="utf-8")
        outcome = _is_noticed(copy, files, limit_s)
        target.write_text(source, encoding="utf-8")
        if outcome is None:
            continue
        killed, total = killed + outcome, total + 1
        if not outcome:
            print(f"{module}: survived\n  - {mutant.line}\n  + {mutant.becomes}", flush=True)
    return _Tally(killed=killed, total=total)


def main() -> int:
    """Measure the modules on the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="rooms or modules, such as `judging` or `statistics/rates`")
    parser.add_argument("--sample", type=int, default=_SAMPLE, help="mutants of each module (default: 30)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample (default: 0)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        for name in ("pyproject.toml", PACKAGE.name, "tests"):
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(ROOT / name, copy)
        tallies, limits = [], {}
        for module in modules(options.modules):
            tests = frozenset(files_of(covering_tests(module)))
            if tests not in limits:
                limits[tests] = 5 + 2 * _unchanged_s(copy, sorted(tests))
            tallies.append(measure(module, copy, limits[tests], sample=options.sample, seed=options.seed))
            print(f"{module}: {tallies[-1]}", flush=True)
    overall = _Tally(killed=sum(tally.killed for tally in tallies), total=sum(tally.total for tally in tallies))
    print(f"in all: {overall}, seed {options.seed}")
    return int(overall.killed < _LEAST_KILLED * overall.total)


if __name__ == "__main__":
    sys.exit(main())
