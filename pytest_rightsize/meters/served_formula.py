"""Joules of the boards that serve a model, by a formula whose constants were fitted to measurements. Pure.

A step of a server writes one token for each request of its batch. It streams the weights once for all of them, computes
for each, and the boards take power all the while. A prompt's tokens take what computing takes. In a mixture of experts
a step streams those experts that some token of the batch needs, nearly all of them from some ten requests on.

The constants come from `python -m tests.benchmarks served-meter`, which fits them to half of ML.ENERGY's table (v3) and
prints how often the bounds hold on the other half.
"""

from dataclasses import dataclass
from itertools import product
from math import ceil, log2

__all__ = ["ACCELERATORS", "BATCHES", "ServedBy", "board_joules", "boards_needed", "range_of_board_joules"]

ACCELERATORS = ("H100", "B200")
"""The boards of which there are measurements."""
BATCHES = (8.0, 1024.0)
"""How many requests a server may have in its batch where nobody says."""
_USUAL_BATCH = 64.0
# 4 bits a weight, and 16.
_BYTES = (0.5, 2.0)
# Without it, of this many gigabytes a model's weights fill four fifths of each board.
_BOARD_GB = {"H100": 80.0, "B200": 180.0}


@dataclass(frozen=True, kw_only=True)
class Constants:
    """Constants of the formula: joules on H100 boards, and what B200 boards take of that.

    `streaming` is for a gigabyte of weights in each step, `computing` for a token and a billion active parameters,
    `holding` for a board in each step, `writing` for an output token whatever the model.
    """

    streaming: float = 0.2297
    computing: float = 0.00275
    holding: float = 0.2882
    writing: float = 0.05572
    b200: float = 0.943


_FITTED = Constants()


@dataclass(frozen=True, kw_only=True)
class ServedBy:
    """How a model is served: its sizes in billions, and what is known of the server.

    Sizes are (low, high), equal where they are known. `batch` is how many requests the server answers at once on
    average, (low, high); `accelerator` one of ACCELERATORS; `boards` how many hold one copy of the model. None is
    unknown.
    """

    params_b: tuple[float, float]
    active_b: tuple[float, float]
    bytes_per_param: float | None = None
    batch: tuple[float, float] | None = None
    accelerator: str | None = None
    boards: int | None = None


def board_joules(
    completion: float,
    prompt: float,
    *,
    params_b: float,
    active_b: float,
    bytes_per_param: float,
    batch: float,
    accelerator: str,
    boards: int | None = None,
    constants: Constants = _FITTED,
) -> float:
    """Joules of the boards for an answer of `completion` tokens to a prompt of `prompt` tokens that are not cached."""
    share: float = 1 - (1 - min(1.0, active_b / params_b)) ** batch
    count = boards or boards_needed(params_b, bytes_per_param, accelerator)
    step = constants.streaming * params_b * bytes_per_param * share + constants.holding * count
    computing = constants.computing * active_b
    joules = completion * (step / batch + computing + constants.writing) + prompt * computing
    return joules * (constants.b200 if accelerator == "B200" else 1.0)


def range_of_board_joules(completion: float, prompt: float, by: ServedBy) -> tuple[float, float, float]:
    """The least, usual and most joules over all that is not known of the server, without the formula's error."""
    batches = by.batch or BATCHES
    usual_batch = min(max(_USUAL_BATCH, batches[0]), batches[1])
    bytes_of = _BYTES if by.bytes_per_param is None else (by.bytes_per_param,)
    kinds = (by.accelerator,) if by.accelerator else ACCELERATORS
    sizes = list(zip(by.params_b, by.active_b, strict=True))

    def joules(size: tuple[float, float], bytes_per_param: float, batch: float, accelerator: str) -> float:
        return board_joules(
            completion,
            prompt,
            params_b=size[0],
            active_b=size[1],
            bytes_per_param=bytes_per_param,
            batch=batch,
            accelerator=accelerator,
            boards=by.boards,
        )

    ends = [joules(*each) for each in product(sizes, bytes_of, batches, kinds)]
    middle = ((sizes[0][0] + sizes[1][0]) / 2, (sizes[0][1] + sizes[1][1]) / 2)
    usual = joules(middle, bytes_of[-1], usual_batch, kinds[0])
    return min(*ends, usual), usual, max(*ends, usual)


def boards_needed(total_b: float, bytes_per_param: float, accelerator: str = "H100") -> int:
    """Boards that hold the weights and a fifth more, as a power of 2."""
    return int(2 ** ceil(log2(ceil(1.2 * total_b * bytes_per_param / _BOARD_GB[accelerator]))))
