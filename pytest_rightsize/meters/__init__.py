"""How the energy of a rung's answers is known: the Protocol of a meter, and its built-in kinds behind the same hook.

How to add one: write a class with the members of `Meter` in a file of its own, and return it from
`pytest_rightsize_meters` (see hookspecs.py). The ladder file then names it by `meter = "..."`. A meter either has
counters, which are read while requests are in flight, or says of each answer by itself what it took.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from pytest_rightsize.energy import Energy, Provenance
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.records import Json, Reply, Rung

__all__ = ["Counter", "CounterError", "Facts", "Meter", "MeterProblem", "Site", "check_meter", "load_meters"]

Site = Literal["process", "machine", "remote"]
"""Where a rung's model runs: in this process, in another one of this machine, or elsewhere."""


class CounterError(Exception):
    """A counter cannot be read; `flag` is one word for it, the text a clause for people."""

    def __init__(self, message: str, *, flag: str) -> None:
        super().__init__(message)
        self.flag = flag


@dataclass(frozen=True, kw_only=True)
class MeterProblem:
    """Why a meter cannot measure a rung here, as a clause, and what would let it: an imperative with the command."""

    what: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is true of one counter. Amounts are joules, times seconds.

    `factors` bound the truth for a reading taken at its word: (0.95, 1.05) for an instrument good to 5 %; `systematic`
    is the part of that which is the same in all readings. `exact` counters have no ticks; `lag_s` is how old a value
    may be when it comes up, `resolution` its least step. It is read every `poll_s`, or four times a tick if that is
    seldomer, and every `hurry_s` while an answer waits for a tick. `period_s` is the time between two of its values
    that can be told apart, where that is known beforehand. `own_process`, where it is set, tells the processor seconds
    of this process and of the machine: answers have that part of what the device took above its idle power.
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
    own_process: Callable[[], tuple[float, float] | None] | None = None
    flags: tuple[str, ...] = ()


class Counter(Protocol):
    """A running total of one device. Read by one thread at a time.

    It may also have `celsius()`: how warm its device is, or None; idle power is looked for again where that has risen.
    """

    facts: Facts

    def read(self) -> float:
        """Joules since some beginning, never less than before; raises CounterError if that cannot be said any more.

        A wrap is undone here. After an error the next reading may begin anew.
        """

    def others(self) -> str | None:
        """Who else is using the device now, as a clause; None if nobody, or nobody can tell."""


class Meter(Protocol):
    """One rung's meter. Making one is cheap: it reads nothing and imports nothing heavy.

    `options` are the keys of the table `meter = { name = "...", ... }` that it understands.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]]

    def __init__(self, rung: Rung, options: Mapping[str, Json], site: Site) -> None:
        """Keep them; raise ConfigError if the options contradict each other."""

    def check(self) -> MeterProblem | None:
        """Try it: say why it cannot measure this rung here. Only now is a library loaded."""

    def counters(self) -> Sequence[Counter]:
        """Its counters, opened; none where each answer tells its energy by itself. Raises CounterError."""

    def of_answer(self, reply: Reply) -> Energy:
        """The energy of one answer, for a meter without counters."""


def load_meters(found: Iterable[Mapping[str, type[Meter]]]) -> dict[str, type[Meter]]:
    """One table of meters from what every plugin named; raises ConfigError if two gave the same name."""
    table: dict[str, type[Meter]] = {}
    for named in found:
        for name, kind in named.items():
            if table.get(name, kind) is not kind:
                raise ConfigError(
                    f"two plugins provide the meter {name!r}: {table[name].__module__} and {kind.__module__}. "
                    f"Uninstall one, or have one of them choose another name in pytest_rightsize_meters"
                )
            table[name] = kind
    return table


# What `meter` may be beside the name of one.
_WORDS = ("auto", "none")
# The keys of its table that concern every meter.
_EVERY_METER = ("name", "basis", "idle_s")


def check_meter(given: Json, meters: Mapping[str, type[Meter]], *, where: str) -> None:
    """Refuse a `meter` of the ladder file that names nobody, or an option nobody knows; raises ConfigError."""
    known = [*_WORDS, *sorted(meters)]
    plain = {"name": given} if isinstance(given, str) else dict(given)
    name = plain.pop("name", None)
    given_basis, idle_s = plain.pop("basis", None), plain.pop("idle_s", None)
    if idle_s is not None and (isinstance(idle_s, bool) or not isinstance(idle_s, int | float) or idle_s < 0):
        raise ConfigError(f"{where}: meter.idle_s = {idle_s!r} cannot be: give seconds, 0 or more")
    if given_basis not in (None, "gross", "marginal"):
        raise unknown_name(f"{where}: meter.basis", str(given_basis), ("gross", "marginal"), noun="basis")
    if not isinstance(name, str):
        raise ConfigError(
            f'{where}: meter = {given!r} has no name: write {{ name = "{known[2] if meters else "nvml"}", ... }}'
        )
    for one in name.split("+"):
        if one not in known:
            raise unknown_name(f"{where}: meter", one, known, noun="meter")
    shares_process = "rapl" in name.split("+") and plain.get("share") == "process"
    if shares_process and (given_basis == "gross" or name != "rapl"):
        raise ConfigError(
            f'{where}: meter: share = "process" is a part of what the processor took above idle power: '
            'name rapl alone, and leave basis = "gross" out'
        )
    if (shares_process or given_basis == "marginal") and idle_s == 0:
        what = 'share = "process"' if shares_process else 'basis = "marginal"'
        raise ConfigError(f"{where}: meter: {what} needs idle power, and idle_s = 0 has none measured: leave one out")
    options = {key: kind for one in name.split("+") if one in meters for key, kind in meters[one].options.items()}
    for key, value in plain.items():
        if key not in options:
            raise unknown_name(f"{where}: meter {name}", key, [*options, *_EVERY_METER], noun="key")
        wanted = options[key]
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            words = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigError(f"{where}: meter {name}: {key} = {value!r} cannot be: give {words}")
