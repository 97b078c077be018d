"""Masks what an endpoint or its proxy repeats of the secrets that it was sent, in answers and in words of errors.

In come replies and words, out they go with `***`. An answer is changed only where it holds what can be no word.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from pytest_rightsize.providers.environment import known_secrets
from pytest_rightsize.providers.proxies import ProxyError, proxy_for
from pytest_rightsize.providers.secret_texts import Mask, Secret, secrets_in_url
from pytest_rightsize.records import Json, Reply

__all__ = ["answer_mask", "masked_reply", "masked_words"]

# Servers that need no key are given words such as EMPTY or `not-needed`, which an answer may have too.
_WORDS = re.compile(r"(?=.{0,20}$)[a-z]+([ _-][a-z]+)*|[A-Z_-]{1,20}")
_SHORTEST_IN_ANSWERS = 8
_SHORTEST_HEADER = 8


def _sent(key: Secret, url: str) -> list[Secret]:
    """The key, and what the URLs of the endpoint and of its proxy hold."""
    try:
        proxy = proxy_for(url)
    except ProxyError:
        proxy = None
    return [key, *secrets_in_url(url), *(secrets_in_url(proxy.url.reveal()) if proxy else ())]


def answer_mask(key: Secret, url: str) -> Mask:
    """The mask for answers of the endpoint at the URL: a short key is a word like any other."""
    secrets = [secret for secret in _sent(key, url) if not _WORDS.fullmatch(secret.reveal())]
    return Mask(secrets, shortest=_SHORTEST_IN_ANSWERS)


def masked_reply(reply: Reply, mask: Mask) -> Reply:
    """The reply without what the endpoint repeated; the same object where that is nothing."""
    text, reasoning, finish_reason = mask(reply.text), reply.reasoning, reply.finish_reason
    shown = (text, reasoning and mask(reasoning), finish_reason and mask(finish_reason), mask.data(reply.tool_calls))
    if shown == (reply.text, reasoning, finish_reason, reply.tool_calls):
        return reply
    return replace(reply, text=shown[0], reasoning=shown[1], finish_reason=shown[2], tool_calls=shown[3])


def masked_words(text: str, key: Secret, url: str, *, headers: Mapping[str, Json]) -> str:
    """Words of the endpoint at the URL without the key, what the headers hold, and what else is known as a secret."""
    values = [Secret(str(value)) for value in headers.values() if len(str(value)) >= _SHORTEST_HEADER]
    return known_secrets().words(Mask([*_sent(key, url), *values]).words(text))
