"""Any OpenAI-compatible endpoint: vLLM, llama-server, Ollama, LM Studio, or a vendor's own.

Requests are sent by one event loop thread, over connections that are kept alive, `max_in_flight` of a rung at once;
what may go better at another time is sent again, at most `retries` times. Answers come whole, never as streams.
A key is read from the environment when the first request is made and never appears in a message.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pluggy

from pytest_rightsize.errors import ConfigError, RightsizeError, RungError, TooLongError
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.providers.locality import host_of, is_this_machine
from pytest_rightsize.providers.openai import event_loop
from pytest_rightsize.providers.openai.http import Endpoint, HttpError, Line
from pytest_rightsize.providers.openai.probing import probe_models
from pytest_rightsize.providers.openai.tokenizing import Tokenizer
from pytest_rightsize.providers.reasoning import reasoning_in
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung, Tokens

__all__ = ["OpenAI"]

hookimpl = pluggy.HookimplMarker("pytest")

_VENDOR = "https://api.openai.com/v1"
_DEFAULT_KEY = "OPENAI_API_KEY"
# How names of headers and parameters that hold a key look.
_SECRET = re.compile(r"auth|key|token|secret|cookie|signature|\bsig\b", re.IGNORECASE)
# max_tokens and its like hold a number.
_COUNT = re.compile(r"tokens$", re.IGNORECASE)
_MAX_IN_FLIGHT = 64
# A server that does not let go of its connections must not keep a session from ending.
_CLOSING_S = 10
# How OpenAI, vLLM, llama-server, llama_cpp.server, Ollama and LM Studio say that a prompt does not fit.
_TOO_LONG = re.compile(
    r"context_length_exceeded|maximum context length|context (length|window|size)|exceeds? the (available )?context|"
    r"exceed_context_size|longer than the (maximum )?(model|context)|prompt is too long|input is too long",
    re.IGNORECASE,
)


class OpenAI:
    """An endpoint that speaks the chat completions protocol. `model` is its name for the model.

    Without `base_url` (or `base_url_env`, the name of a variable that holds it) it is the vendor's own endpoint.
    `retries` (default 4) bounds how often one request is sent again, `timeout_s` (default 120) each attempt. The rung's
    `max_in_flight` (default 64) bounds how many are in flight; a 429 halves the number, answers let it grow again.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "api_key_env": str,
        "base_url": str,
        "base_url_env": str,
        "extra_body": dict,
        "headers": dict,
        "reasoning_effort": str,
        "retries": int,
        "timeout_s": (int, float),
    }
    required: ClassVar[tuple[str, ...]] = ("model",)

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError if its options contradict each other."""
        given = rung.options
        where = f"rung {rung.name!r}"
        if "base_url" in given and "base_url_env" in given:
            raise ConfigError(f"{where} has both base_url and base_url_env: keep one")
        if given.get("retries", 0) < 0 or given.get("timeout_s", 1) <= 0:
            raise ConfigError(f"{where}: retries must be 0 or more, and timeout_s above 0")
        if "base_url" in given and host_of(given["base_url"]) is None:
            shown = "" if {"@", "?"} & {*given["base_url"]} else f" = {given['base_url']!r}"  # a key may be in it
            raise ConfigError(f"{where}: base_url{shown} is no URL: write http://host:port/v1")
        if "base_url" in given and _holds_secret(given["base_url"]):
            raise ConfigError(
                f"{where}: base_url holds a name, a password or a key, which is refused: name a variable in "
                f"api_key_env, or one with the whole URL in base_url_env"
            )
        for kind, names in (("header", given.get("headers", {})), ("key of extra_body", given.get("extra_body", {}))):
            for name in names:
                if _SECRET.search(name) and not _COUNT.search(name):
                    raise ConfigError(
                        f"{where}: the {kind} {name} would hold a literal key, which is refused: use api_key_env"
                    )
        self._rung = rung
        self._lock = threading.Lock()
        self._stays: dict[str, bool] = {}
        self._line: Line | None = None
        self._tokenizer = Tokenizer(lambda: self._base_url or "", rung.model or "")

    @property
    def leaves_machine(self) -> bool:
        """Whether the endpoint's host is another than this one; an unknown host counts as another."""
        url = self._base_url or _VENDOR
        if url not in self._stays:
            self._stays[url] = not self._is_vendors_own and is_this_machine(host_of(url) or "")
        return not self._stays[url]

    def check(self) -> Problem | None:
        """Say which variable is not set, or holds no URL."""
        for option, what in (("base_url_env", "the endpoint's URL"), ("api_key_env", "its key")):
            variable = self._rung.options.get(option)
            if variable and not os.environ.get(variable):
                return Problem(
                    what=f"the variable {variable} with {what} is not set", remedy=f"run `export {variable}=...`"
                )
        if host_of(self._base_url or _VENDOR) is None:  # it is not repeated: a key may be in it
            return Problem(
                what=f"the variable {self._rung.options['base_url_env']} holds no URL",
                remedy="set it to one, such as http://host:port/v1",
            )
        if self._needs_default_key and not os.environ.get(_DEFAULT_KEY):
            return Problem(
                what=f"the variable {_DEFAULT_KEY} with its key is not set",
                remedy=f"run `export {_DEFAULT_KEY}=...`, or set base_url to an endpoint of your own",
            )
        return None

    def identity(self, sha256: Callable[[Path], str]) -> Identity:  # noqa: ARG002  # the protocol has it
        """The endpoint, its name for the model, and what of the ladder file goes into each request."""
        options, given = self._rung.options, self._base_url
        if given is None and not self._is_vendors_own:
            variable = options["base_url_env"]
            raise RungError(f"rung {self._rung.name!r}: {variable} is not set", reason="missing", permanent=True)
        return Identity(
            content={
                "provider": "openai",
                "endpoint": _without_secrets(given or _VENDOR),
                "model": self._rung.model,
                "reasoning_effort": options.get("reasoning_effort"),
                "extra_body": options.get("extra_body"),
            }
        )

    def probe(self) -> Problem | None:
        """Ask the endpoint for its list of models, which costs nothing; say what keeps it from answering."""
        url = self._base_url or _VENDOR
        return probe_models(
            url.rstrip("/"),
            key=self._key,
            model=self._rung.model or "",
            shown=_without_secrets(url),
            stays=not self.leaves_machine,
        )

    def submit(self, request: Request) -> Future[Reply]:
        """Send the request from the event loop thread, as soon as the rung has a place for it."""
        with self._lock:
            try:
                line = self._line = self._line or Line(self._endpoint())
            except RungError as fault:
                refused: Future[Reply] = Future()
                refused.set_exception(fault)
                return refused
            return event_loop.start(self._answer(request, line))

    def close(self) -> None:
        """Close the connections; what is still in flight ends in a RungError."""
        with self._lock:
            line, self._line = self._line, None
        if line is not None:
            closing = event_loop.start(line.close())
            if not event_loop.in_loop():
                wait([closing], timeout=_CLOSING_S)

    @property
    def _base_url(self) -> str | None:
        options = self._rung.options
        url: str | None = options.get("base_url") or os.environ.get(options.get("base_url_env", ""))
        return url

    @property
    def _is_vendors_own(self) -> bool:
        return "base_url" not in self._rung.options and "base_url_env" not in self._rung.options

    @property
    def _needs_default_key(self) -> bool:
        return self._is_vendors_own and "api_key_env" not in self._rung.options

    @property
    def _key(self) -> str:
        """The key from the environment, or nothing where the endpoint asks for none."""
        variable = self._rung.options.get("api_key_env") or (_DEFAULT_KEY if self._needs_default_key else "")
        return os.environ.get(variable, "")

    async def _answer(self, request: Request, line: Line) -> Reply:
        """The reply; raises RungError or TooLongError."""
        try:
            reply = await line.post(self._body(request), _reply)
        except HttpError as fault:
            raise self._as_error(fault) from None
        return self._without_key(await self._with_reasoning_counted(reply, line))

    async def _with_reasoning_counted(self, reply: Reply, line: Line) -> Reply:
        """The reply with its reasoning counted by the endpoint's own tokenizer, where it has not told."""
        thought = reply.reasoning or reasoning_in(reply.text)
        if self._is_vendors_own or not thought or reply.tokens.reasoning is not None:
            return reply
        started = time.perf_counter()
        count = await self._tokenizer.count(thought, line)
        tokens = reply.tokens
        if count is not None and (tokens.completion is None or count <= tokens.completion):
            tokens = replace(tokens, reasoning=count, reasoning_source="counted")
        return replace(reply, tokens=tokens, after_s=time.perf_counter() - started)

    def _without_key(self, reply: Reply) -> Reply:
        """A reply as it is, unless the endpoint put the key into it."""
        key = self._key
        if not key or key not in f"{reply.text}{reply.reasoning}{reply.finish_reason}{reply.tool_calls}":
            return reply
        calls = json.loads(json.dumps(reply.tool_calls).replace(key, "***"))
        return replace(
            reply,
            text=reply.text.replace(key, "***"),
            reasoning=reply.reasoning and reply.reasoning.replace(key, "***"),
            finish_reason=reply.finish_reason and reply.finish_reason.replace(key, "***"),
            tool_calls=tuple(calls),
        )

    def _endpoint(self) -> Endpoint:
        """Where to post; raises RungError if a variable that it needs is not set."""
        problem = self.check()
        if problem is not None:
            raise RungError(
                f"rung {self._rung.name!r}: {problem.what}; {problem.remedy}", reason="missing", permanent=True
            )
        options = self._rung.options
        return Endpoint(
            url=f"{(self._base_url or _VENDOR).rstrip('/')}/chat/completions",
            headers={
                "User-Agent": f"pytest-rightsize/{version('pytest-rightsize')}",
                **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
                **options.get("headers", {}),
            },
            timeout_s=float(options.get("timeout_s", 120)),
            retries=int(options.get("retries", 4)),
            max_in_flight=self._rung.max_in_flight or _MAX_IN_FLIGHT,
            stays=not self.leaves_machine,
        )

    def _body(self, request: Request) -> dict[str, Json]:
        """What is sent; what is None is left to the endpoint."""
        options = self._rung.options
        # The vendor's newer models refuse max_tokens; most other servers know nothing else.
        limit = "max_completion_tokens" if self._is_vendors_own else "max_tokens"
        schema = request.schema and {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": dict(request.schema), "strict": True},
            # llama_cpp.server and older llama-server read the schema here and know no json_schema.
            **({} if self._is_vendors_own else {"schema": dict(request.schema)}),
        }
        known = {
            "model": self._rung.model,
            "messages": [dict(message) for message in request.messages],
            limit: request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": None if request.seed is None else request.seed + request.sample,
            "tools": [dict(tool) for tool in request.tools] if request.tools else None,
            "response_format": schema,
            "reasoning_effort": options.get("reasoning_effort"),
        }
        given = {name: value for name, value in known.items() if value is not None}
        return {**given, **options.get("extra_body", {}), **request.extra}

    def _as_error(self, fault: HttpError) -> RightsizeError:
        """Our error for a fault, without the key."""
        said = self._scrubbed(fault.said) + (f"; {fault.attempts} attempts" if fault.attempts > 1 else "")
        if fault.kind == "unreachable":
            return self._fault(f"cannot be reached ({said}): is the server running?", "transport")
        if fault.kind == "unreadable":
            return self._fault(f"answered something that is no chat completion ({said})", "bad_reply")
        if fault.kind != "status":
            return self._fault(said, "timeout" if fault.kind == "timeout" else "transport")
        return self._as_refusal(fault.status, said)

    def _as_refusal(self, status: int, said: str) -> RightsizeError:
        if status in (400, 413, 422, 500) and _TOO_LONG.search(said):
            return TooLongError(f"rung {self._rung.name!r}: the prompt is longer than the context of the model: {said}")
        if status in (401, 403):
            variable = self._rung.options.get("api_key_env", _DEFAULT_KEY if self._is_vendors_own else None)
            remedy = f"set {variable} to a key that it takes" if variable else "name the key's variable in api_key_env"
            return self._fault(f"refused the key ({said}): {remedy}", "auth", permanent=True)
        if status == 404:
            return self._fault(
                f"knows no model {self._rung.model!r}, or is no such endpoint ({said})", "missing", permanent=True
            )
        reason = (
            "rate_limit" if status == 429 else "server" if status >= 500 else "timeout" if status == 408 else "request"
        )
        return self._fault(f"answered {status} ({said})", reason, permanent=300 <= status < 400)

    def _fault(self, what: str, reason: str, *, permanent: bool = False) -> RungError:
        where = _without_secrets(self._base_url or _VENDOR)
        return RungError(f"rung {self._rung.name!r}: {where} {what}", reason=reason, permanent=permanent)

    def _scrubbed(self, text: str) -> str:
        key = self._key
        return (text.replace(key, "***") if key else text)[:500]


