"""Counts reasoning tokens with an endpoint's own tokenizer, where it has one and reported no count; never estimates.

llama-server and vLLM both have `POST /tokenize` beside `/v1`, each with a request body of its own. Which of them an
endpoint takes is found once, with a text of one letter; texts of answers go to that one address only.
"""

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit, urlunsplit

from pytest_rightsize.providers.openai.http import Client
from pytest_rightsize.records import Json

__all__ = ["Tokenizer", "tokenizer_url"]

# An answer waits at most this long for the count of its tokens.
_TIMEOUT_S = 10.0
_PROBE = "a"


def tokenizer_url(base_url: str) -> str:
    """The URL `/tokenize` beside the `/v1` of an endpoint, under the same prefix of the same server."""
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/").removesuffix("/v1")
    return urlunsplit((parts.scheme, parts.netloc, f"{path}/tokenize", parts.query, ""))


def _llama_server_body(text: str, model: str) -> Mapping[str, Json]:
    # A llama-server with several models chooses by the name.
    return {"model": model, "content": text, "add_special": False}


def _vllm_body(text: str, model: str) -> Mapping[str, Json]:
    return {"model": model, "prompt": text, "add_special_tokens": False}


class Tokenizer:
    """The tokenizer of one endpoint, if it has one. For the event loop thread only."""

    def __init__(self, base_url: Callable[[], str], model: str) -> None:
        """Send nothing yet."""
        self._base_url = base_url
        self._model = model
        self._detection: asyncio.Task[Callable[[str, str], Mapping[str, Json]] | None] | None = None
        self._is_unavailable = False

    async def count(self, text: str, client: Client) -> int | None:
        """The number of tokens in the text, or None without a tokenizer; one that fails is not asked again."""
        if self._is_unavailable:
            return None
        if self._detection is None:
            self._detection = asyncio.ensure_future(self._detect_body(client))
        body_of = await asyncio.shield(self._detection)
        count = None if body_of is None else _count(await self._tokenize(body_of, text, client))
        if count is None:
            self._is_unavailable = True
        return count

    async def _detect_body(self, client: Client) -> Callable[[str, str], Mapping[str, Json]] | None:
        """The request body that the endpoint takes, or None if it takes neither."""
        for body_of in (_llama_server_body, _vllm_body):
            # One letter is one token in any tokenizer; a count of two means that special tokens are added to each text.
            if _count(await self._tokenize(body_of, _PROBE, client)) == 1:
                return body_of
        return None

    async def _tokenize(self, body_of: Callable[[str, str], Mapping[str, Json]], text: str, client: Client) -> Json:
        return await client.post_once(tokenizer_url(self._base_url()), body_of(text, self._model), timeout_s=_TIMEOUT_S)


def _count(response: Json) -> int | None:
    tokens = response.get("tokens") if isinstance(response, dict) else None
    return len(tokens) if isinstance(tokens, list) else None
