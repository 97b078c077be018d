"""Joules of reading a prompt and of writing an answer, fitted to a rung's own joules and tokens; pure.

Joules = a x prompt + b x completion + c x answers, by least squares with nothing below 0. Where the equations cannot
tell the three apart, or do not explain the joules at all, a clause says so in place of figures.
"""

from collections.abc import Sequence
from typing import Any

from pytest_rightsize.meter_records import Phases
from pytest_rightsize.meters.attribution.splitting import PROMPT_WEIGHT
from pytest_rightsize.meters.attribution.stretches import Stretch

__all__ = ["LEAST_STRETCHES", "fit_phases", "is_better_known"]

LEAST_STRETCHES = 8
_WORST_CONDITION = 1e3
# The assumed error of the assumed weight of a prompt token: as large as the weight.
_ASSUMED_ERROR = PROMPT_WEIGHT
# Where tokens explain less of the joules' variance than this, the joules depend on something else.
_LEAST_EXPLAINED = 0.5


def fit_phases(stretches: Sequence[Stretch], devices: Sequence[str]) -> tuple[Phases, ...] | str:
    """One fit for each device, or why there is none, as a clause.

    Its condition is that of the equations with each column scaled to length 1, so that units do not matter.
    """
    if len(stretches) < LEAST_STRETCHES:
        return f"its counters can tell {len(stretches)} answers apart, or stretches of them; it takes {LEAST_STRETCHES}"
    import numpy as np

    counts = [[stretch.prompt, stretch.completion, stretch.answers] for stretch in stretches]
    rows = np.array(counts, dtype=float)
    lengths = np.linalg.norm(rows, axis=0)
    if not lengths.all():
        return "its answers have no tokens, or its prompts none that were not cached"
    condition = float(np.linalg.cond(rows / lengths))
    if not condition < _WORST_CONDITION:
        return f"its prompts and answers are too much alike (the condition of the fit is {condition:.3g})"
    fits = []
    for place, device in enumerate(devices):
        joules = np.array([stretch.joules[place] for stretch in stretches], dtype=float)
        fit = _fit(rows, lengths, joules, device=device, condition=condition)
        if isinstance(fit, str):
            return fit
        fits.append(fit)
    return tuple(fits)


def is_better_known(fit: Phases) -> bool:
    """Whether a fit knows the weight of a prompt token better than the assumption does."""
    return fit.prompt_weight_error is not None and fit.prompt_weight_error < _ASSUMED_ERROR


def _fit(rows: Any, lengths: Any, joules: Any, *, device: str, condition: float) -> Phases | str:
    """The fit of one device."""
    from scipy.optimize import nnls

    scaled, _ = nnls(rows / lengths, joules)
    each = scaled / lengths
    residuals = joules - rows @ each
    parts = each * rows.sum(axis=0)
    whole = float(parts.sum())
    variance = float(((joules - joules.mean()) ** 2).sum())
    explained = 1 - float((residuals**2).sum()) / variance if variance > 0 else 0.0
    if whole <= 0 or explained < _LEAST_EXPLAINED:
        return f"their tokens tell {100 * max(0.0, explained):.0f} % of how much their joules on {device} differ"
    shares = [float(part) / whole for part in parts]
    return Phases(
        device=device,
        prompt_j=float(each[0]),
        completion_j=float(each[1]),
        answer_j=float(each[2]),
        prompt_share=shares[0],
        completion_share=shares[1],
        answer_share=shares[2],
        stretches=len(rows),
        answers=float(rows[:, 2].sum()),
        condition=condition,
        explained=explained,
        prompt_weight_error=_weight_error(rows / lengths, residuals, lengths, float(each[0]), float(each[1])),
    )


def _weight_error(scaled: Any, residuals: Any, lengths: Any, prompt_j: float, completion_j: float) -> float | None:
    """The standard error of prompt_j / completion_j, from the residuals; None where writing seems to take nothing."""
    if completion_j <= 0:
        return None
    import numpy as np

    variance = float((residuals**2).sum()) / (len(residuals) - 3)
    covariance = variance * np.linalg.inv(scaled.T @ scaled) / np.outer(lengths, lengths)
    slope = np.array([1 / completion_j, -prompt_j / completion_j**2])
    return float(np.sqrt(max(0.0, slope @ covariance[:2, :2] @ slope)))
