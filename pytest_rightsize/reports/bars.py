"""Bar of each task in a few words, and where it was set: marker, ladder file, option or default. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize.records import Policy, Run
from pytest_rightsize.verdict_records import Verdict

__all__ = ["bar_lines", "bar_sources", "bar_words", "bars_differ"]

# More tasks than these are counted, not named.
_MOST_NAMED = 6
_TABLE = re.compile(r"\[((?:tool\.rightsize\.)?tasks)\..*\]$", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A part of a bar: its name, and where each task's was set."""

    name: str
    sources: Mapping[str, str]

    def words(self) -> str:
        """`pass rate from marker`, or where that differs `pass rate from marker (a, b), default (c)`."""
        tasks: dict[str, list[str]] = {}
        for task, source in self.sources.items():
            tasks.setdefault(source, []).append(task)
        if len(tasks) == 1:
            return f"{self.name} from {next(iter(tasks))}"
        return f"{self.name} from {', '.join(f'{source} ({_names(of)})' for source, of in tasks.items())}"


def bar_words(policy: Policy) -> str:
    """`0.9`, with a confidence `0.9 at 0.95`, with several samples `0.9, 3 samples`."""
    sure = "" if policy.confidence is None else f" at {policy.confidence:g}"
    samples = f", {policy.samples} samples" if policy.samples > 1 else ""
    return f"{policy.pass_rate:g}{sure}{samples}"


def bars_differ(run: Run, verdicts: Iterable[Verdict]) -> bool:
    """Whether two tasks have different bars, so that each is shown with its task."""
    return len({bar_words(policy) for policy in _policies(run, verdicts)}) > 1


def bar_sources(policy: Policy) -> str:
    """`marker`, or where its parts differ in that `pass rate from marker; confidence from --rightsize-confidence`.

    Empty for a run that did not record it.
    """
    sources = {part.name: next(iter(part.sources.values())) for part in _parts([policy], whole=True)}
    places = list(dict.fromkeys(sources.values()))
    return places[0] if len(places) == 1 else "; ".join(f"{name} from {place}" for name, place in sources.items())


def bar_lines(run: Run, verdicts: Iterable[Verdict], *, verbose: bool = False) -> list[str]:
    """The line below the table about bars; none where the table shows them and all come from one place.

    With `verbose` it says where they come from in any case.
    """
    policies = _policies(run, verdicts)
    if not policies:
        return []
    parts = _parts(policies)
    if not bars_differ(run, verdicts):
        sources = "; ".join(part.words() for part in parts).removeprefix("pass rate from " if len(parts) == 1 else "")
        return [f"bar: {bar_words(policies[0])}{f' ({sources})' if sources else ''}"]
    told = [part.words() for part in parts if verbose or len(set(part.sources.values())) > 1]
    return [f"bars: {'; '.join(told)}"] if told else []


def _policies(run: Run, verdicts: Iterable[Verdict]) -> list[Policy]:
    return [run.policies[verdict.task] for verdict in verdicts if verdict.task in run.policies]


def _parts(policies: Sequence[Policy], *, whole: bool = False) -> list[_Part]:
    """The parts of the bars that some task has, as far as it is known where each was set.

    Tables of one file are one place, unless the `whole` name of each is asked for.
    """
    has_confidence = any(policy.confidence is not None for policy in policies)
    has_samples = any(policy.samples > 1 for policy in policies)
    found = [
        _Part(
            name=name.replace("_", " "),
            sources={
                policy.task: source if whole else _TABLE.sub(r"[\1]", source)
                for policy in policies
                if (source := getattr(policy, f"{name}_from")) is not None
            },
        )
        for name, is_shown in (("pass_rate", True), ("confidence", has_confidence), ("samples", has_samples))
        if is_shown
    ]
    return [part for part in found if part.sources]


def _names(tasks: Sequence[str]) -> str:
    return ", ".join(tasks) if len(tasks) <= _MOST_NAMED else f"{len(tasks):,} tasks"
