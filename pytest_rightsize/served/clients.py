"""OpenAI clients that ask the rung of one start of a test, for applications that take a client.

They are the `openai` package's own, and speak to the endpoint as any other SDK does. Nothing is imported before the
first is asked for.
"""

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pytest_rightsize.providers.environment import user_variable
from pytest_rightsize.served.variables import DUMMY_KEY, with_keys

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["Clients", "StartAddress"]


class Clients:
    """The clients of one session, each made once; those for a start share its connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: OpenAI | None = None
        # Connections belong to the event loop that opened them, and an async test has a loop of its own.
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()

    def sync(self, base_url: str) -> "OpenAI":
        """A client for `base_url`; raises ImportError where the package openai is missing."""
        with self._lock:
            if self._client is None:
                sdk = _sdk()
                self._client = sdk.OpenAI(**_options(base_url), http_client=sdk.DefaultHttpxClient(**_transport(sdk)))
            return self._client.with_options(base_url=base_url)

    def asynchronous(self, base_url: str) -> "AsyncOpenAI":
        """An async client for `base_url`, for the running event loop if there is one."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return _new_async(base_url)
        with self._lock:
            if loop not in self._by_loop:
                self._by_loop[loop] = _new_async(base_url)
            return self._by_loop[loop].with_options(base_url=base_url)

    def close(self) -> None:
        """Close the connections of the sync client; those of async ones end with each answer."""
        with self._lock:
            client, self._client = self._client, None
            self._by_loop.clear()
        if client is not None:
            client.close()


class StartAddress:
    """Where SDKs reach the rung for one start of a test; it implements `Address` of `model.py`.

    `root` is a URL without a slash at its end.
    """

    def __init__(self, root: str, clients: Clients) -> None:
        self._root = root
        self._clients = clients

    @property
    def base_url(self) -> str:
        """The endpoint as OpenAI's SDKs take it."""
        return f"{self._root}/v1"

    @property
    def env(self) -> dict[str, str]:
        """Variables for a child process, with a dummy key where the user has none."""
        users = {name: value for name in os.environ if (value := user_variable(name)) is not None}
        return with_keys(self._root, users)

    @property
    def client(self) -> "OpenAI":
        """The session's client, with this start's URL."""
        return self._clients.sync(self.base_url)

    @property
    def async_client(self) -> "AsyncOpenAI":
        """The event loop's client, with this start's URL."""
        return self._clients.asynchronous(self.base_url)


def _sdk() -> Any:
    try:
        import openai
    except ImportError as error:
        raise ImportError(
            f"model.client is a client of the package openai, which cannot be imported ({error}): run "
            f"`python -m pip install openai`, or give the application model.base_url"
        ) from None
    return openai


def _new_async(base_url: str) -> "AsyncOpenAI":
    sdk = _sdk()
    # A connection that outlives its event loop is warned of in some later test.
    transport = _transport(sdk, max_keepalive_connections=0)
    client: AsyncOpenAI = sdk.AsyncOpenAI(**_options(base_url), http_client=sdk.DefaultAsyncHttpxClient(**transport))
    return client


def _options(base_url: str) -> dict[str, Any]:
    """The rung retries by itself, and how long a test may take is not the client's to say."""
    return {"base_url": base_url, "api_key": DUMMY_KEY, "max_retries": 0, "timeout": None}


def _transport(sdk: Any, **limits: int) -> dict[str, Any]:
    """Loopback needs no proxy, and no certificates: to read those takes 40 ms."""
    connections = sdk.DEFAULT_CONNECTION_LIMITS
    return {
        "trust_env": False,
        "verify": False,
        "timeout": None,
        "limits": type(connections)(**{"max_connections": connections.max_connections, **limits}),
    }
