"""Why answers were too small, for the terminal: of each task the first reasons, or all of them in full.

In come trials as they end; what is kept is short, and of a bounded number, unless everything was asked for. Faults of a
rung, and tests that broke by themselves, are no reasons.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from pytest_rightsize.escaping import visible
from pytest_rightsize.records import AnswerRecord, Trial, TrialKey
from pytest_rightsize.reports.case_names import readable_case
from pytest_rightsize.reports.part_words import content_words

__all__ = ["Reason", "Reasons", "answer_text"]

# So many reasons of a task, and so many tasks, are shown unless all are asked for.
_REASONS, _TASKS = 3, 100
_ANSWER_CHARS, _EXPLANATION_LINES, _LINE_CHARS = 200, 8, 200


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why one trial was too small: the test's name, its answer and the assertion's explanation, shortened for a list.

    `story` is everything that is known: prompts, answers and traceback; None unless it was asked for.
    """

    key: TrialKey
    test: str
    word: str
    answer: str | None
    explanation: str
    story: str | None = None


class Reasons:
    """The reasons of a session: of each task and rung the first, or with `keeps_all` every one, in full."""

    def __init__(self, ladder: Sequence[str] = (), *, keeps_all: bool = False) -> None:
        """`ladder` names the rungs, smallest first."""
        self.keeps_all = keeps_all
        self._size = {rung: size for size, rung in enumerate(ladder)}
        self._counts: dict[str, dict[str, int]] = {}
        self._kept: dict[str, dict[str, list[Reason]]] = {}

    def add(
        self, trial: Trial, *, test: str | None = None, traceback: str | None = None, private: bool = False
    ) -> None:
        """Take in a trial that has ended; `test` is its name as pytest knows it. Words of a `private` one stay out."""
        if trial.outcome != "failed":
            return
        task, rung = trial.key.task, trial.key.rung
        counts = self._counts.setdefault(task, {})
        counts[rung] = counts.get(rung, 0) + 1
        if not self.keeps_all and (counts[rung] > _REASONS or (task not in self._kept and len(self._kept) >= _TASKS)):
            return
        kept = self._kept.setdefault(task, {}).setdefault(rung, [])
        kept.append(_reason(trial, test=test, traceback=traceback, is_whole=self.keeps_all, private=private))

    @property
    def all(self) -> list[Reason]:
        """Every reason that is kept, task by task and rung by rung."""
        return [reason for by_rung in self._kept.values() for reasons in by_rung.values() for reason in reasons]

    def first(self, task: str) -> list[Reason]:
        """The first reasons of a task: of each rung in turn, the largest first.

        Its failures decide most, and a tiny one that fails everything does not take all the room.
        """
        kept = self._kept.get(task, {})
        by_rung = [kept[rung] for rung in sorted(kept, key=lambda rung: self._size.get(rung, -1), reverse=True)]
        return [reason for turn in zip_longest(*by_rung) for reason in turn if reason is not None][:_REASONS]

    def lines(self, *, width: int | None = None, one_line: bool = False, more: str = "") -> list[str]:
        """The first reasons of every task. `one_line` leaves out answers and the rest of each explanation.

        `more` says where the others are to be found, where there are others.
        """
        lines = [line for task in self._kept for line in self._of_task(task, width, one_line=one_line)]
        left_out = sum(sum(of.values()) for task, of in self._counts.items() if task not in self._kept)
        hidden = left_out + sum(self._number(task) - len(self.first(task)) for task in self._kept)
        return [*lines, *([f"{hidden:,} more: {more}"] if hidden and more else [])]

    def _number(self, task: str) -> int:
        return sum(self._counts[task].values())

    def _of_task(self, task: str, width: int | None, *, one_line: bool) -> Iterator[str]:
        shown, number = self.first(task), self._number(task)
        part = f", {len(shown)} of them here" if len(shown) < number else ""
        yield _cut(f"{visible(task)}: {number:,} too small{part}", width)
        for reason in shown:
            first, *rest = reason.explanation.splitlines() or [""]
            name = f"  {reason.key.rung}: {readable_case(reason.key.case)}"
            if one_line:
                yield _cut(visible(f"{name}: {reason.word}: {first}"), width)
                continue
            yield _cut(visible(f"{name} ({reason.word})"), width)
            if reason.answer is not None:
                yield _cut(visible(f"    answer: {reason.answer}"), width)
            for line in (first, *rest):
                yield _cut(visible(f"    | {line}"), width)

    def short_summary(self, width: int | None = None) -> list[str]:
        """A line for each reason, as pytest's short summary has them."""
        return [
            _cut(visible(f"TOO SMALL {reason.test} - {reason.explanation.partition(chr(10))[0]}"), width)
            for reason in self.all
        ]


