"""Which models the workers of a distributed session answer with: on several machines one rung may be several models.

A worker tells with its trials what the rungs are that they asked. The first to answer says what a rung is; as soon as
another says otherwise, no answer of that rung counts any more: nobody knows which of the two models is meant.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b

from pytest_rightsize.records import Json, Rung, Trial
from pytest_rightsize.session.resources import Resources

__all__ = ["OwnModels", "WorkersModels", "are_elsewhere", "declaration", "without_answer"]

_FINGERPRINT, _LADDER = "fingerprint", "ladder file"
# What the ladder file says of a rung that its fingerprint does not hold: the defaults of requests, and its place.
_NOT_IN_FINGERPRINT = ("provider", "params_b", "active_b", "temperature", "top_p", "seed", "max_tokens", "images")


def are_elsewhere(specs: Iterable[Json]) -> bool:
    """Whether workers of these `--tx` may have other files than the controller: another machine, or another folder."""
    return any(not spec.popen or spec.chdir for spec in specs)


class OwnModels:
    """What a worker tells of the rungs that it asked, each of them once."""

    def __init__(self, resources: Resources, *, tells_all: bool) -> None:
        """With `tells_all` the models are identified also where no answers are recorded: that reads whole files."""
        self._resources = resources
        self._tells_all = tells_all
        self._told: set[str] = set()

    def news(self, trial: Trial) -> dict[str, dict[str, Json]]:
        """Of each rung that this trial is the first to have asked: what must be the same in every worker."""
        asked = _rungs_asked(trial) - self._told
        recorder = self._resources.recorder
        if not asked or (recorder is None and not self._tells_all):
            return {}
        self._told |= asked
        known: Mapping[str, Json] = {} if recorder is None else recorder.fingerprints()
        if self._tells_all:
            from pytest_rightsize.recorded.fingerprints import fingerprints_of

            known = fingerprints_of(sorted(asked), self._resources.providers, known=known, are_open=True)
        return {
            rung: {
                _FINGERPRINT: known.get(rung),
                _LADDER: declaration(self._resources.known[rung], has_fingerprint=rung in known),
            }
            for rung in sorted(asked)
            if rung in self._resources.known
        }


class WorkersModels:
    """What the controller was told, and the rungs of which two workers have different models."""

    def __init__(self) -> None:
        """Nothing was told yet; with `must_tell` a worker that does not say what answered is one that differs."""
        self.must_tell = False
        self._told: dict[tuple[str, str], Mapping[str, Json]] = {}
        self._first: dict[str, str] = {}
        self._refused: dict[str, str] = {}

    @property
    def fingerprints(self) -> dict[str, Json]:
        """Of each rung the fingerprint that the first worker told; None where it has none."""
        return {rung: self._told[worker, rung].get(_FINGERPRINT) for rung, worker in self._first.items()}

    def take(self, worker: str, told: Mapping[str, Mapping[str, Json]], trial: Trial) -> str | None:
        """Note what a worker told with a trial; returns why the trial's answers cannot count, as a sentence."""
        for rung, facts in told.items():
            self._told[worker, rung] = facts
        asked = sorted(_rungs_asked(trial))
        for rung in asked:
            if self.must_tell or (worker, rung) in self._told:
                self._compare(worker, rung)
        return next((self._refused[rung] for rung in asked if rung in self._refused), None)

    def _compare(self, worker: str, rung: str) -> None:
        mine = self._told.setdefault((worker, rung), {})
        first = self._first.setdefault(rung, worker)
        theirs = self._told[first, rung]
        if not mine:
            self._refused.setdefault(rung, _refusal(rung, f"worker {worker} does not tell which model it has"))
        elif mine != theirs:
            words = f"worker {worker} has another model than worker {first} ({', '.join(_differing(mine, theirs))})"
            self._refused.setdefault(rung, _refusal(rung, words))


def without_answer(trial: Trial, why: str) -> Trial:
    """The trial as one that its rung did not answer: what it took is known, and what it came to counts for nothing."""
    if trial.outcome == "not_run":
        return replace(trial, sampled=None)
    return replace(trial, outcome="error", reason="load", detail=why, raised_at=None)


def _rungs_asked(trial: Trial) -> set[str]:
    """The rungs whose models decided what the trial came to: its own, members of a cascade, judges."""
    own = {trial.key.rung} if trial.answers else set()
    return own | {rung for answer in trial.answers for rung in answer.via} | {each.by for each in trial.judgements}


def declaration(rung: Rung, *, has_fingerprint: bool) -> str:
    """A hash that differs wherever the ladder file says something else of what is asked, and the model does not tell.

    Paths may differ where the model's file is known by its content.
    """
    said = {name: value for name, value in rung.to_dict().items() if not has_fingerprint or name in _NOT_IN_FINGERPRINT}
    return blake2b(json.dumps(said, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()


def _differing(mine: Mapping[str, Json], theirs: Mapping[str, Json]) -> list[str]:
    """What is not the same: keys of the fingerprints, or what else a worker tells."""
    names = [_LADDER] if mine.get(_LADDER) != theirs.get(_LADDER) else []
    one, other = mine.get(_FINGERPRINT) or {}, theirs.get(_FINGERPRINT) or {}
    return sorted(key for key in {*one, *other} if one.get(key) != other.get(key)) + names


def _refusal(rung: str, what: str) -> str:
    return (
        f"rung {rung!r}: {what}, so its answers count for nothing from here on. All workers need the same model and "
        f"ladder file: bring them to every machine, or run without --tx"
    )
