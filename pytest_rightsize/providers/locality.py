"""Decides whether a host is this machine, and makes sockets that can connect nowhere else.

URLs, host names and addresses come in. It may ask the resolver about a name, and never opens a connection itself.
"""

import errno
import ipaddress
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

__all__ = [
    "LeavesMachineError",
    "host_of",
    "is_this_machine",
    "look_up_in_this_thread",
    "looks_up",
    "loopback_socket",
    "name_lookup",
    "names_this_machine",
]

_LOCAL_NAME = re.compile(r"localhost\.?|.+\.localhost\.?", re.IGNORECASE)


class LeavesMachineError(OSError):
    """The connection would have left this machine, and was not made."""


_lookups = threading.local()


@contextmanager
def name_lookup() -> Iterator[None]:
    """Names are looked up within only to find out whether they are this machine: an offline session lets it pass."""
    before, _lookups.is_on = looks_up(), True
    try:
        yield
    finally:
        _lookups.is_on = before


def look_up_in_this_thread() -> None:
    """The same for all that the current thread does from now on."""
    _lookups.is_on = True


def looks_up() -> bool:
    """Whether the current thread looks names up for no other reason."""
    return getattr(_lookups, "is_on", False)


def host_of(url: str) -> str | None:
    """The host of an http or https URL; None for any other text, or if the host is missing or the port invalid."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for an invalid port
        return parts.hostname if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


def names_this_machine(host: str) -> bool | None:
    """Whether an address is a loopback one, or a name that of this machine wherever it is used; None for other names.

    Asks nobody.
    """
    if _LOCAL_NAME.fullmatch(host):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return None


def is_this_machine(host: str) -> bool:
    """Whether every address of the host is a loopback one; a name that does not resolve counts as another machine.

    Asks the resolver for names other than localhost, and may wait for it.
    """
    named = names_this_machine(host)
    if named is not None:
        return named
    try:
        with name_lookup():
            addresses = {str(addr_info[4][0]) for addr_info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return bool(addresses) and all(_is_loopback(address) for address in addresses)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def loopback_socket(addr_info: tuple[Any, ...]) -> socket.socket:
    """A socket for one result of getaddrinfo; raises LeavesMachineError unless its address is a loopback one.

    The check is made here, just before connecting: the name may resolve differently since it was last looked up, and
    there may be a proxy in between.
    """
    family, kind, protocol, _, address = addr_info
    if not _is_loopback(str(address[0])):
        raise LeavesMachineError(errno.EACCES, f"{address[0]} is not this machine, and nothing was sent there")
    return socket.socket(family, kind, protocol)
