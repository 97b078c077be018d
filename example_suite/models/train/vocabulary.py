"""The 128 tokens of the tiny models: one character each, and how a conversation becomes token ids."""

from __future__ import annotations

UNKNOWN, BEGIN, END = 0, 1, 2
CHARACTERS = "\n" + "".join(map(chr, range(32, 127))) + "€£áàâäåãçéèêëíîïñóôöøõúüßÉÖÄÜ"
FIRST_CHARACTER = 3
SIZE = FIRST_CHARACTER + len(CHARACTERS)
ANSWER_MARK = "\nA: "

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ message['content'] }}\nA: "
    "{% else %}{{ message['content'] }}\n{% endif %}{% endfor %}"
)

_ID_OF = {character: FIRST_CHARACTER + index for index, character in enumerate(CHARACTERS)}


def encode(text: str) -> list[int]:
    return [_ID_OF.get(character, UNKNOWN) for character in text]


def decode(ids: list[int]) -> str:
    return "".join(CHARACTERS[i - FIRST_CHARACTER] if i >= FIRST_CHARACTER else "" for i in ids)


def encode_prompt(prompt: str) -> list[int]:
    """What `CHAT_TEMPLATE` makes of one user turn."""
    return [BEGIN, *encode(prompt + ANSWER_MARK)]
