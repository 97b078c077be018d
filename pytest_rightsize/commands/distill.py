"""Write the passed answers of a larger rung as a training set, for a task that the smaller one does not pass.

Some cases are held out of it, always the same ones, so that the trained model is tested on cases that it has not seen.
Whether a model's licence allows to train another on its answers is yours to find out; what is known of it is printed.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_rightsize.authoring.training_sets import (
    FORMATS,
    TrainingSet,
    held_out_cases,
    licence_warning,
    training_set,
)
from pytest_rightsize.commands._output import complain, say, write_output
from pytest_rightsize.commands._runs import add_run_argument, read_summary
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.output_paths import refuse_other
from pytest_rightsize.part_data import Reference, with_data
from pytest_rightsize.records import Json, Run, Trial
from pytest_rightsize.results.kept_media import KeptMedia, media_beside
from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.verdict_records import Verdict

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = (
    "rightsize distill last --task route-ticket --teacher frontier --output train.jsonl",
    "rightsize distill 12 --task route --teacher 30b --format alpaca --output train.jsonl",
)
_HEADS = ('{"messages": [', '{"instruction": ')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize distill`."""
    add_run_argument(parser)
    parser.add_argument("--task", metavar="T", required=True, help="the task to train for")
    parser.add_argument("--teacher", metavar="RUNG", required=True, help="the larger rung, whose answers are taken")
    parser.add_argument("--student", metavar="RUNG", help="the rung to be trained (default: the smallest)")
    parser.add_argument(
        "--format", choices=sorted(FORMATS), default="chat", help="the form of an example (default chat)"
    )
    parser.add_argument(
        "--held-out", type=float, default=0.2, metavar="SHARE", help="the share of cases kept for tests (default 0.2)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", required=True, help="where the examples are written")


def run(arguments: argparse.Namespace) -> int:
    """Write the examples and say what was left out; raises ConfigError where there is nothing to teach."""
    if not 0 <= arguments.held_out < 1:
        raise ConfigError(f"--held-out={arguments.held_out:g} cannot be: give a share from 0 to below 1, as in 0.2")
    summary = read_summary(arguments.run_file, needs_texts=True)
    verdict = _verdict(summary, arguments)
    teacher = _rung(summary, arguments.teacher, "--teacher", arguments)
    student = _rung(summary, arguments.student or summary.rungs[0].name, "--student", arguments)
    _check_need(verdict, student, teacher, [rung.name for rung in summary.rungs])
    trials = _trials(arguments.run_file, verdict.task, teacher)
    held_out = held_out_cases([trial.key.case for trial in trials], arguments.held_out)
    made = training_set(trials, held_out=held_out, form=arguments.format)
    if not made.examples:
        raise ConfigError(
            f"{teacher} has no passed answer of {verdict.task} that could be taught beside the held-out cases: run it "
            f"with --rightsize-strategy=full and --rightsize-stopping=none"
        )
    is_private = summary.policies[verdict.task].private if verdict.task in summary.policies else False
    _write(arguments.output, made, media_beside(arguments.run_file), is_private=is_private)
    _report(arguments.output, made, verdict=verdict, student=student, teacher=teacher)
    rungs = {rung.name: rung for rung in summary.rungs}
    complain(f"licence: {licence_warning(rungs[teacher])}")
    if is_private:
        complain(f"{verdict.task} is private: the file has its prompts and answers, and only you may read it")
    return 0


def _verdict(summary: Run, arguments: argparse.Namespace) -> Verdict:
    verdicts = {verdict.task: verdict for verdict in judge(summary)}
    if arguments.task not in verdicts:
        raise unknown_name(f"--task, in {arguments.run_file}", arguments.task, verdicts, noun="task")
    return verdicts[arguments.task]


def _rung(summary: Run, name: str, option: str, arguments: argparse.Namespace) -> str:
    names = [rung.name for rung in summary.rungs]
    if name not in names:
        raise unknown_name(f"{option}, in {arguments.run_file}", name, names, noun="rung")
    return name


def _check_need(verdict: Verdict, student: str, teacher: str, ladder: Sequence[str]) -> None:
    """Refuse where there is nothing to learn: the student passes, or stands above its teacher."""
    if ladder.index(student) >= ladder.index(teacher):
        raise ConfigError(f"{student} does not stand below {teacher} on the ladder: give a smaller --student")
    state = verdict.standing[student].state
    if state == "passes":
        raise ConfigError(f"{student} passes {verdict.task} as it is: there is nothing to train it for")
    if state == "not_run":
        raise ConfigError(f"{student} was not run on {verdict.task}, so that it is not known to fail: run it first")


def _trials(path: Path, task: str, teacher: str) -> list[Trial]:
    """The trials of a task on one rung, with their texts."""
    whole = read_run(path, words_of=lambda key: (key.task, key.rung) == (task, teacher), with_prompts=True)
    return [trial for trial in whole.trials if (trial.key.task, trial.key.rung) == (task, teacher)]


def _write(path: Path, made: TrainingSet, media: KeptMedia, *, is_private: bool) -> None:
    refuse_other(path, "training set", is_own=lambda head: head.startswith(_HEADS))
    write_output(path, [f"{_line(example, media)}\n" for example in made.examples], private=is_private)


def _line(example: Mapping[str, Json], media: KeptMedia) -> str:
    """An example, with its images and sounds in it."""

    def read(reference: Reference) -> bytes:
        data = media.read(reference.sha256)
        if data is None:
            raise ConfigError(
                f"a prompt has an image or sound that is not in {media.folder} ({reference.sha256[:12]}...): bring "
                f"that folder along with the results file, or run the tests again"
            )
        return data

    whole = {**example, "messages": [*with_data(example["messages"], read)]} if "messages" in example else example
    return json.dumps(whole, ensure_ascii=False)


def _report(path: Path, made: TrainingSet, *, verdict: Verdict, student: str, teacher: str) -> None:
    """What is in the file, and what is not."""
    standing, taught = verdict.standing[student], verdict.standing[teacher]
    say(
        f"{path}: {len(made.examples):,} examples of {verdict.task}, for {student} ({standing.passed}/"
        f"{standing.trials} passed) by {teacher} ({taught.passed}/{taught.trials} passed)"
    )
    say(f"held out, and not to be trained on ({len(made.held_out)}): {', '.join(made.held_out) or 'none'}")
    if made.same_prompts:
        say(f"left out, as they ask the same as a held-out case: {', '.join(made.same_prompts)}")
    if made.no_form:
        say(f"left out: {made.no_form:,} answers that have no place in this format, or are empty; see --format chat")
    if made.repeated:
        say(f"left out: {made.repeated:,} answers that are in the file already")
