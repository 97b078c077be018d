"""Tells a model's reasoning from its answer, by the marks that each family of models writes around it; pure.

A text comes in, as the model wrote it or as an endpoint passed it on; what it reasoned and what it answered go out. It
is the one place that decides this, for local models, endpoints and recorded answers alike.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.records import Json, Reply, Rung

__all__ = [
    "KNOWN_MARKS",
    "Marks",
    "Parts",
    "marks_of",
    "opened_by",
    "reasoning_in",
    "separate",
    "with_reasoning_apart",
    "words_of",
]


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What a family writes before and after its reasoning.

    `can_stand_alone` says that the closing mark means reasoning even without an opening one, which the chat template
    may have written. `around` are marks that some write around the answer itself.
    """

    open: str
    close: str
    can_stand_alone: bool = True
    around: tuple[str, ...] = ()


# From the vendors' chat templates, most of which come with llama.cpp (models/templates) and the model cards.
KNOWN_MARKS = (
    # DeepSeek R1 and its distills, Qwen 3, QwQ, GLM 4.5, Nemotron, MiniMax M2, Kimi K2, SmolLM3, Granite, Hunyuan, ...
    Marks(
        open="<think>",
        close="</think>",
        around=("<answer>", "</answer>", "<response>", "</response>", "<|begin_of_box|>", "<|end_of_box|>"),
    ),
    Marks(open="<seed:think>", close="</seed:think>"),  # ByteDance Seed-OSS
    Marks(open="<mm:think>", close="</mm:think>"),  # MiniMax M3
    Marks(open="<think:opensource>", close="</think:opensource>"),  # Tencent Hy3
    Marks(
        open="<|open|>think<|sep|>",
        close="<|close|>think<|sep|>",
        around=("<|open|>response<|sep|>", "<|close|>response<|sep|>"),
    ),  # Kimi K3
    Marks(open="[THINK]", close="[/THINK]"),  # Magistral, Ministral Reasoning
    Marks(
        open="<|START_THINKING|>",
        close="<|END_THINKING|>",
        around=("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"),
    ),  # Command R7B, Command A
    Marks(open="<|channel>thought", close="<channel|>", can_stand_alone=False),  # Gemma 4
    Marks(open="<unused94>thought", close="<unused95>", can_stand_alone=False),  # MedGemma
    Marks(open="<|inner_prefix|>", close="<|inner_suffix|>"),  # Apertus
    Marks(open="<|think|>", close="<|end|>", can_stand_alone=False, around=("<|begin|>assistant<|content|>",)),  # Solar
    Marks(open="◁think▷", close="◁/think▷"),  # Kimi-VL
    Marks(
        open="<|begin_of_thought|>",
        close="<|end_of_thought|>",
        around=("<|begin_of_solution|>", "<|end_of_solution|>"),
    ),  # OpenThinker
    Marks(
        open="Here are my reasoning steps:",
        close="[BEGIN FINAL RESPONSE]",
        around=("[END FINAL RESPONSE]",),
    ),  # Apriel
    Marks(open="Here is my thought process:", close="Here is my response:", can_stand_alone=False),  # Granite 3.2
)

# What a text has in which one of those marks stands, or one of these.
_MAY_BE_MARKED = re.compile(r"[<\[◁]|Here |\Aanalysis")

