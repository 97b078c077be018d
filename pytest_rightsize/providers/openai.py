"""Any OpenAI-compatible endpoint: vLLM, llama-server, Ollama, LM Studio, or a vendor's own.

Requests are sent by one event loop thread, over connections that are kept alive, `max_in_flight` of a rung at once;
what may go better at another time is sent again, at most `retries` times.
A key is read from the environment when the first request is made and never appears in a message.
"""

import os
import re
import threading
from collections.abc import Mapping
from concurrent.futures import Future, wait
from importlib.metadata import version
from typing import ClassVar
from urllib.parse import urlsplit

import pluggy

from pytest_rightsize.errors import ConfigError, RightsizeError, RungError, TooLongError
from pytest_rightsize.providers import Problem, Provider, event_loop
from pytest_rightsize.providers.http import Endpoint, HttpError, Line
from pytest_rightsize.providers.probing import probe_models
from pytest_rightsize.records import Json, Reply, Request, Rung, Tokens

__all__ = ["OpenAI"]

hookimpl = pluggy.HookimplMarker("pytest")

_VENDOR = "https://api.openai.com/v1"
_DEFAULT_KEY = "OPENAI_API_KEY"
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
            if re.search(r"auth|key|token|secret|cookie", name, re.IGNORECASE):
                raise ConfigError(
                    f"{where}: the header {name} would hold a literal key, which is refused: use api_key_env"
                )
        self._rung = rung
        self._lock = threading.Lock()
        self._line: Line | None = None

    @property
    def leaves_machine(self) -> bool:
        """Whether the endpoint's host is another than this one; an unknown host counts as another."""
        host = urlsplit(self._base_url or _VENDOR).hostname or ""
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

    def probe(self) -> Problem | None:
        """Ask the endpoint for its list of models, which costs nothing; say what keeps it from answering."""
        return probe_models((self._base_url or _VENDOR).rstrip("/"), key=self._key, model=self._rung.model or "")

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
            return await line.post(self._body(request), _reply)
        except HttpError as fault:
            raise self._as_error(fault) from None

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
        said = self._scrubbed(fault.said)
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
        where = self._base_url or _VENDOR
        return RungError(f"rung {self._rung.name!r}: {where} {what}", reason=reason, permanent=permanent)

    def _scrubbed(self, text: str) -> str:
        key = self._key
        return (text.replace(key, "***") if key else text)[:500]


def _reply(completion: Json, seconds: float) -> Reply:
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
    return Reply(
        text=text,
        seconds=seconds,
        tokens=_tokens(completion.get("usage"), text=text, thought=thought),
        finish_reason="content_filter" if refusal else choices[0].get("finish_reason"),
        reasoning=thought if isinstance(thought, str) else None,
        tool_calls=tuple(
            {name: value for name, value in call.items() if value is not None}
            for call in message.get("tool_calls") or ()
        ),
    )


def _tokens(usage: Mapping[str, Json] | None, *, text: str, thought: Json) -> Tokens:
    """What the endpoint counted. A zero for what is there was not counted: such a prompt makes all of it unknown."""
    if not usage or not usage.get("prompt_tokens"):
        return Tokens()
    completion = usage.get("completion_tokens")
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    if not completion and (text or thought):
        completion = reasoning = None
    if reasoning is not None and ((not reasoning and (thought or "</think>" in text)) or reasoning > (completion or 0)):
        reasoning = None
    return Tokens(
        prompt=usage["prompt_tokens"],
        cached=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        completion=completion,
        reasoning=reasoning,
        source="reported",
    )


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `openai`."""
    return {"openai": OpenAI}
