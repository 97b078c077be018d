"""Weights of prompt tokens, learned while a rung is open and put to use where several answers share the joules.

A weight that is known worse than the assumption is not used.
"""

import threading
from collections.abc import Sequence

from pytest_rightsize.meter_records import Phases
from pytest_rightsize.meters.attribution.ledger import Ledger
from pytest_rightsize.meters.attribution.phases import LEAST_STRETCHES, fit_phases, is_better_known

__all__ = ["PromptWeights"]


class PromptWeights:
    """The weights of one rung, by device. `answers` is how many each was learned from, 0 for the assumption."""

    def __init__(self, ledger: Ledger, devices: Sequence[str], *, lock: threading.RLock) -> None:
        """`lock` guards the ledger's weights."""
        self.answers = [0.0 for _ in devices]
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
                    self.answers[place] = fit.answers

    def fit(self) -> tuple[Phases, ...] | str:
        """What tokens take on each device by all that was seen so far, or why that cannot be told."""
        return fit_phases(self._ledger.stretches, self._devices)
