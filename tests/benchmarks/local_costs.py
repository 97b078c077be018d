"""Where the time of a token goes in the provider: reading and writing of tokens by llama.cpp, and our own work on them.

The functions that do it are timed while a contender runs; what none of them takes is the loop around them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pytest_rightsize.providers.llama_cpp import chat, completions, native, sampling

__all__ = ["Costs", "counted"]


@dataclass(kw_only=True)
class Costs:
    """Seconds by the clock in each station, and how often it was called."""

    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)

    def timed(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added to the station's."""

        def call(*args: Any, **names: Any) -> Any:
            started = time.perf_counter()
            try:
                return original(*args, **names)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
                self.calls[name] = self.calls.get(name, 0) + 1

        return call

    def ms_per_token(self, tokens: int, wall_s: float) -> dict[str, float]:
        """Milliseconds of each station for one written token; `rest` is what no station took."""
        stations = {name: round(seconds * 1000 / tokens, 4) for name, seconds in sorted(self.seconds.items())}
        return stations | {"rest": round((wall_s - sum(self.seconds.values())) * 1000 / tokens, 4)}


@contextmanager
def counted() -> Iterator[Costs]:
    """Time the stations of all providers in this process while the block runs."""
    costs = Costs()
    # `prompting`: template and tokens of a prompt, and the reply. `detokenising`: a token's text, stop strings, limits.
    stations: list[tuple[Any, str, str]] = [
        (native.load(), "llama_decode", "decode"),
        (sampling.Sampler, "draw", "sampling"),
        (completions.Answer, "add", "detokenising"),
        (chat.LoadedModel, "next_turn", "prompting"),
        (chat.LoadedModel, "start", "starting"),
    ]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in stations]
    for owner, name, station in stations:
        setattr(owner, name, costs.timed(station, getattr(owner, name)))
    try:
        yield costs
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)
