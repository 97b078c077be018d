"""Posts JSON to one endpoint, many requests at a time: retries, waits and time limits.

It uses aiohttp alone: with 1,000 requests, 64 in flight, that took 0.23 ms of CPU for each, where the `openai` package
took 1.07 over aiohttp (tests/benchmarks/bench_http_client.py) and half a second to import. What is asked again, and how
long that is tried, stands with each kind of fault in `faults.py`.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pytest_rightsize import clocks
from pytest_rightsize.portable import Portable
from pytest_rightsize.providers.bounded_bodies import DEFAULT_LIMIT_MB, TooLargeError, read_body
from pytest_rightsize.providers.openai.adaptive_limit import AdaptiveLimit
from pytest_rightsize.providers.openai.connections import (
    Connection,
    fault_of_connection,
    fault_of_proxy,
    open_session,
    proxy_options,
)
from pytest_rightsize.providers.openai.error_bodies import report_of, words_of_page
from pytest_rightsize.providers.openai.event_loop import Gate, GatePass
from pytest_rightsize.providers.openai.event_loop import sleep as sleep_in_loop
from pytest_rightsize.providers.openai.faults import TREATMENTS, AnswerFaultError, Fault
from pytest_rightsize.providers.openai.outcomes import fault_of
from pytest_rightsize.providers.openai.response_bodies import json_of
from pytest_rightsize.providers.openai.waits import asked_wait_s
from pytest_rightsize.providers.proxies import Proxy, ProxyError, proxy_for
from pytest_rightsize.providers.secret_texts import Secret, shown_place
from pytest_rightsize.records import Json
from pytest_rightsize.strict_json import loads

__all__ = ["UNREADABLE", "Client", "Endpoint", "HttpError"]

T = TypeVar("T")

# What reading raises where the body is no answer; a thousand nested brackets are a RecursionError.
UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
# No attempt begins later than this after the first one, however many are left; waits for a limit do not count.
_GIVE_UP_S = 300.0
# A request that finds the cache full although it has it for itself is not asked again more often.
_TRIES_ALONE = 3
# An endpoint that asks to wait for too short is believed so often in a row.
_WAITS_BELIEVED = 3
_CLOSED = Fault(kind="closed", words="was closed before it answered")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The URL to post to, and how: `timeout_s` bounds each attempt, `retries` is how many there are after the first.

    `encode` makes the bytes that are sent of a body. `patience_s` bounds how long one request waits for rate limits,
    overload and the loading of a model, `max_answer_mb` the size of an answer in MB, decompressed. With `local_only`,
    no connection is made beyond this machine, whatever the name resolves to and whatever the proxy is.
    """

    url: str = field(repr=False)  # a key may be in it
    headers: Mapping[str, Secret | str] = field(default_factory=dict, repr=False)
    encode: Callable[[Json], bytes] = field(default=lambda body: json.dumps(body).encode(), repr=False)
    local_only: bool = False
    timeout_s: float = 120.0
    retries: int = 4
    patience_s: float = 300.0
    max_in_flight: int = 64
    max_answer_mb: float = DEFAULT_LIMIT_MB

    @property
    def max_bytes(self) -> float:
        """The size of the largest answer that is read, decompressed."""
        return self.max_answer_mb * 1e6


class HttpError(Portable, Exception):
    """No answer: the fault of the last attempt, and how often it was tried."""

    def __init__(self, fault: Fault, attempts: int = 1) -> None:
        """Keep the fault and the attempts."""
        super().__init__(fault.words)
        self.fault = fault
        self.attempts = attempts


