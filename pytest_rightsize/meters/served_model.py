"""Energy of a served model of known size, by two published kinds of formula: a model, never called a measurement.

`ecologits` is the formula of EcoLogits 0.11 (the whole data centre; input tokens do not count). `weights` is for the
boards alone: a step streams the weights once for all requests in the batch. It was fitted to 101 configurations of
nine dense models on H100 boards, and is offered where the parameters are known and at least 8 billion. Neither formula
knows how full the server's batch was, which matters most: their intervals allow for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, log2
from typing import ClassVar

import pluggy

from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.meters import Counter, Meter, MeterProblem, Site
from pytest_rightsize.records import Json, Reply, Rung

__all__ = ["ServedModel", "ecologits_wh", "weights_joules_per_token"]

hookimpl = pluggy.HookimplMarker("pytest")

_BATCH = 64
# Against 565 measured configurations 97 % of the formula's figures lay within a factor of 10.
_ECOLOGITS_ERROR = 10.0
# Of models left out of the fit 99 % lay within a factor of 2.
_WEIGHTS_ERROR = 2.0
_BATCHES = (8, 64, 512)
_LEAST_FOR_WEIGHTS_B = 8.0
_BOARD_BYTES = 80.0


class ServedModel:
    """A model served on boards of a data centre.

    `params_b` and `active_b` (billions; `[low, high]` where they are a guess) default to the rung's. `formula` defaults
    to `weights` where that is valid, else to `ecologits`; `pue` (default 1.2) is used by the latter, `bytes_per_param`
    (default 2) and `boards` by the former.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "params_b": (int, float, list),
        "active_b": (int, float, list),
        "pue": (int, float, list),
        "formula": str,
        "bytes_per_param": (int, float),
        "boards": int,
    }

    def __init__(self, rung: Rung, options: Mapping[str, Json], site: Site) -> None:  # noqa: ARG002  # as all meters
        """Take sizes and formula; raises ConfigError for what cannot be, or a formula that is not valid here."""
        where = f"rung {rung.name!r}: the meter served_model"
        self._total = _range(options.get("params_b", rung.params_b), where, "params_b")
        self._active = _range(options.get("active_b", rung.active_b), where, "active_b") or self._total
        self._pue = _range(options.get("pue", 1.2), where, "pue") or (1.2, 1.2)
        self._bytes = float(options.get("bytes_per_param", 2))
        self._boards = options.get("boards")
        formula = options.get("formula")
        if formula not in (None, "weights", "ecologits"):
            raise unknown_name(f"{where}: formula", str(formula), ("weights", "ecologits"), noun="formula")
        valid = self._total is not None and self._total[0] >= _LEAST_FOR_WEIGHTS_B and self._total[0] == self._total[1]
        if formula == "weights" and not valid:
            raise ConfigError(f"{where}: the formula weights holds from 8 billion known parameters on: use ecologits")
        self._formula = formula or ("weights" if valid else "ecologits")

    def check(self) -> MeterProblem | None:
        """It needs the number of parameters."""
        if self._total is not None:
            return None
        return MeterProblem(
            what="the number of its parameters is not known",
            remedy='set params_b of the rung, or a guess: meter = { name = "served_model", params_b = [100, 400] }',
        )

    def counters(self) -> Sequence[Counter]:
        """None."""
        return ()

    def of_answer(self, reply: Reply) -> Energy:
        """The answer's energy by the formula; unknown without its output tokens or the parameters."""
        tokens = reply.tokens.completion
        if tokens is None or not tokens:
            return unknown_energy("the output tokens are not known", meter="served_model")
        if self._total is None or self._active is None:
            return unknown_energy("the number of its parameters is not known", meter="served_model")
        low, joules, high = (
            self._weights(tokens) if self._formula == "weights" else self._ecologits(tokens, reply.seconds)
        )
        boards = self._formula == "weights"
        return Energy(
            joules=joules,
            low=low,
            high=high,
            provenance="modelled",
            boundary=frozenset({"gpu.board"} if boards else {"gpu.board", "host", "pue"}),
            meter=f"served_model:{self._formula}",
            window_s=reply.seconds,
        )

    def _ecologits(self, tokens: int, seconds: float | None) -> tuple[float, float, float]:
        assert self._total is not None
        assert self._active is not None
        ends = [
            3600
            * ecologits_wh(tokens, self._active[end], self._total[end], pue=self._pue[end], latency_s=seconds or inf)
            for end in (0, 1)
        ]
        return min(ends) / _ECOLOGITS_ERROR, sum(ends) / 2, max(ends) * _ECOLOGITS_ERROR

    def _weights(self, tokens: int) -> tuple[float, float, float]:
        assert self._total is not None
        assert self._active is not None
        boards = self._boards or boards_needed(self._total[0], self._bytes)
        each = [
            tokens * weights_joules_per_token(self._total[0] * self._bytes, self._active[0], boards=boards, batch=batch)
            for batch in _BATCHES
        ]
        return min(each) / _WEIGHTS_ERROR, each[1], max(each) * _WEIGHTS_ERROR


def _range(value: Json, where: str, name: str) -> tuple[float, float] | None:
    if value is None:
        return None
    ends = value if isinstance(value, list) else [value, value]
    if len(ends) != 2 or not all(isinstance(end, int | float) and end > 0 for end in ends) or ends[0] > ends[1]:
        raise ConfigError(f"{where}: {name} = {value!r} cannot be: give a number above 0, or [low, high]")
    return float(ends[0]), float(ends[1])


@dataclass(frozen=True, kw_only=True)
class _EcoLogits:
    """Constants of EcoLogits 0.11, `impacts/llm.py`; energies in Wh, sizes in billions of parameters, times in s."""

    gpu_alpha: float = 1.1665273170451914e-06
    gpu_beta: float = -0.011205921025579175
    gpu_gamma: float = 4.052928146734005e-05
    latency_alpha: float = 6.785088094353663e-4
    latency_beta: float = 3.119310311688259e-4
    latency_gamma: float = 0.019473717579473387
    server_w: float = 1200.0
    server_gpus: int = 8


def ecologits_wh(
    tokens: float, active_b: float, total_b: float, *, pue: float, latency_s: float = inf, batch: int = _BATCH
) -> float:
    """Watt hours of `tokens` output tokens by the formula of EcoLogits. Source: its `impacts/llm.py`, 0.11."""
    c = _EcoLogits()
    per_token_wh = c.gpu_alpha * exp(c.gpu_beta * batch) * active_b + c.gpu_gamma
    per_token_s = c.latency_alpha * active_b + c.latency_beta * batch + c.latency_gamma
    seconds = min(latency_s, tokens * per_token_s)
    gpus = boards_needed(total_b, 2.0)
    server_wh = seconds / 3600 * c.server_w * (gpus / c.server_gpus) / batch
    return pue * (server_wh + gpus * tokens * per_token_wh)


def boards_needed(total_b: float, bytes_per_param: float) -> int:
    """Boards of 80 GB that hold the weights and a fifth more, as a power of 2."""
    return int(2 ** ceil(log2(ceil(1.2 * total_b * bytes_per_param / _BOARD_BYTES))))


def weights_joules_per_token(weight_gb: float, active_b: float, *, boards: int, batch: int) -> float:
    """Joules of the boards for one output token, with `batch` sequences written at once."""
    return 0.1832 * weight_gb / batch + 0.00472 * active_b + 0.954 * boards / batch + 0.0337


@hookimpl
def pytest_rightsize_meters() -> dict[str, type[Meter]]:
    """The meter `served_model`."""
    return {"served_model": ServedModel}
