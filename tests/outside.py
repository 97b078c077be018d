"""An address of this machine that stands for the world outside, and who listens there."""

import socket
import threading
from collections.abc import Iterator

import pytest

__all__ = ["Listener", "outside", "own_address"]


def own_address() -> str | None:
    """An address of this machine that is not a loopback one, if it has any."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; it only chooses a route
            address = str(probe.getsockname()[0])
        except OSError:
            return None
    return None if address.startswith(("127.", "0.")) else address


class Listener:
    """Takes every connection, and keeps what it hears."""

    def __init__(self, address: str) -> None:
        self.heard = b""
        self.connections = 0
        self._socket = socket.create_server((address, 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.connections += 1
                connection.settimeout(1)
                try:
                    self.heard += connection.recv(65536)
                except OSError:
                    continue

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def outside() -> Iterator[tuple[str, Listener]]:
    """An address that stands for the world outside, and who listens there."""
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but the loopback ones")
    listener = Listener(address)
    yield f"http://{address}:{listener.port}/v1", listener
    listener.close()
