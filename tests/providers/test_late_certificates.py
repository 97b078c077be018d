"""Contexts that load their certificates late verify servers exactly as those do that load them at once."""

import asyncio
import importlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.providers import late_certificates
from pytest_rightsize.providers.late_certificates import _late_certificates, load_aiohttp

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two certificates that are their own authority, each with its key: of the server, and of somebody else."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ours", "other"):
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
            "-addext keyUsage=critical,digitalSignature,keyCertSign "  # which newer versions of Python ask for
            f"-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {folder / name}.key -out {folder / name}.pem"
        )
        subprocess.run(command.split(), check=True, capture_output=True)
    return {name: folder / f"{name}.pem" for name in ("ours", "other")}


@pytest.fixture(autouse=True)
def _no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """A TLS handshake in memory; raises what the client raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for end in ends * 3:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()


def late_context(method: str = "default") -> ssl.SSLContext:
    """A context as aiohttp makes it while it is imported."""
    with _late_certificates():
        if method == "default":
            return ssl.create_default_context()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_default_verify_paths()
        return context


@pytest.mark.parametrize("method", ["default", "paths"])
@pytest.mark.parametrize("afterwards", [None, "ours", "other"])
def test_the_authority_counts_that_the_variable_named_when_the_context_was_made(
    authorities: dict[str, Path], monkeypatch: pytest.MonkeyPatch, method: str, afterwards: str | None
) -> None:
    """Whatever a test has set the variable to since."""
    contexts = {}
    for name, path in authorities.items():
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        contexts[name] = late_context(method)
        assert type(contexts[name]) is not ssl.SSLContext
    if afterwards is None:
        monkeypatch.delenv("SSL_CERT_FILE")
    else:
        monkeypatch.setenv("SSL_CERT_FILE", str(authorities[afterwards]))
    shake_hands(contexts["ours"], server_context(authorities["ours"]))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(contexts["other"], server_context(authorities["ours"]))
    assert {type(context) for context in contexts.values()} == {ssl.SSLContext}


def test_without_any_authority_nobody_is_trusted(
    authorities: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is missing or broken is passed over, as OpenSSL does it, also when the variable has changed since."""
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for file in (broken, tmp_path / "missing.pem"):
        for afterwards in (file, authorities["ours"]):
            monkeypatch.setenv("SSL_CERT_FILE", str(file))
            context = late_context()
            monkeypatch.setenv("SSL_CERT_FILE", str(afterwards))
            with pytest.raises(ssl.SSLCertVerificationError):
                shake_hands(context, server_context(authorities["ours"]))


def test_whoever_looks_at_the_certificates_sees_all(
    authorities: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities["ours"]))
    expected = ssl.create_default_context()
    assert expected.cert_store_stats()["x509"] == 1
    assert late_context().cert_store_stats() == expected.cert_store_stats()
    assert late_context().get_ca_certs() == expected.get_ca_certs()
    assert late_context().get_ca_certs(binary_form=True) == expected.get_ca_certs(binary_form=True)
    added = late_context()
    added.load_verify_locations(authorities["other"])
    assert added.cert_store_stats()["x509"] == 2
    late = late_context()
    assert (late.verify_mode, late.check_hostname, late.options, late.verify_flags) == (
        *(expected.verify_mode, expected.check_hostname, expected.options, expected.verify_flags),
    )


def test_a_socket_is_wrapped_with_the_certificates(
    authorities: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities["ours"]))
    context = late_context()
    near, far = socket.socketpair()
    with near, far, context.wrap_socket(near, server_hostname="localhost", do_handshake_on_connect=False) as wrapped:
        assert wrapped.context is context
        assert type(context) is ssl.SSLContext
    assert context.cert_store_stats()["x509"] == 1


def test_no_other_thread_gets_a_late_context(authorities: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities["ours"]))
    seen: list[ssl.SSLContext] = []
    with _late_certificates():
        thread = threading.Thread(target=lambda: seen.append(ssl.create_default_context()))
        thread.start()
        thread.join()
    assert type(seen[0]) is ssl.SSLContext
    assert seen[0].cert_store_stats()["x509"] == 1


def test_afterwards_every_context_is_ordinary_whatever_happened() -> None:
    with pytest.raises(ImportError), _late_certificates():
        raise ImportError
    assert "set_default_verify_paths" not in vars(ssl.SSLContext)
    assert type(ssl.create_default_context()) is ssl.SSLContext


def test_contexts_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """`truststore` puts a class of its own in the place of `ssl.SSLContext`."""

    class Other(ssl.SSLContext):
        pass

    with _late_certificates():
        assert type(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) is ssl.SSLContext
        other = Other(ssl.PROTOCOL_TLS_CLIENT)
        other.set_default_verify_paths()
        assert type(other) is Other
    monkeypatch.setattr(ssl, "SSLContext", Other)
    with _late_certificates():
        assert "set_default_verify_paths" not in vars(Other)


@pytest.mark.parametrize("name", ["ours", "other"])
def test_a_session_of_aiohttp_verifies_as_ever(
    authorities: dict[str, Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With connectors of the contexts that aiohttp makes while it is imported so, at a real server."""
    import aiohttp
    from aiohttp import web

    monkeypatch.setenv("SSL_CERT_FILE", str(authorities[name]))
    monkeypatch.setattr(aiohttp, "connector", aiohttp.connector)
    monkeypatch.delitem(sys.modules, "aiohttp.connector")
    with _late_certificates():
        imported: Any = importlib.import_module("aiohttp.connector")
    assert type(imported._SSL_CONTEXT_VERIFIED) is late_certificates._LateContext
    assert type(imported._SSL_CONTEXT_UNVERIFIED) is late_certificates._LateContext

    async def ask() -> list[str]:
        async def answer(_: web.BaseRequest) -> web.Response:
            return web.Response(text="hello")

        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(authorities["ours"])).start()
        said = []
        async with aiohttp.ClientSession(connector=imported.TCPConnector()) as session:
            for verify in (True, False):
                try:
                    url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
                    async with session.get(url, ssl=verify) as response:
                        said.append(await response.text())
                except imported.ClientConnectorCertificateError:
                    said.append("not trusted")
        await runner.cleanup()
        return said

    assert asyncio.run(ask()) == ["hello" if name == "ours" else "not trusted", "hello"]


def test_aiohttp_is_imported_once() -> None:
    load_aiohttp()
    loaded = sys.modules["aiohttp.connector"]
    load_aiohttp()
    assert sys.modules["aiohttp.connector"] is loaded


def test_a_class_that_is_put_in_the_place_of_contexts_later_changes_none_of_these(
    authorities: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `truststore.inject_into_ssl` does it in an application, after aiohttp was imported."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities["ours"]))
    context = late_context()

    class Other(ssl.SSLContext):
        def wrap_bio(self, *_: Any, **__: Any) -> ssl.SSLObject:
            raise AssertionError("another context")

    own = ssl.SSLContext
    monkeypatch.setattr(ssl, "SSLContext", Other)
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    assert type(context) is own
    assert len(context.get_ca_certs()) == 1
    with _late_certificates():
        assert "set_default_verify_paths" not in vars(own)
