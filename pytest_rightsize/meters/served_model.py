"""Energy of a served model of known size, by one of two formulas: a model, never called a measurement.

`weights` is for the boards alone (`served_formula.py`); its constants are fitted to half of ML.ENERGY's table, and on
the other half its bounds hold as docs/served-model-meter.md says. `ecologits` is the formula of EcoLogits 0.11, for the
whole data centre; it does not count input tokens, nor know how full the server's batch is, which matters most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf
from typing import ClassVar

import pluggy

from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.meters import Counter, Meter, MeterProblem, Site
from pytest_rightsize.meters.served_formula import ACCELERATORS, ServedBy, boards_needed, range_of_board_joules
from pytest_rightsize.records import Json, Reply, Rung

__all__ = ["ServedModel", "ecologits_wh"]

hookimpl = pluggy.HookimplMarker("pytest")

_FORMULAS = ("weights", "ecologits")
# The error of the formula `weights`: of families of models that were left out of the fit, within the half of the table
# that it was fitted to, none was off by more than 3.12 with all that the ladder file can tell, nor outside of what its
# unknown batch allows by more than 2.49. Rounded up, as nine families are few.
_ERROR, _ERROR_BESIDE_BATCH = 4.0, 3.0
# The measured models have 8 to 671 billion parameters: nobody checked the formula on others, so its error is squared.
_MEASURED_B = (8.0, 671.0)
# EcoLogits' figure over what the boards took, in the same half: 0.26 to 29 in 97 % of it. A data centre takes up to 2.4
# times what its boards do, and the bounds hold for it as well as for the boards alone.
_ECOLOGITS_OVER, _ECOLOGITS_UNDER = 30.0, 10.0
_ECOLOGITS_BATCH = 64


class ServedModel:
    """A model served on boards of a data centre.

    `params_b` and `active_b` (billions; `[low, high]` where they are a guess) default to the rung's. `formula` is
    `weights` unless `ecologits` or its `pue` (default 1.2) is given. Of the server, `weights` can be told `batch` (how
    many requests it answers at once on average; a number or `[low, high]`), `accelerator` (H100 or B200), `boards`
    (that hold one copy of the model) and `bytes_per_param` (2, or 0.5 for weights of 4 bits); what it is not told
    widens its bounds.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "params_b": (int, float, list),
        "active_b": (int, float, list),
        "formula": str,
        "batch": (int, float, list),
        "accelerator": str,
        "boards": int,
        "bytes_per_param": (int, float),
        "pue": (int, float, list),
    }

    def __init__(self, rung: Rung, options: Mapping[str, Json], site: Site) -> None:  # noqa: ARG002  # as all meters
        """Take sizes, formula and server; raises ConfigError for what cannot be, or an option of the other formula."""
        where = f"rung {rung.name!r}: the meter served_model"
        self._formula = str(options.get("formula", "ecologits" if "pue" in options else "weights"))
        if self._formula not in _FORMULAS:
            raise unknown_name(f"{where}: formula", self._formula, _FORMULAS, noun="formula")
        _check_options(options, self._formula, where)
        self._total = _range(options.get("params_b", rung.params_b), where, "params_b")
        self._active = _range(options.get("active_b", rung.active_b), where, "active_b") or self._total
        self._pue = _range(options.get("pue", 1.2), where, "pue") or (1.2, 1.2)
        self._batch = _range(options.get("batch"), where, "batch")
        self._bytes = options.get("bytes_per_param")
        self._boards = options.get("boards")
        self._accelerator = options.get("accelerator")

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
        flags: tuple[str, ...] = ()
        if self._formula == "weights":
            low, joules, high, flags = self._weights(tokens, reply)
        else:
            low, joules, high = self._ecologits(tokens, reply.seconds)
        return Energy(
            joules=joules,
            low=low,
            high=high,
            provenance="modelled",
            boundary=frozenset({"gpu.board"} if self._formula == "weights" else {"gpu.board", "host", "pue"}),
            meter=f"served_model:{self._formula}",
            window_s=reply.seconds,
            flags=flags,
        )

    def _ecologits(self, tokens: int, seconds: float | None) -> tuple[float, float, float]:
        assert self._total is not None
        assert self._active is not None
        ends = [
            3600
            * ecologits_wh(tokens, self._active[end], self._total[end], pue=self._pue[end], latency_s=seconds or inf)
            for end in (0, 1)
        ]
        return min(ends) / _ECOLOGITS_OVER, sum(ends) / 2, max(ends) * _ECOLOGITS_UNDER

    def _weights(self, tokens: int, reply: Reply) -> tuple[float, float, float, tuple[str, ...]]:
        assert self._total is not None
        assert self._active is not None
        prompt = (reply.tokens.prompt or 0) - (reply.tokens.cached or 0)
        served = ServedBy(
            params_b=self._total,
            active_b=self._active,
            bytes_per_param=self._bytes,
            batch=self._batch,
            accelerator=self._accelerator,
            boards=self._boards,
        )
        low, joules, high = range_of_board_joules(tokens, max(0, prompt), served)
        error = _ERROR if self._batch and self._batch[0] == self._batch[1] else _ERROR_BESIDE_BATCH
        flags = () if reply.tokens.prompt is not None else ("prompt_not_counted",)
        if not _MEASURED_B[0] <= self._total[0] <= self._total[1] <= _MEASURED_B[1]:
            error, flags = error * error, (*flags, "extrapolated")
        return low / error, joules, high * error, flags


