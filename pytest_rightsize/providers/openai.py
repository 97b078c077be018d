"""Any OpenAI-compatible endpoint: vLLM, llama-server, Ollama, LM Studio, or a vendor's own.

Requests go through the `openai` package, whose retries back off and honour Retry-After, at most `retries` of them.
A key is read from the environment when the first request is made and never appears in a message.
"""

import os
import re
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pluggy

from pytest_rightsize.errors import ConfigError, RightsizeError, RungError, TooLongError
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.records import Json, Reply, Request, Rung, Tokens

__all__ = ["OpenAI"]

hookimpl = pluggy.HookimplMarker("pytest")

_DEFAULT_KEY = "OPENAI_API_KEY"
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
    `retries` (default 4) bounds how often one request is sent again, `timeout_s` (default 120) each attempt.
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
        self._client: Any = None
        self._pool: ThreadPoolExecutor | None = None

    @property
    def leaves_machine(self) -> bool:
        """Whether the endpoint's host is another than this one; an unknown host counts as another."""
        host = urlsplit(self._base_url or "https://api.openai.com").hostname or ""
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

    def submit(self, request: Request) -> Future[Reply]:
        """Send the request from a thread of this rung's own."""
        with self._lock:
            if self._pool is None:
                # httpx's pool holds more; how many are in flight at once is the engine's to say.
                self._pool = ThreadPoolExecutor(max_workers=64, thread_name_prefix=f"rightsize {self._rung.name}")
            return self._pool.submit(self._answer, request)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            pool, self._pool = self._pool, None
            client, self._client = self._client, None
        if client is not None:
            client.close()
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

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

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                problem = self.check()
                if problem is not None:
                    raise RungError(
                        f"rung {self._rung.name!r}: {problem.what}; {problem.remedy}", reason="missing", permanent=True
                    )
                import openai

                self._client = openai.OpenAI(
                    api_key=self._key,
                    # The package would take OPENAI_BASE_URL otherwise, and send a key to a host nobody named here.
                    base_url=self._base_url or "https://api.openai.com/v1",
                    max_retries=self._rung.options.get("retries", 4),
                    timeout=float(self._rung.options.get("timeout_s", 120)),
                    default_headers=self._rung.options.get("headers"),
                )
            return self._client

    def _answer(self, request: Request) -> Reply:
        """Ask and wait; raises RungError or TooLongError."""
        client = self._connected()
        import openai

        attempts = 1 + int(self._rung.options.get("retries", 4))
        try:
            for attempt in range(attempts):
                reply = self._ask_once(client, request)
                if reply is not None:
                    return reply
                time.sleep(min(0.5 * 2**attempt, 8.0) if attempt + 1 < attempts else 0)
        except openai.OpenAIError as error:
            raise self._as_fault(error) from None
        except (ValueError, TypeError, AttributeError) as error:
            raise self._fault(f"answered something that is no chat completion ({error})", "bad_reply") from None
        raise self._fault(f"answered {attempts} times without a choice", "bad_reply")

    def _ask_once(self, client: Any, request: Request) -> Reply | None:
        """One request with the package's retries; None if the reply holds no answer."""
        started = time.perf_counter()
        raw = client.chat.completions.with_raw_response.create(**self._arguments(request))
        try:
            # Of the attempt that succeeded alone: what a retry waited is not the model's time.
            seconds = raw.elapsed.total_seconds()
        except (AttributeError, RuntimeError):
            seconds = time.perf_counter() - started
        completion = raw.parse()
        choices = getattr(completion, "choices", None)
        if not choices or getattr(choices[0], "message", None) is None:
            return None
        return _reply(completion, seconds)

    def _arguments(self, request: Request) -> dict[str, Json]:
        """The keyword arguments of `chat.completions.create`; what is None is left to the endpoint."""
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
            "extra_body": {**options.get("extra_body", {}), **request.extra} or None,
        }
        return {name: value for name, value in known.items() if value is not None}

    def _as_fault(self, error: Exception) -> RightsizeError:
        """Our error for one of the package's, in its own words but without the key."""
        import openai

        said = self._scrubbed(" ".join(str(error).split()))
        if isinstance(error, openai.APITimeoutError):
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


def _reply(completion: Any, seconds: float) -> Reply:
    """The first choice in our words."""
    choice = completion.choices[0]
    message = choice.message
    refusal = getattr(message, "refusal", None)
    thought = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    return Reply(
        text=message.content or refusal or "",
        seconds=seconds,
        tokens=_tokens(getattr(completion, "usage", None)),
        finish_reason="content_filter" if refusal else choice.finish_reason,
        reasoning=thought if isinstance(thought, str) else None,
        tool_calls=tuple(call.model_dump(exclude_none=True) for call in message.tool_calls or ()),
    )


def _tokens(usage: Any) -> Tokens:
    """What the endpoint counted; one that reports no prompt tokens at all has not counted."""
    if usage is None or not usage.prompt_tokens:
        return Tokens()
    return Tokens(
        prompt=usage.prompt_tokens,
        cached=getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None),
        completion=usage.completion_tokens,
        reasoning=getattr(getattr(usage, "completion_tokens_details", None), "reasoning_tokens", None),
        source="reported",
    )


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `openai`."""
    return {"openai": OpenAI}
