"""Makes what a session works with from its settings, before any test: ladder, rungs, providers, recorder, engine.

Validates the configuration before any model is called: every mistake that can be known by then is a ConfigError.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_rightsize import clocks
from pytest_rightsize.calibration_records import Calibration
from pytest_rightsize.config.cascades import members_of
from pytest_rightsize.config.ladder import Ladder, read_ladder, select_rungs
from pytest_rightsize.config.ladder_order import ORDER_WORDS, order_note
from pytest_rightsize.config.options import find_ladder_file
from pytest_rightsize.config.settings import Settings
from pytest_rightsize.errors import ConfigError, RungError, unknown_name
from pytest_rightsize.meters import meter_urls
from pytest_rightsize.providers import Provider, load_providers
from pytest_rightsize.providers.broken_providers import checked, made
from pytest_rightsize.providers.locality import host_of, is_this_machine
from pytest_rightsize.providers.own_threads import own_work
from pytest_rightsize.providers.placement import is_trusted, keeps_private
from pytest_rightsize.recorded.fingerprints import fingerprints_of
from pytest_rightsize.records import Rung
from pytest_rightsize.results.calibration_file import read_calibrations
from pytest_rightsize.running.budget import Budget
from pytest_rightsize.running.engine import Engine
from pytest_rightsize.session.judge_bench import judge_fingerprint
from pytest_rightsize.session.metering import Meters
from pytest_rightsize.session.notices import Notices
from pytest_rightsize.session.order_amounts import order_amounts
from pytest_rightsize.session.rung_hosts import RungHosts

if TYPE_CHECKING:
    from pytest_rightsize.recorded.recorder import Recorder

__all__ = ["Resources"]

# Requests in flight to a rung that sets no limit of its own.
_IN_FLIGHT = 8


class Resources:
    """The parts of one session, each made once.

    `rungs` is the ladder that is climbed, smallest first, and empty outside one; `known` has every rung by its name.
    `fixed` are the rungs beside it that always answer one of the application's models. `missing`
    has those that cannot answer here, as faults that name the remedy.
    """

    def __init__(self, config: pytest.Config, settings: Settings, notices: Notices) -> None:
        """Make them; raises ConfigError. What is worth a warning but ends nothing goes to `notices`."""
        self.settings = settings
        self.is_worker = hasattr(config, "workerinput")
        self.workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
        # Whoever only plays the answers of a results file asks no model either, and ends in no verdict.
        self.collect_only = bool(config.getoption("collectonly", False)) or settings.strength_of is not None
        self._notices = notices
        self._config = config
        self._judge_fingerprints: dict[str, str | None] = {}
        self._classes = load_providers(config.hook.pytest_rightsize_providers())
        self.meters = Meters(
            config.hook.pytest_rightsize_meters(), budget_s=settings.energy_budget_s, workers=self.workers
        )
        self.ladder = self._read_ladder()
        self.calibrations = self._read_calibrations()
        self.rungs = () if settings.ladder is None else self._selected(settings.ladder)
        self.known = self.ladder.known
        self.serves = settings.serve or self.ladder.app.serve
        self.fixed = self._fixed_rungs()
        self.members = self._members()
        to_be_asked = [*self.rungs, *self.fixed, *self.members] if self.rungs else self.known.values()
        self.hosting = RungHosts(config, settings, notices)
        self.hosting.on_late = self.judge
        with own_work():
            self.providers = {rung.name: self._provider(rung) for rung in to_be_asked}
        for provider in self.providers.values():
            if hasattr(provider, "bind"):
                provider.bind(self.providers, self.known)
        kept = [rung.name for rung in self.fixed]
        members = [name for rung in to_be_asked for name in members_of(rung)]
        self.hosting.stay([*kept, *members] if self.rungs else self.providers)
        self.known |= {
            name: replace(self.known[name], electricity_usd_per_kwh=None)
            for name, provider in self.providers.items()
            if provider.leaves_machine
        }
        self.recorder = self._make_recorder()
        self.engine = Engine(
            self.providers,
            one_at_a_time=bool(self.rungs),
            recorder=self.recorder,
            budget=self._budget(),
            rungs=self.known,
            offline=settings.offline,
            kept=kept,
            climbed=[rung.name for rung in self.rungs],
        )
        self._check_offline()
        # Recorded answers need no model, no key and no server.
        no_model = self.collect_only or settings.cache == "replay"
        self.missing: Mapping[str, RungError] = {} if no_model else dict(self._find_missing())
        for rung, fault in self.missing.items():
            self.engine.mark_down(rung, fault)

    @property
    def provider_classes(self) -> list[type[Provider]]:
        """The classes of the providers that this session asks; of no other, as that would import all of them."""
        return [self._classes[name] for name in dict.fromkeys(self.known[rung].provider for rung in self.providers)]

    def header(self) -> list[str]:
        """The ladder, the strategy, and the rungs that cannot answer on this machine.

        Raises ConfigError for a meter that cannot work as the ladder file asks.
        """
        if not self.rungs:
            return [f"no ladder; each task runs on its chosen rung, else on {self.ladder.default}"]
        settings = self.settings
        order, note = " < ".join(rung.name for rung in self.rungs), order_note(self.rungs, self.ladder.order)
        by = "" if self.ladder.order == "params" else f" ({ORDER_WORDS[self.ladder.order]})"
        sure = f"; confidence {settings.confidence:g}" if settings.confidence is not None else ""
        no_model = self.collect_only or settings.cache == "replay"
        shared = [] if no_model else [name for name in self.hosting.rungs if name not in self.missing]
        answering = [rung for rung in self.rungs if rung.name not in self.missing]
        return [
            f"ladder {order}{by}; strategy {settings.strategy}{sure}",
            *([note] if note else []),
            *map(str, self.missing.values()),
            *self._trusted_line(),
            *([f"answering in a process of its own: {', '.join(shared)}"] if shared else []),
            *(
                f"{rung.name}: {rung.price.prompt:g} and {rung.price.completion:g} USD/M tokens, {rung.price.source}"
                for rung in self.rungs
                if rung.price is not None and rung.price.source
            ),
            *([] if no_model else self._place_lines(answering)),
            *([] if self.collect_only else self.meters.header(answering)),
        ]

    def _place_lines(self, rungs: Sequence[Rung]) -> Iterator[str]:
        """What providers with places of their own say of them: that there is none now."""
        for rung in rungs:
            yield from getattr(self.providers[rung.name], "place_lines", lambda: ())()

    def judge(self, name: str) -> Rung:
        """A rung that judges, made ready to be asked; raises ConfigError for an unknown one, RungError if it cannot."""
        if name not in self.known:
            raise unknown_name("by", name, self.known, noun="rung")
        if name not in self.providers:
            with own_work():
                provider = self._provider(self.known[name])
            problem = None if self.settings.cache == "replay" else checked(provider, name)
            if problem is not None:
                raise RungError(
                    f"the judge {name!r} cannot answer: {problem.what}. {problem.remedy}",
                    reason="missing",
                    permanent=True,
                )
            self.hosting.stay([name])
            self.providers[name] = provider
        return self.known[name]

    def judge_fingerprint(self, name: str) -> str | None:
        """The model of a judge that was asked, as a hash; None where it is not known."""
        if name not in self._judge_fingerprints:
            known = {} if self.recorder is None else self.recorder.fingerprints()
            identity = fingerprints_of([name], self.providers, known=known).get(name)
            self._judge_fingerprints[name] = judge_fingerprint(self.known[name], identity)
        return self._judge_fingerprints[name]

    def room(self, rung: str) -> int:
        """How many requests may wait for a rung from this process: those in flight, and answers for their energy."""
        room = self._base_room(rung)
        return room if room == 1 else room + getattr(self.providers[rung], "waiting_room", 0)

    def keeps_private(self, rung: str) -> bool:
        """Whether a private task may be sent to the rung."""
        return keeps_private(self.providers[rung], self.known[rung])

    def _base_room(self, rung: str) -> int:
        """How many requests may be in flight to a rung from this process."""
        room = self._undivided_room(self.known[rung], self.providers[rung])
        # A host sees to it that its workers together keep the limit.
        return room if rung in self.hosting.rungs else max(1, room // self.workers)

    def _undivided_room(self, rung: Rung, provider: Provider) -> int:
        """How many requests may be in flight to a rung from this session."""
        limits = (self.settings.concurrency, rung.max_in_flight)
        set_limits = [limit for limit in limits if limit is not None]
        room: int = min(set_limits) if set_limits else getattr(provider, "in_flight", _IN_FLIGHT)
        return room

    def _trusted_line(self) -> list[str]:
        """Which rungs see private tasks although they are not on this machine."""
        trusted = [
            rung.name
            for rung in (*self.rungs, *self.fixed)
            if self.providers[rung.name].leaves_machine and is_trusted(self.providers[rung.name], rung)
        ]
        return [f"trusted with private tasks, and not on this machine: {', '.join(trusted)}"] if trusted else []

    def _fixed_rungs(self) -> tuple[Rung, ...]:
        """The rungs of `[app] models` that are not on the ladder."""
        names = dict.fromkeys(self.ladder.app.models.values())
        return tuple(self.known[name] for name in names if self.known[name] not in self.rungs)

    def _members(self) -> tuple[Rung, ...]:
        """The rungs that are asked by a cascade alone."""
        asked = [*self.rungs, *self.fixed]
        names = dict.fromkeys(name for rung in asked for name in members_of(rung))
        return tuple(self.known[name] for name in names if self.known[name] not in asked)

    def _read_ladder(self) -> Ladder:
        path = self.settings.config or find_ladder_file(self.settings.rootdir)
        return Ladder(rungs={}) if path is None else read_ladder(path, self._classes, self.meters.classes)

    def _read_calibrations(self) -> tuple[Calibration, ...]:
        """What is known of judges' errors, by the option or the ladder file."""
        option, key = self.settings.calibration, self.ladder.calibration
        if option is not None:
            return read_calibrations(option, asked_by="--rightsize-calibration")
        return () if key is None else read_calibrations(key, asked_by=f"{self.ladder.source}: calibration")

    def _selected(self, names: Sequence[str]) -> tuple[Rung, ...]:
        """The rungs of the ladder, whose order is held against what this machine knows of them."""
        runs = self.settings.cache_dir / "runs"
        return select_rungs(
            self.ladder, names, known=lambda rungs: order_amounts(rungs, self.ladder.order, self._classes, runs)
        )

    def _provider(self, rung: Rung) -> Provider:
        kind = self._classes[rung.provider]
        limits = [limit for limit in (self.settings.concurrency, rung.max_in_flight) if limit is not None]
        rung = replace(rung, max_in_flight=min(limits, default=None))
        if self.settings.download and "download" in kind.options:
            rung = replace(rung, options={**rung.options, "download": True})
        if self.settings.offline and rung.options.get("download"):
            rung = replace(rung, options={**rung.options, "download": False})
        provider = made(kind, rung)
        for name, tell in (("on_note", self._notices.put), ("on_stall", self._show_at_once)):
            if hasattr(provider, name):
                setattr(provider, name, tell)
        budget_s = self.meters.budget_s_of(rung, provider)
        if hasattr(provider, "equip"):
            provider.equip(self.meters.classes, budget_s=budget_s)
        provider = self.hosting.hosted(
            rung,
            provider,
            self.meters.classes,
            room=self._undivided_room(rung, provider),
            budget_s=budget_s,
        )
        return self.meters.wrap(rung, provider, room=lambda: self._base_room(rung.name))

    def _show_at_once(self, message: str) -> None:
        """Show a message from another thread: the one that runs the tests may be waiting for what does not come."""
        self._notices.put(message)
        self._notices.show(self._config)

    def _make_recorder(self) -> "Recorder | None":
        """The recorded answers; where the user set an option for them, they are opened before any model is called."""
        settings = self.settings
        if settings.cache == "off" or (self.collect_only and settings.strength_of is None):
            return None
        from pytest_rightsize.recorded.recorder import Recorder

        recorder = Recorder(
            settings.cache_dir,
            mode=settings.cache,
            rungs=self.known,
            withheld=settings.redact,
            on_trouble=self._notices.put,
        )
        # Rungs of recorded answers alone, as those of `rightsize init`, are replayed without any others.
        are_recordings = {rung.provider == "replay" for rung in (*self.rungs, *self.fixed)} == {True}
        are_recordings |= settings.strength_of is not None  # of which it needs those of judges alone
        if settings.cache_is_given and not (settings.cache == "replay" and are_recordings):
            recorder.open()
        return recorder

    def _budget(self) -> Budget | None:
        """What this process may spend: workers of xdist have a part each, of everything but the time."""
        limits = self.settings.budget
        if not limits or self.settings.cache == "replay":
            return None
        asked = [rung for rung in (*self.rungs, *(self.fixed if self.rungs else ())) if not members_of(rung)]
        asked += self.members
        unpriced = [rung.name for rung in asked if rung.price is None and self.providers[rung.name].leaves_machine]
        if "usd" in limits and unpriced:
            raise ConfigError(
                f"--rightsize-budget has usd, and {', '.join(unpriced)} has no price, which is not the same as free: "
                f"add price = {{ prompt = .., completion = .. }} to it in the ladder file, in USD per million tokens"
            )
        parts = {unit: limit if unit == "seconds" else limit / self.workers for unit, limit in limits.items()}
        return Budget(parts, clock=clocks.monotonic, on_spent=self._notices.put)

    def _check_offline(self) -> None:
        """Nothing on the ladder may leave this machine; recorded answers do not, wherever they were given."""
        settings = self.settings
        if not settings.offline or settings.cache == "replay":
            return
        if settings.download:
            raise ConfigError("--rightsize-offline and --rightsize-download contradict each other: leave one out")
        leaving = [rung.name for rung in self.rungs if self.providers[rung.name].leaves_machine]
        leaving += [f"the meter of {rung.name}" for rung in self.rungs if _meter_leaves(rung)]
        if leaving:
            raise ConfigError(
                f"--rightsize-offline: {', '.join(leaving)} would leave this machine: take them off "
                f"--rightsize-ladder, or climb on recorded answers with --rightsize-cache=replay"
            )
        if fixed := [rung.name for rung in self.fixed if self.providers[rung.name].leaves_machine]:
            raise ConfigError(
                f"--rightsize-offline: {', '.join(fixed)} would leave this machine: name other rungs in [app] models, "
                f"or run on recorded answers with --rightsize-cache=replay"
            )

    def _find_missing(self) -> Iterator[tuple[str, RungError]]:
        """The rungs that cannot answer on this machine, as faults that say how to get each."""
        for rung in (*self.rungs, *(self.fixed if self.rungs else ())):
            problem = checked(self.providers[rung.name], rung.name)
            if problem is not None:
                from pytest_rightsize.config.model_sizes import download_words

                remedy = problem.remedy[:1].upper() + problem.remedy[1:]
                message = f"{rung.name} is not available: {problem.what}{download_words(rung)}. {remedy}"
                yield rung.name, RungError(message, reason="missing", permanent=True)


def _meter_leaves(rung: Rung) -> bool:
    """Whether the rung's meter is read over the network; that says who measures, and no prompt."""
    return any(not is_this_machine(host_of(url) or "") for url in meter_urls(rung))
