"""An OpenAI-compatible endpoint for many clients: one event loop, which counts connections and requests in flight.

As a script it answers after `--latency` seconds, prints its URL as its first line, and ends with its standard input.
"""

import argparse
import asyncio
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.providers.openai.endpoint import Answering, completion

Handler = Callable[[dict[str, Any]], Awaitable[Answering]]


@dataclass(kw_only=True)
class Crowded:
    """An endpoint and its counts; a test may set `most_in_flight` back to 0."""

    handler: Handler
    url: str = ""
    connections: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    broken_off: int = 0

    async def start(self) -> asyncio.Server:
        """Listen on a free loopback port."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        return server

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                request = json.loads(await reader.readexactly(length))
                answering = await self._answer(request, reader)
                body = json.dumps(answering.body).encode()
                headers = {"Content-Type": "application/json", "Content-Length": len(body), **answering.headers}
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(f"HTTP/1.1 {answering.status} X\r\n{lines}\r\n".encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has disconnected, or the server is being closed
        finally:
            writer.close()

    async def _answer(self, request: dict[str, Any], reader: asyncio.StreamReader) -> Answering:
        """The handler's answer; raises ConnectionResetError if the client disconnects before it."""
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            # A client sends nothing while it waits, so a read returns only at the end of its connection.
            answer, disconnect = asyncio.ensure_future(self.handler(request)), asyncio.ensure_future(reader.read(1))
            await asyncio.wait([answer, disconnect], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self.broken_off += 1
                answer.cancel()
                raise ConnectionResetError
            disconnect.cancel()
            await asyncio.wait([disconnect])
            return answer.result()
        finally:
            self.in_flight -= 1


@contextmanager
def serve_crowd(handler: Handler) -> Iterator[Crowded]:
    """Serve `handler`, a coroutine from a request's JSON to its answer, from a thread."""
    endpoint = Crowded(handler=handler)
    started, ended = threading.Event(), asyncio.Event()
    loop: asyncio.AbstractEventLoop | None = None

    async def live() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        server = await endpoint.start()
        started.set()
        await ended.wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(live(),), daemon=True)
    thread.start()
    started.wait()
    assert loop is not None
    try:
        yield endpoint
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


def echo(request: dict[str, Any]) -> Answering:
    """An answer with the text of the last message."""
    return Answering(body=completion(request["messages"][-1]["content"]))


async def _main(latency_s: float) -> None:
    async def later(request: dict[str, Any]) -> Answering:
        await asyncio.sleep(latency_s)
        return echo(request)

    endpoint = Crowded(handler=later)
    await endpoint.start()
    sys.stdout.write(f"{endpoint.url}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.2)
    asyncio.run(_main(parser.parse_args().latency))
