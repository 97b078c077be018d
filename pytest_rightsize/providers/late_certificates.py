"""Imports aiohttp without the certificates of this machine, which it loads as soon as it is imported.

It makes two TLS contexts then, one for each way to verify, and where SSL_CERT_FILE is set both read all certificates:
0.04 s of CPU each, which a session with endpoints of `http://` never needs. Here they read them when a connection first
needs them. It is the same for whoever else uses aiohttp in this process, and no other context is touched.
"""

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, get_ident
from typing import Any

__all__ = ["load_aiohttp"]

_lock = Lock()
# Another one may stand in its place later, as that of truststore.
_Context = ssl.SSLContext


def load_aiohttp() -> None:
    """Import aiohttp, unless it is imported already; from any thread. To be called before `import aiohttp`."""
    with _lock:
        if "aiohttp.connector" in sys.modules:
            return
        with _late_certificates():
            import aiohttp  # noqa: F401  # what others import next


@contextmanager
def _late_certificates() -> Iterator[None]:
    """Contexts that this thread makes meanwhile load the default certificates when they are first used."""
    if ssl.SSLContext is not _Context or _Context.__module__ != "ssl" or "set_default_verify_paths" in vars(_Context):
        yield  # truststore, gevent and the like have contexts of their own
        return
    thread, load = get_ident(), _Context.set_default_verify_paths

    def postpone(context: _Context) -> None:
        if get_ident() != thread or type(context) is not _Context:
            load(context)
            return
        context.__class__ = _LateContext
        context._sources = _sources()  # type: ignore[attr-defined]  # it is a _LateContext now

    # A method of the base class, which this hides and `del` shows again.
    _Context.set_default_verify_paths = postpone  # type: ignore[method-assign,assignment]  # for the moment of one import
    try:
        yield
    finally:
        del _Context.set_default_verify_paths


class _LateContext(_Context):
    """A context without its default certificates. At its first use it loads them and becomes an ordinary one."""

    _sources: tuple[str, str]

    def _load(self) -> None:
        sources = self._sources
        # Two threads may load them at once: OpenSSL takes each certificate once. The class changes last, so that nobody
        # uses an ordinary context that has none yet.
        if sources == _sources():
            _Context.set_default_verify_paths(self)
        else:  # a test has changed the variables since: those count that aiohttp would have read
            for option, path in zip(("cafile", "capath"), sources, strict=True):
                with suppress(OSError):  # a missing or broken file is passed over, as OpenSSL does it
                    self.load_verify_locations(**{option: path})
        self.__class__ = _Context  # type: ignore[assignment]  # its base, of the same layout

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """What the base class does, with the certificates."""
        self._load()
        return _Context.wrap_socket(self, *args, **options)

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """What the base class does, with the certificates."""
        self._load()
        return _Context.wrap_bio(self, *args, **options)

    def cert_store_stats(self) -> dict[str, int]:
        """What the base class does, with the certificates."""
        self._load()
        return _Context.cert_store_stats(self)

    def get_ca_certs(self, *args: Any, **options: Any) -> Any:
        """What the base class does, with the certificates."""
        self._load()
        return _Context.get_ca_certs(self, *args, **options)


def _sources() -> tuple[str, str]:
    """The file and the folders of certificates that OpenSSL would read now."""
    paths = ssl.get_default_verify_paths()
    return (
        os.environ.get(paths.openssl_cafile_env, paths.openssl_cafile),
        os.environ.get(paths.openssl_capath_env, paths.openssl_capath),
    )
