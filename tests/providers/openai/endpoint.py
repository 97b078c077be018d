"""A small OpenAI-compatible endpoint on a loopback port that answers what a test tells it to."""

import email
import email.policy
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[[dict[str, Any]], "Answering"]


@dataclass(kw_only=True)
class Answering:
    """One HTTP answer; `body` is sent as JSON unless it is bytes; None closes the connection without a word."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Endpoint:
    """The server's address and what it was sent."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


def completion(text: str | None, **more: Any) -> dict[str, Any]:
    """A chat completion as OpenAI sends it; `more` goes into the message, or beside it."""
    finish_reason = more.pop("finish_reason", "stop")
    usage = more.pop("usage", {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9})
    message = {"role": "assistant", "content": text, **more}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": usage,
    }


def _asked(body: bytes, content_type: str) -> dict[str, Any]:
    """What was posted: JSON, or the fields of a form, a file as its name and its bytes."""
    if not content_type.startswith("multipart/form-data"):
        asked: dict[str, Any] = json.loads(body)
        return asked
    form = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=email.policy.HTTP)
    fields: dict[str, Any] = {}
    for part in form.iter_parts():
        content: Any = part.get_payload(decode=True)
        name, file_name = part.get_param("name", header="Content-Disposition"), part.get_filename()
        fields[str(name)] = content.decode() if file_name is None else (file_name, content)
    return fields


@contextmanager
def serve(script: Script, *, aside: Mapping[str, Script] | None = None) -> Iterator[Endpoint]:
    """Serve `script`, which turns each request's JSON into what is answered; `aside` has those of other paths.

    Without one there is no tokenizer, as at most endpoints.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = _asked(self.rfile.read(int(self.headers["Content-Length"])), self.headers["Content-Type"])
            endpoint.paths.append(self.path)
            if self.path == "/tokenize" and self.path not in (aside or {}):
                self._send(Answering(status=404), b"{}")
                return
            endpoint.requests.append(asked)
            endpoint.keys.append(self.headers.get("Authorization"))
            said = (aside or {}).get(self.path, script)(asked)
            if said.body is None:
                self.close_connection = True
                self.connection.close()
                return
            body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            # A client that is killed in a test is nothing to tell.
            with suppress(ConnectionError):
                self._send(said, body)

        def _send(self, said: Answering, body: bytes) -> None:
            self.send_response(said.status)
            for name, value in {"Content-Type": "application/json", **said.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = Endpoint(url=f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
