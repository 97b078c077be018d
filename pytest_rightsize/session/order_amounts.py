"""Sizes for the order of a ladder: the bytes of models on this machine, or the joules that earlier runs measured.

Rungs come in, an Amount for each of which anything is known goes out. No model is called, and no hub is asked.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_rightsize.config.ladder_order import Amount, Order
from pytest_rightsize.errors import RightsizeError
from pytest_rightsize.judging.usage import usage_of
from pytest_rightsize.providers import Provider
from pytest_rightsize.providers.broken_providers import made
from pytest_rightsize.records import Rung
from pytest_rightsize.results.kept_runs import kept_runs

__all__ = ["order_amounts"]

# So many runs are looked at, the last one first.
_MOST_RUNS = 5
# Of the same rung, one run measures other cases than another.
_JOULES_OFF = 0.05


def order_amounts(
    rungs: Sequence[Rung], order: Order, classes: Mapping[str, type[Provider]], runs: Path
) -> Mapping[str, Amount]:
    """The amounts that an order goes by, by rung; `runs` is the folder of the runs that are kept."""
    if order == "bytes":
        sizes = {rung.name: _weight_bytes(made(classes[rung.provider], rung)) for rung in rungs}
        return {name: Amount.about(size) for name, size in sizes.items() if size is not None}
    return _measured_joules({rung.name: rung for rung in rungs}, runs) if order == "energy" else {}


def _weight_bytes(provider: Provider) -> int | None:
    """The bytes of a model on this machine, where its provider tells them."""
    tell = getattr(provider, "weight_bytes", None)
    try:
        return tell() if callable(tell) else getattr(provider, "size_bytes", None)
    except (OSError, RightsizeError):  # the check of the rung says what is wrong
        return None


def _measured_joules(rungs: Mapping[str, Rung], folder: Path) -> Mapping[str, Amount]:
    """The joules of a case of each rung in the last run that measured it, with what the meter may be off."""
    from pytest_rightsize.results.results_file import read_run

    found: dict[str, Amount] = {}
    for path in [*reversed(kept_runs(folder))][:_MOST_RUNS]:
        if len(found) == len(rungs):
            break
        try:
            run = read_run(path)
        except (OSError, RightsizeError):  # one that was cut off
            continue
        same = {rung.name for rung in run.rungs if rung.name in rungs and rung.model == rungs[rung.name].model}
        for name, usage in usage_of(run).by_rung.items():
            energy = usage.energy_per_case
            if name in found or name not in same or energy is None or energy.joules is None:
                continue
            low, high = energy.bounds or (energy.joules, energy.joules)
            kind = str(energy.kind)
            found[name] = Amount(low=low * (1 - _JOULES_OFF), high=high * (1 + _JOULES_OFF), kind=kind)
    return found
