"""Connections to one endpoint, through a proxy where the environment names one, and why one failed, in words.

It opens sessions of aiohttp and sends nothing. No words of a failure hold a URL with a password, a key or a header.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_rightsize.providers.late_certificates import load_aiohttp
from pytest_rightsize.providers.locality import LeavesMachineError, loopback_socket
from pytest_rightsize.providers.openai.faults import Fault
from pytest_rightsize.providers.proxies import Proxy
from pytest_rightsize.providers.secret_texts import Secret, basic_authorization, without_userinfo

__all__ = ["Connection", "fault_of_connection", "fault_of_proxy", "open_session", "proxy_options"]

# Policies of some gateways fill headers beyond aiohttp's limit of 8,190 bytes (aio-libs/aiohttp#2304).
_LONGEST_HEADER_BYTES = 64 * 1024


@dataclass(kw_only=True)
class Connection:
    """One attempt's connection: whether it was kept from an earlier request. aiohttp's tracing fills it in."""

    is_kept: bool = False


def open_session(headers: Mapping[str, Secret | str], *, local_only: bool, timeout_s: float) -> Any:
    """A session of aiohttp; with `local_only` it connects to this machine only. For the event loop thread only."""
    load_aiohttp()
    import aiohttp

    async def note_kept(_: Any, context: Any, __: Any) -> None:  # aiohttp awaits it
        if context.trace_request_ctx is not None:
            context.trace_request_ctx.is_kept = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(note_kept)
    return aiohttp.ClientSession(
        # The gate bounds what is in flight; waiting for a second bound here would count as the model's time. Names are
        # looked up by Python's resolver: that of aiodns, where it is installed, passes by the guard of what stays here.
        connector=aiohttp.TCPConnector(
            limit=0,
            socket_factory=loopback_socket if local_only else None,
            resolver=aiohttp.ThreadedResolver(),
        ),
        headers={
            "Content-Type": "application/json",
            **{name: value.reveal() if isinstance(value, Secret) else value for name, value in headers.items()},
        },
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        max_line_size=_LONGEST_HEADER_BYTES,
        max_field_size=_LONGEST_HEADER_BYTES,
        trace_configs=[tracing],
    )


def proxy_options(proxy: Proxy | None, url: str) -> dict[str, Any]:
    """What a request to the URL is sent with to go through the proxy.

    The password goes into headers, as aiohttp shows a proxy's URL, and its `BasicAuth`, in what it warns of.
    """
    if proxy is None:
        return {}
    options: dict[str, Any] = {"proxy": without_userinfo(proxy.url.reveal())}
    authorization = basic_authorization(proxy.url)
    if authorization is not None:
        # A tunnel is asked for with headers of its own, of which its far end sees nothing.
        name = "proxy_headers" if url.startswith("https:") else "headers"
        options[name] = {"Proxy-Authorization": authorization.reveal()}
    return options


def fault_of_proxy(proxy: Proxy | None, status: int, message: str) -> Fault:
    """The proxy refused the request."""
    named = f"the proxy in {proxy.variable}" if proxy is not None else "the proxy"
    return Fault(kind="untrusted", words=f"cannot be reached: {named} answered {status} ({message})")


def fault_of_connection(error: Exception, proxy: Proxy | None) -> Fault:
    """Why there was no answer over a connection."""
    import aiohttp

    by_proxy = f"the proxy in {proxy.variable}" if proxy is not None else ""
    cause = getattr(error, "os_error", None) or error.__cause__ or error
    certificate = getattr(error, "certificate_error", None) or cause
    if isinstance(cause, LeavesMachineError):
        return Fault(kind="untrusted", words=f"cannot be reached ({cause.strerror}): is the server running?")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return fault_of_proxy(proxy, error.status, error.message)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return Fault(kind="unreachable", words=f"cannot be reached: {by_proxy} does not answer ({_strerror(cause)})")
    if isinstance(certificate, ssl.SSLCertVerificationError | ssl.CertificateError):
        why = getattr(certificate, "verify_message", "") or "it does not fit"
        words = f"has a certificate that is not trusted ({why}): name its authority's file in SSL_CERT_FILE"
        return Fault(kind="untrusted", words=words)
    if isinstance(error, aiohttp.ClientSSLError) or isinstance(cause, ssl.SSLError):
        reason = str(getattr(cause, "reason", "") or "").replace("_", " ").lower()
        words = f"speaks no TLS that is understood ({reason}): does base_url want http:// instead?"
        return Fault(kind="untrusted", words=words)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Fault(kind="unreachable", words=f"cannot be reached (its name is not known: {_strerror(cause)})")
    if isinstance(error, aiohttp.ClientConnectorError):
        hint = f"through {by_proxy}" if by_proxy else "is the server running?"
        return Fault(kind="unreachable", words=f"cannot be reached ({_strerror(cause)}): {hint}")
    return _fault_of_answer(error)


def _fault_of_answer(error: Exception) -> Fault:
    """Why a connection that was made brought no answer."""
    import aiohttp

    text = " ".join(str(part) for part in (error, error.__cause__) if part is not None)
    if "content-encoding" in text.lower() or "decompress" in text.lower():
        words = f"answered in an encoding that cannot be read ({_encoding(text)}): a proxy in between may have set it"
        return Fault(kind="unreachable", words=words)
    if isinstance(error, aiohttp.ClientResponseError):
        if "more than" in text:
            return Fault(kind="untrusted", words="answered with a header that is too large (over 64 KiB)")
        return Fault(kind="unreachable", words="answered what is no HTTP")
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return Fault(kind="untrusted", words="cannot be asked: its URL is not one of HTTP")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Fault(kind="unreachable", words="closed the connection before its answer was whole")
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError | aiohttp.ClientOSError):
        return Fault(kind="unreachable", words=f"closed the connection without an answer ({_strerror(error)})")
    return Fault(kind="unreachable", words=f"cannot be reached ({_strerror(error)}): is the server running?")


def _encoding(text: str) -> str:
    """What aiohttp says about the encoding, without the answer's bytes."""
    begin = text.lower().find("can not decode content-encoding")
    return text[begin:].partition("'")[0].strip()[:120] if begin >= 0 else "it is not what its header says"


def _strerror(error: BaseException | None) -> str:
    """The operating system's words, or the kind of error."""
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    words = getattr(error, "strerror", None)
    return words if isinstance(words, str) and words else type(error).__name__
