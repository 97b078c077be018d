"""The first line of a results file: time, machine, versions and settings of a session."""

import os
import platform
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from pytest_rightsize import clocks
from pytest_rightsize.records import Json

__all__ = ["SessionHead"]

_PACKAGES = ("pytest-rightsize", "pytest", "pytest-xdist", "aiohttp", "llama-cpp-python", "rapidfuzz", "jsonschema")


class SessionHead(Mapping[str, Json]):
    """What is known of a session beside its ladder; found out when it is first read, which few small sessions do.

    `started` is the time at which this was made. `identities` are fingerprints of models by rung, added at the end.
    """

    def __init__(self, settings: Mapping[str, Json], rootdir: Path) -> None:
        self._started = clocks.now().isoformat(timespec="seconds")
        self._settings = dict(settings)
        self._rootdir = rootdir
        self.identities: Json = None

    def __getitem__(self, key: str) -> Json:
        """One entry; those that are known at once need no look at the machine, which takes a process."""
        known = self._known_at_once
        return known[key] if key in known else self._entries[key]

    def __iter__(self) -> Iterator[str]:
        """The names of the entries."""
        yield from self._entries
        yield from self._known_at_once.keys() - self._entries.keys()

    def __len__(self) -> int:
        """How many entries there are."""
        return sum(1 for _ in self)

    @property
    def _known_at_once(self) -> dict[str, Json]:
        known: dict[str, Json] = {"started": self._started, "settings": self._settings}
        return known if self.identities is None else {**known, "identities": self.identities}

    @cached_property
    def _entries(self) -> dict[str, Json]:
        return {
            "started": self._started,
            "versions": {"python": platform.python_version(), **dict(_versions())},
            "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
            "commit": _commit(self._rootdir),
            "settings": self._settings,
        }


def _processor() -> str:
    """The processor's model name on Linux, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _versions() -> Iterator[tuple[str, str]]:
    from importlib.metadata import PackageNotFoundError, version

    for name in _PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _commit(rootdir: Path) -> str | None:
    """The commit of the suite, or None outside git and before the first commit."""
    import subprocess

    try:
        # Without --verify git repeats the word HEAD where there is no commit.
        command = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
        process = subprocess.run(command, cwd=rootdir, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() or None
