"""Exceptions that survive pickling and copying, whatever their constructors take. Pure."""

from typing import Any

__all__ = ["Portable"]


class Portable:
    """For an exception whose constructor does not take its `args`: it can be pickled and copied all the same."""

    args: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it again without its constructor, then give it its attributes."""
        return _remade, (type(self), self.args), vars(self)


def _remade(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    return kind.__new__(kind, *args)
