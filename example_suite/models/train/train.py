"""Trains one rung: its recipe goes in, a checkpoint comes out; interrupted runs go on where they stopped.

The cases of step `n` depend on the seed and `n` alone, and the learning rate on `n` and the number of steps,
so a resumed run ends as an uninterrupted one does. Muon moves the matrices, AdamW the embedding and the norms.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import vocabulary
from .network import CONTEXT_LENGTH, Network, Shape
from .tasks import TASKS, Case, draw

RUNS = Path(__file__).with_name("runs")
BATCH_SIZE = 32
MICRO_BATCHES = 4
COOLDOWN = 0.4
CHECKPOINT_EVERY = 100


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a rung's weights."""

    shape: Shape
    steps: int
    muon_rate: float
    adam_rate: float
    seed: int = 1


RECIPES: dict[str, Recipe] = {
    "25k": Recipe(shape=Shape(width=32, layers=2, heads=2, hidden=64), steps=12000, muon_rate=0.012, adam_rate=5e-3),
    "60k": Recipe(shape=Shape(width=48, layers=2, heads=3, hidden=128), steps=10000, muon_rate=0.01, adam_rate=4e-3),
    "160k": Recipe(shape=Shape(width=64, layers=3, heads=4, hidden=176), steps=10000, muon_rate=0.008, adam_rate=3e-3),
    "frontier": Recipe(
        shape=Shape(width=128, layers=4, heads=8, hidden=352), steps=8000, muon_rate=0.004, adam_rate=1.5e-3
    ),
}


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised: every direction of a matrix moves by the same amount.

    torch.optim.Muon does its products in bfloat16, forty times slower than float32 on a CPU without bfloat16.
    """

    def __init__(self, matrices: list[nn.Parameter], rate: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": rate, "momentum": momentum})

    def step(self, closure: Any = None) -> Any:
        with torch.no_grad():
            for group in self.param_groups:
                for matrix in group["params"]:
                    self._move(matrix, group["lr"], group["momentum"])

    def _move(self, matrix: nn.Parameter, rate: float, momentum: float) -> None:
        assert matrix.grad is not None
        velocity: Tensor = self.state[matrix].setdefault("velocity", torch.zeros_like(matrix))
        velocity.lerp_(matrix.grad, 1 - momentum)
        update = _orthogonal(torch.lerp(matrix.grad, velocity, momentum))
        scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        matrix.mul_(1 - rate * 0.01).add_(update, alpha=-rate * scale)


def _orthogonal(matrix: Tensor) -> Tensor:
    """The nearest orthogonal matrix, nearly, by five Newton-Schulz steps (Jordan et al. 2024)."""
    wide: Tensor = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(5):
        gram = wide @ wide.T
        wide = 3.4445 * wide + (-4.7750 * gram + 2.0315 * gram @ gram) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


def batch_cases(recipe: Recipe, step: int) -> list[Case]:
    """The training cases of one step."""
    rng = Random(f"{recipe.seed} {step}")
    tasks = list(TASKS.values())
    return [draw(task, "train", rng) for task in rng.choices(tasks, [task.weight for task in tasks], k=BATCH_SIZE)]


def _micro_batches(cases: list[Case]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Ids, targets and weights, a few rows of similar length at a time; only answers are learnt.

    Every case weighs the same, whatever the length of its answer.
    """
    rows = [
        (vocabulary.encode_prompt(case.prompt), [*vocabulary.encode(case.expected), vocabulary.END]) for case in cases
    ]
    rows.sort(key=lambda row: len(row[0]) + len(row[1]))
    for start in range(0, len(rows), len(rows) // MICRO_BATCHES):
        part = rows[start : start + len(rows) // MICRO_BATCHES]
        length = max(len(prompt) + len(target) for prompt, target in part) - 1
        assert length <= CONTEXT_LENGTH
        ids = torch.zeros(len(part), length, dtype=torch.long)
        targets, weights = torch.zeros_like(ids), torch.zeros(len(part), length)
        for row, (prompt, target) in enumerate(part):
            whole, first = prompt + target, len(prompt) - 1
            ids[row, : len(whole) - 1] = torch.tensor(whole[:-1])
            targets[row, first : len(whole) - 1] = torch.tensor(target)
            weights[row, first : len(whole) - 1] = 1 / len(target)
        yield ids, targets, weights


def _optimizers(network: Network, recipe: Recipe) -> list[torch.optim.Optimizer]:
    matrices = [parameter for parameter in network.blk.parameters() if parameter.ndim == 2]
    others = [parameter for parameter in network.parameters() if not any(parameter is matrix for matrix in matrices)]
    return [
        Muon(matrices, recipe.muon_rate),
        torch.optim.AdamW(others, recipe.adam_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _rate_factor(step: int, steps: int) -> float:
    """Warm up, stay, cool down to zero."""
    return min(1.0, (step + 1) / 50, (steps - step) / (steps * COOLDOWN))


def _learn(network: Network, cases: list[Case]) -> float:
    """Accumulates the gradient of one batch; the weighted loss per answer token comes back."""
    total = 0.0
    parts = list(_micro_batches(cases))
    norm = float(sum(weights.sum() for _, _, weights in parts))
    for ids, targets, weights in parts:
        here = weights > 0
        losses = functional.cross_entropy(network.logits(network(ids)[here]), targets[here], reduction="none")
        loss = (losses * weights[here]).sum() / norm
        torch.autograd.backward(loss)
        total += loss.item()
    return total


def train(rung: str, steps: int | None = None) -> Path:
    """Trains `rung` to the end of its recipe and names its checkpoint."""
    torch.set_num_threads(1)
    recipe = RECIPES[rung]
    steps = steps or recipe.steps
    torch.manual_seed(recipe.seed)
    network = Network(recipe.shape)
    optimizers = _optimizers(network, recipe)
    path = RUNS / f"{rung}.pt"
    first, seconds, tokens = _resume(path, network, optimizers)
    started = time.process_time() - seconds
    smooth = None
    for step in range(first, steps):
        for optimizer, rate in zip(optimizers, (recipe.muon_rate, recipe.adam_rate), strict=True):
            optimizer.param_groups[0]["lr"] = rate * _rate_factor(step, steps)
            optimizer.zero_grad()
        cases = batch_cases(recipe, step)
        loss = _learn(network, cases)
        for optimizer in optimizers:
            optimizer.step()
        tokens += sum(len(case.prompt) + len(case.expected) + 6 for case in cases)
        smooth = loss if smooth is None else 0.98 * smooth + 0.02 * loss
        if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == steps:
            seconds = time.process_time() - started
            report = {"rung": rung, "steps": step + 1, "of": steps, "seed": recipe.seed, "loss": round(smooth, 4),
                      "tokens": tokens, "cpu_minutes": round(seconds / 60, 1), "shape": asdict(recipe.shape),
                      "parameters": network.parameter_count}  # fmt: skip
            _save(path, network, optimizers, step + 1, seconds, tokens)
            path.with_suffix(".json").write_text(json.dumps(report) + "\n")
            print(json.dumps(report), flush=True)
    return path


def _save(
    path: Path, network: Network, optimizers: list[torch.optim.Optimizer], step: int, seconds: float, tokens: int
) -> None:
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(".new")
    states = [optimizer.state_dict() for optimizer in optimizers]
    torch.save(
        {"network": network.state_dict(), "optimizers": states, "step": step, "seconds": seconds, "tokens": tokens},
        fresh,
    )
    fresh.replace(path)


def _resume(path: Path, network: Network, optimizers: list[torch.optim.Optimizer]) -> tuple[int, float, int]:
    if not path.exists():
        return 0, 0.0, 0
    saved = torch.load(path)
    network.load_state_dict(saved["network"])
    for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(state)
    return saved["step"], saved["seconds"], saved["tokens"]