# gpt-oss: `<|channel|>analysis<|message|>..<|end|><|start|>assistant<|channel|>final<|message|>..`
_CHANNEL = re.compile(
    r"(?:<\|start\|>assistant)?(?P<to>[^<]*)<\|channel\|>(?P<head>[^<]*(?:<\|constrain\|>[^<]*)?)<\|message\|>"
    r"(?P<body>.*?)(?P<end><\|end\|>|<\|call\|>|<\|return\|>|(?=<\|start\|>assistant)|\Z)",
    re.DOTALL,
)
# Muse Glimmer: ` to=self<|message|>..<|eom|><|start|>assistant to=user<|message|>..<|eot|>`
_RECIPIENT = re.compile(
    r"(?:<\|start\|>assistant)?\s*to=(?P<to>[\w.-]+)<\|message\|>"
    r"(?P<body>.*?)(?:<\|eom\|>|<\|eot\|>|(?=<\|start\|>assistant)|\Z)",
    re.DOTALL,
)
# What Kimi K3 writes after an answer, also where its template began the answer.
_FRAME_END = re.compile(r"(?:<\|close\|>(?:response|message)<\|sep\|>(?:<\|end_of_msg\|>)?\s*)+\Z")
# The same from a server that drops control tokens.
_BARE_FINAL = re.compile(r"\Aanalysis(?P<reasoning>.*?)assistantfinal(?P<answer>.*)\Z", re.DOTALL)
_UNKNOWN_BLOCK = re.compile(
    r"\A\s*(?P<open><(?P<name>[\w:|.-]{2,40})>|\[(?P<word>[A-Z_]{3,30})\]).+?(?:</(?P=name)>|\[/(?P=word)\])\s*\S",
    re.DOTALL,
)
_REASONING_WORD = re.compile(r"think|thought|reason|reflect|scratch|analysis|monologue|\bcot\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a model reasoned, None where it did not, and what it answered."""

    reasoning: str | None
    answer: str


def marks_of(rung: Rung) -> tuple[Marks, ...] | None:
    """The marks that count for a rung; none at all with `reasoning = false`, which is None.

    With `reasoning = true` they are the known ones: it says that the model reasons, whatever its endpoint counts.
    Raises ConfigError for anything but `{ open = "..", close = ".." }`, true or false.
    """
    option = rung.options.get("reasoning")
    if option is None or option is True:
        return KNOWN_MARKS
    if option is False:
        return None
    if (
        not isinstance(option, Mapping)
        or set(option) != {"open", "close"}
        or not all(isinstance(mark, str) and mark for mark in option.values())
    ):
        raise ConfigError(
            f"rung {rung.name!r}: reasoning = {option!r} cannot be: write the marks around the model's reasoning, as "
            'in { open = "<think>", close = "</think>" }, true for a model that reasons in marks that are known, or '
            "false to take them as part of the answer"
        )
    return (Marks(open=option["open"], close=option["close"]), *KNOWN_MARKS)


def opened_by(prompt: str, marks: Sequence[Marks] = KNOWN_MARKS) -> Marks | None:
    """The marks whose opening one ends the prompt: the model then begins within its reasoning."""
    end = prompt.rstrip()
    return next((each for each in marks if end.endswith(each.open)), None)


def separate(
    text: str, marks: Sequence[Marks] = KNOWN_MARKS, *, opened: Marks | None = None, knows_prompt: bool = False
) -> Parts:
    """Split leading reasoning from the answer; reasoning that is cut off before its end leaves no answer.

    `opened` are marks that the prompt has opened. Where the prompt is not known, a closing mark that nothing opened
    ends reasoning too. A model that writes about the marks later in its answer keeps its words.
    """
    if opened is None and marks is KNOWN_MARKS and _MAY_BE_MARKED.search(text) is None:
        return Parts(reasoning=None, answer=text)  # as most answers: to look for each mark takes ten times as long
    channels = _split_channels(text) or _split_recipients(text) if marks else None
    if channels is not None:
        return channels
    text = _FRAME_END.sub("", text) if marks and "<|close|>" in text else text
    pieces: list[str] = []
    if opened is not None:
        # Some write the opening mark once more.
        body = text.lstrip().removeprefix(opened.open)
        reasoning, _, text = body.partition(opened.close)
        pieces.append(reasoning)
        text = _unwrapped(text, opened)
    elif not knows_prompt and (found := _closed_alone(text, marks)) is not None:
        reasoning, _, text = text.partition(found.close)
        pieces.append(reasoning)
        text = _unwrapped(text, found)
    while (begun := _begun(text, marks)) is not None:
        reasoning, _, text = text.lstrip()[len(begun.open) :].partition(begun.close)
        pieces.append(reasoning)
        text = _unwrapped(text, begun)
    if not pieces:
        return Parts(reasoning=None, answer=text)
    return Parts(reasoning="\n".join(piece.strip() for piece in pieces if piece.strip()), answer=text)


def _begun(text: str, marks: Sequence[Marks]) -> Marks | None:
    start = text.lstrip()
    return next((each for each in marks if start.startswith(each.open)), None)


def _closed_alone(text: str, marks: Sequence[Marks]) -> Marks | None:
    """The marks whose closing one comes first, without an opening one before it and not as a quotation."""
    found = []
    for each in marks:
        at = text.find(each.close)
        is_quoted = at > 0 and text[at - 1] in "`'\""
        if each.can_stand_alone and at >= 0 and each.open not in text[:at] and not is_quoted:
            found.append((at, each))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _unwrapped(answer: str, marks: Marks) -> str:
    """The answer without the space before it, and without the marks around it where both ends are marked."""
    answer = answer.lstrip()
    opening = next((mark for mark in marks.around[::2] if answer.startswith(mark)), None)
    if opening is None:
        for mark in marks.around:
            answer = answer.removesuffix(mark) if answer.endswith(mark) and not mark.startswith("<") else answer
        return answer
    answer = answer.removeprefix(opening).lstrip()
    for closing in marks.around[1::2]:
        answer = answer.rstrip().removesuffix(closing).rstrip() if answer.rstrip().endswith(closing) else answer
    return answer


def _split_channels(text: str) -> Parts | None:
    """The channels of gpt-oss; calls stay as they are, for those who read them. None for a text without channels."""
    if "<|channel|>" in text[:200] and (found := list(_CHANNEL.finditer(text))):
        thoughts = [match["body"] for match in found if _is_analysis(match)]
        rest = [match[0] if _is_call(match) else match["body"] for match in found if not _is_analysis(match)]
        return Parts(reasoning="\n".join(thoughts).strip() if thoughts else None, answer="".join(rest))
    bare = _BARE_FINAL.match(text)
    return None if bare is None else Parts(reasoning=bare["reasoning"].strip(), answer=bare["answer"])


def _split_recipients(text: str) -> Parts | None:
    """Messages to oneself, to the user and to tools; None for a text that does not begin with one."""
    if _RECIPIENT.match(text) is None:
        return None
    found = list(_RECIPIENT.finditer(text))
    thoughts = [match["body"] for match in found if match["to"] == "self"]
    return Parts(
        reasoning="\n".join(thoughts).strip() if thoughts else None,
        answer="".join(match["body"] for match in found if match["to"] != "self"),
    )


def _is_call(match: re.Match[str]) -> bool:
    return "to=" in match["head"] or "to=" in match["to"]


def _is_analysis(match: re.Match[str]) -> bool:
    return match["head"].strip().startswith("analysis") and not _is_call(match)


def reasoning_in(text: str, marks: Sequence[Marks] = KNOWN_MARKS) -> str:
    """The reasoning in a text, wherever it stands, so that its tokens can be counted; empty where there is none."""
    parts = separate(text, marks)
    if parts.reasoning is not None:
        return parts.reasoning
    for each in marks:
        _, opened, rest = text.partition(each.open)
        if opened and each.can_stand_alone and each.open.isascii() and each.open[0] in "<[":
            return rest.partition(each.close)[0]
    return ""


def with_reasoning_apart(reply: Reply, rung: Rung, messages: Sequence[Mapping[str, Json]] = ()) -> Reply:
    """The reply with its reasoning apart from its text; one whose provider has done that is as it was.

    Raises RungError where the text begins with a block that is reasoning by its name, in marks that nobody knows: its
    answer would equal nothing. `messages` are the question; a block that their words ask for is an answer.
    """
    marks = marks_of(rung)
    if marks is None:
        return reply
    if reply.reasoning == "":
        reply, parts = replace(reply, reasoning=None), Parts(reasoning=None, answer=reply.text)
    elif reply.reasoning is not None:
        parts = separate(reply.text, marks, knows_prompt=True)
    else:
        parts = separate(reply.text, marks)
    _refuse_unknown_marks(parts.answer, rung, messages)
    if parts.reasoning is None:
        return reply
    return replace(reply, text=parts.answer, reasoning=reply.reasoning or parts.reasoning)


def _refuse_unknown_marks(answer: str, rung: Rung, messages: Sequence[Mapping[str, Json]]) -> None:
    block = _UNKNOWN_BLOCK.match(answer)
    name = block and (block["name"] or block["word"])
    if block is None or not name or not _REASONING_WORD.search(name) or block["open"] in words_of(messages):
        return
    close = block["open"].replace("<", "</").replace("[", "[/")
    raise RungError(
        f"rung {rung.name!r}: the answer begins with {block['open']} .. {close}, which looks like reasoning in marks "
        f'that are not known; add reasoning = {{ open = "{block["open"]}", close = "{close}" }} to the rung, or '
        "reasoning = false if it is part of the answer",
        reason="bad_reply",
    )


def words_of(messages: Sequence[Mapping[str, Json]]) -> str:
    """All that the messages say, for whether a mark was asked for."""

    def text(content: Any) -> str:
        if isinstance(content, list | tuple):
            return "\n".join(text(part.get("text")) for part in content if isinstance(part, Mapping))
        return content if isinstance(content, str) else ""

    return "\n".join(text(message.get("content")) for message in messages)
