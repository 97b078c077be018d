"""Whether a host is this machine, and sockets that connect nowhere else."""

import errno
import ipaddress
import re
import socket
from typing import Any
from urllib.parse import urlsplit

__all__ = ["BeyondError", "host_of", "is_this_machine", "loopback_socket"]

_LOCAL_NAME = re.compile(r"localhost\.?|.+\.localhost\.?", re.IGNORECASE)


class BeyondError(OSError):
    """A connection would have left this machine; it was not made."""


def host_of(url: str) -> str | None:
    """The host of an http or https URL; None for what is no such URL, or has no host or a port that cannot be."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is none
        return parts.hostname if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


def is_this_machine(host: str) -> bool:
    """Whether all addresses of the host are loopback ones; a name that cannot be resolved counts as another machine.

    Asks the resolver for names other than localhost, and may wait for it.
    """
    if _LOCAL_NAME.fullmatch(host):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return bool(addresses) and all(_is_loopback(address) for address in addresses)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def loopback_socket(found: tuple[Any, ...]) -> socket.socket:
    """A socket for what getaddrinfo found; BeyondError unless it is a loopback address.

    The address is checked here, where it is about to be connected to: a name may have been another's since it was
    looked up, and a proxy may stand in between.
    """
    family, kind, protocol, _, address = found
    if not _is_loopback(str(address[0])):
        raise BeyondError(errno.EACCES, f"{address[0]} is not this machine, and nothing was sent there")
    return socket.socket(family, kind, protocol)
