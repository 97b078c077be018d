"""A function of the user's, named as `package.module:function` in the ladder file: found, imported and identified.

The name and the ladder file's folder come in; out goes the function. What cannot be imported is a RungError.
"""

import importlib
import inspect
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers.environment import error_words

__all__ = ["UserFunction"]


class UserFunction:
    """The function that `name` names; its module may stand beside the ladder file, in `base_dir`."""

    def __init__(self, name: str, *, base_dir: str, where: str) -> None:
        """Keep the name; raises ConfigError, which names `where` it stands, if it names no function."""
        self._module, colon, self._name = name.partition(":")
        parts = [*self._module.split("."), *self._name.split(".")]
        if not colon or not all(part.isidentifier() for part in parts):
            raise ConfigError(f'{where} = {name!r} names no function: write "package.module:function"')
        self._base_dir = base_dir
        self._lock = threading.Lock()
        self._function: Callable[..., object] | None = None

    def loaded(self) -> Callable[..., object]:
        """The function; raises RungError if it cannot be imported."""
        if self._function is not None:
            return self._function
        with self._lock:
            found: Any = self._imported()
            for part in self._name.split("."):
                found = getattr(found, part, None)
            if not callable(found):
                raise RungError(f"{self._module} has no function {self._name}", reason="missing", permanent=True)
            self._function = found
            return self._function

    def file_hash(self, sha256: Callable[[Path], str]) -> str | None:
        """The hash of the file that the function is in; None for a builtin. Raises RungError as `loaded` does."""
        function = inspect.unwrap(self.loaded())
        try:
            return sha256(Path(inspect.getsourcefile(function) or ""))
        except (OSError, TypeError):
            return None

    def _imported(self) -> Any:
        beside = str(self._base_dir)
        is_added = beside not in sys.path
        if is_added:
            sys.path.insert(0, beside)
        try:
            return importlib.import_module(self._module)
        except Exception as error:  # of the user's own file, which may do anything
            raise RungError(
                f"{self._module} cannot be imported ({error_words(error)})", reason="missing", permanent=True
            ) from None
        finally:
            if is_added and beside in sys.path:
                sys.path.remove(beside)
