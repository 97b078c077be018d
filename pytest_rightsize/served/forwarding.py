"""A loopback endpoint that passes an application's calls on, and tells which questions and answers went through it.

Requests and answers pass as they are, streams piece by piece; only headers of the connection itself are left out. What
is told has no header and no query, where keys stand.
"""

import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pytest_rightsize.providers.bounded_bodies import DEFAULT_LIMIT_MB
from pytest_rightsize.providers.proxies import ProxyError, proxy_for
from pytest_rightsize.providers.secret_texts import Secret, basic_authorization, is_secret, without_userinfo
from pytest_rightsize.records import Reply
from pytest_rightsize.served.answers.reading import BrokenAnswerError, read_answer
from pytest_rightsize.served.upstreams import target
from pytest_rightsize.served.wires import Asked, UnservedError, Wire, body_of, wire_of

__all__ = ["Forwarding", "Passed"]

# https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1; lengths are set anew, with the host.
_OF_THE_CONNECTION = """
    connection content-length expect host keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer
    transfer-encoding upgrade
"""
_SHORTEST_KEY = 8
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CONNECT_S = 30.0
_LARGEST_ANSWER = int(DEFAULT_LIMIT_MB * 1e6)
_TOO_LARGE = f"has more than {DEFAULT_LIMIT_MB:g} MB"
# Room for the headers of gateways, as for rungs.
_LONGEST_HEADER_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Passed:
    """One call that was passed on: to which host, and what came of it.

    `asked` and `reply` are those of a question that can be a case. Else `problem` says why it cannot, as a clause; it
    is None too for a call that is no question to a model.
    """

    host: str
    call: str
    asked: Asked | None = None
    reply: Reply | None = None
    problem: str | None = None


class Forwarding:
    """The endpoint; `addresses` are those that `upstreams` gives, `note` is told of each call when it is over."""

    def __init__(self, addresses: Mapping[str, str], note: Callable[[Passed], None]) -> None:
        self._addresses = addresses
        self._note = note
        self._session: Any = None
        self._runner: Any = None
        self.root = ""
        self.keys: set[str] = set()
        """The keys that went through, so that they can be looked for in what is written."""

    async def start(self) -> None:
        """Listen on a free port of this machine; then `root` is the endpoint's URL."""
        import aiohttp
        from aiohttp import web

        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_field_size=_LONGEST_HEADER_BYTES,
            max_line_size=_LONGEST_HEADER_BYTES,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),  # the application has its own limit
        )
        server = web.Server(self._handle, access_log=None, auto_decompress=False)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.root = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stop; what is in flight is broken off."""
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: Any) -> Any:
        from aiohttp import web

        stranger = _stranger(request)
        if stranger is not None:
            return web.json_response({"error": {"message": stranger}}, status=404)
        url = target(request.raw_path, self._addresses)
        if url is None or "Upgrade" in request.headers:
            problem = f"nothing is passed on from {request.path}" if url is None else "no websocket is passed on"
            self._note(Passed(host=request.host, call=f"{request.method} {request.path}", problem=problem))
            return web.json_response({"error": {"message": f"rightsize record: {problem}"}}, status=404)
        self._notice_keys(request)
        # Not `request.read()`, which takes a megabyte at most.
        question = await request.content.read()
        call = _Call(request=request, url=url, question=question)
        try:
            return await self._pass_on(call)
        finally:
            self._note(call.passed())

    async def _pass_on(self, call: "_Call") -> Any:
        import aiohttp
        from aiohttp import web
        from yarl import URL

        try:
            answer = await self._session.request(
                call.request.method,
                URL(without_userinfo(call.url), encoded=True),
                headers=_asking_headers(call.request, call.url),
                data=call.question or None,
                allow_redirects=False,
                proxy=_proxy(call.url),
            )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, ProxyError) as error:
            call.problem = f"{call.host} cannot be reached ({_why(error)})"
            return web.json_response({"error": {"message": f"rightsize record: {call.problem}"}}, status=502)
        async with answer:
            return await self._stream(call, answer)

    async def _stream(self, call: "_Call", answer: Any) -> Any:
        """Send the answer on as it comes."""
        import aiohttp
        from aiohttp import web

        call.answer = answer
        headers = _passing_headers(answer.headers)
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
        if "Content-Length" in answer.headers:
            response.content_length = int(answer.headers["Content-Length"])
        elif call.request.version >= (1, 1) and answer.status not in (204, 304):
            response.enable_chunked_encoding()
        try:
            await response.prepare(call.request)
            while True:
                try:
                    piece = await answer.content.readany()
                except (aiohttp.ClientError, OSError) as error:
                    call.problem = f"{call.host} broke off its answer ({_why(error)})"
                    if call.request.transport is not None:
                        call.request.transport.abort()
                    return response
                if not piece:
                    call.is_over = True
                    break
                if call.wire is not None and len(call.heard) <= _LARGEST_ANSWER:
                    call.heard += piece  # what is larger is passed on, and is no case
                await response.write(piece)
            await response.write_eof()
        except ConnectionError:
            pass  # the application has gone, as many do after the last event: `passed` says if the answer was whole
        return response

    def _notice_keys(self, request: Any) -> None:
        values = [value for name, value in request.headers.items() if is_secret(name)]
        values += [value for name, value in parse_qsl(urlsplit(request.raw_path).query) if is_secret(name)]
        self.keys |= {key for value in values if len(key := value.rpartition(" ")[2]) >= _SHORTEST_KEY}


@dataclass(kw_only=True)
class _Call:
    """One call while it is passed on."""

    request: Any
    url: str
    question: bytes
    answer: Any = None
    heard: bytearray = field(default_factory=bytearray)
    problem: str | None = None
    is_over: bool = False

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @cached_property
    def wire(self) -> Wire | None:
        return wire_of(self.path) if self.request.method == "POST" else None

    @property
    def host(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def passed(self) -> Passed:
        """What came of it."""
        name = f"{self.request.method} {self.path}"
        if self.wire is None:
            return Passed(host=self.host, call=name)
        problem = self.problem
        if self.answer is not None and self.answer.status != 200:
            problem = f"{self.host} answered {self.answer.status}"
        if problem is not None or self.answer is None:
            return Passed(host=self.host, call=name, problem=problem or "it was broken off")
        try:
            if len(self.heard) > _LARGEST_ANSWER:
                raise BrokenAnswerError(_TOO_LARGE)
            asked = self.wire.read(self.path, body_of(self.question))
            body = _plain(bytes(self.heard), self.answer.headers.get("Content-Encoding", ""))
            reply = read_answer(self.path, self.answer.headers.get("Content-Type", ""), body)
        except UnservedError as error:
            return Passed(host=self.host, call=name, problem=f"no rung can be asked so ({error})")
        except BrokenAnswerError as error:
            broken = f"the answer {error}" if self.is_over else "the application broke it off"
            return Passed(host=self.host, call=name, problem=broken)
        return Passed(host=self.host, call=name, asked=asked, reply=reply)


def _stranger(request: Any) -> str | None:
    """Why it is no call of this machine's: a page in a browser may reach this port, by a name of its own."""
    if urlsplit(f"//{request.host}").hostname not in _LOOPBACK:
        return f"rightsize record is not {request.host}"
    if "Origin" in request.headers:
        return "rightsize record takes no calls from a browser"
    return None


