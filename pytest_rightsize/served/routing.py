"""Decides which rung answers a question of the application, by the model's name that the application gave. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_rightsize.records import Rung

__all__ = ["Routing", "UnroutedError"]


class UnroutedError(Exception):
    """The application named a model that `[app]` does not know; the message says what to add."""


@dataclass(frozen=True, kw_only=True)
class Routing:
    """The table `[app]`, as far as it is about questions.

    `stands_for` are the names of models that are under test; empty means every name. `others` are the rungs that always
    answer a name, such as that of a judge. `ignored` parameters of the application are not sent on.
    """

    stands_for: frozenset[str] = frozenset()
    others: Mapping[str, Rung] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def rung_of(self, name: str) -> Rung | None:
        """The rung that always answers the name, or None for the rung under test; raises UnroutedError."""
        if name in self.others:
            return self.others[name]
        if self.stands_for and name not in self.stands_for:
            known = ", ".join(sorted(self.stands_for | set(self.others)))
            raise UnroutedError(
                f"the application asks the model {name!r}, which [app] does not name. Add it to stands_for if it is "
                f"under test, or to models if one rung always answers it. Named: {known}"
            )
        return None
