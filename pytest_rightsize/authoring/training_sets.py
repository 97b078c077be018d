"""Training examples for a small model: the passed answers of a larger one, without the cases that are held out; pure.

Trials of one task on the teacher come in, examples go out as JSON data, and with them what was left out and why.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize.records import AnswerRecord, Json, Rung, Trial

__all__ = ["FORMATS", "TrainingSet", "held_out_cases", "licence_warning", "training_set"]

_Messages = tuple[Mapping[str, Json], ...]
# Terms of models by their names: an answer of theirs may not train any model, or only under a condition.
_LICENCES: tuple[tuple[str, str], ...] = (
    (
        r"gpt-oss|qwen|mistral|mixtral|smollm|phi-|granite|olmo|deepseek",
        "is mostly published under a licence that allows it (Apache 2.0 or MIT), and some sizes are not: read that of "
        "yours",
    ),
    (
        r"gpt|\bo[1345](-|$)|chatgpt|openai|claude|anthropic|gemini|grok|command-r",
        "has terms of its vendor, which mostly forbid to train models that compete with it: read them before you train",
    ),
    (
        r"llama",
        "is under the Llama licence: a model that is trained on its answers has Llama at the beginning of its name "
        "and says Built with Llama, and versions before 3.1 allow no other model than Llama to be trained on them",
    ),
    (r"gemma", "is under the Gemma terms, which hold for a model that is trained on its answers too"),
)


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """The `examples` of one task, and what was left out of them.

    `held_out` are the cases that are kept for tests; `same_prompts` are further ones that ask the same as one of those.
    `no_form` counts the answers that the format cannot hold, `repeated` those that another sample of a case gave too.
    """

    examples: Sequence[Mapping[str, Json]]
    held_out: Sequence[str]
    same_prompts: Sequence[str] = ()
    no_form: int = 0
    repeated: int = 0


def held_out_cases(cases: Iterable[str], share: float) -> list[str]:
    """The cases that no training set may have, sorted: by the hash of their names, so always the same ones.

    At least one where `share` is above 0, and never all.
    """
    names = sorted({*cases}, key=lambda case: hashlib.sha256(case.encode("utf-8", "surrogatepass")).digest())
    number = min(len(names) - 1, math.ceil(share * len(names)))
    return sorted(names[: max(0, number)])


def training_set(trials: Sequence[Trial], *, held_out: Sequence[str], form: str) -> TrainingSet:
    """The examples of the passed trials among `trials`, which are those of one task on the teacher."""
    kept = {*held_out}
    asked = {_key(answer.messages) for trial in trials if trial.key.case in kept for answer in trial.answers}
    examples: dict[str, Mapping[str, Json]] = {}
    same: set[str] = set()
    no_form = repeated = 0
    for trial in sorted(trials, key=lambda trial: trial.key):
        if trial.ended != "passed" or trial.key.case in kept:
            continue
        if any(_key(answer.messages) in asked for answer in trial.answers):
            same.add(trial.key.case)
            continue
        for answer in _last_turns(trial.answers):
            example = FORMATS[form](answer)
            key = _key((example,)) if example is not None else ""
            no_form += example is None
            repeated += key in examples
            if example is not None:
                examples.setdefault(key, example)
    return TrainingSet(
        examples=[*examples.values()],
        held_out=sorted(kept),
        same_prompts=sorted(same),
        no_form=no_form,
        repeated=repeated,
    )


def _key(messages: _Messages) -> str:
    return repr([dict(message) for message in messages])


def _last_turns(answers: Sequence[AnswerRecord]) -> Iterator[AnswerRecord]:
    """The answers without those that are turns of a longer conversation, which has them."""
    for place, answer in enumerate(answers):
        start = [*answer.messages, {"role": "assistant", "content": answer.text}]
        if not any([*later.messages[: len(start)]] == start for later in answers[place + 1 :]):
            yield answer


def _chat(answer: AnswerRecord) -> Mapping[str, Json] | None:
    """Messages as in the OpenAI API, the answer last; an empty answer teaches nothing."""
    if not answer.text and not answer.tool_calls:
        return None
    calls = {"tool_calls": [dict(call) for call in answer.tool_calls]} if answer.tool_calls else {}
    said = {"role": "assistant", "content": answer.text, **calls}
    return {"messages": [*map(dict, answer.messages), said]}


def _alpaca(answer: AnswerRecord) -> Mapping[str, Json] | None:
    """Instruction, input and output; it has no place for several turns, tools or images."""
    roles = [message.get("role") for message in answer.messages]
    texts = [message.get("content") for message in answer.messages]
    if roles not in (["user"], ["system", "user"]) or not all(isinstance(text, str) for text in texts):
        return None
    if not answer.text or answer.tool_calls:
        return None
    return {"instruction": texts[0], "input": texts[1] if len(texts) == 2 else "", "output": answer.text}


FORMATS: Mapping[str, Callable[[AnswerRecord], Mapping[str, Json] | None]] = {"chat": _chat, "alpaca": _alpaca}
"""How an example is written, by the name of the format."""


def licence_warning(rung: Rung) -> str:
    """What is known of the terms under which a model may teach another, by its name: never that it is allowed."""
    model = rung.model or rung.name
    for pattern, words in _LICENCES:
        if re.search(pattern, model, re.IGNORECASE):
            return f"{model} {words}"
    return f"the terms of {model} are not known here: read whether they allow to train a model on its answers"
