"""The interface of a provider, which answers for one rung: a Request comes in, a Future of a Reply goes out.

A provider never judges an answer, and neither making one nor its `check` calls a model. To add one, write a class with
the members of `Provider` in a file of its own and return it from `pytest_rightsize_providers` (see hookspecs.py); the
ladder file then names it by `provider = "..."`.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from pytest_rightsize.contributions import Contributions
from pytest_rightsize.records import Identity, Reply, Request, Rung

__all__ = ["Problem", "Provider", "identity_of", "load_providers"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A reason why a rung cannot answer at all on this machine, and how to fix it.

    `what` is a clause, `remedy` an imperative with the command or the key to set.

    >>> Problem(what="models/1b.gguf is not there", remedy="run rightsize pull").remedy
    'run rightsize pull'
    """

    what: str
    remedy: str


class Provider(Protocol):
    """Sends the requests of one rung to its model.

    Making one is cheap: it reads no file, imports nothing heavy and opens no connection.

    `options` are the ladder-file keys it understands beyond the common ones, with the types they may have; `required`
    are the keys (common ones too) that it cannot do without. An attribute `in_flight` may say how many requests it
    handles well at once (8 where there is none); the rung's `max_in_flight` and `--rightsize-concurrency` take
    precedence. `site` may say where its model runs, for the meter: "process", "machine", "remote", or None where
    nothing runs; with "cluster" it measures where its model runs: replies come with their energy, and after `close` it
    has the totals in `meterings`, a sequence of `Metering`; `meter_name` is what the user reads of its meter, empty
    where there is none. `trusted` may say that private tasks may go there, though it is not on this machine, and
    `takes_room_of` whose memory the model takes: "machine", "cluster" or None, as it is where a request leaves this
    machine. `answers_are_free` may say that it has no model and answers from a recording: a trial that need not run is
    then run all the same, so that the report is whole, and no budget counts it. `can_be_hosted` may say that it can be
    made from its rung alone in another process, which then answers for all workers (`--rightsize-hosts`). `loads_model`
    may say that the first request loads the model also where that is on this machine and not in this process: what that
    takes is then no answer's. `is_loading` may say that it got its first request and cannot answer yet, and
    `size_bytes` how large its model is, once that is known: both are shown while a session runs. `weight_bytes()` may
    tell the size before the model is loaded, for a ladder in the order of bytes. `takes_images` and `takes_sound` may
    say whether it takes such parts of messages, None where only its endpoint knows; where one is False,
    `needs_for_images` may say what to do about it. Attributes `on_note` and `on_stall` are set to functions that show
    the user a sentence, from any thread: `on_note` when the next test ends, `on_stall` at once, as what the tests wait
    for may never come.

    >>> class Shout:
    ...     options, required, leaves_machine = {"suffix": str}, (), False
    ...
    ...     def __init__(self, rung):
    ...         self.suffix = rung.options.get("suffix", "")
    ...
    ...     def check(self):
    ...         return None
    ...
    ...     def identity(self, sha256):
    ...         return Identity(content={"provider": "shout", "suffix": self.suffix}, greedy=True)
    ...
    ...     def submit(self, request):
    ...         future = Future()
    ...         future.set_result(Reply(text=request.messages[-1]["content"].upper() + self.suffix))
    ...         return future
    ...
    ...     def close(self):
    ...         pass
    >>> provider: Provider = Shout(Rung(name="loud", provider="shout", options={"suffix": "!"}))
    >>> provider.submit(Request(messages=({"role": "user", "content": "hello"},))).result().text
    'HELLO!'
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]]
    required: ClassVar[tuple[str, ...]]

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError if its options contradict each other."""

    @property
    def leaves_machine(self) -> bool:
        """Whether a request may travel beyond this machine."""

    def check(self) -> Problem | None:
        """Report what is missing, such as a file or a key, as far as that shows without calling a model."""

    def identity(self, sha256: Callable[[Path], str]) -> Identity | None:
        """Identify the rung by its content, under which its answers are recorded; None to record none.

        It holds whatever may change the answer to the same request: the hash of a model's file (`sha256` computes it,
        and remembers it), the engine's version, an endpoint's URL. It never holds a key, a header or a path. May raise
        RungError, as when a file is missing.
        """

    def submit(self, request: Request) -> Future[Reply]:
        """Send the request; the Future ends in a Reply, a RungError or a NoAnswerError (TooLongError).

        Callable from any thread, and never blocks for long. The first request may load the model; that time is not part
        of any reply's seconds.
        """

    def close(self) -> None:
        """Free the model's memory or the connections. Idempotent; a later submit opens again."""


def identity_of(provider: Provider, sha256: Callable[[Path], str]) -> Identity | None:
    """The provider's fingerprint; None where a third party's is older than the recording of answers."""
    identify = getattr(provider, "identity", None)
    identity: Identity | None = None if identify is None else identify(sha256)
    return identity


def load_providers(contributions: Iterable[Mapping[str, type[Provider]]]) -> Mapping[str, type[Provider]]:
    """Merge the providers that each plugin contributes; raises ConfigError if two gave the same name."""
    return Contributions(
        contributions,
        lambda name, first, second: (
            f"two plugins provide {name!r}: {first.__module__} and {second.__module__}. Uninstall one, "
            f"or have one of them choose another name in pytest_rightsize_providers"
        ),
    )
