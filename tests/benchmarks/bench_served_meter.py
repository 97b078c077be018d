"""The formula of the meter `served_model` against measured energy: fits it anew, and counts how often its bounds hold.

ML.ENERGY's benchmark v3 measured the boards of 565 configurations: 27 models on H100 and B200, three text tasks, and
batches of 8 to 4,096. Models of one architecture are a family (Qwen3-30B-A3B is Thinking, Instruct and Coder). Families
are ordered by size, dense ones and mixtures of experts apart, and of each two neighbours a seeded coin takes one, with
all that was measured of it, to the half that the constants are fitted to. The other half knows nothing of the fit.

The table is read from shared/data/mlenergy beside this repository, or from the folder that RIGHTSIZE_MLENERGY names;
where it is missing, this says so and does nothing.

    python -m tests.benchmarks served-meter
"""

import argparse
import csv
import gzip
import json
import os
import random
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from pytest_rightsize.meters.served_formula import Constants, board_joules
from pytest_rightsize.meters.served_model import ServedModel
from pytest_rightsize.records import Reply, Rung, Tokens

TABLE = Path(
    os.environ.get("RIGHTSIZE_MLENERGY") or Path(__file__).parents[3] / "shared" / "data" / "mlenergy"
).joinpath("mlenergy_v3_text.csv.gz")
SEED = 0
_BYTES = {"bfloat16": 2.0, "fp8": 1.0, "mxfp4": 0.53}
# The table has no lengths of prompts. Chats and questions are short beside their answers; a file of code before a gap
# of 250 tokens is not, and how long it is comes out of the fit.
_PROMPTS = {"gpqa": 200.0, "lm-arena-chat": 100.0}
_CODE_PROMPT = 2000.0
_MULTIMODAL = ("gemma-3", "Llama-4")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One configuration of the table: a model on boards with a batch, and what an output token took."""

    task: str
    model: str
    family: str
    is_mixture: bool
    params_b: float
    active_b: float
    bytes_per_param: float
    accelerator: str
    boards: int
    batch: float
    completion: float
    joules_per_token: float

    @property
    def size(self) -> str:
        """Its class of size."""
        return "8 to 14 B" if self.params_b < 20 else "20 to 117 B" if self.params_b < 200 else "235 to 671 B"

    @property
    def kind(self) -> str:
        """`dense`, or a mixture of experts."""
        return "mixture of experts" if self.is_mixture else "dense"

    @property
    def modality(self) -> str:
        """Whether the model reads images too; the tasks are of text."""
        return "multimodal" if any(name in self.model for name in _MULTIMODAL) else "text only"


def read_table(path: Path = TABLE) -> list[Measured]:
    """All configurations."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [_measured(row) for row in csv.DictReader(file)]


def _measured(row: dict[str, str]) -> Measured:
    model = row["model_id"].partition("/")[2]
    return Measured(
        task=row["task"],
        model=model,
        family=_family(model),
        is_mixture=row["architecture"] == "MoE",
        params_b=float(row["total_params_billions"]),
        active_b=float(row["activated_params_billions"]),
        bytes_per_param=_BYTES[row["weight_precision"]],
        accelerator=row["gpu_model"],
        boards=int(row["num_gpus"]),
        batch=float(row["avg_batch_size"]),
        completion=float(row["avg_output_len"]),
        joules_per_token=float(row["energy_per_token_joules"]),
    )


def _family(model: str) -> str:
    """The architecture: without tuning, date, precision, and the 3.1 or 3.3 of Llama 70B."""
    name = re.sub(r"-(Instruct|Thinking|Coder|it|FP8|R1|V3\.1|0528|2507)\b", "", model)
    return "Llama-70B" if name.startswith("Llama-3") and name.endswith("-70B") else name


def split(rows: Sequence[Measured], seed: int = SEED) -> tuple[list[Measured], list[Measured]]:
    """The half to fit to, and the half to count on; no family is in both."""
    coin = random.Random(seed)
    chosen: set[str] = set()
    for is_mixture in (False, True):
        sizes = {row.family: row.params_b for row in rows if row.is_mixture is is_mixture}
        families = sorted(sizes, key=lambda family: (sizes[family], family))
        chosen |= {coin.choice(families[at : at + 2]) for at in range(0, len(families), 2)}
    return [row for row in rows if row.family in chosen], [row for row in rows if row.family not in chosen]


