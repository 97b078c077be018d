"""Tells on which addresses of this machine a port is open, so that a user hears of a model that anybody may reach.

A port comes in, the addresses that other machines may reach go out. It reads what Linux shows of its sockets; nothing
is connected.
"""

import ipaddress
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["listening_sockets", "open_addresses"]

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENS = "0A"


def open_addresses(port: int, tables: Iterable[str] = _TABLES) -> list[str]:
    """The addresses at which something listens on this port and which are not loopback ones, each once.

    Empty where nothing does, and on systems that do not tell.
    """
    found = [address for address, number in listening_sockets(tables) if number == port]
    return [str(address) for address in dict.fromkeys(found) if not _is_loopback(address)]


def listening_sockets(
    tables: Iterable[str] = _TABLES,
) -> Iterator[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]:
    """Every address and port at which a socket listens, as the files `tables` show them."""
    for table in tables:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 3 and fields[3] == _LISTENS:
                try:
                    address, port = fields[1].split(":")
                    yield _address(address), int(port, 16)
                except (ValueError, struct.error):
                    continue


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as the kernel shows it: words of 32 bits in the machine's own order of bytes."""
    words = struct.unpack(f">{len(text) // 8}I", bytes.fromhex(text))
    return ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))


def _is_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
