"""Find out how often a judge agrees with people, so that pass rates can be corrected for its errors.

`sample RUN` draws judged answers of a run into a file, to be labelled by people: true where the answer passes, false
where it does not. `calibrate LABELS` asks the judge about them, prints how often it agrees, and writes the calibration
file that a session reads: by `calibration = "judges.json"` in the ladder file, or by --rightsize-calibration.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from tabulate import tabulate

from pytest_rightsize import clocks
from pytest_rightsize.authoring.label_files import Labelled, drawn_keys, is_label_file, judged_rows, read_labels
from pytest_rightsize.calibration_records import Calibration
from pytest_rightsize.commands._output import complain, say, write_output
from pytest_rightsize.commands._parsing import count
from pytest_rightsize.commands._plugins import add_plugin_argument, classes
from pytest_rightsize.commands._runs import add_run_argument, read_summary
from pytest_rightsize.config.ladder import Ladder, read_ladder
from pytest_rightsize.config.options import find_ladder_file
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.judging.judge_checks import labels_of
from pytest_rightsize.output_paths import refuse_other
from pytest_rightsize.records import CacheMode, Run, Trial, TrialKey
from pytest_rightsize.reports.judge_words import agreement_words, judge_lines
from pytest_rightsize.reports.units import percent
from pytest_rightsize.results.calibration_file import (
    is_calibration_file,
    read_calibrations,
    render_calibrations,
    with_calibration,
)
from pytest_rightsize.results.kept_runs import FOLDER
from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.session.calibrating import PEOPLE, Asked, LabelledQuestion, Said, ask_judges
from pytest_rightsize.statistics import clopper_pearson, is_better_than_chance

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = (
    "rightsize judge sample last --count 100 --output labels.jsonl",
    "rightsize judge calibrate labels.jsonl --output judges.json",
    "rightsize judge calibrate labels.jsonl --by frontier --rubric 'It is polite.' --output judges.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two actions."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    sample = actions.add_parser("sample", help="draw judged answers of a run, to be labelled by people")
    add_run_argument(sample)
    sample.add_argument("--task", metavar="T", help="only answers of this task")
    sample.add_argument(
        "--count", type=count(1, 100_000), default=100, metavar="N", help="how many answers to draw (default 100)"
    )
    sample.add_argument(
        "--seed", type=count(0, 2**31), default=0, metavar="S", help="another seed draws other answers (default 0)"
    )
    sample.add_argument("--output", type=Path, metavar="FILE", required=True, help="the file to write, to be labelled")
    sample.set_defaults(action=_sample)
    calibrate = actions.add_parser(
        "calibrate", help="ask the judge about labelled answers, and say how often it agrees"
    )
    calibrate.add_argument("labels", type=Path, metavar="LABELS", help="labelled answers, JSON Lines")
    calibrate.add_argument("--by", metavar="RUNG", help="the judge, for lines that name none")
    calibrate.add_argument("--rubric", metavar="TEXT", help="the rubric, for lines that have none")
    calibrate.add_argument(
        "--at-least",
        type=count(1, 5),
        metavar="N",
        help="the lowest score that passes, for lines that name none (default 4)",
    )
    calibrate.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        required=True,
        help="the calibration file to write; what it has of other judges and rubrics is kept",
    )
    calibrate.add_argument("--config", type=Path, metavar="FILE", help="the ladder file (default: as in a session)")
    calibrate.add_argument(
        "--cache",
        choices=get_args(CacheMode),
        default="auto",
        help="use of recorded judgements, as --rightsize-cache (default: auto)",
    )
    calibrate.add_argument(
        "--cache-dir",
        type=Path,
        default=FOLDER.parent,
        metavar="DIR",
        help="the folder of recorded answers (default: .rightsize)",
    )
    calibrate.add_argument("--offline", action="store_true", help="refuse a judge that is not on this machine")
    add_plugin_argument(calibrate)
    calibrate.set_defaults(action=_calibrate)


def run(arguments: argparse.Namespace) -> int:
    """Do one action; raises ConfigError. Returns 1 where a judge is not shown to be better than chance."""
    status: int = arguments.action(arguments)
    return status


# --- sample -----------------------------------------------------------------------------------------------------------


def _sample(arguments: argparse.Namespace) -> int:
    summary = read_summary(arguments.run_file, needs_texts=True)
    rows = judged_rows(
        _drawn(summary, arguments),
        private={task: policy.private for task, policy in summary.policies.items()},
        count=arguments.count,
    )
    if not rows:
        raise ConfigError(f"{arguments.run_file} has no judged answer: draw from a run of tests with judged()")
    is_private = any(row.private for row in rows)
    refuse_other(arguments.output, "file of labels", is_own=is_label_file)
    write_output(
        arguments.output, [f"{json.dumps(row.to_dict(), ensure_ascii=False)}\n" for row in rows], private=is_private
    )
    say(
        f"{arguments.output}: {len(rows):,} answers. Put true or false in place of each null: true where it "
        f"meets the rubric, whatever the judge may say. Then: rightsize judge calibrate {arguments.output}"
    )
    if is_private:
        complain("some of these answers are of private tasks: only you may read the file")
    return 0


def _drawn(summary: Run, arguments: argparse.Namespace) -> list[Trial]:
    """The judged trials with their texts, in the order in which they were drawn."""
    if arguments.task is not None and arguments.task not in summary.policies:
        raise unknown_name(f"--task, in {arguments.run_file}", arguments.task, summary.policies, noun="task")
    judged = [trial.key for trial in summary.trials if trial.judgements and arguments.task in (None, trial.key.task)]
    # Some answers are the same as others.
    keys = {key: place for place, key in enumerate(drawn_keys(judged, seed=arguments.seed)[: 4 * arguments.count])}
    whole = read_run(arguments.run_file, words_of=keys.__contains__, with_prompts=True)
    return sorted((trial for trial in whole.trials if trial.key in keys), key=lambda trial: keys[trial.key])


# --- calibrate --------------------------------------------------------------------------------------------------------


def _calibrate(arguments: argparse.Namespace) -> int:
    defaults = {"by": arguments.by, "rubric": arguments.rubric, "at_least": arguments.at_least}
    rows = read_labels(arguments.labels, defaults=defaults)
    labelled = [row for row in rows if row.label is not None]
    if not labelled:
        raise ConfigError(f"{arguments.labels} has no label: write true or false in place of null")
    refuse_other(arguments.output, "calibration file", is_own=is_calibration_file)
    earlier = read_calibrations(arguments.output, asked_by="--output") if _has_content(arguments.output) else ()
    said = ask_judges([_question(row) for row in labelled], _asked(arguments))
    made = _calibrations(labelled, said)
    faults = [one.fault for one in said if one.fault is not None]
    if not made:
        raise ConfigError(f"no judgement came: {faults[0] if faults else 'the judge says nothing of its model'}")
    merged = earlier
    for calibration in made:
        merged = with_calibration(merged, calibration)
    write_output(arguments.output, [render_calibrations(merged)])
    say("\n".join([*_table(made), *_notes(rows, labelled, said, made), *judge_lines(_run_of(said), ())]))
    say(
        f'{arguments.output}: have sessions read it by calibration = "{arguments.output}" in the ladder file, or by '
        f"--rightsize-calibration={arguments.output}"
    )
    return 0 if all(map(_is_better, made)) else 1


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _question(row: Labelled) -> LabelledQuestion:
    return LabelledQuestion(make=row.matcher, by=row.by, answer=row.answer, question=row.question, private=row.private)


def _asked(arguments: argparse.Namespace) -> Asked:
    providers, meters = classes(arguments.plugin)
    path = arguments.config or find_ladder_file(Path.cwd())
    ladder = Ladder(rungs={}) if path is None else read_ladder(path, providers, meters)
    return Asked(
        known=ladder.known,
        providers=providers,
        meters=meters,
        folder=arguments.cache_dir,
        mode=arguments.cache,
        offline=arguments.offline,
        on_trouble=complain,
    )


def _calibrations(labelled: Sequence[Labelled], said: Sequence[Said]) -> list[Calibration]:
    """The counts of each judge and criterion."""
    found: dict[tuple[str, str], list[tuple[bool, Said]]] = defaultdict(list)
    for row, one in zip(labelled, said, strict=True):
        last = one.last
        if one.fault is None and last is not None and last.judge is not None and last.criterion is not None:
            found[last.judge, last.criterion.fingerprint].append((bool(row.label), one))
    return [*map(_calibration, found.values())]


def _calibration(pairs: Sequence[tuple[bool, Said]]) -> Calibration:
    judgements = [(label, one.last) for label, one in pairs if one.last is not None]
    last = judgements[0][1]
    assert last.judge is not None
    assert last.criterion is not None
    return Calibration(
        judge=last.judge,
        by=last.by,
        criterion=last.criterion,
        good=sum(label for label, _ in judgements),
        good_passed=sum(label and bool(one.passed) for label, one in judgements),
        bad=sum(not label for label, _ in judgements),
        bad_passed=sum(not label and bool(one.passed) for label, one in judgements),
        date=clocks.today().isoformat(),
    )


def _is_better(calibration: Calibration) -> bool:
    return is_better_than_chance(labels_of(calibration))


_HEADERS = ("judge", "rubric", "labels", "agreement", "sensitivity", "specificity")


def _table(made: Sequence[Calibration]) -> list[str]:
    rows = [
        [
            one.by,
            _shortened(one.criterion.rubric),
            str(one.labels),
            _share(one.good_passed + one.bad - one.bad_passed, one.labels),
            _share(one.good_passed, one.good),
            _share(one.bad - one.bad_passed, one.bad),
        ]
        for one in made
    ]
    table: str = tabulate(rows, headers=_HEADERS, tablefmt="plain", disable_numparse=True)
    return [
        *table.splitlines(),
        "(exact 95 % intervals; sensitivity: of the answers that people pass, it passes so many; "
        "specificity: of those that people fail, it fails so many)",
    ]


def _shortened(text: str, length: int = 40) -> str:
    words = " ".join(text.split())
    return words if len(words) <= length else f"{words[: length - 3]}..."


def _share(some: int, of: int) -> str:
    """`46/50 = 92 % [81 % to 98 %]`: a share and its exact interval; `not known` of nothing."""
    interval = clopper_pearson(some, of)
    if interval is None:
        return "not known"
    return f"{some}/{of} = {percent(some / of)} [{percent(interval.low)} to {percent(interval.high)}]"


def _notes(
    rows: Sequence[Labelled], labelled: Sequence[Labelled], said: Sequence[Said], made: Sequence[Calibration]
) -> Iterator[str]:
    """What was left out, and which judges are not to be trusted."""
    if len(rows) > len(labelled):
        yield f"left out: {len(rows) - len(labelled):,} answers without a label"
    faults = [one.fault for one in said if one.fault is not None]
    if faults:
        yield f"left out: {len(faults):,} answers that were not judged, the first as {faults[0]}"
    unknown = sum(one.fault is None and (one.last is None or one.last.judge is None) for one in said)
    if unknown:
        yield f"left out: {unknown:,} answers, as their judge says nothing of its model: a change would go unseen"
    for one in made:
        if not _is_better(one):
            yield (
                f"{one.by} is not shown to be better than chance: {agreement_words(one)}. Verdicts that rest on it "
                f"will be undecided: label more answers, take a larger judge, or a clearer rubric"
            )


def _run_of(said: Sequence[Said]) -> Run:
    """The judgements as a run, for what they took."""
    keys = [TrialKey(task="labels", case=str(place), rung=PEOPLE) for place in range(len(said))]
    pairs = zip(keys, said, strict=True)
    return Run(rungs=(), trials=[Trial(key=key, outcome="passed", judgements=one.judgements) for key, one in pairs])
