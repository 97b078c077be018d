"""A replica's first words: whether it may answer for its rung.

All replicas hold one model, run one version of this package, of Ray and of Python, and for a Ray that this session
started itself stand on this machine. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_rightsize.errors import RungError
from pytest_rightsize.hosting.ray.replica_notes import another_model
from pytest_rightsize.hosting.wire import error_from_plain
from pytest_rightsize.records import Identity

__all__ = ["Greetings", "Refusal"]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a replica may not answer; with `of_rung` none of the others may either."""

    fault: RungError
    of_rung: bool


class Greetings:
    """What replicas said first, each held against the driver's versions and the first one's fingerprint."""

    def __init__(self, rung: str, versions: Mapping[str, str]) -> None:
        """Take the driver's versions by name; `only_node`, if set, is the id of the one node that may be used."""
        self._rung = rung
        self._versions = versions
        self.only_node: str | None = None
        self._first: str | None = None
        self.identity: Identity | None = None
        self.meter_name = ""

    @property
    def is_known(self) -> bool:
        """Whether a replica has told the model's fingerprint."""
        return self._first is not None

    def refusal(self, hello: Mapping[str, Any]) -> Refusal | None:
        """None where the replica may answer."""
        where = f"rung {self._rung!r}: its replica on {hello['node']}"
        if self.only_node is not None and hello["node_id"] != self.only_node:
            words = (
                f"{where} is on another machine, and this session started Ray for this machine alone. It was asked "
                f"nothing, as private prompts may not leave this machine. To use several machines, name the address of "
                f"their cluster"
            )
            return Refusal(fault=RungError(words, reason="private", permanent=True), of_rung=True)
        for name, mine in self._versions.items():
            its = hello["versions"].get(name, "none")
            if its != mine:
                words = (
                    f"{where} has {name} {its}, and this session {mine}. Other versions may answer differently: "
                    f"install {name} {mine} on the nodes"
                )
                return Refusal(fault=RungError(words, reason="load", permanent=True), of_rung=True)
        if "error" in hello:
            error = error_from_plain(hello["error"])
            reason = error.reason if isinstance(error, RungError) else "load"
            fault = RungError(f"{error} (on {hello['node']})", reason=reason, permanent=True)
            return Refusal(fault=fault, of_rung=False)
        return self._other_model(hello, where)

    def _other_model(self, hello: Mapping[str, Any], where: str) -> Refusal | None:
        plain = hello["identity"]
        identity = None if plain is None else Identity(**plain)
        if self._first is None:
            self._first, self.identity, self.meter_name = hello["node"], identity, hello["meter_name"]
            return None
        if identity == self.identity:
            return None
        mine = {} if self.identity is None else self.identity.content
        its = {} if identity is None else identity.content
        differing = sorted(key for key in {*mine, *its} if mine.get(key) != its.get(key)) or ["nothing that it tells"]
        return Refusal(fault=another_model(where, self._first, differing), of_rung=True)
