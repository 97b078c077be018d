"""What a judge took for one judgement: a frozen noun, kept apart from the answers of the rung under test."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_rightsize.energy import Energy
from pytest_rightsize.plain_data import shallow
from pytest_rightsize.token_records import Tokens

__all__ = ["Judgement"]

Json = Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """One answer of the rung `by` as a judge; what it took is None where it is not known.

    A `cached` one was recorded before.
    """

    by: str
    tokens: Tokens = field(default_factory=Tokens)
    seconds: float | None = None
    energy: Energy | None = None
    cost_usd: float | None = None
    cached: bool = False

    def to_dict(self) -> dict[str, Json]:
        """The judgement as JSON data."""
        energy = None if self.energy is None else self.energy.to_dict()
        return {**shallow(self), "tokens": shallow(self.tokens), "energy": energy}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Json]) -> "Judgement":
        """The inverse of `to_dict`; keys that a later version added are left out."""
        values = {name: plain[name] for name in cls.__dataclass_fields__ if name in plain}
        energy = plain.get("energy")
        return cls(
            **values
            | {"tokens": Tokens(**plain["tokens"]), "energy": None if energy is None else Energy.from_dict(energy)}
        )
