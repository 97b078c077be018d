"""How a rung answers: the Protocol of a provider, and its built-in kinds behind the same hook as anyone's own.

How to add one: write a class with the members of `Provider` in a file of its own, and return it from
`pytest_rightsize_providers` (see hookspecs.py). The ladder file then names it by `provider = "..."`.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Identity, Reply, Request, Rung

__all__ = ["Problem", "Provider", "load_providers"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a rung cannot answer at all on this machine, and what gets it going.

    `what` is a clause ("models/1b.gguf is not there"), `remedy` an imperative with the command or the key to set.
    """

    what: str
    remedy: str


class Provider(Protocol):
    """One rung's way to its model. Making one is cheap: it reads nothing, imports nothing heavy, and calls nobody.

    `options` are the ladder-file keys it understands beyond the common ones, with the types they may have; `required`
    are those (common ones too) without which it cannot be. An attribute `in_flight` may say how many requests it takes
    well at once (8 where there is none); `max_in_flight` of the rung and `--rightsize-concurrency` bound it. `site` may
    say where its model runs, for the meter: "process", "machine", "remote", or None where nothing runs.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]]
    required: ClassVar[tuple[str, ...]]

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raise ConfigError if its options contradict each other."""

    @property
    def leaves_machine(self) -> bool:
        """Whether a request may travel beyond this machine."""

    def check(self) -> Problem | None:
        """Say what is missing, as far as that can be known without calling a model: a file, a key."""

    def identity(self, sha256: Callable[[Path], str]) -> Identity | None:
        """Say what the rung is by its content, under which its answers are recorded; None to have none recorded.

        Whatever may change an answer to the same request belongs in it: the hash of a model's file (`sha256` gives it,
        and remembers it), the engine's version, an endpoint's URL. A key, a header or a path never does. May raise
        RungError, as when a file is missing.
        """

    def submit(self, request: Request) -> Future[Reply]:
        """Ask; the Future ends in a Reply, a RungError or a TooLongError. Callable from any thread, never blocks long.

        The first request may load the model; that time is not part of any reply's seconds.
        """

    def close(self) -> None:
        """Free the model's memory or the connections. Idempotent; a later submit opens again."""


def load_providers(found: Iterable[Mapping[str, type[Provider]]]) -> dict[str, type[Provider]]:
    """One table of providers from what every plugin named; raises ConfigError if two gave the same name."""
    table: dict[str, type[Provider]] = {}
    for named in found:
        for name, kind in named.items():
            if table.get(name, kind) is not kind:
                raise ConfigError(
                    f"two plugins provide {name!r}: {table[name].__module__} and {kind.__module__}. Uninstall one, "
                    f"or have one of them choose another name in pytest_rightsize_providers"
                )
            table[name] = kind
    return table
