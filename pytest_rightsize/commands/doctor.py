"""Try every rung of the ladder and every meter, and say what works, what does not, and what to do.

Models are not called, and no answer is paid for: files are looked at, endpoints are asked for their list of models,
counters are read for up to three seconds to find how often they move. Exit status 1 if a rung cannot answer, or the
meter that the ladder file names for it does not work.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pytest_rightsize.commands._exposure import exposed_endpoint, exposed_ray
from pytest_rightsize.commands._output import say
from pytest_rightsize.commands._plugins import add_ladder_arguments, classes
from pytest_rightsize.config.catalogue import CATALOGUE
from pytest_rightsize.config.ladder import Ladder, read_ladder, select_rungs
from pytest_rightsize.config.ladder_order import Amount
from pytest_rightsize.config.options import find_ladder_file
from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.meters import (
    Choice,
    Counter,
    CounterError,
    Facts,
    Meter,
    MeterProblem,
    Site,
    meter_urls,
    site_of,
)
from pytest_rightsize.meters.attribution.metered import Period, measure_period, seconds_needed, shows_idle_power
from pytest_rightsize.meters.choice import choose
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.records import Rung
from pytest_rightsize.results.kept_runs import FOLDER
from pytest_rightsize.session.order_amounts import order_amounts

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = ("rightsize doctor", "rightsize doctor --ladder 1b,frontier --offline")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize doctor`."""
    add_ladder_arguments(parser, example="1b,frontier")
    parser.add_argument("--offline", action="store_true", help="ask no endpoint and no exporter")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; returns 1 if a rung cannot answer or a meter that is asked for does not work."""
    providers, meters = classes(arguments.plugin)
    path = arguments.config or find_ladder_file(Path.cwd())
    ladder = Ladder(rungs={}) if path is None else read_ladder(path, providers, meters)
    names = arguments.ladder.split(",") if arguments.ladder else list(ladder.rungs or CATALOGUE)

    def known(rungs: Sequence[Rung]) -> Mapping[str, Amount]:
        return order_amounts(rungs, ladder.order, providers, FOLDER)

    doctor = _Doctor(meters, offline=arguments.offline)
    say(f"ladder: {ladder.source if ladder.rungs else 'built in (there is no ladder file here)'}")
    for rung in select_rungs(ladder, names, option="--ladder", known=known):
        for line in doctor.rung_lines(rung, providers[rung.provider](rung)):
            say(line)
    for line in exposed_ray():
        say(f"\nwarning: {line}")
    return 1 if doctor.found_fault else 0


class _Doctor:
    """Checks one rung after the other; a counter that several rungs share is timed once."""

    def __init__(self, meters: Mapping[str, type[Meter]], *, offline: bool) -> None:
        self._meters = meters
        self._offline = offline
        self._period_text_by_device: dict[str, str] = {}
        self._tick_s_by_device: dict[str, float | None] = {}
        self._first_rung_by_problem: dict[str, str] = {}
        self.found_fault = False

    def rung_lines(self, rung: Rung, provider: Provider) -> Iterator[str]:
        """The findings for a rung, as lines."""
        yield ""
        yield f"{rung.name}: {rung.provider} {rung.model or rung.options.get('file', '')}".rstrip()
        yield f"  answers: {self._answers(provider)}"
        if (exposed := exposed_endpoint(rung)) is not None:
            yield f"  warning: {exposed}"
        yield from self._nodes(provider)
        site = site_of(provider)
        if self._offline and meter_urls(rung):
            yield "  meter:   not asked: --offline"
            return
        choice = choose(rung, site, self._meters)
        yield f"  meter:   {choice}"
        if not choice.meters and rung.meter not in (None, "auto", "none") and site not in (None, "cluster"):
            self.found_fault = True
        counters = [counter for meter in choice.meters.values() for counter in meter.counters()]
        for counter in counters:
            yield f"    {self._counter_line(counter)}"
        idle = self._idle_line(choice, [counter.facts for counter in counters], site)
        yield from [] if idle is None else [f"    {idle}"]
        yield from (f"    {line}" for line in self._missing_meters(rung, site, choice))

    def _nodes(self, provider: Provider) -> Iterator[str]:
        """What a provider with places of its own says of them, as the nodes of a cluster with their meters."""
        tell = getattr(provider, "node_lines", None)
        if tell is None or provider.check() is not None:
            return
        if self._offline:
            yield "  nodes:   not asked: --offline"
            return
        provider.equip(self._meters, budget_s=0.0)  # type: ignore[attr-defined]  # who has places takes meters there
        try:
            yield from (f"  {line}" for line in tell())
        except RungError as error:
            self.found_fault = True
            yield f"  nodes:   {error}"

    def _answers(self, provider: Provider) -> str:
        problem = provider.check()
        probe = getattr(provider, "probe", None)
        is_probed = probe is not None and not self._offline
        if problem is None and is_probed and probe is not None:
            problem = probe()
        if problem is None:
            return "yes" if is_probed or probe is None else "everything that it needs is set (not asked: --offline)"
        self.found_fault = True
        return f"no, {_problem_text(problem)}"

    def _counter_line(self, counter: Counter) -> str:
        """A counter's place, error and period."""
        facts = counter.facts
        low, high = facts.factors
        about = f"{facts.device}: {facts.provenance}, {facts.boundary}, truth is {low:g} to {high:g} of what it shows"
        flags = f" ({', '.join(facts.flags)})" if facts.flags else ""
        if facts.device not in self._period_text_by_device:
            self._period_text_by_device[facts.device] = self._measured_period(counter)
        others = counter.others()
        return f"{about}{flags}; {self._period_text_by_device[facts.device]}{f'; {others}' if others else ''}"

    def _measured_period(self, counter: Counter) -> str:
        if counter.facts.exact:
            return "has no ticks"
        if counter.facts.poll_s >= 0.5:
            return f"asked every {counter.facts.poll_s:g} s"
        try:
            period = measure_period(counter)
        except CounterError as error:
            self.found_fault = True
            return f"cannot be read ({error})"
        self._tick_s_by_device[counter.facts.device] = period.tick_s
        return _period_text(period)

    def _idle_line(self, choice: Choice, facts: Sequence[Facts], site: Site | None) -> str | None:
        """The time for which the rung will be left idle to measure its idle power; None where it never is."""
        if not facts or not all(shows_idle_power(each) for each in facts):
            return None
        if choice.idle_s == 0:
            return "idle power: not measured (idle_s = 0)"
        seconds = seconds_needed(choice.idle_s, [self._tick_s_by_device.get(each.device) for each in facts])
        if seconds is None:
            return "idle power: not measured, as 30 ticks take too long; idle_s in the meter's table has it done"
        before = "before the session's first model is loaded, and " if site == "process" else ""
        # Figures of a basis other than gross are above idle power, so they need it.
        leave_out = " (idle_s = 0 in the meter's table leaves that out)" if choice.basis == "gross" else ""
        return f"idle power: the rung is left idle for {seconds:.3g} s {before}after its first answer{leave_out}"

    def _missing_meters(self, rung: Rung, site: Site | None, choice: Choice) -> Iterator[str]:
        """The meters that the rung does not have, each with what it would need."""
        problems = dict(choice.tried)
        for name in sorted(self._meters):
            if name in choice.meters or site is None or rung.meter == "none" or name in _USELESS_METERS[site]:
                continue
            problem = problems.get(name) or self._meter_problem(name, rung, site)
            if problem is not None:
                text = f"not {name}: {_problem_text(problem)}"
                first_rung = self._first_rung_by_problem.setdefault(text, rung.name)
                yield text if first_rung == rung.name else f"not {name}: as for {first_rung}"

    def _meter_problem(self, name: str, rung: Rung, site: Site) -> MeterProblem | None:
        """The reason why the meter would not work, or None where it would."""
        try:
            return self._meters[name](rung, {}, site).check()
        except ConfigError as error:
            return MeterProblem(what=str(error), remedy="see the ladder file")


# Meters of another place than that where the model runs, and those that need data that only the user has.
_USELESS_METERS: Mapping[Site, frozenset[str]] = {
    "process": frozenset({"declared", "prometheus", "served_model"}),
    "machine": frozenset({"cpu_time", "declared", "prometheus", "served_model"}),
    "remote": frozenset({"cpu_time", "declared", "nvml", "prometheus", "rapl"}),
    "cluster": frozenset({"cpu_time", "declared", "nvml", "prometheus", "rapl", "served_model"}),
}


def _problem_text(problem: Problem | MeterProblem) -> str:
    return f"{problem.what}. To get it: {problem.remedy}"


def _period_text(period: Period) -> str:
    if period.tick_s is None:
        return "did not move twice in 3 s: it says nothing of shorter times"
    needed = period.tick_s / 0.05
    return (
        f"ticks every {1000 * period.tick_s:.3g} ms (median of {period.ticks}), read in {1e6 * period.read_s:.0f} us, "
        f"now {period.watts:.3g} W; known to 5 % from {needed:.2g} s on"
    )
