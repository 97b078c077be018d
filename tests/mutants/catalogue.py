"""Modules that are mutated, the tests that must notice, and the mutants that change nothing."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PACKAGE", "ROOT", "TESTS", "Mutant", "covering_tests", "equivalents", "files_of", "modules"]

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pytest_rightsize"

# The tests of each room or module; the longest name that fits a module counts.
TESTS = {
    "statistics": ("tests/statistics",),
    "statistics/ratios": ("tests/statistics/test_ratios.py", "tests/judging/test_economy_claims.py"),
    "statistics/selection": ("tests/judging/test_selection.py", "tests/running/test_schedule.py"),
    "statistics/unpaired": ("tests/statistics/test_unpaired.py", "tests/judging/test_baseline.py"),
    "statistics/rates": (
        "tests/statistics/test_rates.py",
        "tests/statistics/test_intervals.py",
        "tests/statistics/test_planning.py",
        "tests/judging/test_evidence.py",
        "tests/judging/test_verdict.py",
    ),
    "statistics/falls": ("tests/statistics/test_falls.py", "tests/judging/test_baseline.py"),
    "statistics/sequential": ("tests/statistics/test_sequential.py", "tests/running/test_schedule.py"),
    "judging": ("tests/judging",),
    "judging/baseline": ("tests/judging/test_baseline.py", "tests/commands/test_lock.py"),
    "judging/comparison": ("tests/judging/test_comparison.py", "tests/commands/test_compare.py"),
    "judging/differences": (
        "tests/judging/test_comparison.py",
        "tests/commands/test_compare.py",
        "tests/results/test_results_file.py",
    ),
    "judging/economy": (
        "tests/judging/test_token_counts.py",
        "tests/judging/test_comparison.py",
        "tests/judging/test_economy_claims.py",
        "tests/commands/test_compare.py",
    ),
    "judging/chosen_savings": (
        "tests/judging/test_estimated_savings.py",
        "tests/judging/test_economy_claims.py",
        "tests/judging/test_conclusions.py",
    ),
    "judging/fleet": ("tests/judging/test_fleet.py",),
    "judging/replica_sums": ("tests/judging/test_replica_sums.py",),
    "judging/sample_pairs": ("tests/judging/test_sample_pairs.py", "tests/judging/test_comparison.py"),
    "judging/savings_sample": ("tests/judging/test_savings_sample.py",),
    "judging/token_counts": ("tests/judging/test_token_counts.py",),
    "judging/savings": ("tests/judging/test_costs.py",),
    "judging/usage": ("tests/judging/test_usage.py", "tests/judging/test_costs.py"),
    "judging/verdict": (
        "tests/judging/test_verdict.py",
        "tests/judging/test_selection.py",
        "tests/running/test_schedule.py",
    ),
    "running/schedule": ("tests/running/test_schedule.py", "tests/judging/test_selection.py"),
    "running/grading": ("tests/running/test_grading.py",),
    "running/own_bugs": ("tests/running/test_own_bugs.py",),
    "running/ticket": (
        "tests/running/test_ticket.py",
        "tests/served/test_parts.py",
        "tests/running/test_engine.py",
    ),
    "records": (
        "tests/results/test_trial_records.py",
        "tests/judging/test_costs.py",
        "tests/judging/test_usage.py",
        "tests/results",
    ),
    "providers/futures": ("tests/providers/test_futures.py",),
    "hosting": ("tests/hosting",),
    "hosting/hosts": ("tests/hosting/test_hosts.py",),
    "recorded/keys": ("tests/recorded/test_keys.py", "tests/recorded/test_cache.py"),
    "session/workers_models": ("tests/session/test_workers_models.py",),
    "meters/energy_units": ("tests/meters/test_prometheus_units.py",),
    "meters/attribution": ("tests/meters/attribution/test_metered.py", "tests/meters/attribution"),
    **{
        f"meters/attribution/{name}": (
            "tests/meters/attribution/test_sharing.py",
            "tests/meters/attribution/test_splitting.py",
            "tests/meters/attribution/test_phases.py",
            "tests/meters/attribution/test_metered.py",
        )
        for name in ("accounts", "flight", "pieces", "shares", "sharing", "stretches")
    },
    "meters/attribution/bounds": (
        "tests/meters/attribution/test_answer_bounds.py",
        "tests/meters/attribution/test_sharing.py",
        "tests/meters/attribution/test_metered.py",
    ),
    "meters/attribution/timeline": (
        "tests/meters/attribution/test_timeline.py",
        "tests/meters/attribution/test_sharing.py",
    ),
    "meters/attribution/splitting": (
        "tests/meters/attribution/test_splitting.py",
        "tests/meters/attribution/test_sharing.py",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A changed `line` of a module and what it `becomes`, without indentation; `reason` says why that is the same."""

    module: str
    line: str
    becomes: str
    reason: str = ""


def covering_tests(module: str) -> tuple[str, ...]:
    """The tests that belong to a module, those of its own file first, as they find most."""
    fitting = [name for name in TESTS if module == name or module.startswith(f"{name}/")]
    tests = TESTS[max(fitting, key=len)]
    room, _, name = module.rpartition("/")
    own = f"tests/{room}/test_{name}.py"
    return (own, *(path for path in tests if path != own)) if (ROOT / own).is_file() else tests


def files_of(tests: Sequence[str]) -> list[str]:
    """The files of tests that are named by file or by folder, each once."""
    found: dict[str, None] = {}
    for test in tests:
        files = [ROOT / test] if (ROOT / test).is_file() else sorted((ROOT / test).rglob("test_*.py"))
        found |= dict.fromkeys(file.relative_to(ROOT).as_posix() for file in files)
    return list(found)


def modules(names: Sequence[str]) -> list[str]:
    """The modules of the rooms and modules that are named, without doubles; all by default. SystemExit if unknown."""
    by_name: dict[str, None] = {}
    for name in names or TESTS:
        path = PACKAGE / name
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        for file in files:
            module = file.relative_to(PACKAGE).with_suffix("").as_posix()
            if not file.is_file() or not any(module == room or module.startswith(f"{room}/") for room in TESTS):
                raise SystemExit(f"no tests are named for {name}: give some of {', '.join(sorted(TESTS))}")
            if file.name != "__init__.py":
                by_name[module] = None
    return list(by_name)


def equivalents() -> list[Mutant]:
    """The mutants of `equivalents.toml`, which change nothing that anybody could notice."""
    plain = tomllib.loads((Path(__file__).parent / "equivalents.toml").read_text(encoding="utf-8"))
    return [Mutant(**mutant) for mutant in plain.get("mutant", ())]
