"""Reports: the texts that people read of a run.

In come a run and its verdicts; out goes text: the page, the summary, tables, the badge, lines for the terminal. No
report judges, calls a model or knows pytest, and only `publishing.py` writes files. To add one: write a class with the
members of `Report`, return it from `pytest_rightsize_reports()` in the same file, and name that file in
`session/builtin.py`; a plugin returns its own from the same hook.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pytest_rightsize.contributions import Contributions
from pytest_rightsize.records import Run
from pytest_rightsize.verdict_records import Verdict

__all__ = ["Report", "load_reports"]


class Report(Protocol):
    """One kind of report; made without arguments.

    It may have `texts`: "none" if it shows no prompt, answer or explanation; "single" if it takes those of a trial by
    `run.whole(trial)`, which reads them from the results file. A report without it gets a run whose trials are whole,
    which takes the memory of all texts at once. And it may have `own_mark`: words that stand within the first 4,000
    characters of each of its files; an existing file without them is not overwritten.

    >>> class Sizes:
    ...     texts = "none"
    ...
    ...     def check(self):
    ...         return None
    ...
    ...     def render(self, run, verdicts):
    ...         return ", ".join(f"{verdict.task} {verdict.smallest}" for verdict in verdicts)
    >>> report: Report = Sizes()
    >>> report.render(Run(rungs=[]), [Verdict(task="iso-date", verdict="unchosen", standing={}, smallest="1b")])
    'iso-date 1b'
    """

    def check(self) -> str | None:
        """Before any test: what is missing on this machine to write it, and how to get it; None if nothing is."""

    def render(self, run: Run, verdicts: Sequence[Verdict]) -> str:
        """The whole text of the report's file."""


def load_reports(mappings: Iterable[Mapping[str, type[Report]]]) -> Mapping[str, type[Report]]:
    """Merge the mappings that plugins returned; raises ConfigError for a name that two of them use."""
    return Contributions(
        mappings,
        lambda name, first, second: (
            f"two reports are called {name!r}: {first.__module__}.{first.__qualname__} and "
            f"{second.__module__}.{second.__qualname__}: rename one, or disable its plugin with -p no:NAME"
        ),
    )
