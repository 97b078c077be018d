"""Any OpenAI-compatible endpoint: vLLM, llama-server, Ollama, LM Studio, or a vendor's own.

Requests go through the `openai` package, whose retries back off and honour Retry-After, at most `retries` of them. All
are sent by one event loop thread, over connections that are kept alive, `max_in_flight` of a rung at once.
A key is read from the environment when the first request is made and never appears in a message.
"""

import asyncio
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pluggy

from pytest_rightsize.errors import ConfigError, RightsizeError, RungError, TooLongError
from pytest_rightsize.flight import Flight
from pytest_rightsize.providers import Problem, Provider, event_loop
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung, Tokens

__all__ = ["OpenAI"]

hookimpl = pluggy.HookimplMarker("pytest")

_DEFAULT_KEY = "OPENAI_API_KEY"
_VENDORS_OWN = "https://api.openai.com/v1"
# How names of headers and parameters that hold a key look.
_SECRET = re.compile(r"auth|key|token|secret|cookie|sig", re.IGNORECASE)
_MAX_IN_FLIGHT = 64
# A server that does not let go of its connections must not keep a session from ending.
_CLOSING_S = 10
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|\[?::1\]?|.+\.localhost")
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
        if "base_url" in given and urlsplit(given["base_url"]).scheme not in ("http", "https"):
            raise ConfigError(f"{where}: base_url = {given['base_url']!r} is no URL: write http://host:port/v1")
        if "base_url" in given and urlsplit(given["base_url"]).password:
            raise ConfigError(f"{where}: base_url holds a password, which is refused: name a variable in api_key_env")
        for name in given.get("headers", {}):
            if _SECRET.search(name):
                raise ConfigError(
                    f"{where}: the header {name} would hold a literal key, which is refused: use api_key_env"
                )
        self._rung = rung
        self._lock = threading.Lock()
        self._line: _Line | None = None

    @property
    def leaves_machine(self) -> bool:
        """Whether the endpoint's host is another than this one; an unknown host counts as another."""
        host = urlsplit(self._base_url or _VENDORS_OWN).hostname or ""
        return _LOOPBACK.fullmatch(host) is None

    def check(self) -> Problem | None:
        """Say which variable is not set."""
        for option, what in (("base_url_env", "the endpoint's URL"), ("api_key_env", "its key")):
            variable = self._rung.options.get(option)
            if variable and not os.environ.get(variable):
                return Problem(
                    what=f"the variable {variable} with {what} is not set", remedy=f"run `export {variable}=...`"
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
        url = urlsplit(given or _VENDORS_OWN)
        return Identity(
            content={
                "provider": "openai",
                # Without what may be a secret in it: a user's name, or a key in the query.
                "endpoint": f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path.rstrip('/')}",
                "query": [[name, value] for name, value in parse_qsl(url.query) if not _SECRET.search(name)],
                "model": self._rung.model,
                "reasoning_effort": options.get("reasoning_effort"),
                "extra_body": options.get("extra_body"),
            }
        )

    def submit(self, request: Request) -> Future[Reply]:
        """Send the request from the event loop thread, as soon as the rung has a place for it."""
        with self._lock:
            if self._line is None:
                self._line = _Line(self)
            return event_loop.start(self._line.answer(request))

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
        """The key from the environment; endpoints that ask for none still get a word, as the package insists."""
        variable = self._rung.options.get("api_key_env") or (_DEFAULT_KEY if self._needs_default_key else "")
        return os.environ.get(variable) or "none"

    def _connect(self) -> Any:
        """The package's client; raises RungError if a variable that it needs is not set."""
        problem = self.check()
        if problem is not None:
            raise RungError(
                f"rung {self._rung.name!r}: {problem.what}; {problem.remedy}", reason="missing", permanent=True
            )
        import openai

        return openai.AsyncOpenAI(
            api_key=self._key,
            # The package would take OPENAI_BASE_URL otherwise, and send a key to a host nobody named here.
            base_url=self._base_url or _VENDORS_OWN,
            max_retries=self._retries,
            timeout=float(self._rung.options.get("timeout_s", 120)),
            default_headers=self._rung.options.get("headers"),
            http_client=_gated_http_client(),
        )

    @property
    def _retries(self) -> int:
        return int(self._rung.options.get("retries", 4))

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

    def _as_fault(self, error: Exception) -> RightsizeError:
        """Our error for one of the package's, in its own words but without the key."""
        import openai

        said = self._scrubbed(" ".join(str(error).split()))
        if isinstance(error, openai.APITimeoutError) and isinstance(_root(error), TimeoutError):
            return self._fault(f"did not answer within {self._rung.options.get('timeout_s', 120):g} s", "timeout")
        if isinstance(error, openai.APIConnectionError):
            cause = self._scrubbed(str(error.__cause__ or error))
            return self._fault(f"cannot be reached ({cause}): is the server running?", "transport")
        if not isinstance(error, openai.APIStatusError):
            return self._fault(f"answered something that is no chat completion ({said})", "bad_reply")
        status = error.status_code
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
        return self._fault(f"answered {status} ({said})", reason)

    def _fault(self, what: str, reason: str, *, permanent: bool = False) -> RungError:
        where = self._base_url or "the vendor's endpoint"
        return RungError(f"rung {self._rung.name!r}: {where} {what}", reason=reason, permanent=permanent)

    def _scrubbed(self, text: str) -> str:
        key = self._key
        return text.replace(key, "***")[:500] if len(key) > 4 else text[:500]


