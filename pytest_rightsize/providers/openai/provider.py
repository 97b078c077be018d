"""Provider for any OpenAI-compatible endpoint: vLLM, llama-server, Ollama, LM Studio, or a vendor's own.

One event loop thread sends the requests over connections that are kept alive, `max_in_flight` of a rung at once, and
again after a temporary fault, at most `retries` times; answers come whole, never as streams. The key is read from the
environment when the first request is made and never appears in a message.
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
from pytest_rightsize.providers.openai.http import Client, Endpoint, HttpError
from pytest_rightsize.providers.openai.probing import probe_models
from pytest_rightsize.providers.openai.replies import parse_reply
from pytest_rightsize.providers.openai.tokenizing import Tokenizer
from pytest_rightsize.providers.reasoning import marks_of, reasoning_in
from pytest_rightsize.providers.template_kwargs import with_template_kwargs
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung

__all__ = ["OpenAI"]

hookimpl = pluggy.HookimplMarker("pytest")

_VENDOR = "https://api.openai.com/v1"
_DEFAULT_KEY = "OPENAI_API_KEY"
# Names of headers and parameters that hold a key.
_SECRET = re.compile(r"auth|key|token|secret|cookie|signature|\bsig\b", re.IGNORECASE)
# Names such as max_tokens hold a number.
_COUNT = re.compile(r"tokens$", re.IGNORECASE)
_MAX_IN_FLIGHT = 64
# A server that keeps its connections open must not keep a session from ending.
_CLOSING_S = 10
# Error messages of OpenAI, vLLM, llama-server, llama_cpp.server, Ollama and LM Studio for a prompt that does not fit.
_TOO_LONG = re.compile(
    r"context_length_exceeded|maximum context length|context (length|window|size)|exceeds? the (available )?context|"
    r"exceed_context_size|longer than the (maximum )?(model|context)|prompt is too long|input is too long",
    re.IGNORECASE,
)


class OpenAI:
    """An endpoint that speaks the chat completions protocol; `model` is its name for the model.

    Without `base_url` (or `base_url_env`, the name of a variable that holds it) it is the vendor's own endpoint.
    `retries` (default 4) bounds how often one request is sent again, `timeout_s` (default 120) each attempt. The rung's
    `max_in_flight` (default 64) bounds how many are in flight; a 429 halves the number, and answers raise it again.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "api_key_env": str,
        "base_url": str,
        "base_url_env": str,
        "chat_template_kwargs": dict,
        "extra_body": dict,
        "headers": dict,
        "reasoning": (dict, bool),
        "reasoning_effort": str,
        "retries": int,
        "timeout_s": (int, float),
    }
    required: ClassVar[tuple[str, ...]] = ("model",)

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError if its options contradict each other."""
        options = rung.options
        where = f"rung {rung.name!r}"
        marks_of(rung)
        if "base_url" in options and "base_url_env" in options:
            raise ConfigError(f"{where} has both base_url and base_url_env: keep one")
        if options.get("retries", 0) < 0 or options.get("timeout_s", 1) <= 0:
            raise ConfigError(f"{where}: retries must be 0 or more, and timeout_s above 0")
        if "base_url" in options and host_of(options["base_url"]) is None:
            shown = "" if {"@", "?"} & {*options["base_url"]} else f" = {options['base_url']!r}"  # a key may be in it
            raise ConfigError(f"{where}: base_url{shown} is no URL: write http://host:port/v1")
        if "base_url" in options and _holds_secret(options["base_url"]):
            raise ConfigError(
                f"{where}: base_url holds a name, a password or a key, which is refused: name a variable in "
                f"api_key_env, or one with the whole URL in base_url_env"
            )
        for kind, names in (
            ("header", options.get("headers", {})),
            ("key of extra_body", options.get("extra_body", {})),
        ):
            for name in names:
                if _SECRET.search(name) and not _COUNT.search(name):
                    raise ConfigError(
                        f"{where}: the {kind} {name} would hold a literal key, which is refused: use api_key_env"
                    )
        self._rung = rung
        self._lock = threading.Lock()
        self._is_local: dict[str, bool] = {}
        self._client: Client | None = None
        self._tokenizer = Tokenizer(lambda: self._base_url or "", rung.model or "")

    @property
    def leaves_machine(self) -> bool:
        """Whether the endpoint's host is another machine; an unknown host counts as another."""
        url = self._base_url or _VENDOR
        if url not in self._is_local:
            self._is_local[url] = not self._is_vendors_own and is_this_machine(host_of(url) or "")
        return not self._is_local[url]

    def check(self) -> Problem | None:
        """Report a variable that is not set, or that holds no URL."""
        for option, what in (("base_url_env", "the endpoint's URL"), ("api_key_env", "its key")):
            variable = self._rung.options.get(option)
            if variable and not os.environ.get(variable):
                return Problem(
                    what=f"the variable {variable} with {what} is not set", remedy=f"run `export {variable}=...`"
                )
        if host_of(self._base_url or _VENDOR) is None:  # the URL is not shown: a key may be in it
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
        """Identify the rung by endpoint and model name, and by the options that go into each request."""
        options, base_url = self._rung.options, self._base_url
        if base_url is None and not self._is_vendors_own:
            variable = options["base_url_env"]
            raise RungError(f"rung {self._rung.name!r}: {variable} is not set", reason="missing", permanent=True)
        return Identity(
            content={
                "provider": "openai",
                "endpoint": _without_secrets(base_url or _VENDOR),
                "model": self._rung.model,
                "reasoning_effort": options.get("reasoning_effort"),
                "extra_body": options.get("extra_body"),
                **({"chat_template_kwargs": kwargs} if (kwargs := options.get("chat_template_kwargs")) else {}),
            }
        )

    def probe(self) -> Problem | None:
        """Ask the endpoint for its list of models, which costs nothing; returns what keeps it from answering."""
        url = self._base_url or _VENDOR
        return probe_models(
            url.rstrip("/"),
            key=self._key,
            model=self._rung.model or "",
            display_url=_without_secrets(url),
            local_only=not self.leaves_machine,
        )

    def submit(self, request: Request) -> Future[Reply]:
        """Send the request from the event loop thread, once the rung has a place for it."""
        with self._lock:
            try:
                client = self._client = self._client or Client(self._endpoint())
            except RungError as fault:
                refused: Future[Reply] = Future()
                refused.set_exception(fault)
                return refused
            return event_loop.start(self._answer(request, client))

    def close(self) -> None:
        """Close the connections; requests still in flight end in a RungError."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            closing = event_loop.start(client.close())
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
        """The key from the environment; empty where the endpoint needs none."""
        variable = self._rung.options.get("api_key_env") or (_DEFAULT_KEY if self._needs_default_key else "")
        return os.environ.get(variable, "")

    async def _answer(self, request: Request, client: Client) -> Reply:
        """Post the request; raises RungError or TooLongError."""
        try:
            reply = await client.post(self._body(request), parse_reply)
        except HttpError as fault:
            raise self._as_error(fault) from None
        return self._without_key(await self._with_reasoning_counted(reply, client))

    async def _with_reasoning_counted(self, reply: Reply, client: Client) -> Reply:
        """The reply with its reasoning counted by the endpoint's own tokenizer, where it reported no count."""
        reasoning = reply.reasoning or reasoning_in(reply.text, marks_of(self._rung) or ())
        if self._is_vendors_own or not reasoning or reply.tokens.reasoning is not None:
            return reply
        started = time.perf_counter()
        count = await self._tokenizer.count(reasoning, client)
        tokens = reply.tokens
        if count is not None and (tokens.completion is None or count <= tokens.completion):
            tokens = replace(tokens, reasoning=count, reasoning_source="counted")
        return replace(reply, tokens=tokens, after_s=time.perf_counter() - started)

    def _without_key(self, reply: Reply) -> Reply:
        """The reply with the key masked, if the endpoint repeated it there."""
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
        """The endpoint and how to post to it; raises RungError if a variable that it needs is not set."""
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
            local_only=not self.leaves_machine,
        )

    def _body(self, request: Request) -> dict[str, Json]:
        """The request's body; fields that are None are left out, for the endpoint's own default."""
        options = self._rung.options
        # The vendor's newer models refuse max_tokens; most other servers take only that.
        limit = "max_completion_tokens" if self._is_vendors_own else "max_tokens"
        schema = request.schema and {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": dict(request.schema), "strict": True},
            # llama_cpp.server and older versions of llama-server read the schema here and ignore json_schema.
            **({} if self._is_vendors_own else {"schema": dict(request.schema)}),
        }
        fields = {
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
        body = {name: value for name, value in fields.items() if value is not None}
        return with_template_kwargs({**body, **options.get("extra_body", {}), **request.extra}, self._rung)

    def _as_error(self, fault: HttpError) -> RightsizeError:
        """The error to raise for a fault, with the key masked."""
        detail = self._scrubbed(fault.detail) + (f"; {fault.attempts} attempts" if fault.attempts > 1 else "")
        if fault.kind == "unreachable":
            return self._fault(f"cannot be reached ({detail}): is the server running?", "transport")
        if fault.kind == "unreadable":
            return self._fault(f"answered something that is no chat completion ({detail})", "bad_reply")
        if fault.kind != "status":
            return self._fault(detail, "timeout" if fault.kind == "timeout" else "transport")
        return self._as_refusal(fault.status, detail)

    def _as_refusal(self, status: int, detail: str) -> RightsizeError:
        if status in (400, 413, 422, 500) and _TOO_LONG.search(detail):
            return TooLongError(
                f"rung {self._rung.name!r}: the prompt is longer than the context of the model: {detail}"
            )
        if status in (401, 403):
            variable = self._rung.options.get("api_key_env", _DEFAULT_KEY if self._is_vendors_own else None)
            remedy = f"set {variable} to a key that it takes" if variable else "name the key's variable in api_key_env"
            return self._fault(f"refused the key ({detail}): {remedy}", "auth", permanent=True)
        if status == 404:
            return self._fault(
                f"knows no model {self._rung.model!r}, or is no such endpoint ({detail})", "missing", permanent=True
            )
        reason = (
            "rate_limit" if status == 429 else "server" if status >= 500 else "timeout" if status == 408 else "request"
        )
        return self._fault(f"answered {status} ({detail})", reason, permanent=300 <= status < 400)

    def _fault(self, what: str, reason: str, *, permanent: bool = False) -> RungError:
        where = _without_secrets(self._base_url or _VENDOR)
        return RungError(f"rung {self._rung.name!r}: {where} {what}", reason=reason, permanent=permanent)

    def _scrubbed(self, text: str) -> str:
        key = self._key
        return (text.replace(key, "***") if key else text)[:500]


def _holds_secret(url: str) -> bool:
    """Whether the URL itself contains a user name, a password or a key."""
    parts = urlsplit(url)
    return "@" in parts.netloc or any(_SECRET.search(name) for name, _ in parse_qsl(parts.query))


def _without_secrets(url: str) -> str:
    """The URL to show and to tell endpoints apart by, without any part that may be a secret."""
    if host_of(url) is None:
        return "what is no URL"
    parts = urlsplit(url)
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if not _SECRET.search(name)])
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), query, ""))


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `openai`."""
    return {"openai": OpenAI}
