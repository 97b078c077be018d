"""Watches what this process connects to, by Python's audit events, and refuses what may not leave this machine.

In an offline session that holds for all that the process does, from before the first conftest.py to the end: each
connection and each lookup of a name beyond this machine ends in a LeavesMachineError. While a test of a private task
runs it holds for the test and its application. Of other tests whose application is served it only notes that they look
up the host of a known vendor of models. What this package does itself is told apart by its threads
(`providers/own_threads.py`). Child processes are not seen, nor are libraries that connect without Python's `socket`
(uvloop, gRPC, hf_xet).
"""

import errno
import ipaddress
import re
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pytest_rightsize.providers.locality import LeavesMachineError, looks_up
from pytest_rightsize.providers.own_threads import follow_starts, is_own_thread, stays_on_this_machine, stop_following

__all__ = ["SAYS_IT_STAYS", "Contact", "Guard", "is_vendor"]

_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"})
_CONNECTIONS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_WATCHED = _LOOKUPS | _CONNECTIONS
_LOCAL_NAME = re.compile(r"localhost\.?|.+\.localhost\.?", re.IGNORECASE)
# Families whose sockets end on this machine.
_LOCAL_FAMILIES = frozenset(
    value for name in ("AF_UNIX", "AF_NETLINK", "AF_ALG") if (value := getattr(socket, name, None)) is not None
)
SAYS_IT_STAYS = "its rung has not leaves_machine = true, and this session has private tasks"
_VENDORS = re.compile(
    r"""(
    api\.openai\.com | .+\.api\.openai\.com | .+\.openai\.azure\.com | .+\.cognitiveservices\.azure\.com
    | .+\.(services|models)\.ai\.azure\.com | models\.github\.ai | api\.anthropic\.com
    | generativelanguage\.googleapis\.com | (.+-)?aiplatform\.googleapis\.com | bedrock-runtime\..+\.amazonaws\.com
    | api\.mistral\.ai | codestral\.mistral\.ai | api\.cohere\.(com|ai) | api\.groq\.com | openrouter\.ai
    | api\.together\.(xyz|ai) | api\.deepseek\.com | api\.x\.ai | api\.fireworks\.ai | api\.perplexity\.ai
    | api\.cerebras\.ai | api\.sambanova\.ai | api\.deepinfra\.com | api\.ai21\.com | api\.replicate\.com
    | integrate\.api\.nvidia\.com | router\.huggingface\.co | api-inference\.huggingface\.co
    | dashscope(-intl)?\.aliyuncs\.com | api\.moonshot\.(ai|cn) | ollama\.com
    )\.?""",
    re.VERBOSE | re.IGNORECASE,
)


def is_vendor(host: str) -> bool:
    """Whether the host is known to be a vendor's endpoint of language models."""
    return _VENDORS.fullmatch(host) is not None


@dataclass(frozen=True, kw_only=True)
class Contact:
    """A host that a test, or its application, went for; `reason` says why it was refused, if it was."""

    host: str
    is_vendor: bool
    reason: str | None = None


@dataclass(kw_only=True, eq=False)
class Guard:
    """The watch over one session; it sees nothing before `begin` and after `end`, unless it is `offline`.

    `offline` says why nothing at all may leave this machine, `reason` why nothing may while the present test runs, as
    in "the task is private"; None lets everything through. A session that `had_private` tasks holds rungs to what they
    say of themselves. `on_contact` is told of a vendor's host, and of whatever is
    refused, by the thread that does it; before it is set, `refused` keeps that.
    """

    on_contact: Callable[[Contact], object] | None = None
    offline: str | None = None
    reason: str | None = None
    is_on: bool = False
    refused: list[Contact] = field(default_factory=list)
    had_private: bool = False

    def open(self) -> None:
        """Start to listen; Python lets nobody stop listening, but closed guards cost next to nothing."""
        if self in _guards:
            return
        _listen()
        follow_starts()
        _guards.append(self)

    def close(self) -> None:
        """Watch no more."""
        self.is_on = False
        if self in _guards:
            _guards.remove(self)
        if not _guards:
            stop_following()

    def begin(self, reason: str | None) -> None:
        """A test starts."""
        self.open()
        self.reason = reason
        self.is_on = True
        self.had_private = self.had_private or reason is not None

    def end(self) -> None:
        """The test is over."""
        self.is_on = False

    def meet(self, host: str, *, is_own: bool) -> None:
        """Somebody goes for a host beyond this machine; raises LeavesMachineError where that may not be."""
        reason = self.offline
        if reason is None and self.had_private and stays_on_this_machine():
            reason = SAYS_IT_STAYS
        if reason is None and self.is_on and not is_own:
            reason = self.reason
        vendor = is_vendor(host) and self.is_on and not is_own
        if reason is not None or vendor:
            tell = self.refused.append if self.on_contact is None else self.on_contact
            tell(Contact(host=host, is_vendor=vendor, reason=reason))
        if reason is not None:
            raise LeavesMachineError(errno.EACCES, f"{host} is not this machine, and nothing was sent there: {reason}")


# Of the sessions in this process; one that is started within another's test has its own.
_guards: list[Guard] = []
_listening: list[bool] = []


def _listen() -> None:
    if not _listening:
        _listening.append(True)
        sys.addaudithook(_on_event)


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    """Called by Python for each of its audit events, in the thread that does what the event says."""
    if event not in _WATCHED:
        return
    guards = [guard for guard in _guards if guard.is_on or guard.had_private or guard.offline is not None]
    if not guards:
        return
    is_lookup = event in _LOOKUPS
    if is_lookup and looks_up():  # to find out whether a name is this machine; where it leads to is checked again
        return
    is_own = is_own_thread()
    if is_own and all(guard.offline is None for guard in guards) and not stays_on_this_machine():
        return
    host = _looked_up(arguments[0]) if is_lookup else _address(*arguments[:2])
    if host is not None:
        for guard in guards:
            guard.meet(host, is_own=is_own)


def _looked_up(host: object) -> str | None:
    """The name that is looked up, None for one of this machine."""
    if isinstance(host, tuple) and host:  # the address whose name is asked for
        host = host[0]
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("ascii", "replace")
    if not isinstance(host, str) or not host:  # any address of this machine
        return None
    return None if _is_local(host) or host == socket.gethostname() else host


def _address(connection: socket.socket, address: object) -> str | None:
    """The host that a socket is to be connected to, None for one of this machine."""
    if connection.family in _LOCAL_FAMILIES or address is None:  # sendmsg on a socket that is connected
        return None
    host = address[0] if isinstance(address, tuple) and address else address
    if isinstance(host, str) and (not host or _is_local(host)):
        return None
    return host if isinstance(host, str) else repr(host)


def _is_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return _LOCAL_NAME.fullmatch(host) is not None
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback or address.is_unspecified
