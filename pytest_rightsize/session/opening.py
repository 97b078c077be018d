"""Opens what must be there before the rootdir's conftest.py is imported, and closes it when the session ends.

That is the guard of an offline session, and the endpoint of this process for the application under test, to which the
application's SDKs are sent: a conftest.py may make a client. The controller of pytest-xdist runs no test: it undoes the
latter before it starts the workers, which do the same anew.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from pytest_rightsize.providers.environment import replace_variables
from pytest_rightsize.session.application import SERVING

if TYPE_CHECKING:
    from pytest_rightsize.served.guard import Guard
    from pytest_rightsize.served.serving import Serving

__all__ = ["GUARD", "OFFLINE", "OpenEndpoint", "open_endpoint", "open_guard"]

OFFLINE = "--rightsize-offline"
GUARD: "pytest.StashKey[Guard]" = pytest.StashKey()
"""The guard of an offline session."""


def open_guard(config: pytest.Config) -> None:
    """From now on nothing leaves this machine, until the session ends."""
    if GUARD in config.stash:
        return
    from pytest_rightsize.served.guard import Guard

    guard = config.stash[GUARD] = Guard(offline=OFFLINE)
    guard.open()
    config.add_cleanup(guard.close)


def open_endpoint(config: pytest.Config) -> None:
    """Listen, and set the variables, until the session ends; raises UsageError where nothing may listen here."""
    from pytest_rightsize.served.serving import Serving
    from pytest_rightsize.served.variables import with_keys

    serving = Serving()
    try:
        serving.bind()
    except OSError as error:
        raise pytest.UsageError(
            f"[app] serve needs an endpoint on 127.0.0.1, and none can be opened there ({error}): allow this process "
            f"to listen, or turn serving off"
        ) from None
    endpoint = OpenEndpoint(serving, replace_variables(with_keys(serving.url, os.environ), port=serving.port))
    config.stash[SERVING] = serving
    config.add_cleanup(endpoint.close)
    config.pluginmanager.register(endpoint, "rightsize-endpoint")


class OpenEndpoint:
    """The endpoint while it is open, and the hook in which the controller of pytest-xdist closes its own."""

    def __init__(self, serving: "Serving", undo_variables: Callable[[], None]) -> None:
        self._serving = serving
        self._undo_variables = undo_variables

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """The workers of pytest-xdist start after this, and must find the user's own variables."""
        if session.config.pluginmanager.has_plugin("dsession"):
            self.close()

    def close(self) -> None:
        """Take the variables back, and take no request any more; more than once does no harm."""
        self._undo_variables()
        self._serving.close()
