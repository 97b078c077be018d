"""Declared energy: the ladder file's figure for a request or an output token in, an answer's energy out.

The figure has a source and is not ours; it is never added to what was measured.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, get_args

import pluggy

from pytest_rightsize.energy import Boundary, Energy, unknown_energy
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.meters import Counter, Meter, MeterProblem, Site
from pytest_rightsize.records import Json, Reply, Rung

__all__ = ["Declared"]

hookimpl = pluggy.HookimplMarker("pytest")

_JOULES: Mapping[str, float] = {"wh_per_request": 3600.0, "wh_per_token": 3600.0, "j_per_token": 1.0}


class Declared:
    """The figure is `wh_per_request`, `wh_per_token` or `j_per_token` (of output); `source` is who says so, and where.

    `low` and `high` bound the figure in its own unit where the source does, `boundary` lists what it covers
    (`["gpu.board", "host", "pue"]`).
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "wh_per_request": (int, float),
        "wh_per_token": (int, float),
        "j_per_token": (int, float),
        "low": (int, float),
        "high": (int, float),
        "source": str,
        "boundary": list,
    }

    def __init__(self, rung: Rung, options: Mapping[str, Json], site: Site) -> None:  # noqa: ARG002  # as all meters
        """Take the figure; raises ConfigError unless there is exactly one, with a source and bounds that can be."""
        where = f"rung {rung.name!r}: the meter declared"
        units = [name for name in _JOULES if name in options]
        if len(units) != 1:
            raise ConfigError(f"{where} needs one of {', '.join(_JOULES)}, and has {', '.join(units) or 'none'}")
        if not options.get("source"):
            raise ConfigError(f'{where} needs its source: add source = "who says so, and where"')
        self._unit = units[0]
        figure = options[self._unit]
        low, high = options.get("low"), options.get("high")
        if (low is None) != (high is None) or figure <= 0 or (low is not None and not 0 <= low <= figure <= high):
            raise ConfigError(
                f"{where}: {self._unit} = {figure} within {low} to {high} cannot be: give both or neither"
            )
        for name in options.get("boundary", ()):
            if name not in get_args(Boundary):
                raise unknown_name(f"{where}: boundary", str(name), get_args(Boundary), noun="boundary")
        self._boundary = frozenset(options.get("boundary", ()))
        self._figures = (figure, low, high)
        self._source = options["source"]

    def check(self) -> MeterProblem | None:
        """It always works."""
        return None

    def counters(self) -> Sequence[Counter]:
        """None."""
        return ()

    def of_answer(self, reply: Reply) -> Energy:
        """The declared figure, for this answer's tokens where it is per token."""
        count = 1 if self._unit == "wh_per_request" else reply.tokens.completion
        if count is None:
            return unknown_energy("the output tokens are not known", meter="declared")
        scale = _JOULES[self._unit] * count
        joules, low, high = (None if figure is None else figure * scale for figure in self._figures)
        return Energy(
            joules=joules,
            low=low,
            high=high,
            provenance="vendor_declared",
            boundary=self._boundary,
            meter="declared",
            flags=(f"source: {self._source}",),
        )


@hookimpl
def pytest_rightsize_meters() -> dict[str, type[Meter]]:
    """The meter `declared`."""
    return {"declared": Declared}
