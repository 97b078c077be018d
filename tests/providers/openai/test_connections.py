"""Why a connection failed, in words that name the cause and hold no secret."""

import shutil
import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.providers.proxies import ProxyError, proxy_for
from pytest_rightsize.providers.secret_texts import Secret
from pytest_rightsize.records import Request, Rung
from tests.providers.openai.endpoint import Answering, completion, serve
from tests.threaded_server import serving

VARIABLES = [name for one in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for name in (one, one.upper())]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def error_at(url: str, **options: Any) -> RungError:
    """The error of one request without retries."""
    options = {"base_url": url, "retries": 0, **options}
    provider = OpenAI(Rung(name="far", provider="openai", model="m", options=options))
    error = provider.submit(Request(messages=({"role": "user", "content": "hi"},))).exception(60)
    provider.close()
    assert isinstance(error, RungError)
    assert error.reason == "transport"
    return error


@contextmanager
def answering(said: bytes, wrap: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server that says this to whoever comes, whatever was asked."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve_all() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                if wrap is not None:
                    client = wrap.wrap_socket(client, server_side=True)
                client.recv(65536)
                client.sendall(said)
            except OSError:
                pass
            client.close()

    threading.Thread(target=serve_all, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


REFUSING_PROXY = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def test_a_proxy_that_refuses_is_named_by_its_variable_and_its_password_stays_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering(REFUSING_PROXY) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{port}")
        error = error_at("https://vendor.invalid/v1")
    assert "the proxy in HTTPS_PROXY answered 407" in str(error)
    assert "hunter2" not in str(error)


def test_a_proxy_that_refuses_plain_http_is_no_endpoint_that_refuses_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(REFUSING_PROXY) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:hunter2@127.0.0.1:{port}")
        error = error_at("http://vendor.invalid/v1")
    assert "the proxy in HTTP_PROXY answered 407" in str(error)


def test_a_proxy_that_is_not_there_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{port}")
    error = error_at("https://vendor.invalid/v1")
    assert "the proxy in HTTPS_PROXY does not answer (Connection refused)" in str(error)
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_is_used_with_and_without_its_scheme(
    monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    """aio-libs/aiohttp#6835: curl takes `host:port`."""
    with serve(lambda _: Answering(body=completion("hi"))) as endpoint:
        monkeypatch.setenv(variable, scheme + endpoint.url.removeprefix("http://").removesuffix("/v1"))
        provider = OpenAI(
            Rung(name="r", provider="openai", model="m", options={"base_url": "http://vendor.invalid/v1"})
        )
        assert provider.submit(Request(messages=({"role": "user", "content": "x"},))).result(60).text == "hi"
        provider.close()
    assert endpoint.paths[0] == "http://vendor.invalid/v1/chat/completions"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxys_password_is_sent_to_it_alone(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    heard: list[tuple[str, str | None]] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.requestline, self.headers["Proxy-Authorization"]))
            self.send_error(407)

        def do_CONNECT(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with serving(Proxy) as url:
        monkeypatch.setenv(f"{scheme}_proxy", url.replace("://", "://me:hunter%2F2@"))
        error = error_at(f"{scheme}://vendor.invalid/v1")

    asked = "CONNECT vendor.invalid:443" if scheme == "https" else "POST http://vendor.invalid/v1/chat/completions"
    assert heard == [(f"{asked} HTTP/1.1", f"Basic {b64encode(b'me:hunter/2').decode()}")]
    assert f"the proxy in {scheme}_proxy answered 407" in str(error)


def test_no_proxy_and_a_proxy_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:hunter2@host:1")
    with pytest.raises(ProxyError, match=r"^the proxy in HTTPS_PROXY is one of socks5") as caught:
        proxy_for("https://vendor.invalid/v1")
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "vendor.invalid")
    assert proxy_for("https://vendor.invalid/v1") is None


def test_a_name_that_nobody_knows() -> None:
    assert "its name is not known" in str(error_at("http://nowhere.invalid/v1"))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "closed the connection before its answer was whole"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "answered what is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", "a header that is too large"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
            "encoding that cannot be read",
        ),
    ],
)
def test_the_cause_is_named(said: bytes, words: str) -> None:
    with answering(said) as port:
        assert words in str(error_at(f"http://127.0.0.1:{port}/v1"))


def test_a_server_without_tls_is_not_asked_twice() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        error = error_at(f"https://127.0.0.1:{port}/v1", retries=3)
    assert "does base_url want http:// instead?" in str(error)
    assert "attempts" not in str(error)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_of_its_own_is_named_and_can_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with answering(b"", context) as port:
        error = error_at(f"https://127.0.0.1:{port}/v1", retries=3)
    assert "has a certificate that is not trusted (self-signed certificate)" in str(error)
    assert "SSL_CERT_FILE" in str(error)
    assert "attempts" not in str(error)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("sk-secret-1\n", "the variable MY_KEY ends in a line break"),
        (" sk-secret-1", "holds a blank or a control character"),
    ],
)
def test_a_key_that_no_header_can_hold_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    """mave5/podalize#8."""
    monkeypatch.setenv("MY_KEY", key)
    options = {"base_url": "http://127.0.0.1:1/v1", "api_key_env": "MY_KEY"}
    problem = OpenAI(Rung(name="r", provider="openai", model="m", options=options)).check()
    assert problem is not None
    assert words in problem.what
    assert "secret" not in problem.what + problem.remedy


def test_an_error_repeats_no_header_and_no_password() -> None:
    said = "you sent team-0123456789 and Bearer abcdefghijkl by http://me:hunter2@proxy"
    with serve(lambda _: Answering(status=400, body={"error": {"message": said}})) as endpoint:
        provider = OpenAI(
            Rung(
                name="r",
                provider="openai",
                model="m",
                options={"base_url": endpoint.url, "headers": {"X-Team": "team-0123456789"}},
            )
        )
        error = str(provider.submit(Request(messages=({"role": "user", "content": "x"},))).exception(60))
        provider.close()
    assert "you sent *** and Bearer *** by http://***@proxy" in error


def test_a_key_goes_into_the_header_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """openai/openai-node#53: Azure wants `api-key`."""
    monkeypatch.setenv("MY_KEY", "sk-1")
    rung = Rung(
        name="r",
        provider="openai",
        model="m",
        options={"api_key_env": "MY_KEY", "api_key_header": "api-key", "base_url": "http://x/v1"},
    )
    assert OpenAI(rung)._endpoint().headers["api-key"] == Secret("sk-1")
    assert "Authorization" not in OpenAI(rung)._endpoint().headers


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        (
            "http://h/openai/deployments/g?api-version=2024-10-21",
            "http://h/openai/deployments/g/chat/completions?api-version=2024-10-21",
        ),
        ("http://h/v1/", "http://h/v1/chat/completions"),
        ("http://h/v1/chat/completions", "http://h/v1/chat/completions"),
    ],
)
def test_a_query_stays_at_the_end(base_url: str, path: str) -> None:
    """vectorize-io/hindsight#3385."""
    assert OpenAI(Rung(name="r", provider="openai", model="m", options={"base_url": base_url}))._endpoint().url == path