def _reason(trial: Trial, *, test: str | None, traceback: str | None, is_whole: bool, private: bool) -> Reason:
    if private and not is_whole:
        answer, explanation = None, "the task is private: -rt shows its answers"
    else:
        answer = answer_text(trial.answers) if trial.answers else None
        explanation = _shortened(trial.detail or "it says nothing more")
    return Reason(
        key=trial.key,
        test=test or f"{trial.key.case} on {trial.key.rung}",
        word=trial.reason or "wrong",
        answer=answer,
        explanation=explanation,
        story="\n".join(_story(trial, traceback)) if is_whole else None,
    )


def answer_text(answers: Sequence[AnswerRecord], longest: int = _ANSWER_CHARS) -> str:
    """The last answer of a trial on one line, and its length where it is longer than `longest` characters."""
    answer = answers[-1]
    which = f"(the last of {len(answers)}) " if len(answers) > 1 else ""
    text = " ".join(answer.text.split())
    if not text and answer.tool_calls:
        calls = ", ".join(str(call.get("function", {}).get("name", "?")) for call in answer.tool_calls)
        return f"{which}(no text; it calls {calls})"
    if not text:
        return f"{which}(empty{', after reasoning' if answer.reasoning else ''})"
    cut_off = " (cut off at the limit of its tokens)" if answer.finish_reason == "length" else ""
    if len(text) <= longest:
        return f"{which}{text}{cut_off}"
    return f"{which}({len(answer.text):,} characters{', cut off' if cut_off else ''}) {text[:longest]}…"


def _shortened(text: str) -> str:
    """The first lines of an explanation, without empty ones."""
    text = text.removeprefix("AssertionError: ")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    kept = [line if len(line) <= _LINE_CHARS else f"{line[:_LINE_CHARS]}…" for line in lines[:_EXPLANATION_LINES]]
    more = len(lines) - len(kept)
    return "\n".join([*kept, *([f"… {more:,} more line{'s' * (more != 1)}"] if more else [])])


def _story(trial: Trial, traceback: str | None) -> Iterator[str]:
    """All that is known of a trial: each prompt with its answer, then the traceback or the explanation."""
    said = 0
    for number, answer in enumerate(trial.answers, 1):
        which = f" {number}" if len(trial.answers) > 1 else ""
        for message in answer.messages[said:]:
            yield from _block(f"{message.get('role', 'prompt')}{which}", _content(message.get("content")))
        # The answer itself stands in the messages of the next question.
        said = len(answer.messages) + 1
        if answer.reasoning:
            yield from _block(f"reasoning{which}", answer.reasoning)
        yield from _block(f"answer{which}", answer.text or answer_text([answer]))
    if traceback:
        yield from traceback.splitlines()
    else:
        yield from _block("reason", trial.detail or "it says nothing more")


def _content(content: object) -> str:
    return content_words(content) if isinstance(content, str | list) else str(content)


def _block(title: str, text: str) -> Iterator[str]:
    """A text of someone else's, each line behind a mark, so that no CI system takes one for a command."""
    yield f"{title}:"
    yield from (f"    | {line}" for line in text.splitlines() or [""])


def _cut(line: str, width: int | None) -> str:
    return line if width is None or len(line) < width else f"{line[: width - 2]}…"