def _holds_secret(url: str) -> bool:
    """Whether a user's name, a password or a key stands in the URL itself."""
    parts = urlsplit(url)
    return "@" in parts.netloc or any(_SECRET.search(name) for name, _ in parse_qsl(parts.query))


def _without_secrets(url: str) -> str:
    """The URL to show and to tell endpoints apart by: whatever may be a secret in it is left out."""
    if host_of(url) is None:
        return "what is no URL"
    parts = urlsplit(url)
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if not _SECRET.search(name)])
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), query, ""))


def _reply(completion: Json, seconds: float, retries: int) -> Reply:
    """The first choice in our words; raises ValueError or the like if this is no chat completion with a choice."""
    choices = completion.get("choices")
    message = choices[0].get("message") if choices else None
    if message is None:
        raise ValueError("it has no choice")
    refusal = message.get("refusal")
    text = message.get("content") or refusal or ""
    if not isinstance(text, str):
        raise ValueError(f"the content is no text but {type(text).__name__}")
    thought = message.get("reasoning_content") or message.get("reasoning")
    finish_reason = choices[0].get("finish_reason")
    calls = message.get("tool_calls") or ()
    json.dumps(calls, allow_nan=False)  # 1e999 is JSON, and a float that is none
    return Reply(
        text=text,
        seconds=seconds,
        retries=retries,
        tokens=_tokens(completion.get("usage"), text=text, thought=thought),
        finish_reason="content_filter" if refusal else finish_reason if isinstance(finish_reason, str) else None,
        reasoning=thought if isinstance(thought, str) else None,
        tool_calls=tuple({name: value for name, value in call.items() if value is not None} for call in calls),
    )


def _tokens(usage: Json, *, text: str, thought: Json) -> Tokens:
    """What the endpoint counted. A zero for what is there was not counted: such a prompt makes all of it unknown."""
    if usage is not None and not isinstance(usage, dict):
        raise TypeError(f"the usage is no object but {type(usage).__name__}")
    prompt = _count(usage, "prompt_tokens")
    if not usage or not prompt:
        return Tokens()
    completion = _count(usage, "completion_tokens")
    reasoning = _count(usage.get("completion_tokens_details"), "reasoning_tokens")
    if not completion and (text or thought):
        completion = reasoning = None
    if reasoning is not None and ((not reasoning and (thought or "</think>" in text)) or reasoning > (completion or 0)):
        reasoning = None
    return Tokens(
        prompt=prompt,
        cached=_count(usage.get("prompt_tokens_details"), "cached_tokens"),
        completion=completion,
        reasoning=reasoning,
        source="reported",
        reasoning_source="unknown" if reasoning is None else None,
    )


def _count(counts: Json, name: str) -> int | None:
    """A count, or None where the endpoint gives none or something else."""
    count = counts.get(name) if isinstance(counts, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**53 else None


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `openai`."""
    return {"openai": OpenAI}