def _passing_headers(headers: Any) -> Any:
    """All but those of the connection, which `Connection` may name more of; each as often as it was sent."""
    from multidict import CIMultiDict

    named = {name.strip().lower() for value in headers.getall("Connection", []) for name in value.split(",")}
    left_out = {*_OF_THE_CONNECTION.split(), *named}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in left_out)


def _asking_headers(request: Any, url: str) -> Any:
    """Those of the request; encodings that the standard library cannot undo are not asked for.

    A user and a password of the address count where the application sends none, as in any client.
    """
    headers = _passing_headers(request.headers)
    own = basic_authorization(Secret(url))
    if own is not None and "Authorization" not in headers:
        headers["Authorization"] = own.reveal()
    accepted = headers.popall("Accept-Encoding", [])
    if accepted:
        takes_gzip = "gzip" in ",".join(accepted)
        headers["Accept-Encoding"] = "gzip, deflate" if takes_gzip else "identity"
    return headers


def _plain(body: bytes, encoding: str) -> bytes:
    """The body without its encoding; raises BrokenAnswerError for one that cannot be undone."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BrokenAnswerError(f"comes in the encoding {encoding}, which cannot be read")
    try:
        plain = zlib.decompressobj(wbits=47).decompress(body, _LARGEST_ANSWER + 1)
    except zlib.error:
        raise BrokenAnswerError(f"is not in the encoding {encoding}, as it says") from None
    if len(plain) > _LARGEST_ANSWER:
        raise BrokenAnswerError(_TOO_LARGE)
    return plain


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL; `trust_env` of aiohttp would add keys from .netrc."""
    found = proxy_for(url)
    return None if found is None else found.url.reveal()


def _why(error: BaseException) -> str:
    if isinstance(error, ProxyError):
        return str(error)
    cause = getattr(error, "os_error", None) or error
    number = getattr(cause, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else type(cause).__name__
