"""The members of cascades among the rungs of a ladder file: found, and held against the rungs that there are; pure."""

from collections.abc import Mapping, Sequence

from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.records import Rung

__all__ = ["check_cascades", "members_of"]


def members_of(rung: Rung) -> tuple[str, ...]:
    """The names of a cascade's rungs; empty for any other rung."""
    return tuple(rung.options.get("rungs", ())) if rung.provider == "cascade" else ()


def check_cascades(
    rungs: Mapping[str, Rung], known: Mapping[str, Rung], spreads: Mapping[str, Sequence[str]], *, where: str
) -> None:
    """Raises ConfigError for a member that is no rung, stands for several, or is a cascade itself."""
    for cascade in rungs.values():
        place = f"{where} [ladder.{cascade.name}]: rungs"
        for name in members_of(cascade):
            if name in spreads:
                raise ConfigError(f"{place}: {name} stands for {', '.join(spreads[name])}: name one of them")
            if name not in known:
                raise unknown_name(place, str(name), known, noun="rung")
            if members_of(known[name]):
                raise ConfigError(
                    f"{place}: {name} is a cascade itself: name its rungs, {', '.join(members_of(known[name]))}"
                )
        if cascade.provider == "cascade" and cascade.price is not None:
            raise ConfigError(f"{where} [ladder.{cascade.name}]: a cascade costs what its rungs cost: take price out")
