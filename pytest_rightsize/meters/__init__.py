"""The Protocol of a meter: a rung and what the ladder file says of its meter in, each answer's energy out.

A meter either has counters, which are read while requests are in flight, or tells the energy of each answer from its
reply; `attribution/` turns counters into each answer's share. A meter changes nothing of an answer but its energy, and
energy that cannot be known is unknown with a reason, never 0.

How to add one: write a class with the members of `Meter` in a file of its own, and return it from
`pytest_rightsize_meters` (see hookspecs.py), as the built-in ones do. The ladder file then names it by `meter = "..."`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from pytest_rightsize.contributions import Contributions
from pytest_rightsize.energy import Basis, Energy, Provenance
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.portable import Portable
from pytest_rightsize.providers.environment import user_variable
from pytest_rightsize.records import Json, Reply, Rung

__all__ = [
    "Choice",
    "Counter",
    "CounterError",
    "Facts",
    "Meter",
    "MeterProblem",
    "Site",
    "check_meter",
    "load_meters",
    "meter_urls",
    "site_of",
]

Site = Literal["process", "machine", "remote", "cluster"]
"""Where a rung's model runs: in this process, in another one of this machine, or elsewhere.

`cluster` is wherever its provider has it run, which measures it there: replies come with their energy, and the totals
are its `meterings`.
"""


class CounterError(Portable, Exception):
    """A counter cannot be read; the text is a clause for people, `flag` one word for the results file.

    >>> CounterError("the counter was reset", flag="reset").flag
    'reset'
    """

    def __init__(self, message: str, *, flag: str) -> None:
        super().__init__(message)
        self.flag = flag


@dataclass(frozen=True, kw_only=True)
class MeterProblem:
    """Why a meter cannot measure a rung here, as a clause, and the remedy: an imperative with the command.

    >>> MeterProblem(what="there is no NVIDIA driver on this machine", remedy="install it, or use meter = 'rapl'").what
    'there is no NVIDIA driver on this machine'
    """

    what: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts about one counter. Amounts are joules, times seconds.

    `factors` bound the truth relative to a reading: (0.95, 1.05) for an instrument good to 5 %; `systematic` is the
    part of that error which is the same in all readings. An `exact` counter has no ticks; `lag_s` is how old a value
    may be when it comes up, `resolution` its least step. It is read every `poll_s`, or four times a tick if that is
    less often, and every `hurry_s` while an answer waits for a tick. `period_s` is the time between two of its values
    that can be told apart, where that is known beforehand. With `whole_device` the joules are never the answer's own
    but all that the device took meanwhile. With `only_this_process` other processes never change what it counts, so
    that they need not measure in turns. `own_process`, where it is set, returns the processor seconds of this
    process and of the machine: answers get that part of what the device took above its idle power.

    >>> Facts(device="strip:0", boundary="host", meter="my_power_strip", factors=(0.98, 1.02)).provenance
    'measured'
    """

    device: str
    boundary: str
    meter: str
    provenance: Provenance = "measured"
    factors: tuple[float, float] = (1.0, 1.0)
    systematic: float = 0.0
    exact: bool = False
    lag_s: float = 0.0
    resolution: float = 0.0
    poll_s: float = 0.005
    hurry_s: float = 0.005
    period_s: float | None = None
    whole_device: bool = False
    only_this_process: bool = False
    own_process: Callable[[], tuple[float, float] | None] | None = None
    flags: tuple[str, ...] = ()


class Counter(Protocol):
    """A running total of one device's energy. Read by one thread at a time.

    It may also have `celsius()`: the temperature of its device, or None; where that has risen, idle power is measured
    again.

    >>> class Strip:
    ...     facts = Facts(device="strip:0", boundary="host", meter="my_power_strip")
    ...     watt_hours = 1.25  # what the power strip shows
    ...
    ...     def read(self):
    ...         return self.watt_hours * 3600
    ...
    ...     def others(self):
    ...         return None
    >>> counter: Counter = Strip()
    >>> counter.read(), counter.others()
    (4500.0, None)
    """

    facts: Facts

    def read(self) -> float:
        """Joules since some beginning, never less than before; raises CounterError if that can no longer be told.

        A wrap is undone here. After an error the next reading may begin anew.
        """

    def others(self) -> str | None:
        """Who else uses the device now, as a clause; None if nobody does, or nobody can tell."""