# The formula that was fitted before, to H100 boards and dense models, is where the fit starts.
_START = Constants(streaming=0.1832, computing=0.00472, holding=0.954, writing=0.0337, b200=1.0)


def fit(rows: Sequence[Measured]) -> tuple[Constants, float]:
    """The constants with the least robust error of the logarithm, and the length of the prompts of code."""
    from scipy.optimize import least_squares

    start = np.log([*asdict(_START).values(), _CODE_PROMPT])

    def errors(logs: Any) -> Any:
        # The weak pull towards the start is for a constant that these rows say nothing of.
        return np.concatenate([log_errors(rows, *_unpacked(logs)), 0.02 * (logs - start)])

    return _unpacked(least_squares(errors, start, loss="soft_l1").x)


def _unpacked(logs: Any) -> tuple[Constants, float]:
    *values, code_prompt = (float(value) for value in np.exp(logs))
    return Constants(**dict(zip(asdict(_START), values, strict=True))), code_prompt


def log_errors(rows: Sequence[Measured], constants: Constants, code_prompt: float) -> Any:
    """The logarithm of what the formula says, with all that it can be told, over what was measured, for each row."""
    return np.log([_modelled(row, constants, code_prompt) / (row.completion * row.joules_per_token) for row in rows])


def _modelled(row: Measured, constants: Constants, code_prompt: float) -> float:
    return board_joules(
        row.completion,
        _PROMPTS.get(row.task, code_prompt),
        params_b=row.params_b,
        active_b=row.active_b,
        bytes_per_param=row.bytes_per_param,
        batch=row.batch,
        accelerator=row.accelerator,
        boards=row.boards,
        constants=constants,
    )


def left_out_errors(rows: Sequence[Measured]) -> Any:
    """The logarithm of the error for each row, by a fit to the other families."""
    families = sorted({row.family for row in rows})
    parts = []
    for family in families:
        others = [row for row in rows if row.family != family]
        parts.append(log_errors([row for row in rows if row.family == family], *fit(others)))
    return np.concatenate(parts)


KNOWN: dict[str, Callable[[Measured], dict[str, Any]]] = {
    "sizes alone": lambda _: {},
    "and `bytes_per_param`": lambda row: {"bytes_per_param": row.bytes_per_param},
    "and `accelerator`, `batch`, `boards`": lambda row: {
        "bytes_per_param": row.bytes_per_param,
        "accelerator": row.accelerator,
        "batch": row.batch,
        "boards": row.boards,
    },
    '`formula = "ecologits"`': lambda _: {"formula": "ecologits"},
}
"""What the ladder file says of a served model, and the options that say it."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the meter, as it is shipped, says of one configuration."""

    row: Measured
    low: float
    joules: float
    high: float

    @property
    def is_held(self) -> bool:
        """Whether the bounds hold what was measured."""
        return self.low <= self.row.completion * self.row.joules_per_token <= self.high

    @property
    def factor(self) -> float:
        """How far the figure is off, as a factor of at least 1."""
        return float(np.exp(abs(np.log(self.joules / (self.row.completion * self.row.joules_per_token)))))


def say(rows: Sequence[Measured], options: Callable[[Measured], dict[str, Any]], code_prompt: float) -> list[Said]:
    """The answers of the meter itself."""
    said = []
    for row in rows:
        rung = Rung(name=row.model, provider="openai", params_b=row.params_b, active_b=row.active_b)
        tokens = Tokens(completion=round(row.completion), prompt=round(_PROMPTS.get(row.task, code_prompt)))
        energy = ServedModel(rung, options(row), "remote").of_answer(Reply(text="", tokens=tokens))
        assert energy.bounds is not None
        assert energy.joules is not None
        said.append(Said(row=row, low=energy.bounds[0], joules=energy.joules, high=energy.bounds[1]))
    return said


