"""Posts JSON to one endpoint, many requests at a time: connections, retries and time limits.

It uses aiohttp alone: with 1,000 requests, 64 in flight, that took 0.23 ms of CPU for each, where the `openai` package
took 1.07 over aiohttp (tests/benchmarks/bench_http_client.py) and half a second to import. Retries follow that package:
the same statuses are tried again, after the time that the endpoint names or else an exponential backoff.
"""

import asyncio
import json
import random
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pytest_rightsize.portable import Portable
from pytest_rightsize.providers.locality import LeavesMachineError, loopback_socket
from pytest_rightsize.providers.openai.adaptive_limit import AdaptiveLimit
from pytest_rightsize.providers.openai.event_loop import Gate, GatePass
from pytest_rightsize.records import Json

__all__ = ["UNREADABLE", "Client", "Endpoint", "HttpError"]

T = TypeVar("T")

# What reading raises where the body is no answer; a thousand nested brackets are a RecursionError.
UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
# Some endpoints answer 409 while their model is still loading.
_RETRIED_STATUSES = {408, 409, 429, *range(500, 600)}
_LONGEST_WAIT_S = 60.0
# No attempt begins later than this after the first one, however many are left.
_GIVE_UP_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The URL to post to, and how: `timeout_s` bounds each attempt, `retries` is how many there are after the first.

    With `local_only`, no connection is made beyond this machine, whatever the name resolves to and whatever the proxy
    is.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # the key is one of them
    local_only: bool = False
    timeout_s: float = 120.0
    retries: int = 4
    max_in_flight: int = 64


