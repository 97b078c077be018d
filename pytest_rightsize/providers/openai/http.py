"""Posts JSON to one endpoint, many at a time, until each has an answer: connections, retries and time limits.

It uses aiohttp alone: with 1,000 requests, 64 in flight, that took 0.23 ms of CPU for each, where the `openai` package
took 1.07 over aiohttp (tests/benchmarks/bench_http_client.py) and half a second to import. What the package does around
a request is done here in the same way: the same statuses are tried again, after the time the endpoint names or else an
exponential one.
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

from pytest_rightsize.providers.locality import LeavesMachineError, loopback_socket
from pytest_rightsize.providers.openai.adaptive_limit import AdaptiveLimit
from pytest_rightsize.providers.openai.event_loop import Gate, Passage
from pytest_rightsize.records import Json

__all__ = ["UNREADABLE", "Endpoint", "HttpError", "Line"]

T = TypeVar("T")

# What reading an answer raises that is none; a thousand brackets are a RecursionError.
UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
# 409 is what some endpoints say of a model that is still loading.
_TRY_AGAIN = {408, 409, 429, *range(500, 600)}
_LONGEST_WAIT_S = 60.0
# No attempt begins so long after the first one, however many are left.
_GIVE_UP_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where to post and how: `timeout_s` bounds each attempt, `retries` how many there are beside the first.

    With `stays`, no connection is made beyond this machine, whatever the name resolves to and whoever is the proxy.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # a key is among them
    stays: bool = False
    timeout_s: float = 120.0
    retries: int = 4
    max_in_flight: int = 64


class HttpError(Exception):
    """No answer: the endpoint could not be reached, was too slow, said a status other than 200, or something else.

    `status` is set for kind `status` only, `attempts` is how often it was tried. `said` is the endpoint's own word, or
    the system's.
    """

    def __init__(
        self, kind: Literal["unreachable", "timeout", "status", "unreadable", "closed"], said: str, status: int = 0
    ) -> None:
        """Keep what happened."""
        super().__init__(said)
        self.kind = kind
        self.said = said
        self.status = status
        self.attempts = 1


class Line:
    """The open connections to one endpoint, and what is in flight over them; lives in the event loop thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Nothing is opened before the first request."""
        self._endpoint = endpoint
        self._gate = Gate(AdaptiveLimit(endpoint.max_in_flight))
        self._session: Any = None
        self._proxy: str | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def post(self, body: Json, read: Callable[[Json, float, int], T]) -> T:
        """What `read` makes of the answer to `body`, the seconds that the attempt took which got it, and the retries.

        `read` raises one of UNREADABLE for an answer that is none; the request is then sent again, as after a fault.
        Raises HttpError for the last attempt's.
        """
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        passage = Passage(self._gate)
        try:
            await passage.begin()
            return await self._persist(json.dumps(body).encode(), read, passage)
        except asyncio.CancelledError:
            if self._closed:
                raise HttpError("closed", "was closed before it answered") from None
            raise
        finally:
            passage.end()
            self._tasks.discard(task)

    async def ask_aside(self, url: str, body: Json, *, timeout_s: float) -> Json:
        """What the endpoint says at another of its addresses, asked once and outside the gate; None for whatever else.

        The answer that it is asked for is there by then: not even closing the line may lose that.
        """
        import aiohttp

        task = asyncio.current_task()
        assert task is not None
        if self._closed:
            return None
        self._tasks.add(task)
        try:
            async with self._connected().post(
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
        """End what is in flight and close the connections."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _persist(self, body: bytes, read: Callable[[Json, float, int], T], passage: Passage) -> T:
        """Try until there is an answer, or no more tries, or no more time."""
        retries = 0
        begun = time.monotonic()
        while True:
            await passage.depart()
            try:
                return await self._try(body, read, passage, retries)
            except _AttemptError as refusal:
                wait = _backoff(retries) if refusal.wait_s is None else refusal.wait_s
                late = time.monotonic() - begun + wait > _GIVE_UP_S
                if retries == self._endpoint.retries or late or not refusal.again:
                    refusal.fault.attempts = retries + 1
                    raise refusal.fault from None
            retries += 1
            await asyncio.sleep(wait)

    async def _try(self, body: bytes, read: Callable[[Json, float, int], T], passage: Passage, retries: int) -> T:
        """One attempt; raises _AttemptError."""
        import aiohttp

        status = 0
        started = time.perf_counter()
        try:
            # A redirect would carry the prompt to a host that nobody has named here.
            async with self._connected().post(
                self._endpoint.url, data=body, allow_redirects=False, proxy=self._proxy
            ) as response:
                content = await response.read()
                status = response.status
        except TimeoutError:
            raise _AttemptError(HttpError("timeout", f"did not answer within {self._endpoint.timeout_s:g} s")) from None
        except (aiohttp.ClientError, OSError) as error:
            again = not isinstance(getattr(error, "os_error", None), LeavesMachineError)
            raise _AttemptError(HttpError("unreachable", str(error) or type(error).__name__), again=again) from None
        finally:
            passage.land(answered=status == 200, refused=status == 429)
        seconds = time.perf_counter() - started
        if status != 200:
            fault = HttpError("status", _said(status, content, response.headers), status)
            raise _AttemptError(fault, again=_again(status, response.headers), wait_s=_wait_s(response.headers))
        try:
            return read(json.loads(content), seconds, retries)
        except UNREADABLE as error:
            raise _AttemptError(HttpError("unreadable", str(error))) from None

    def _connected(self) -> Any:
        if self._session is None:
            import aiohttp

            stays = self._endpoint.stays
            # The gate bounds what is in flight; a second bound here would count as the model's time.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, socket_factory=loopback_socket if stays else None),
                headers={"Content-Type": "application/json", **self._endpoint.headers},
                timeout=aiohttp.ClientTimeout(total=self._endpoint.timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            self._proxy = None if stays else _proxy_for(self._endpoint.url)
        return self._session


class _AttemptError(Exception):
    """An attempt that failed: the fault, whether another may go better, and when the endpoint wants it."""

    def __init__(self, fault: HttpError, *, again: bool = True, wait_s: float | None = None) -> None:
        super().__init__(fault.said)
        self.fault = fault
        self.again = again
        self.wait_s = wait_s


def _proxy_for(url: str) -> str | None:
    """What HTTP_PROXY, HTTPS_PROXY and NO_PROXY say, read once: aiohttp would read them for every request."""
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _again(status: int, headers: Mapping[str, str]) -> bool:
    """Whether to send it again; an endpoint may say so itself."""
    said = headers.get("x-should-retry")
    return said == "true" if said in ("true", "false") else status in _TRY_AGAIN


def _wait_s(headers: Mapping[str, str]) -> float | None:
    """How long the endpoint asks to wait, if it does and that is bearable."""
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


def _backoff(tried: int) -> float:
    """Seconds before the next attempt: 0.5 doubling to 8, up to a quarter less, so that a crowd spreads."""
    return float(min(0.5 * 2**tried, 8.0) * (1 - 0.25 * random.random()))


def _said(status: int, content: bytes, headers: Mapping[str, str]) -> str:
    """The endpoint's own words about a status."""
    if 300 <= status < 400:
        return f"sends on to {headers.get('Location', 'another place')}, which is not followed: set base_url to it"
    text = content.decode("utf-8", "replace")
    try:
        told = json.loads(text)
        told = told.get("error", told)
        told = told.get("message", told) if isinstance(told, dict) else told
    except (ValueError, AttributeError):
        told = text
    return " ".join((told if isinstance(told, str) else json.dumps(told)).split())
