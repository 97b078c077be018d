"""Files of labels: answers that people say pass or fail, as JSON Lines; and answers of a run, drawn to be labelled.

A drawn line says neither which rung gave the answer nor what the judge said of it: a label that knows is no label.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from pytest_rightsize.bounded_files import numbered_lines
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.judgement_records import Judgement
from pytest_rightsize.judges import judged, last_question, preferred_over
from pytest_rightsize.matchers import Matcher
from pytest_rightsize.records import Json, Trial, TrialKey
from pytest_rightsize.strict_json import loads

__all__ = ["Labelled", "drawn_keys", "is_label_file", "judged_rows", "read_labels"]

_WORDS: Mapping[bool | str, bool] = {True: True, False: False, "pass": True, "fail": False}
_TEXT, _FLAG = (str, "a text"), (bool, "true or false")
_KINDS: Mapping[str, tuple[type, str]] = {
    **dict.fromkeys(("answer", "by", "rubric", "question", "reference"), _TEXT),
    **dict.fromkeys(("or_tie", "private"), _FLAG),
    "at_least": (int, "a whole number"),
}
_HEAD = '{"label": '


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """An answer with what a judge is asked of it; `label` says whether people pass it, None where nobody has said.

    With a `reference`, the judge is asked which of the two is better. A `private` answer is given to no judge beyond
    this machine.
    """

    answer: str
    by: str
    rubric: str | None = None
    question: str | None = None
    label: bool | None = None
    at_least: int = 4
    reference: str | None = None
    or_tie: bool = False
    private: bool = False

    def matcher(self) -> Matcher:
        """The matcher that asks the judge; raises TypeError or ValueError for what it cannot be asked."""
        if self.reference is None:
            return judged(self.rubric or "", at_least=self.at_least, by=self.by)
        if self.rubric is None:
            return preferred_over(self.reference, or_tie=self.or_tie, by=self.by)
        return preferred_over(self.reference, rubric=self.rubric, or_tie=self.or_tie, by=self.by)

    def to_dict(self) -> dict[str, Json]:
        """The line of a file, the label first and without what is not set."""
        pair = {"reference": self.reference, "or_tie": self.or_tie}
        how = {"at_least": self.at_least} if self.reference is None else pair
        private = {"private": True} if self.private else {}
        said = {"question": self.question, "answer": self.answer, "rubric": self.rubric}
        return {"label": self.label, **said, **how, "by": self.by, **private}


def read_labels(path: Path, *, defaults: Mapping[str, Json]) -> list[Labelled]:
    """The lines of a file, each answer once; raises a ConfigError that names the line.

    `defaults` are `by`, `rubric` and `at_least` of lines that do not have them.
    """
    rows: dict[tuple[Json, ...], Labelled] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in numbered_lines(file, path):
                if text.strip():
                    row = _row(text, f"{path}:{number}", defaults)
                    _add(row, rows, f"{path}:{number}")
    except OSError as error:
        raise ConfigError(f"cannot read the labels {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text: labels are JSON Lines") from None
    return [*rows.values()]


def _add(row: Labelled, rows: dict[tuple[Json, ...], Labelled], where: str) -> None:
    key = (row.question, row.answer, row.rubric, row.at_least, row.reference, row.or_tie, row.by)
    known = rows.get(key)
    if known is not None and None not in (known.label, row.label) and known.label != row.label:
        raise ConfigError(f"{where}: the same answer is labelled both as passed and as failed: keep one of the labels")
    if known is not None:
        label = known.label if row.label is None else row.label
        row = replace(row, label=label, private=row.private or known.private)
    rows[key] = row


def _row(text: str, where: str, defaults: Mapping[str, Json]) -> Labelled:
    try:
        plain = loads(text)
        if not isinstance(plain, dict):
            raise ValueError("it is not a JSON object")
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is no label ({error}): a line is an object with an answer and a label") from None
    for name in plain:
        if name not in _KINDS and name != "label":
            raise unknown_name(where, name, ["label", *_KINDS], noun="key")
    given = {name: value for name, value in defaults.items() if value is not None}
    values = {**given, **{name: value for name, value in plain.items() if value is not None}}
    label = values.get("label")
    if label is not None and (not isinstance(label, bool | str) or label not in _WORDS):
        raise ConfigError(
            f"{where}: label is {label!r}: write true if the answer is good enough, false if not, null if not yet known"
        )
    for name, (kind, words) in _KINDS.items():
        if name in values and not isinstance(values[name], kind):
            raise ConfigError(f"{where}: {name} must be {words}")
    missing = [name for name in ("answer", "by", *(() if "reference" in values else ("rubric",))) if name not in values]
    if missing:
        named = {"by": "--by=RUNG", "rubric": "--rubric=TEXT"}.get(missing[0], "it in the line")
        raise ConfigError(f"{where} has no {missing[0]}: give {named}")
    known = {name: values[name] for name in _KINDS if name in values}
    row = Labelled(label=None if label is None else _WORDS[label], **known)
    try:
        row.matcher()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from None
    return row


def is_label_file(head: str) -> bool:
    """Whether a file that begins so is one of drawn answers."""
    return head.startswith(_HEAD)


# --- answers of a run -------------------------------------------------------------------------------------------------


def drawn_keys(keys: Iterable[TrialKey], *, seed: int) -> list[TrialKey]:
    """The trials in an order that has nothing to do with their outcomes, the rungs in turn."""
    by_rung: dict[str, list[TrialKey]] = defaultdict(list)
    for key in keys:
        by_rung[key.rung].append(key)
    shuffled = [sorted(each, key=lambda key: _digest(f"{seed}\0{key}")) for each in by_rung.values()]
    return [key for turn in zip_longest(*shuffled) for key in turn if key is not None]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def judged_rows(trials: Sequence[Trial], *, private: Mapping[str, bool], count: int) -> list[Labelled]:
    """At most `count` judged answers of the trials, in their order, each once and without a label."""
    rows: dict[Labelled, None] = {}
    for trial in trials:
        for judgement in trial.judgements:
            row = _judged_row(trial, judgement, is_private=private.get(trial.key.task, False))
            if row is not None and len(rows) < count:
                rows[row] = None
    return [*rows]


def _judged_row(trial: Trial, judgement: Judgement, *, is_private: bool) -> Labelled | None:
    """The answer that a judgement is of; None where it ends no comparison, or the answer is not there."""
    criterion, place = judgement.criterion, judgement.answer
    answer = trial.answers[place] if place is not None and place < len(trial.answers) else None
    text = judgement.text if answer is None or judgement.text is not None else answer.text
    if criterion is None or judgement.passed is None or text is None:
        return None
    return Labelled(
        answer=text,
        by=judgement.by,
        rubric=criterion.rubric,
        question=None if answer is None else last_question(answer.messages),
        at_least=criterion.at_least or 4,
        reference=judgement.reference,
        or_tie=bool(criterion.or_tie),
        private=is_private,
    )