_GROUPS: dict[str, Callable[[Measured], str]] = {
    "board": lambda row: row.accelerator,
    "kind": lambda row: row.kind,
    "reads": lambda row: row.modality,
    "size": lambda row: row.size,
    "task": lambda row: row.task,
}


def coverage_table(rows: Sequence[Measured], code_prompt: float) -> str:
    """How many of the configurations each meter's bounds hold, by kind, as a Markdown table."""
    said = {name: say(rows, options, code_prompt) for name, options in KNOWN.items()}
    lines = [["all", len(rows), *map(_held, said.values())]]
    for title, group in _GROUPS.items():
        for name in sorted({group(row) for row in rows}, key=lambda name: (len(name.split()[0]), name)):
            members = [[one for one in each if group(one.row) == name] for each in said.values()]
            lines.append([f"{title}: {name}", len(members[0]), *map(_held, members)])
    for factor in (2, 4, 10):
        within = [[one for one in each if one.factor <= factor] for each in said.values()]
        lines.append([f"the figure within x {factor}", len(rows), *(_share(one, rows) for one in within)])
    offs = [f"x {np.median([one.factor for one in each]):.2f}" for each in said.values()]
    widths = [f"x {np.median([one.high / one.low for one in each]):.0f}" for each in said.values()]
    lines += [["off by, median", "", *offs], ["width of the bounds, median", "", *widths]]
    return tabulate(
        lines,
        headers=["", "configurations", *KNOWN],
        tablefmt="github",
        colalign=["left", "right", *["left"] * len(KNOWN)],
    )


def _held(said: Sequence[Said]) -> str:
    return _share([one for one in said if one.is_held], said)


def _share(some: Sequence[object], of: Sequence[object]) -> str:
    return f"{len(some)} ({100 * len(some) / len(of):.1f} %)"


def report(rows: Sequence[Measured]) -> tuple[list[str], dict[str, Any]]:
    """Lines to print, and the same as data."""
    to_fit, to_count = split(rows)
    constants, code_prompt = fit(to_fit)
    off_in_fit, off = left_out_errors(to_fit), log_errors(to_count, constants, code_prompt)
    families = sorted({row.family for row in to_fit})
    others = [log_errors(half[1], *fit(half[0])) for half in (split(rows, seed) for seed in range(1, 21))]
    within = sorted(float(np.mean(np.abs(each) <= np.log(4))) for each in others)
    lines = [
        f"fitted to {len(to_fit)} configurations of {len(families)} families: {', '.join(families)}",
        "constants: " + ", ".join(f"{name} {value:.4g}" for name, value in asdict(constants).items()),
        f"prompts of code are {code_prompt:,.0f} tokens by the fit",
        f"of families left out of the fit within that half, 97 % are within a factor of {_quantile(off_in_fit):.2f}",
        f"of the other {len(to_count)} configurations {_within(off, 2)} are within a factor of 2, "
        f"{_within(off, 4)} within 4; 97 % within {_quantile(off):.2f}",
        f"within a factor of 4 with 20 other splits: {100 * within[0]:.1f} to {100 * within[-1]:.1f} %",
        "",
        coverage_table(to_count, code_prompt),
    ]
    return lines, {"constants": asdict(constants), "code_prompt": code_prompt, "within_4": _within(off, 4)}


def _quantile(log_errors: Any) -> float:
    return float(np.exp(np.quantile(np.abs(log_errors), 0.97)))


def _within(log_errors: Any, factor: float) -> str:
    return f"{100 * float(np.mean(np.abs(log_errors) <= np.log(factor))):.1f} %"


def are_shipped(constants: dict[str, float]) -> bool:
    """Whether the meter has these constants, to three digits."""
    shipped = asdict(Constants())
    return all(f"{shipped[name]:.3g}" == f"{value:.3g}" for name, value in constants.items())


def main() -> int:
    """Print the fit and the coverage; 1 if the shipped constants are not those of the fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args()
    if not TABLE.is_file():
        print(f"skipped: the table of ML.ENERGY is not in {TABLE}: set RIGHTSIZE_MLENERGY to its folder")
        return 0
    lines, figures = report(read_table())
    print("\n".join(lines))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if are_shipped(figures["constants"]) else 1


if __name__ == "__main__":
    sys.exit(main())
