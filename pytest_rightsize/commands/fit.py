"""Say which open models fit this machine, in which quantisation: weights, the cache of a context, and room to compute.

Estimated from the models' shapes, good to about a tenth. With --model the figures are those of one GGUF file.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from pytest_rightsize.commands._machine import memory_of_this_machine
from pytest_rightsize.commands._output import say
from pytest_rightsize.config.model_sizes import BITS, KNOWN_MODELS, Need, Shape, need, suggested
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers.llama_cpp.provider import file_shape

__all__ = ["EXAMPLES", "add_arguments", "run", "rung_lines"]

EXAMPLES = (
    "rightsize fit",
    "rightsize fit --memory 16 --context 8192 --parallel 1",
    "rightsize fit --model models/qwen3-4b.gguf",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize fit`."""
    parser.add_argument(
        "--memory", type=float, metavar="GB", help="for so much memory (default: 0.9 of this machine's)"
    )
    parser.add_argument("--context", type=int, default=4096, metavar="TOKENS", help="of each request (default 4096)")
    parser.add_argument("--parallel", type=int, default=4, metavar="N", help="requests at once (default 4)")
    parser.add_argument("--model", type=Path, metavar="FILE", help="only this GGUF file")
    parser.add_argument("--json", action="store_true", help="everything in bytes, as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print the table; returns 1 where the file of --model does not fit.

    Raises ConfigError for a wrong number or file.
    """
    for name in ("memory", "context", "parallel"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < 1e9:
            raise ConfigError(f"--{name} was given {value:g}: give a number above 0")
    machine = memory_of_this_machine()
    memory = machine.for_models if arguments.memory is None else int(arguments.memory * 1e9)
    if memory is None:
        raise ConfigError("this system does not tell how much memory it has: give it, as in --memory 16")
    about = machine.words() if arguments.memory is None else f"{arguments.memory:g} GB of memory, as you say"
    fits = _Fits(memory=memory, context=arguments.context, parallel=arguments.parallel)
    if arguments.model is not None:
        return fits.say_file(arguments.model, about, as_json=arguments.json)
    if arguments.json:
        say(json.dumps(fits.plain(), indent=1))
        return 0
    say("\n".join([f"{about}; {memory / 1e9:.1f} GB for a model", *fits.table(), "", *fits.proposal()]))
    return 0


@dataclass(frozen=True, kw_only=True)
class _Fits:
    """What fits into `memory` bytes, for so many requests of such a context."""

    memory: int
    context: int
    parallel: int

    def _need(self, shape: Shape, quant: str) -> Need:
        return need(shape, quant, context=self.context, parallel=self.parallel)

    def table(self) -> list[str]:
        rows = [
            [shape.name, f"{shape.params_b:g}", *(self._cell(shape, quant) for quant in BITS)] for shape in KNOWN_MODELS
        ]
        headers = ["model", "params (B)", *BITS]
        return [
            f"gigabytes for {self.parallel} requests at once of {self.context:,} tokens each (- does not fit)",
            *tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True).splitlines(),
        ]

    def _cell(self, shape: Shape, quant: str) -> str:
        total = self._need(shape, quant).total
        return f"{total / 1e9:.1f}" if total <= self.memory else "-"

    def proposal(self) -> Iterator[str]:
        shapes = suggested(self.memory, context=self.context, parallel=self.parallel)
        if not shapes:
            yield 'none of them fits: use an endpoint (provider = "openai")'
            return
        yield f"a ladder that fits, for rightsize.toml (fetch it with `rightsize pull`; {_download(shapes)}):"
        for shape in shapes:
            yield ""
            yield from rung_lines(shape)

    def plain(self) -> dict[str, object]:
        return {
            "memory_bytes": self.memory,
            "context": self.context,
            "parallel": self.parallel,
            "models": [
                {
                    "name": shape.name,
                    "repo": shape.repo,
                    "params_b": shape.params_b,
                    "quantisations": {quant: self._plain_need(self._need(shape, quant)) for quant in BITS},
                }
                for shape in KNOWN_MODELS
            ],
        }

    def _plain_need(self, needed: Need) -> dict[str, object]:
        return {
            "weights_bytes": needed.weights,
            "cache_bytes": needed.cache,
            "workspace_bytes": needed.workspace,
            "fits": needed.total <= self.memory,
        }

    def say_file(self, path: Path, about: str, *, as_json: bool) -> int:
        """Tell of one file: its weights are its size, its cache is that of its header."""
        try:
            size, cell_bytes = file_shape(path)
        except OSError as error:
            raise ConfigError(f"--model {path} cannot be read: {error.strerror}: name a GGUF file") from None
        except ValueError as error:
            raise ConfigError(f"--model {path} {error}: name a GGUF file") from None
        shape = Shape(name=path.name, repo="", params_b=0, layers=1, kv_heads=1, head_dim=max(1, cell_bytes // 4))
        cache = self._need(shape, "F16").cache
        needed = Need(weights=size, cache=cache)
        if as_json:
            say(json.dumps({"model": str(path), "memory_bytes": self.memory, **self._plain_need(needed)}, indent=1))
        else:
            say(
                f"{about}; {self.memory / 1e9:.1f} GB for a model\n"
                f"{path.name}: {needed.total / 1e9:.2f} GB: weights {size / 1e9:.2f}, cache {cache / 1e9:.2f} for "
                f"{self.parallel} requests at once of {self.context:,} tokens each, {needed.workspace / 1e9:.1f} to "
                f"compute: {'fits' if needed.total <= self.memory else 'does not fit'}"
            )
        return 0 if needed.total <= self.memory else 1


def rung_lines(shape: Shape, quant: str = "Q4_K_M") -> Iterator[str]:
    """The table of a model in a ladder file."""
    yield f"[ladder.{short_name(shape)}]"
    yield 'provider = "llama_cpp"'
    yield f'model = "hf:{shape.repo}:{quant}"'
    yield f"params_b = {shape.params_b:g}"
    if shape.active_b is not None:
        yield f"active_b = {shape.active_b:g}"


def short_name(shape: Shape) -> str:
    """The name of a rung: its size, as in `4b` or `600m`."""
    return f"{shape.params_b * 1000:.0f}m" if shape.params_b < 1 else f"{shape.params_b:.0f}b"


def _download(shapes: Sequence[Shape]) -> str:
    total = sum(need(shape, "Q4_K_M", context=1, parallel=1).weights for shape in shapes)
    return f"about {total / 1e9:.1f} GB to download"
