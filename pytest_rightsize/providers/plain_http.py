"""Fetches a page by GET: no redirect is followed, no proxy is asked about this machine, and no error holds a secret.

A URL and headers come in, the body goes out. It is read up to a limit, in a thread of its own where the main thread
asks: so that neither a failure nor Ctrl-C shows a frame of a library, whose variables are the request and its headers.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from pytest_rightsize.portable import Portable
from pytest_rightsize.providers.bounded_bodies import DEFAULT_LIMIT_MB, TooLargeError, read_plain_body
from pytest_rightsize.providers.locality import LeavesMachineError, loopback_socket, name_lookup
from pytest_rightsize.providers.own_threads import own_this_thread, own_work
from pytest_rightsize.providers.proxies import ProxyError, proxy_for
from pytest_rightsize.providers.secret_texts import Secret, basic_authorization, shown_place, without_userinfo

__all__ = ["FetchError", "fetch"]

T = TypeVar("T")


class FetchError(Portable, Exception):
    """There is no page: `words` is a clause that begins with a verb, and `status` what was answered, 0 for nothing."""

    def __init__(self, words: str, *, status: int = 0) -> None:
        super().__init__(words)
        self.status = status


def fetch(
    url: Secret,
    *,
    headers: Mapping[str, Secret] | None = None,
    local_only: bool,
    timeout_s: float,
    limit_bytes: float = DEFAULT_LIMIT_MB * 1e6,
) -> bytes:
    """The body at the URL, whose user and password are sent as `Authorization: Basic`; raises FetchError.

    With `local_only` no connection is made beyond this machine, whatever the name resolves to, and no proxy is asked.
    """
    found = _apart(lambda: _fetched(url, headers or {}, local_only, timeout_s, limit_bytes))
    if isinstance(found, FetchError):
        raise found
    return found


def _fetched(
    url: Secret, headers: Mapping[str, Secret], local_only: bool, timeout_s: float, limit_bytes: float
) -> bytes | FetchError:
    """The body, or why there is none: returned, as an error that is raised would keep the library's frames."""
    try:
        proxy = None if local_only else proxy_for(url.reveal())
    except ProxyError as error:
        return FetchError(f"cannot be reached: {error}")
    scheme = urlsplit(url.reveal()).scheme
    opener = build_opener(
        _NoRedirects,
        ProxyHandler({} if proxy is None else {scheme: proxy.url.reveal()}),
        *((_LocalHTTP, _LocalHTTPS) if local_only else ()),
    )
    own = basic_authorization(url)
    sent = {**({} if own is None else {"Authorization": own}), **headers}
    try:
        request = Request(without_userinfo(url.reveal()), headers={name: sent[name].reveal() for name in sent})
        with opener.open(request, timeout=timeout_s) as response:
            return read_plain_body(response, limit_bytes)
    except HTTPError as error:
        place = error.headers.get("Location") if 300 <= error.code < 400 else None
        error.close()
        if place:
            return FetchError(f"sends on to {shown_place(place)}, which is not followed", status=error.code)
        return FetchError(f"answers with status {error.code}", status=error.code)
    except TooLargeError as error:
        return FetchError(f"does not answer ({error})")
    except (OSError, ValueError, HTTPException) as error:
        by_proxy = "" if proxy is None else f" through the proxy in {proxy.variable}"
        return FetchError(f"does not answer{by_proxy} ({_words(error)})")


def _apart(work: Callable[[], T]) -> T:
    """Do it, in another thread if this is the main one, which Ctrl-C may end at any line."""
    if threading.current_thread() is not threading.main_thread():
        with own_work():
            return work()
    done: Future[T] = Future()

    def run() -> None:
        own_this_thread()
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error.with_traceback(None))

    threading.Thread(target=run, name="rightsize fetch", daemon=True).start()
    return done.result()


def _words(error: BaseException) -> str:
    """Why it failed, without the text of a library's error, in which its URL may stand."""
    cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, BaseException) else error
    if isinstance(cause, LeavesMachineError):
        return str(cause.strerror)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"it speaks no TLS that is understood: {cause.reason}"
    if isinstance(cause, TimeoutError):
        return "it took too long"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return "what it says is no HTTP" if isinstance(cause, HTTPException) else type(cause).__name__


# --- parts of urllib --------------------------------------------------------------------------------------------------


class _NoRedirects(HTTPRedirectHandler):
    """Refuses redirects: one would carry a key, or a request of this machine, to a host that nobody has named."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none; the status is then reported."""


def _connect(address: tuple[str, int], timeout: Any = None, source: Any = None) -> socket.socket:  # noqa: ARG001  # as http.client calls it
    """As `socket.create_connection`, to this machine only."""
    failure = OSError("no address")
    with name_lookup():
        addresses = socket.getaddrinfo(*address, 0, socket.SOCK_STREAM)
    for found in addresses:
        connection = loopback_socket(found)
        try:
            if isinstance(timeout, int | float):
                connection.settimeout(timeout)
            connection.connect(found[4])
            return connection
        except OSError as error:
            connection.close()
            failure = error
    raise failure


class _LocalConnection(HTTPConnection):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._create_connection = _connect


class _LocalTLSConnection(HTTPSConnection):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._create_connection = _connect


class _LocalHTTP(HTTPHandler):
    def http_open(self, request: Request) -> HTTPResponse:
        """Connect to this machine only."""
        return self.do_open(_LocalConnection, request)


class _LocalHTTPS(HTTPSHandler):
    def https_open(self, request: Request) -> HTTPResponse:
        """Connect to this machine only."""
        return self.do_open(_LocalTLSConnection, request, context=ssl.create_default_context())
