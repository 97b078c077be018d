"""Energy counters of another machine, read from an exporter there: dcgm-exporter, or Kepler.

Such a counter moves every few seconds, so it tells little of one answer and much of a rung. Nothing leaves this machine
but the request for the page of metrics; a redirect is not followed, and a page here is read through no proxy.
"""

import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

import pluggy

from pytest_rightsize import clocks
from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.meters import Counter, CounterError, Facts, Meter, MeterProblem, Site
from pytest_rightsize.meters.energy_units import UNITS, AmbiguousUnitError, joules_in_unit_of
from pytest_rightsize.providers.environment import secret_variable
from pytest_rightsize.providers.locality import host_of, is_this_machine, names_this_machine
from pytest_rightsize.providers.plain_http import FetchError, fetch
from pytest_rightsize.providers.secret_texts import Secret, holds_secret, shown_url
from pytest_rightsize.records import Json, Reply, Rung

__all__ = ["Prometheus", "Sample", "parse_metrics"]

hookimpl = pluggy.HookimplMarker("pytest")

_DCGM = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
_KEPLER = re.compile(r"kepler_(node|pod|container|process)_(cpu|gpu)_joules_total")
# Slices of a board (MIG) show the board's own counter, read up to a minute apart, in which it takes so much at most.
_SLICES_DIFFER_J = 120e3
# By these labels dcgm-exporter says who uses a board, in a copy of its counter for each.
_CONTAINER = ("namespace", "pod", "container")
_ZONES = {"package": "cpu.package", "core": "cpu.core", "dram": "dram", "psys": "cpu.psys"}
_POWER = re.compile(r"(^|_)(power|(micro|milli|kilo)?watts?)(_|$)", re.IGNORECASE)
_TIMEOUT_S = 5.0
_SYSTEMATIC = 0.11
# A time may follow the value, and in OpenMetrics an example, which has labels and a value of its own.
_LINE = re.compile(
    r"""(?P<name>[A-Za-z_:][\w:]*)(?:\{(?P<labels>(?:[^"{}]|"(?:[^"\\]|\\.)*")*)\})?"""
    r"""\s+(?P<value>\S+)(?:\s+-?[\d.]+)?(?:\s+\#.*)?\s*\Z"""
)
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One line of a page of metrics."""

    name: str
    labels: Mapping[str, str]
    value: float


def parse_metrics(text: str) -> Iterator[Sample]:
    """The samples of a page in Prometheus' text format; comments and malformed lines are skipped."""
    for line in text.splitlines():
        match = None if line.startswith("#") else _LINE.match(line.strip())
        if match is None:
            continue
        try:
            value = float(match["value"])
        except ValueError:
            continue
        labels = {name: re.sub(r"\\(.)", r"\1", text) for name, text in _LABEL.findall(match["labels"] or "")}
        yield Sample(name=match["name"], labels=labels, value=value)


