"""The meters of one session: puts each rung's provider within its meter's window, and collects what the meters saw.

A rung's meter is chosen when somebody asks for it, the header or the first request; before, none is loaded.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from pytest_rightsize.meter_records import Metering
from pytest_rightsize.meters import Meter, load_meters, site_of
from pytest_rightsize.meters.attribution.metered import IdleMemory, Metered
from pytest_rightsize.meters.choice import choose
from pytest_rightsize.providers import Provider
from pytest_rightsize.records import Rung

__all__ = ["Meters"]


class Meters:
    """The meters of a session, by rung."""

    def __init__(
        self, from_plugins: Iterable[Mapping[str, type[Meter]]], *, budget_s: float = 0.0, workers: int = 1
    ) -> None:
        """Take the classes that plugins named; ConfigError if two gave one name. See `Metered` for the others."""
        self.classes = load_meters(from_plugins)
        self._budget_s = budget_s
        self._workers = workers
        self._metered: list[Metered] = []
        self._measured_elsewhere: list[tuple[Rung, Provider]] = []
        self._memory = IdleMemory()

    def wrap(self, rung: Rung, provider: Provider, *, room: Callable[[], int]) -> Provider:
        """The provider within its rung's window; recorded answers and rungs that want no meter stay as they are."""
        if site_of(provider) == "cluster":
            self._measured_elsewhere.append((rung, provider))
            return provider
        if site_of(provider) is None or rung.meter == "none":
            return provider
        metered = Metered(
            provider,
            partial(choose, rung, site_of(provider), self.classes),
            room=room,
            budget_s=self.budget_s_of(rung, provider),
            workers=self._workers,
            memory=self._memory,
        )
        self._metered.append(metered)
        return metered

    def budget_s_of(self, rung: Rung, provider: Provider) -> float:
        """How long a request to the rung may be repeated: answers that cost money are never asked for twice."""
        return self._budget_s if rung.price is None and not provider.leaves_machine else 0.0

    def header(self, rungs: Iterable[Rung]) -> list[str]:
        """`meter cpu_time (25k, 60k)`, and which rungs have none: `rightsize doctor` gives the reasons."""
        names = {rung.name for rung in rungs}
        groups: dict[str, list[str]] = defaultdict(list)
        unmetered: list[str] = []
        for choice in (metered.choice for metered in self._metered):
            if choice.rung in names and choice.meters:
                groups["+".join(choice.meters)].append(choice.rung)
            elif choice.rung in names:
                unmetered.append(choice.rung)
        for rung, provider in self._measured_elsewhere:
            if rung.name in names and rung.meter != "none":
                meter = getattr(provider, "meter_name", "of its own")
                (groups[meter] if meter else unmetered).append(rung.name)
        of = f" for {', '.join(unmetered)}" if groups else ""
        metered = [f"{meter} ({', '.join(of)})" for meter, of in groups.items()]
        return [
            *([f"meter {'; '.join(metered)}"] if metered else []),
            *([f"energy: not measured{of} (rightsize doctor says why)"] if unmetered else []),
        ]

    def seen(self) -> list[Metering]:
        """What the meters of rungs that have been closed saw, here and where a provider measured itself."""
        places = [*self._metered, *(provider for _, provider in self._measured_elsewhere)]
        return [metering for place in places for metering in getattr(place, "meterings", ())]
