"""Classes that plugins contribute under names, merged into one table; each is imported when it is first asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

from pytest_rightsize.errors import ConfigError

__all__ = ["Contributions", "ModuleClasses"]

T = TypeVar("T")


class ModuleClasses(Mapping[str, Any]):
    """Classes in modules that are imported when a class of theirs is asked for.

    `modules` has the module of each name; the module's function `hook` returns its classes by name.
    """

    def __init__(self, hook: str, modules: Mapping[str, str]) -> None:
        self._hook = hook
        self._modules = modules

    def __getitem__(self, name: str) -> Any:
        """The class of that name."""
        return getattr(import_module(self._modules[name]), self._hook)()[name]

    def __iter__(self) -> Iterator[str]:
        """The names; imports nothing."""
        return iter(self._modules)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._modules)


class Contributions(Mapping[str, T]):
    """The classes of several plugins by name, in the order in which they came."""

    def __init__(self, mappings: Iterable[Mapping[str, T]], clash: Callable[[str, T, T], str]) -> None:
        """Merge them; raises ConfigError with the words of `clash` where two give one name to different classes."""
        self._sources: dict[str, Mapping[str, T]] = {}
        for mapping in mappings:
            for name in mapping:
                first = self._sources.setdefault(name, mapping)
                if first is not mapping and first[name] is not mapping[name]:
                    raise ConfigError(clash(name, first[name], mapping[name]))

    def __getitem__(self, name: str) -> T:
        """The class of that name."""
        return self._sources[name][name]

    def __contains__(self, name: object) -> bool:
        """Whether a plugin gave that name; imports nothing."""
        return name in self._sources

    def __iter__(self) -> Iterator[str]:
        """The names; imports nothing."""
        return iter(self._sources)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._sources)
