"""Counts reasoning with an endpoint's own tokenizer, where it has one and did not count itself; never guesses.

llama-server and vLLM both have `POST /tokenize` beside `/v1`, each in its own words. Which of them an endpoint speaks
is found once, with a text that says nothing; texts of answers go to that one address only.
"""

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit, urlunsplit

from pytest_rightsize.providers.openai.http import Line
from pytest_rightsize.records import Json

__all__ = ["Tokenizer", "tokenizer_url"]

# An answer does not wait longer than this for the count of its tokens.
_TIMEOUT_S = 10.0
_PROBE = "a"


def tokenizer_url(base_url: str) -> str:
    """`/tokenize` beside the `/v1` of an endpoint: under the same prefix of the same server."""
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/").removesuffix("/v1")
    return urlunsplit((parts.scheme, parts.netloc, f"{path}/tokenize", parts.query, ""))


def _in_llama_servers(text: str, model: str) -> Mapping[str, Json]:
    # One that serves several models looks at the name.
    return {"model": model, "content": text, "add_special": False}


def _in_vllms(text: str, model: str) -> Mapping[str, Json]:
    return {"model": model, "prompt": text, "add_special_tokens": False}


class Tokenizer:
    """An endpoint's own, if it has one. For the event loop thread only."""

    def __init__(self, base_url: Callable[[], str], model: str) -> None:
        """Ask nothing yet."""
        self._base_url = base_url
        self._model = model
        self._finding: asyncio.Task[Callable[[str, str], Mapping[str, Json]] | None] | None = None
        self._is_mute = False

    async def count(self, text: str, line: Line) -> int | None:
        """How many tokens the text has, None where the endpoint does not tell; one that fails is not asked again."""
        if self._is_mute:
            return None
        if self._finding is None:
            self._finding = asyncio.ensure_future(self._find(line))
        words = await asyncio.shield(self._finding)
        count = None if words is None else _count(await self._ask(words, text, line))
        if count is None:
            self._is_mute = True
        return count

    async def _find(self, line: Line) -> Callable[[str, str], Mapping[str, Json]] | None:
        """In which words it can be asked."""
        for words in (_in_llama_servers, _in_vllms):
            # One letter is one token, whatever the tokenizer; who says two adds special ones, and would count too many.
            if _count(await self._ask(words, _PROBE, line)) == 1:
                return words
        return None

    async def _ask(self, words: Callable[[str, str], Mapping[str, Json]], text: str, line: Line) -> Json:
        return await line.ask_aside(tokenizer_url(self._base_url()), words(text, self._model), timeout_s=_TIMEOUT_S)


def _count(said: Json) -> int | None:
    tokens = said.get("tokens") if isinstance(said, dict) else None
    return len(tokens) if isinstance(tokens, list) else None