class Client:
    """The open connections to one endpoint and the requests in flight over them; lives in the event loop thread.

    `answers` counts the requests that were answered. `clock` and `sleep` are those of asyncio; a test has others.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        clock: Callable[[], float] = clocks.monotonic,
        sleep: Callable[[float], Awaitable[None]] = sleep_in_loop,
    ) -> None:
        """Open nothing before the first request."""
        self._endpoint = endpoint
        self._clock = clock
        self._sleep = sleep
        self._gate = Gate(AdaptiveLimit(endpoint.max_in_flight))
        self._session: Any = None
        self._proxy: Proxy | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._refused_since_s: float | None = None
        self.answers = 0

    @property
    def in_flight(self) -> int:
        """How many requests were sent and are neither answered nor refused yet."""
        return self._gate.sent

    async def post(self, body: Json, read: Callable[[Json, float, int], T]) -> T:
        """Post `body` and return `read(answer, seconds, retries)`: the seconds are those of the attempt that succeeded.

        `read` raises one of UNREADABLE if the body is no answer, or AnswerFaultError. Raises the HttpError of the last
        attempt.
        """
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        gate_pass = GatePass(self._gate)
        try:
            await gate_pass.begin()
            return await self._post_with_retries(self._endpoint.encode(body), read, gate_pass)
        except asyncio.CancelledError:
            if self._closed:
                raise HttpError(_CLOSED) from None
            raise
        finally:
            gate_pass.end()
            self._tasks.discard(task)

    async def try_once(self, body: Json, read: Callable[[Json], object], *, timeout_s: float) -> Fault | None:
        """Post once, outside the gate, and return the fault, or None where there is an answer that `read` takes."""
        if self._closed:
            return _CLOSED
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            status, content, headers = await self._exchange(self._endpoint.encode(body), Connection(), timeout_s)
            if isinstance(headers, Fault):
                return headers
            self._read(status, content, headers, read)
        except _AttemptError as failure:
            return failure.fault
        except asyncio.CancelledError:
            if self._closed:
                return _CLOSED
            raise
        finally:
            self._tasks.discard(task)
        return None

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
                **proxy_options(self._proxy, self._endpoint.url),
                timeout=aiohttp.ClientTimeout(total=min(timeout_s, self._endpoint.timeout_s)),
            ) as response:
                body = await read_body(response, self._endpoint.max_bytes)
                return loads(body) if response.status == 200 else None
        except Exception:  # an answer without this count is an answer all the same
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
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _post_with_retries(self, body: bytes, read: Callable[[Json, float, int], T], gate_pass: GatePass) -> T:
        """Try until there is an answer, or no retries are left, or no time."""
        tries = _Tries(self._endpoint, started_s=self._clock())
        while True:
            await gate_pass.start_attempt()
            try:
                return await self._attempt(body, read, gate_pass, tries.failed)
            except _AttemptError as failure:
                wait_s = tries.wait_s(failure, now_s=self._clock(), refused_since_s=self._refused_since_s)
                if wait_s is None:
                    raise HttpError(replace(failure.fault, words=tries.told(failure)), tries.failed) from None
            if wait_s:
                await self._sleep(wait_s)

    async def _attempt(
        self, body: bytes, read: Callable[[Json, float, int], T], gate_pass: GatePass, retries: int
    ) -> T:
        """One attempt; raises _AttemptError."""
        answered = False
        failure: _AttemptError | None = None
        connection = Connection()
        # The first time it loads aiohttp, which is no part of the answer's seconds. What fails, fails again below.
        with suppress(ProxyError, ValueError, OSError):
            self._open_session()
        started = clocks.perf_counter()
        in_flight = gate_pass.in_flight
        try:
            status, content, headers = await self._exchange(body, connection, None)
            seconds = clocks.perf_counter() - started
            if isinstance(headers, Fault):
                kind = "stale" if connection.is_kept and _is_broken_off(headers) else headers.kind
                raise _AttemptError(replace(headers, kind=kind))
            answer = self._read(status, content, headers, lambda parsed: read(parsed, seconds, retries))
            answered = True
            return answer
        except _AttemptError as error:
            failure = error
            failure.was_alone = in_flight == 1 and gate_pass.in_flight == 1
            raise
        finally:
            treatment = None if failure is None else TREATMENTS[failure.fault.kind]
            if answered:
                self.answers += 1
                self._refused_since_s = None
            elif treatment is not None and treatment.retry == "timed" and self._refused_since_s is None:
                self._refused_since_s = self._clock()
            gate_pass.end_attempt(
                answered=answered,
                refused=treatment is not None and treatment.slows_down,
                crowded=failure is not None and failure.fault.kind == "crowded",
            )

    async def _exchange(
        self, body: bytes, connection: Connection, timeout_s: float | None
    ) -> tuple[int, bytes, Mapping[str, str] | Fault]:
        """Send the body; the status, the answer's bytes and its headers, or the fault of the connection."""
        import aiohttp

        limit_s = self._endpoint.timeout_s if timeout_s is None else min(timeout_s, self._endpoint.timeout_s)
        options = {} if timeout_s is None else {"timeout": aiohttp.ClientTimeout(total=limit_s)}
        try:
            # A redirect would carry the prompt to a host that the ladder file does not name.
            async with self._open_session().post(
                self._endpoint.url,
                data=body,
                allow_redirects=False,
                **proxy_options(self._proxy, self._endpoint.url),
                trace_request_ctx=connection,
                **options,
            ) as response:
                return response.status, await read_body(response, self._endpoint.max_bytes), response.headers
        except TooLargeError:
            words = (
                f"answered with more than {self._endpoint.max_answer_mb:g} MB, and was cut off: raise max_answer_mb in "
                f"the ladder file if such an answer is wanted"
            )
            return 0, b"", Fault(kind="too_large", words=words)
        except TimeoutError:
            return 0, b"", Fault(kind="timeout", words=f"did not answer within {limit_s:g} s")
        except ProxyError as error:
            return 0, b"", Fault(kind="untrusted", words=f"cannot be reached: {error}")
        except Exception as error:  # whatever a library raises holds its request
            return 0, b"", fault_of_connection(error, self._proxy)

    def _read(self, status: int, content: bytes, headers: Mapping[str, str], read: Callable[[Json], T]) -> T:
        """The answer in a response; raises _AttemptError where it is a fault, or nothing that can be read."""
        if not 200 <= status < 300:
            if 300 <= status < 400:
                place = shown_place(headers.get("Location", ""))
                words = f"sends on to {place}, which is not followed: set base_url to it"
                raise _AttemptError(Fault(kind="redirect", words=words, status=status))
            text = content.decode("utf-8", "replace")
            if status == 407 and self._proxy is not None:
                raise _AttemptError(fault_of_proxy(self._proxy, status, "Proxy Authentication Required"))
            fault = fault_of(report_of(status, text, hint=headers.get("x-amzn-errortype", "")))
            wait_s = asked_wait_s(headers, now_s=clocks.now().timestamp())
            raise _AttemptError(fault, wait_s=wait_s, advice=headers.get("x-should-retry"))
        try:
            return read(json_of(content, headers.get("Content-Type", "")))
        except AnswerFaultError as error:
            raise _AttemptError(error.fault, wait_s=asked_wait_s(headers, now_s=clocks.now().timestamp())) from None
        except UNREADABLE as error:
            raise _AttemptError(_fault_of_unreadable(status, content, error)) from None

    def _open_session(self) -> Any:
        if self._session is None:
            endpoint = self._endpoint
            self._proxy = None if endpoint.local_only else proxy_for(endpoint.url)
            self._session = open_session(endpoint.headers, local_only=endpoint.local_only, timeout_s=endpoint.timeout_s)
        return self._session