def _check_options(options: Mapping[str, Json], formula: str, where: str) -> None:
    """Refuse what the other formula has, and values that cannot be."""
    others = ("pue",) if formula == "weights" else ("batch", "accelerator", "boards", "bytes_per_param")
    for name in others:
        if name in options:
            raise ConfigError(f"{where}: {name} is not used by the formula {formula}: leave it out, or name the other")
    accelerator = options.get("accelerator")
    if accelerator is not None and accelerator not in ACCELERATORS:
        raise ConfigError(
            f"{where}: accelerator = {accelerator!r} has not been measured: give {' or '.join(ACCELERATORS)}, or leave "
            f"it out and take the bounds for what they are"
        )
    for name in ("boards", "bytes_per_param"):
        if name in options and not 0 < options[name] < inf:
            raise ConfigError(f"{where}: {name} = {options[name]} cannot be: give a number above 0")


def _range(value: Json, where: str, name: str) -> tuple[float, float] | None:
    if value is None:
        return None
    ends = value if isinstance(value, list) else [value, value]
    if len(ends) != 2 or not all(_is_amount(end) for end in ends) or ends[0] > ends[1]:
        raise ConfigError(f"{where}: {name} = {value!r} cannot be: give a number above 0, or [low, high]")
    return float(ends[0]), float(ends[1])


def _is_amount(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < inf


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
    tokens: float, active_b: float, total_b: float, *, pue: float, latency_s: float = inf, batch: int = _ECOLOGITS_BATCH
) -> float:
    """Watt hours of `tokens` output tokens by the formula of EcoLogits. Source: its `impacts/llm.py`, 0.11."""
    c = _EcoLogits()
    per_token_wh = c.gpu_alpha * exp(c.gpu_beta * batch) * active_b + c.gpu_gamma
    per_token_s = c.latency_alpha * active_b + c.latency_beta * batch + c.latency_gamma
    seconds = min(latency_s, tokens * per_token_s)
    gpus = boards_needed(total_b, 2.0)
    server_wh = seconds / 3600 * c.server_w * (gpus / c.server_gpus) / batch
    return pue * (server_wh + gpus * tokens * per_token_wh)


@hookimpl
def pytest_rightsize_meters() -> dict[str, type[Meter]]:
    """The meter `served_model`."""
    return {"served_model": ServedModel}