class HttpError(Portable, Exception):
    """No answer: the endpoint could not be reached, was too slow, or answered something unusable.

    `status` is set for kind `status` only, `attempts` is how often it was tried. `detail` is the endpoint's own
    message, or the operating system's.
    """

    def __init__(
        self, kind: Literal["unreachable", "timeout", "status", "unreadable", "closed"], detail: str, status: int = 0
    ) -> None:
        """Keep the kind, the message and the status."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.status = status
        self.attempts = 1


class Client:
    """The open connections to one endpoint and the requests in flight over them; lives in the event loop thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Open nothing before the first request."""
        self._endpoint = endpoint
        self._gate = Gate(AdaptiveLimit(endpoint.max_in_flight))
        self._session: Any = None
        self._proxy: str | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def post(self, body: Json, read: Callable[[Json, float, int], T]) -> T:
        """Post `body` and return `read(answer, seconds, retries)`: the seconds are those of the attempt that succeeded.

        `read` raises one of UNREADABLE if the body is no answer; the request is then sent again, as after a fault.
        Raises the HttpError of the last attempt.
        """
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        gate_pass = GatePass(self._gate)
        try:
            await gate_pass.begin()
            return await self._post_with_retries(json.dumps(body).encode(), read, gate_pass)
        except asyncio.CancelledError:
            if self._closed:
                raise HttpError("closed", "was closed before it answered") from None
            raise
        finally:
            gate_pass.end()
            self._tasks.discard(task)

    async def post_once(self, url: str, body: Json, *, timeout_s: float) -> Json:
        """Post once to another URL of the endpoint, outside the gate; returns None unless the status is 200 with JSON.

        The answer that this completes has already arrived, so that not even closing the client may lose it.
        """
        import aiohttp

        task = asyncio.current_task()
        assert task is not None
        if self._closed:
            return None
        self._tasks.add(task)
        try:
            async with self._open_session().post(
                url,
                data=json.dumps(body).encode(),
                allow_redirects=False,
                proxy=self._proxy,
                timeout=aiohttp.ClientTimeout(total=min(timeout_s, self._endpoint.timeout_s)),
            ) as response:
                return json.loads(await response.read()) if response.status == 200 else None
        except (TimeoutError, aiohttp.ClientError, OSError, *UNREADABLE):
            return None
        except asyncio.CancelledError:
            if self._closed:
                return None
            raise
        finally:
            self._tasks.discard(task)

    async def close(self) -> None:
        """Cancel what is in flight and close the connections."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _post_with_retries(self, body: bytes, read: Callable[[Json, float, int], T], gate_pass: GatePass) -> T:
        """Try until there is an answer, or no retries are left, or no time."""
        retries = 0
        started = time.monotonic()
        while True:
            await gate_pass.start_attempt()
            try:
                return await self._attempt(body, read, gate_pass, retries)
            except _AttemptError as failure:
                wait = _backoff(retries) if failure.wait_s is None else failure.wait_s
                is_too_late = time.monotonic() - started + wait > _GIVE_UP_S
                if retries == self._endpoint.retries or is_too_late or not failure.may_retry:
                    failure.fault.attempts = retries + 1
                    raise failure.fault from None
            retries += 1
            await asyncio.sleep(wait)

    async def _attempt(
        self, body: bytes, read: Callable[[Json, float, int], T], gate_pass: GatePass, retries: int
    ) -> T:
        """One attempt; raises _AttemptError."""
        import aiohttp

        status = 0
        started = time.perf_counter()
        try:
            # A redirect would carry the prompt to a host that the ladder file does not name.
            async with self._open_session().post(
                self._endpoint.url, data=body, allow_redirects=False, proxy=self._proxy
            ) as response:
                content = await response.read()
                status = response.status
        except TimeoutError:
            raise _AttemptError(HttpError("timeout", f"did not answer within {self._endpoint.timeout_s:g} s")) from None
        except (aiohttp.ClientError, OSError) as error:
            may_retry = not isinstance(getattr(error, "os_error", None), LeavesMachineError)
            raise _AttemptError(
                HttpError("unreachable", str(error) or type(error).__name__), may_retry=may_retry
            ) from None
        finally:
            gate_pass.end_attempt(answered=status == 200, refused=status == 429)
        seconds = time.perf_counter() - started
        if status != 200:
            fault = HttpError("status", _error_text(status, content, response.headers), status)
            raise _AttemptError(fault, may_retry=_may_retry(status, response.headers), wait_s=_wait_s(response.headers))
        try:
            return read(json.loads(content), seconds, retries)
        except UNREADABLE as error:
            raise _AttemptError(HttpError("unreadable", str(error))) from None

    def _open_session(self) -> Any:
        if self._session is None:
            import aiohttp

            local_only = self._endpoint.local_only
            # The gate bounds what is in flight; waiting for a second bound here would count as the model's time.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, socket_factory=loopback_socket if local_only else None),
                headers={"Content-Type": "application/json", **self._endpoint.headers},
                timeout=aiohttp.ClientTimeout(total=self._endpoint.timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            self._proxy = None if local_only else _proxy_for(self._endpoint.url)
        return self._session


class _AttemptError(Portable, Exception):
    """A failed attempt: the fault, whether another attempt may succeed, and how long the endpoint asks to wait."""

    def __init__(self, fault: HttpError, *, may_retry: bool = True, wait_s: float | None = None) -> None:
        super().__init__(fault.detail)
        self.fault = fault
        self.may_retry = may_retry
        self.wait_s = wait_s


def _proxy_for(url: str) -> str | None:
    """The proxy by HTTP_PROXY, HTTPS_PROXY and NO_PROXY, read once: aiohttp would read them for every request."""
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _may_retry(status: int, headers: Mapping[str, str]) -> bool:
    """Whether to send the request again; the header x-should-retry overrides the status."""
    advice = headers.get("x-should-retry")
    return advice == "true" if advice in ("true", "false") else status in _RETRIED_STATUSES


def _wait_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that the endpoint asks to wait; None if it does not ask, or for too long."""
    wait = _number(headers.get("retry-after-ms"), 1000) or _number(headers.get("retry-after"))
    if wait is None and "retry-after" in headers:
        try:
            wait = parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return wait if wait is not None and 0 < wait <= _LONGEST_WAIT_S else None


def _number(text: str | None, divisor: float = 1) -> float | None:
    try:
        return None if text is None else float(text) / divisor
    except ValueError:
        return None


def _backoff(retries: int) -> float:
    """Seconds before the next attempt: 0.5 doubling to 8, minus up to a quarter, so that retries spread out."""
    return float(min(0.5 * 2**retries, 8.0) * (1 - 0.25 * random.random()))


def _error_text(status: int, content: bytes, headers: Mapping[str, str]) -> str:
    """The endpoint's own message about a status, on one line."""
    if 300 <= status < 400:
        return f"sends on to {headers.get('Location', 'another place')}, which is not followed: set base_url to it"
    text = content.decode("utf-8", "replace")
    try:
        error_body = json.loads(text)
        error_body = error_body.get("error", error_body)
        error_body = error_body.get("message", error_body) if isinstance(error_body, dict) else error_body
    except (ValueError, AttributeError):
        error_body = text
    return " ".join((error_body if isinstance(error_body, str) else json.dumps(error_body)).split())
