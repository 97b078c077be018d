"""Says whether an optional package is older than this one works with; the bound is that of pyproject.toml.

pip holds bounds of extras only where the extra is asked for: a package may be there for other reasons, and too old.
"""

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

__all__ = ["TooOld", "is_older", "too_old"]

_US = "pytest-rightsize"


@dataclass(frozen=True, kw_only=True)
class TooOld:
    """A package that is installed in a version below the oldest that works."""

    package: str
    installed: str
    oldest: str

    @property
    def what(self) -> str:
        """What is wrong, as a sentence without its full stop."""
        return f"{self.package} {self.installed} is too old: at least {self.oldest} is needed"

    @property
    def remedy(self) -> str:
        """What to do, in the same form."""
        return f'run `python -m pip install -U "{self.package}>={self.oldest}"`'


def too_old(package: str) -> TooOld | None:
    """Compare the installed version with the bound in our own metadata; None where either is unknown."""
    try:
        installed, listed = version(package), requires(_US) or []
    except PackageNotFoundError:
        return None
    oldest = next(filter(None, (re.match(rf"{re.escape(package)}\s*>=\s*([\d.]+)", entry) for entry in listed)), None)
    if oldest is None or _numbers(installed) >= _numbers(oldest[1]):
        return None
    return TooOld(package=package, installed=installed, oldest=oldest[1])


def is_older(installed: str, oldest: str) -> bool:
    """Whether a version is below another one.

    >>> is_older("0.3.9", "0.3.36"), is_older("0.3.36", "0.3.36")
    (True, False)
    """
    return _numbers(installed) < _numbers(oldest)


def _numbers(text: str) -> list[int]:
    """The numbers of a release, to compare: `3.7.0rc1` is 3.7 here."""
    release = re.match(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers
