"""Chooses a rung's meter: the one that the ladder file names, or the best of those that work here.

Each candidate is tried, so that a meter that cannot be read is never chosen.
"""

from collections.abc import Iterator, Mapping, Sequence

from pytest_rightsize.errors import RightsizeError, unknown_name
from pytest_rightsize.meters import Choice, Counter, Meter, MeterProblem, Site
from pytest_rightsize.providers.environment import error_words
from pytest_rightsize.records import Json, Rung

__all__ = ["choose"]

_Problems = list[tuple[str, MeterProblem]]
"""The names of meters that do not work, each with its problem; filled while meters are tried."""


def choose(rung: Rung, site: Site | None, meters: Mapping[str, type[Meter]]) -> Choice:
    """The meters of a rung whose model runs at `site`; raises ConfigError for options that contradict each other."""
    options: dict[str, Json] = dict(rung.meter) if isinstance(rung.meter, Mapping) else {"name": rung.meter or "auto"}
    name, basis, idle_s = options.pop("name"), options.pop("basis", "gross"), options.pop("idle_s", None)
    if name == "rapl" and options.get("share") == "process":
        basis = "marginal"
    if site is None:
        return Choice(rung=rung.name, meters={}, why="its answers are recorded")
    if site == "cluster":
        return Choice(rung=rung.name, meters={}, why="its provider measures where the model runs")
    if name == "none":
        return Choice(rung=rung.name, meters={}, why="the ladder file wants none")
    problems: _Problems = []
    if name == "auto":
        working = _automatic(rung, site, meters, problems)
    else:
        working = dict(_trying(rung, site, meters, name.split("+"), options, problems))
        if problems:
            # A part of what was named would measure another boundary.
            working = {}
    why = "; ".join(f"{tried}: {problem.what}" for tried, problem in problems) or "no meter knows such a rung"
    idle_s = None if idle_s is None else float(idle_s)
    return Choice(rung=rung.name, meters=working, why=why, tried=tuple(problems), basis=basis, idle_s=idle_s)


# Meters that are used together where several of them work, best first.
# A served model's formula speaks of data centres, so it is for rungs elsewhere.
_ORDER: Mapping[Site, Sequence[Sequence[str]]] = {
    "process": [["nvml", "rapl"], ["cpu_time"]],
    "machine": [["nvml", "rapl"]],
    "remote": [["served_model"]],
    "cluster": [],
}


def _automatic(rung: Rung, site: Site, meters: Mapping[str, type[Meter]], problems: _Problems) -> dict[str, Meter]:
    """Boards and processor together where both can be read, else either, else a model of the energy."""
    for names in _ORDER[site]:
        installed = [name for name in names if name in meters]
        working = dict(_trying(rung, site, meters, installed, {}, problems))
        if any(counter.facts.boundary == "gpu.module" for counter in _counters(working.get("nvml"))):
            # The module's counter holds the processor already.
            working.pop("rapl", None)
        if working:
            return working
    return {}


def _trying(
    rung: Rung,
    site: Site,
    meters: Mapping[str, type[Meter]],
    names: Sequence[str],
    options: Mapping[str, Json],
    problems: _Problems,
) -> Iterator[tuple[str, Meter]]:
    """The meters of these names that work; the problems of the others are appended to `problems`."""
    for name in names:
        if name not in meters:
            raise unknown_name(f"rung {rung.name!r}: meter", name, sorted(meters), noun="meter")
        kind = meters[name]
        try:
            meter = kind(rung, {key: value for key, value in options.items() if key in kind.options}, site)
            problem = meter.check()
        except RightsizeError:
            raise
        except Exception as error:  # of a meter of somebody else, which costs nobody an answer
            problem = MeterProblem(
                what=f"the meter is broken ({error_words(error)})", remedy="mend it, or name another"
            )
        if problem is None:
            yield name, meter
        else:
            problems.append((name, problem))


def _counters(meter: Meter | None) -> Sequence[Counter]:
    return () if meter is None else meter.counters()