@dataclass(kw_only=True)
class _Call:
    """What the HTTP client has to know of the request it sends, and tells of it."""

    passage: event_loop.Passage
    seconds: float | None = None


# The way from a request to the HTTP client that the openai package calls for each of its attempts.
_CALL: ContextVar[_Call] = ContextVar("_CALL")


class _Line:
    """The open connections of one rung and what is in flight over them; lives in the event loop thread."""

    def __init__(self, provider: OpenAI) -> None:
        self._provider = provider
        # The package's pool holds 1,000 connections, and waiting for one would count as the model's time.
        self._gate = event_loop.Gate(Flight(min(provider._rung.max_in_flight or _MAX_IN_FLIGHT, 1000)))
        self._client: Any = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def answer(self, request: Request) -> Reply:
        """Wait for a place, ask, and wait for the answer; raises RungError or TooLongError."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        call = _Call(passage=event_loop.Passage(self._gate))
        _CALL.set(call)
        try:
            await call.passage.begin()
            return await self._ask(request, call)
        except asyncio.CancelledError:
            if self._closed:
                raise self._provider._fault("was closed before it answered", "transport") from None
            raise
        finally:
            call.passage.end()
            self._tasks.discard(task)

    async def close(self) -> None:
        """End what is in flight and close the connections."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    async def _ask(self, request: Request, call: _Call) -> Reply:
        """Ask until there is a choice in the answer; the package asks again where there is no answer at all."""
        provider = self._provider
        if self._client is None:
            self._client = provider._connect()
        import openai

        attempts = 1 + provider._retries
        try:
            for attempt in range(attempts):
                # Without the package's models, which take as long to build as all the rest of a request.
                said = await self._client.post("/chat/completions", cast_to=object, body=provider._body(request))
                reply = _reply(said, call.seconds)
                if reply is not None:
                    return reply
                await asyncio.sleep(min(0.5 * 2**attempt, 8.0) if attempt + 1 < attempts else 0)
        except openai.OpenAIError as error:
            raise provider._as_fault(error) from None
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise provider._fault(f"answered something that is no chat completion ({error})", "bad_reply") from None
        raise provider._fault(f"answered {attempts} times without a choice", "bad_reply")


def _gated_http_client() -> Any:
    """The package's aiohttp client, each of whose attempts passes the gate.

    aiohttp, as it took 0.62 ms of CPU for a request where httpx took 1.11 (1,000 requests, 64 in flight).
    """
    import openai

    class Gated(openai.DefaultAioHttpClient):
        async def send(self, request: Any, **how: Any) -> Any:
            call = _CALL.get()
            await call.passage.depart()
            started = time.perf_counter()
            status = None
            try:
                response = await super().send(request, **how)
                status = response.status_code
                return response
            finally:
                # Of the attempt that succeeded alone: what a retry or the gate waited is not the model's time.
                call.seconds = time.perf_counter() - started
                call.passage.land(answered=status == 200, refused=status == 429)

    return Gated()


def _root(error: BaseException) -> BaseException:
    """What an error was raised from in the end: the aiohttp transport reports a broken connection as a timeout."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _reply(said: Any, seconds: float | None) -> Reply | None:
    """The first choice in our words, None if there is none; raises ValueError if this is no chat completion."""
    completion = json.loads(said) if isinstance(said, str) else said
    choices = completion.get("choices")
    message = choices[0].get("message") if choices else None
    if message is None:
        return None
    refusal = message.get("refusal")
    text = message.get("content") or refusal or ""
    if not isinstance(text, str):
        raise ValueError(f"the content is no text but {type(text).__name__}")
    thought = message.get("reasoning_content") or message.get("reasoning")
    return Reply(
        text=text,
        seconds=seconds,
        tokens=_tokens(completion.get("usage")),
        finish_reason="content_filter" if refusal else choices[0].get("finish_reason"),
        reasoning=thought if isinstance(thought, str) else None,
        tool_calls=tuple(
            {name: value for name, value in call.items() if value is not None}
            for call in message.get("tool_calls") or ()
        ),
    )


def _tokens(usage: Mapping[str, Json] | None) -> Tokens:
    """What the endpoint counted; one that reports no prompt tokens at all has not counted."""
    if not usage or not usage.get("prompt_tokens"):
        return Tokens()
    return Tokens(
        prompt=usage["prompt_tokens"],
        cached=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        completion=usage.get("completion_tokens"),
        reasoning=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
        source="reported",
    )


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `openai`."""
    return {"openai": OpenAI}