class Prometheus:
    """The counters on an exporter's page of metrics at `url`; `metric` and `labels` select among them.

    A metric's unit is the one that its name ends in, such as `_microjoules` or `_kwh_total`; without one it is joules.
    `unit` says it where the name does not, or where its case leaves open whether `_mj` is a thousandth or a million.

    `urls` are the pages of several machines among which a model is spread: their counters are added up, and while one
    of the exporters does not answer the energy is unknown, as a part of it is no total.
    `url_env` names a variable with the whole URL, for one with a password or a key in it, of which no message shows
    more than the host and the path. The page is read every `poll_s` (1) seconds, and its values may be `lag_s` (2)
    seconds old. `boundary` is what they cover, where that does not follow from the metric's name.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "url": str,
        "url_env": str,
        "urls": list,
        "metric": str,
        "unit": str,
        "labels": dict,
        "poll_s": (int, float),
        "lag_s": (int, float),
        "boundary": str,
    }

    def __init__(self, rung: Rung, options: Mapping[str, Json], site: Site) -> None:  # noqa: ARG002  # as all meters
        """Take the address; raises ConfigError if it is none, holds a password, or a time cannot be."""
        where = f"rung {rung.name!r}: the meter prometheus"
        self._urls = _urls(options, where=where)
        self._joules_in_unit = _joules_in_unit(options, where=where)
        if options.get("poll_s", 1) <= 0 or options.get("lag_s", 0) < 0:
            raise ConfigError(f"{where}: poll_s must be above 0, and lag_s 0 or more")
        self._options = options

    def check(self) -> MeterProblem | None:
        """Read the page once."""
        try:
            self.counters()
        except CounterError as error:
            return MeterProblem(what=str(error), remedy="start the exporter, or correct url, metric and labels")
        return None

    def counters(self) -> Sequence[Counter]:
        """One for each device, however many lines show it.

        dcgm-exporter copies a board's counter into a line for each slice of it (MIG), and for each pod that shares it.
        Raises CounterError where a page lacks the metric, where lines of one device are no copies, or where two pages
        show one board, which would count twice.
        """
        found: list[Counter] = []
        seen: dict[str, str] = {}
        for url in self._urls:
            page, shown = _Page(url), shown_url(url.reveal())
            samples = {_key(sample): sample for sample in page.fresh(0) if self._is_wanted(sample)}
            if not samples:
                wanted = self._options.get("metric", f"{_DCGM} or kepler_node_cpu_joules_total")
                raise CounterError(f"{shown} has no {wanted} with the labels that are asked for", flag="no_metric")
            for key, sample in sorted(samples.items()):
                board = _board(sample)
                if board is not None and seen.setdefault(board, shown) != shown:
                    raise CounterError(f"{seen[board]} and {shown} both show {board}", flag="same_board")
                facts = self._facts(sample, urlsplit(shown).netloc)
                unit = _joules_in(sample.name) if self._joules_in_unit is None else self._joules_in_unit
                remote = _Remote(page, key, facts, joules_in_unit=unit, is_wanted=self._is_wanted)
                remote.joules()  # lines that are no copies are a problem from the start
                found.append(remote)
        return found

    def of_answer(self, reply: Reply) -> Energy:  # noqa: ARG002  # the protocol has it
        """Unknown here: the counters tell."""
        return unknown_energy("the counters tell", meter="prometheus")

    def _is_wanted(self, sample: Sample) -> bool:
        labels = self._options.get("labels", {})
        if any(sample.labels.get(name) != str(value) for name, value in labels.items()):
            return False
        if sample.name != self._options.get("metric", sample.name):
            return False
        kepler = _KEPLER.fullmatch(sample.name)
        is_package = sample.labels.get("zone", "package").startswith("package")
        if kepler and kepler[2] == "cpu" and not ("zone" in labels or is_package):
            # Zones overlap and must not be added up: the packages, unless another is asked for.
            return False
        return "metric" in self._options or sample.name in (_DCGM, "kepler_node_cpu_joules_total")

    def _facts(self, sample: Sample, host: str) -> Facts:
        kepler = _KEPLER.fullmatch(sample.name)
        poll_s = float(self._options.get("poll_s", 1.0))
        zone = sample.labels.get("zone", "package").partition("-")[0]
        boundary = _ZONES.get(zone, "cpu.package") if kepler and kepler[2] == "cpu" else "gpu.board"
        return Facts(
            device=_device(sample, host),
            boundary=self._options.get("boundary", boundary),
            meter=f"prometheus:{'kepler' if kepler else 'dcgm' if sample.name == _DCGM else sample.name}",
            # Kepler splits a node's counter among processes by a model, and on virtual machines it estimates.
            provenance="modelled" if kepler and kepler[1] != "node" else "measured",
            factors=(1 - _SYSTEMATIC, 1 + _SYSTEMATIC),
            systematic=_SYSTEMATIC,
            # A page is kept for half the time between two readings.
            lag_s=float(self._options.get("lag_s", 2.0)) + poll_s / 2,
            resolution=1e-3,
            poll_s=poll_s,
            hurry_s=poll_s,
            whole_device=True,
        )


def _urls(options: Mapping[str, Json], *, where: str) -> list[Secret]:
    """The pages that are read; raises ConfigError for what is no page, or holds a secret."""
    given = [name for name in ("url", "url_env", "urls") if options.get(name)]
    if len(given) > 1:
        raise ConfigError(f"{where} has both {given[0]} and {given[1]}: keep one")
    variable = options.get("url_env")
    if variable:
        url = secret_variable(variable) or Secret("")
        if host_of(url.reveal()) is None:
            raise ConfigError(f"{where}: the variable {variable} holds no URL: set it to the page of an exporter")
        return [url]
    texts = options.get("urls") or [options.get("url", "")]
    pages = set()
    for text in texts:
        if not isinstance(text, str) or host_of(text) is None:
            raise ConfigError(f'{where} needs the page of an exporter: add url = "http://host:9400/metrics"')
        if holds_secret(text):
            raise ConfigError(
                f"{where}: {given[0]} holds a name, a password or a key, which is refused: put the whole URL into a "
                f'variable, and name it, as in url_env = "EXPORTER_URL"'
            )
        pages.add(_page_at(text))
    if len(pages) < len(texts):
        raise ConfigError(f"{where}: urls names one page twice, so that its joules would count twice")
    return [Secret(text) for text in texts]


def _page_at(url: str) -> tuple[str, int | None, str]:
    """Where a page is, the same however its address is written."""
    parts, host = urlsplit(url), host_of(url) or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    place = "this machine" if names_this_machine(host) else host.lower().rstrip(".")
    return place, port, f"{parts.path.rstrip('/')}?{parts.query}"


def _uuid(sample: Sample) -> str | None:
    return sample.labels.get("UUID") or sample.labels.get("uuid")


def _board(sample: Sample) -> str | None:
    """What tells a board, or a node's counter, apart from all others on earth, if the exporter says so."""
    board = _uuid(sample)
    if board is None:
        return f"the counter {_key(sample)[1]}" if "node_name" in sample.labels else None
    return f"the board {board}"


