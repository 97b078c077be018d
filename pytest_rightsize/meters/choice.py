"""Which meter a rung gets: the one the ladder file names, or the best of those that work here; tried, not believed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_rightsize.energy import Basis
from pytest_rightsize.errors import unknown_name
from pytest_rightsize.meters import Meter, MeterProblem, Site
from pytest_rightsize.records import Json, Rung

__all__ = ["Choice", "choose", "site_of"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The meters of a rung, all of which work; none where nothing does, and then `why` says why.

    `tried` are those that were looked at in vain. `idle_s` is how long the idle power is measured each time, None for
    as long as it takes, 0 for never; `basis` is whether it is left out of the answers' energy.
    """

    rung: str
    meters: Mapping[str, Meter]
    why: str = ""
    tried: tuple[tuple[str, MeterProblem], ...] = ()
    basis: Basis = "gross"
    idle_s: float | None = None

    def __str__(self) -> str:
        """`nvml+rapl`, or `none (why)`."""
        return "+".join(self.meters) or f"none ({self.why})"


def site_of(provider: Any) -> Site | None:
    """Where a provider's model runs; None for recorded answers, which nobody spends energy on now."""
    said: Site | None = getattr(provider, "site", "remote" if provider.leaves_machine else "machine")
    return said


def choose(rung: Rung, site: Site | None, meters: Mapping[str, type[Meter]]) -> Choice:
    """Find the rung's meter; raises ConfigError for options that contradict each other."""
    given: dict[str, Json] = dict(rung.meter) if isinstance(rung.meter, Mapping) else {"name": rung.meter or "auto"}
    name, basis, idle_s = given.pop("name"), given.pop("basis", "gross"), given.pop("idle_s", None)
    if name == "rapl" and given.get("share") == "process":
        basis = "marginal"
    if site is None:
        return Choice(rung=rung.name, meters={}, why="its answers are recorded")
    if name == "none":
        return Choice(rung=rung.name, meters={}, why="the ladder file wants none")
    found = _automatic(rung, site, meters) if name == "auto" else _named(rung, site, meters, name.split("+"), given)
    working, tried = found
    why = "; ".join(f"{one}: {problem.what}" for one, problem in tried) or "no meter knows such a rung"
    idle_s = None if idle_s is None else float(idle_s)
    return Choice(rung=rung.name, meters=working, why=why, tried=tried, basis=basis, idle_s=idle_s)


_Found = tuple[dict[str, Meter], tuple[tuple[str, MeterProblem], ...]]


def _automatic(rung: Rung, site: Site, meters: Mapping[str, type[Meter]]) -> _Found:
    """Boards and processor together where both show, else either, else what a model of the energy can tell."""
    tried: list[tuple[str, MeterProblem]] = []
    for names in _ORDER[site]:
        known = [name for name in names if name in meters]
        working = dict(_trying(rung, site, meters, known, {}, tried))
        if any(counter.facts.boundary == "gpu.module" for counter in _counters(working.get("nvml"))):
            # The module's counter holds the processor already.
            working.pop("rapl", None)
        if working:
            return working, tuple(tried)
    return {}, tuple(tried)


# A served model's formula speaks of data centres, so it is for rungs elsewhere.
_ORDER: Mapping[Site, Sequence[Sequence[str]]] = {
    "process": [["nvml", "rapl"], ["cpu_time"]],
    "machine": [["nvml", "rapl"]],
    "remote": [["served_model"]],
}


def _named(
    rung: Rung, site: Site, meters: Mapping[str, type[Meter]], names: Sequence[str], options: Mapping[str, Json]
) -> _Found:
    """Those that the ladder file names: all of them, or none, as a part would be another boundary."""
    tried: list[tuple[str, MeterProblem]] = []
    working = dict(_trying(rung, site, meters, names, options, tried))
    return ({} if tried else working), tuple(tried)


def _trying(
    rung: Rung,
    site: Site,
    meters: Mapping[str, type[Meter]],
    names: Sequence[str],
    options: Mapping[str, Json],
    tried: list[tuple[str, MeterProblem]],
) -> Iterator[tuple[str, Meter]]:
    for name in names:
        if name not in meters:
            raise unknown_name(f"rung {rung.name!r}: meter", name, sorted(meters), noun="meter")
        kind = meters[name]
        meter = kind(rung, {key: value for key, value in options.items() if key in kind.options}, site)
        problem = meter.check()
        if problem is None:
            yield name, meter
        else:
            tried.append((name, problem))


def _counters(meter: Meter | None) -> Sequence[Any]:
    return () if meter is None else meter.counters()
