"""Make one run of the results files of its shards, and judge it: table, gates and reports come once, as of one session.

A session of `pytest --rightsize-shard=I/N --rightsize-results=FILE` writes each file. Status 1 says that a gate failed.
"""

import argparse
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

from pytest_rightsize import clocks
from pytest_rightsize.commands._output import complain, say
from pytest_rightsize.commands._report_files import add_report_arguments, requested_reports, write_reports
from pytest_rightsize.config.settings import gates_of
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.baseline import read_baseline
from pytest_rightsize.judging.conclusions import OBJECTIVES, Objective
from pytest_rightsize.output_paths import same_file
from pytest_rightsize.reports.rung_faults import fault_lines
from pytest_rightsize.reports.terminal import (
    TITLE,
    gate_lines,
    summary_lines,
    table_lines,
    waiver_lines,
    warning_lines,
)
from pytest_rightsize.results.kept_media import copy_media
from pytest_rightsize.results.merging import (
    ShardFile,
    common_fingerprints,
    merge_into,
    merged_head,
    read_shards,
    unidentified,
)
from pytest_rightsize.results.results_file import ResultsFile, no_trial, read_run, rung_of_line
from pytest_rightsize.session.result import SessionResult, session_result

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = (
    "rightsize merge shard-1.jsonl shard-2.jsonl -o run.jsonl",
    "rightsize merge shards/*.jsonl -o run.jsonl --html report.html --gate oversized,unsolved",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the shards, the merged file, what is judged, and an option for the file of each report."""
    parser.add_argument("shards", metavar="SHARD.jsonl", type=Path, nargs="+", help="the results file of each shard")
    parser.add_argument("-o", "--output", metavar="RUN.jsonl", type=Path, required=True, help="the merged results file")
    parser.add_argument("--partial", action="store_true", help="leave undecided what missing shards hold")
    parser.add_argument("--gate", metavar="NAMES", help="as --rightsize-gate (default: all that can apply)")
    parser.add_argument("--baseline", metavar="FILE", type=Path, help="as --rightsize-baseline")
    parser.add_argument(
        "--objective", choices=OBJECTIVES, help="as --rightsize-objective (default: that of the shards)"
    )
    add_report_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Merge, judge, write and print; raises ConfigError for files that do not belong together."""
    gates = gates_of(arguments.gate, has_baseline=arguments.baseline is not None, option="--gate")
    baseline = None if arguments.baseline is None else read_baseline(arguments.baseline)
    files = requested_reports(arguments)
    for path in arguments.shards:
        if same_file(path, arguments.output):
            raise ConfigError(f"-o {arguments.output} is one of the shards: give another file")
    shards = read_shards(arguments.shards, partial=arguments.partial)
    results = _open(arguments.output, shards)
    merge_into(results, shards)
    for one in shards:
        _copy_media(one.path, arguments.output)
    # What was written so far is a run without its end.
    # A baseline is compared by what was asked, and so needs the prompts' hashes.
    reading = read_run(arguments.output, words_of=no_trial, is_large=baseline is None)
    merged = replace(reading, interrupted=not _all_ended(shards))
    result = session_result(
        merged,
        objective=arguments.objective or _objective(shards),
        gates=gates,
        policies=merged.policies,
        tasks={},
        baseline=baseline,
        deselected=0,
        today=clocks.today().isoformat(),
    )
    status = int(result.fails)
    _end(results, result, shards, status)
    if files:
        whole = replace(
            read_run(arguments.output, texts_stay=True, is_large=baseline is None), interrupted=merged.interrupted
        )
        write_reports(files, whole, result.verdicts)
    _show(result, arguments.output, shards)
    return status


def _copy_media(shard: Path, output: Path) -> None:
    """Take the images and the like of a shard along; a run without them is whole, and only its page lacks them."""
    try:
        copy_media(shard, output)
    except OSError as error:
        complain(f"the images and sounds of {shard} cannot be copied beside {output}: {error}")


def _open(path: Path, shards: list[ShardFile]) -> ResultsFile:
    return ResultsFile(
        path,
        rungs=[rung_of_line(plain) for plain in shards[0].head["ladder"]],
        about=merged_head(shards),
        private=any(task.get("private") for one in shards for task in one.suite),
        on_trouble=complain,
        asked_by="-o",
    )


def _all_ended(shards: list[ShardFile]) -> bool:
    whole = len(shards) == shards[0].shard.count
    return whole and all(one.is_whole and not one.is_interrupted for one in shards)


def _objective(shards: list[ShardFile]) -> Objective:
    known: tuple[Objective, ...] = get_args(Objective)
    given = shards[0].head["settings"].get("objective")
    return next((one for one in known if one == given), "size")


def _end(results: ResultsFile, result: SessionResult, shards: list[ShardFile], status: int) -> None:
    unknown = unidentified(shards)
    models = {"identities": common_fingerprints(shards), **({"unidentified": unknown} if unknown else {})}
    results.end(
        result.verdicts,
        exitstatus=status,
        failed=[f"{gate}: {verdict.task}" for gate, verdict in result.failed],
        warned=[f"{gate}: {verdict.task}" for gate, verdict in result.warned],
        totals=result.totals() | models,
        waived=waiver_lines(result.waivers, result.unmet),
        interrupted=result.run.interrupted,
    )


def _unknown_models(shards: Collection[ShardFile]) -> Iterator[str]:
    """Which rungs may have been other models in shards that were cut off before they told."""
    for rung, where in unidentified([*shards]).items():
        yield (
            f"{rung}: which model answered in shard {', '.join(where)} is not known, as its file does not tell (a "
            f"session that is cut off does not). It may be another one than in other shards, so the merged run has no "
            f"fingerprint of {rung}"
        )


def _show(result: SessionResult, path: Path, shards: Collection[ShardFile]) -> None:
    lines = [
        TITLE,
        *table_lines(result.run, result.verdicts),
        *summary_lines(result.run, result.verdicts),
        *fault_lines(result.run.trials),
        *result.notes,
        *_unknown_models(shards),
        *waiver_lines(result.waivers, result.unmet),
        *warning_lines(result.warned, result.run),
        *gate_lines(result.failed, result.run),
        f"{len(shards)} shards are merged in {path}",
    ]
    say("\n".join(lines))