class Meter(Protocol):
    """One rung's meter. Making one is cheap: it reads nothing and imports nothing heavy.

    `options` are the keys of the table `meter = { name = "...", ... }` that it understands.

    >>> class PerToken:
    ...     options = {"joules_per_token": float}
    ...
    ...     def __init__(self, rung, options, site):
    ...         self.each = options["joules_per_token"]
    ...
    ...     def check(self):
    ...         return None
    ...
    ...     def counters(self):
    ...         return ()
    ...
    ...     def of_answer(self, reply):
    ...         if reply.tokens.total is None:
    ...             return Energy(reason="the tokens are unknown")
    ...         joules = self.each * reply.tokens.total
    ...         return Energy(joules=joules, provenance="modelled", boundary=frozenset({"host"}))
    >>> meter: Meter = PerToken(Rung(name="1b", provider="openai"), {"joules_per_token": 0.5}, "remote")
    >>> print(meter.of_answer(Reply(text="hello")))
    unknown: the tokens are unknown
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]]

    def __init__(self, rung: Rung, options: Mapping[str, Json], site: Site) -> None:
        """Keep them; raise ConfigError if the options contradict each other."""

    def check(self) -> MeterProblem | None:
        """Try it: return why it cannot measure this rung here, or None. Libraries are loaded only now."""

    def counters(self) -> Sequence[Counter]:
        """Its counters, opened; none where the energy is told from each reply. Raises CounterError."""

    def of_answer(self, reply: Reply) -> Energy:
        """The energy of one answer, for a meter without counters."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The meters of a rung, all of which work; none where nothing does, and then `why` says why.

    `tried` are those that do not work, each with its problem. `idle_s` is how long the idle power is measured each
    time, None for as long as it takes, 0 for never; `basis` says whether it is left out of the answers' energy.
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
    """Where a provider's model runs; None for recorded answers, which take no energy now."""
    site: Site | None = getattr(provider, "site", "remote" if provider.leaves_machine else "machine")
    return site


def load_meters(plugin_meters: Iterable[Mapping[str, type[Meter]]]) -> Mapping[str, type[Meter]]:
    """One table of the meters that plugins provide; raises ConfigError if two have the same name."""
    return Contributions(
        plugin_meters,
        lambda name, first, second: (
            f"two plugins provide the meter {name!r}: {first.__module__} and {second.__module__}. "
            f"Uninstall one, or have one of them choose another name in pytest_rightsize_meters"
        ),
    )


# Values of `meter` that are no meter's name.
_WORDS = ("auto", "none")
# The keys of its table that every meter has.
_COMMON_KEYS = ("name", "basis", "idle_s")


def check_meter(setting: Json, meters: Mapping[str, type[Meter]], *, where: str) -> None:
    """Refuse a `meter` of the ladder file with an unknown name or option; raises ConfigError."""
    options = {"name": setting} if isinstance(setting, str) else dict(setting)
    name = options.pop("name", None)
    basis, idle_s = options.pop("basis", None), options.pop("idle_s", None)
    if idle_s is not None and (isinstance(idle_s, bool) or not isinstance(idle_s, int | float) or idle_s < 0):
        raise ConfigError(f"{where}: meter.idle_s = {idle_s!r} cannot be: give seconds, 0 or more")
    if basis not in (None, "gross", "marginal"):
        raise unknown_name(f"{where}: meter.basis", str(basis), ("gross", "marginal"), noun="basis")
    names = [*_WORDS, *sorted(meters)]
    if not isinstance(name, str):
        raise ConfigError(
            f'{where}: meter = {setting!r} has no name: write {{ name = "{names[2] if meters else "nvml"}", ... }}'
        )
    for part in name.split("+"):
        if part not in names:
            raise unknown_name(f"{where}: meter", part, names, noun="meter")
    _check_idle_power(name, options, basis=basis, idle_s=idle_s, where=where)
    _check_options(name, options, meters, where=where)


def _check_idle_power(name: str, options: Mapping[str, Json], *, basis: Json, idle_s: Json, where: str) -> None:
    """Refuse options that need the idle power where it is not measured, or that contradict its being left out."""
    shares_process = "rapl" in name.split("+") and options.get("share") == "process"
    if shares_process and (basis == "gross" or name != "rapl"):
        raise ConfigError(
            f'{where}: meter: share = "process" is a part of what the processor took above idle power: '
            'name rapl alone, and leave basis = "gross" out'
        )
    if (shares_process or basis == "marginal") and idle_s == 0:
        what = 'share = "process"' if shares_process else 'basis = "marginal"'
        raise ConfigError(f"{where}: meter: {what} needs idle power, and idle_s = 0 has none measured: leave one out")


def _check_options(name: str, options: Mapping[str, Json], meters: Mapping[str, type[Meter]], *, where: str) -> None:
    """Refuse options that the named meters do not have, and values of another type."""
    types = {key: kind for part in name.split("+") if part in meters for key, kind in meters[part].options.items()}
    for key, value in options.items():
        if key not in types:
            raise unknown_name(f"{where}: meter {name}", key, [*types, *_COMMON_KEYS], noun="key")
        kind = types[key]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            words = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigError(f"{where}: meter {name}: {key} = {value!r} cannot be: give {words}")


def meter_urls(rung: Rung) -> list[str]:
    """The URLs over which the ladder file has the rung's meter read; none for a meter that is read on this machine."""
    if not isinstance(rung.meter, Mapping):
        return []
    several = rung.meter.get("urls")
    urls = [rung.meter.get("url"), user_variable(str(rung.meter.get("url_env", "")))]
    urls += several if isinstance(several, list) else []
    return [url for url in urls if isinstance(url, str) and url]