class _AttemptError(Portable, Exception):
    """A failed attempt: the fault, how long the endpoint asks to wait, and its advice about asking again."""

    def __init__(self, fault: Fault, *, wait_s: float | None = None, advice: str | None = None) -> None:
        super().__init__(fault.words)
        self.fault = fault
        self.wait_s = fault.wait_s if wait_s is None else wait_s
        self.advice = advice
        self.was_alone = False


class _Tries:
    """The failed attempts of one request, and how long to wait before the next."""

    def __init__(self, endpoint: Endpoint, *, started_s: float) -> None:
        self._endpoint = endpoint
        self._started_s = started_s
        self._counted = 0
        self._timed = 0
        self._stale = 0
        self._alone = 0
        self._waited_s = 0.0
        self.failed = 0

    def wait_s(self, failure: _AttemptError, *, now_s: float, refused_since_s: float | None) -> float | None:
        """The seconds before the next attempt; None where there is none."""
        retry = TREATMENTS[failure.fault.kind].retry
        if failure.advice in ("true", "false") and retry != "timed":
            retry = "counted" if failure.advice == "true" else "never"
        if retry == "at_once":
            self._stale += 1
            # Of kept connections there are no more than requests in flight.
            retry = "at_once" if self._stale <= self._endpoint.max_in_flight else "counted"
        if retry == "at_once":
            return 0.0
        self.failed += 1
        if retry == "timed":
            return self._timed_wait_s(failure, now_s=now_s, refused_since_s=refused_since_s)
        if retry == "never":
            return None
        wait = _backoff(self._counted) if failure.wait_s is None else failure.wait_s
        self._counted += 1
        is_too_late = now_s - self._started_s - self._waited_s + wait > _GIVE_UP_S
        return None if self._counted > self._endpoint.retries or is_too_late else wait

    def _timed_wait_s(self, failure: _AttemptError, *, now_s: float, refused_since_s: float | None) -> float | None:
        """The seconds before asking again what was refused; None where patience ends before."""
        self._timed += 1
        self._alone += failure.was_alone and failure.fault.kind == "crowded"
        wait = _backoff(min(self._timed - 1, 8)) if failure.wait_s is None else failure.wait_s
        if failure.wait_s is not None and self._timed > _WAITS_BELIEVED:
            wait = max(wait, _backoff(min(self._timed - 1 - _WAITS_BELIEVED, 8)))
        patience_s = self._endpoint.patience_s
        # Nothing was answered for so long: it is no use that each request finds that out by itself.
        is_hopeless = refused_since_s is not None and now_s - refused_since_s > patience_s
        if self._waited_s + wait > patience_s or is_hopeless or self._alone >= _TRIES_ALONE:
            return None
        self._waited_s += wait
        return wait

    def told(self, failure: _AttemptError) -> str:
        """The fault's words, with the wait that was asked for and is too long."""
        words, asked = failure.fault.words, failure.wait_s
        if TREATMENTS[failure.fault.kind].retry != "timed":
            return words
        if asked is not None and asked > self._endpoint.patience_s:
            return f"{words}; it asks to wait {asked:,.0f} s, and patience_s is {self._endpoint.patience_s:g}"
        return f"{words}; waited {self._waited_s:.0f} s" if self._waited_s >= 1 else words


def _fault_of_unreadable(status: int, content: bytes, error: Exception) -> Fault:
    """The fault of an answer of status 200 that is no completion: a page, a stream of events, or other JSON."""
    text = content[:20_000].decode("utf-8", "replace")
    if not text.lstrip().startswith(("data:", "event:")):
        return Fault(kind="unreadable", words=words_of_page(text) or str(error), status=status)
    if "error" in text:
        return fault_of(report_of(status, text))
    return Fault(kind="unreadable", words="a stream of events, though none was asked for", status=status)


def _is_broken_off(fault: Fault) -> bool:
    return fault.kind == "unreachable" and fault.words.startswith("closed the connection without")


def _backoff(retries: int) -> float:
    """Seconds before the next attempt: 0.5 doubling to 8, minus up to a quarter, so that retries spread out."""
    return float(min(0.5 * 2**retries, 8.0) * (1 - 0.25 * random.random()))
