"""Weights of prompt tokens, learned while a rung is open and put to use where several answers share the joules.

A weight that is known worse than the assumption is not used.
"""

import threading
from collections.abc import Sequence

from pytest_rightsize.meter_records import Phases
from pytest_rightsize.meters.attribution.phases import LEAST_STRETCHES, fit_phases, is_better_known
from pytest_rightsize.meters.attribution.sharing import Ledger

__all__ = ["PromptWeights"]


class PromptWeights:
    """The weights of prompt tokens in one rung's ledger, which `lock` guards."""

    def __init__(self, ledger: Ledger, devices: Sequence[str], *, lock: threading.RLock) -> None:
        self._answers = [0.0 for _ in devices]
        self._ledger = ledger
        self._devices = devices
        self._lock = lock
        self._fitted_at = 0

    def learn(self) -> None:
        """Fit again whenever there are twice as many stretches as at the last fit."""
        count = len(self._ledger.stretches)
        if count < LEAST_STRETCHES or count < 2 * self._fitted_at:
            return
        self._fitted_at = count
        fits = self.fit()
        if isinstance(fits, str):
            return
        with self._lock:
            for place, fit in enumerate(fits):
                if fit.prompt_weight is not None and is_better_known(fit):
                    self._ledger.prompt_weights[place] = fit.prompt_weight
                    self._answers[place] = fit.answers

    def fit(self) -> tuple[Phases, ...] | str:
        """The joules of tokens on each device, fitted to all stretches so far; or why they cannot be told."""
        return fit_phases(self._ledger.stretches, self._devices)

    def by_device(self) -> dict[str, float]:
        """The weight of a prompt token on each device, as it is used now."""
        return dict(zip(self._devices, self._ledger.prompt_weights, strict=True))

    def answers_by_device(self) -> dict[str, float]:
        """How many answers each device's weight was learned from, 0 where it is the assumption."""
        return dict(zip(self._devices, self._answers, strict=True))