def _joules_in_unit(options: Mapping[str, Json], *, where: str) -> float | None:
    """The joules of the unit that the ladder file gives; None where the name tells. Raises ConfigError."""
    unit, metric = options.get("unit"), options.get("metric")
    if unit is not None:
        if metric is None:
            raise ConfigError(f"{where} has a unit and no metric: the units of the metrics that it finds are known")
        if unit not in UNITS:
            raise unknown_name(f"{where}: unit", unit, UNITS, noun="unit of energy")
    if metric is None:
        return None
    try:
        told = joules_in_unit_of(metric)
    except AmbiguousUnitError as error:
        if unit is None:
            words = f"{where}: metric = {metric!r} may count {error}, and its name does not tell which"
            raise ConfigError(f'{words}: add unit = "{str(error).partition(" ")[0]}", or the other') from None
        told = UNITS[unit]
    if told is None and _POWER.search(metric):
        raise ConfigError(f"{where}: metric = {metric!r} is a power: name a counter of energy, which only grows")
    return None if unit is None else UNITS[unit]


def _joules_in(metric: str) -> float:
    """How many joules one of the metric's unit has: dcgm-exporter counts in mJ, and a name without a unit in J."""
    return 1e-3 if metric == _DCGM else joules_in_unit_of(metric) or 1.0


def _key(sample: Sample) -> tuple[str, str]:
    """The metric and the device of a line: lines that have both in common are one counter."""
    identity = _uuid(sample)
    if identity is None:
        labels = sorted(sample.labels.items())
        identity = ",".join(f"{name}={value}" for name, value in labels if name != "GPU_I_ID")
    return sample.name, identity


def _device(sample: Sample, host: str) -> str:
    name, identity = _key(sample)
    return f"prometheus:{host}/{identity or name}"


class _Page:
    """The page of one exporter, read once for all its counters."""

    def __init__(self, url: Secret) -> None:
        self._url = url
        self._is_local = is_this_machine(host_of(url.reveal()) or "")
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._samples: list[Sample] = []

    def fresh(self, at_most_s: float) -> list[Sample]:
        """The samples, not older than `at_most_s` seconds; raises CounterError if the exporter does not answer."""
        with self._lock:
            if clocks.monotonic() - self._read_at > at_most_s:
                self._samples = list(parse_metrics(self._text()))
                self._read_at = clocks.monotonic()
            return self._samples

    def _text(self) -> str:
        try:
            body = fetch(self._url, local_only=self._is_local, timeout_s=_TIMEOUT_S)
        except FetchError as error:
            raise CounterError(f"{shown_url(self._url.reveal())} {error}", flag="exporter_lost") from None
        return body.decode(errors="replace")


class _Remote:
    """One device's counter at the exporter."""

    def __init__(
        self,
        page: _Page,
        key: tuple[str, str],
        facts: Facts,
        *,
        joules_in_unit: float,
        is_wanted: Callable[[Sample], bool],
    ) -> None:
        self._page = page
        self._key = key
        self._joules_in_unit = joules_in_unit
        self._is_wanted = is_wanted
        self._last: float | None = None
        self.facts = facts

    def read(self) -> float:
        """See `Counter`."""
        try:
            joules = self.joules()
        except CounterError:
            self._last = None
            raise
        last, self._last = self._last, joules
        if last is not None and joules < last:
            raise CounterError(f"the counter of {self.facts.device} began anew", flag="counter_reset")
        return joules

    def joules(self) -> float:
        """What its lines show now: the newest of the copies, as slices of a board are not read at one moment."""
        lines = [sample for sample in self._lines(self.facts.poll_s / 2) if self._is_wanted(sample)]
        amounts = [sample.value * self._joules_in_unit for sample in lines]
        if not amounts or not all(map(math.isfinite, amounts)):
            raise CounterError(f"{self.facts.device} is not shown any more", flag="counter_lost")
        of_slices = {(sample.labels.get("GPU_I_ID"), amount) for sample, amount in zip(lines, amounts, strict=True)}
        slices = {of_slice for of_slice, _ in of_slices}
        at_most = _SLICES_DIFFER_J if self._key[0] == _DCGM else 0.0
        if len(of_slices) > len(slices) or max(amounts) - min(amounts) > at_most:
            raise CounterError(
                f"the page shows {self.facts.device} in {len(lines)} lines with different values, so that they are "
                f"no copies of one counter, and might count a part of it each: choose one by its labels",
                flag="not_copies",
            )
        return max(amounts)

    def _lines(self, at_most_s: float) -> list[Sample]:
        return [sample for sample in self._page.fresh(at_most_s) if _key(sample) == self._key]

    def others(self) -> str | None:
        """The containers that share the board, where the page names them; nobody else can be told from here."""
        places = ({name: sample.labels.get(name) for name in _CONTAINER} for sample in self._lines(math.inf))
        sharing = {tuple(place.values()) for place in places if place["pod"]}
        return f"{len(sharing)} containers of Kubernetes share it" if len(sharing) > 1 else None


@hookimpl
def pytest_rightsize_meters() -> dict[str, type[Meter]]:
    """The meter `prometheus`."""
    return {"prometheus": Prometheus}
