"""Differences between two runs, or between two rungs of one run, other than the models compared; pure.

A case is the same in both if its prompt is the same. A prompt that was not recorded gives None, never "same".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_rightsize.records import Json, Policy, Run, Rung, Trial
from pytest_rightsize.results.redaction import text_digest

__all__ = ["prompts_differ", "shortened", "what_differs"]

_SHOWN = 5
# The parts of a policy that must be equal for two runs to set their rungs the same task.
_TERMS = ("pass_rate", "confidence", "samples", "max_tokens")


def prompts_differ(a: Sequence[Trial], b: Sequence[Trial]) -> bool | None:
    """Whether a case had different prompts on two rungs, by the first question of each; None if not recorded.

    Later questions may quote what a rung answered before, so a difference there means nothing.
    """
    prompt_a, prompt_b = _first_prompt(a), _first_prompt(b)
    return None if prompt_a is None or prompt_b is None else prompt_a != prompt_b


def what_differs(run_a: Run, run_b: Run, names: tuple[str, str], rungs: Iterable[str]) -> list[str]:
    """Sentences on what differs between two runs, called by `names`; of a run with itself, only that it was cut off."""
    runs = ((run_a, names[0]),) if run_a is run_b else ((run_a, names[0]), (run_b, names[1]))
    cut_off = [f"{name} was cut off: of what it lacks nothing is said" for run, name in runs if run.interrupted]
    if run_a is run_b:
        return cut_off
    return [
        *cut_off,
        *_models(run_a, run_b, names, rungs),
        *_files(run_a, run_b, names, rungs),
        *_suites(run_a, run_b, names),
        *_terms(run_a.policies, run_b.policies, names),
        *_surroundings(run_a.about, run_b.about, names),
    ]


def shortened(cases: Sequence[str]) -> str:
    """The first five cases as text, and how many more there are."""
    more = len(cases) - _SHOWN
    return ", ".join(cases[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _first_prompt(trials: Sequence[Trial]) -> tuple[Mapping[str, Json], ...] | None:
    first = next((trial.answers[0] for trial in trials if trial.answers), None)
    return text_digest(first.messages) or None if first is not None else None


def _models(run_a: Run, run_b: Run, names: tuple[str, str], rungs: Iterable[str]) -> Iterator[str]:
    """Rungs of one name whose model or settings differ."""
    in_a, in_b = ({rung.name: rung for rung in run.rungs} for run in (run_a, run_b))
    for name in dict.fromkeys(rungs):
        if name in in_a and name in in_b:
            for key, value_a, value_b in _unequal(_identity(in_a[name]), _identity(in_b[name])):
                yield f"rung {name}: {key} is {value_a} in {names[0]} and {value_b} in {names[1]}"


def _files(run_a: Run, run_b: Run, names: tuple[str, str], rungs: Iterable[str]) -> Iterator[str]:
    """Rungs of one name whose files differ, as far as both runs recorded their hashes."""
    in_a, in_b = (run.about.get("identities") or {} for run in (run_a, run_b))
    for name in dict.fromkeys(rungs):
        hash_a, hash_b = ((identities.get(name) or {}).get("sha256") for identities in (in_a, in_b))
        if hash_a and hash_b and hash_a != hash_b:
            short_a, short_b = _short(hash_a), _short(hash_b)
            yield f"rung {name}: its file has the hash {short_a} in {names[0]} and {short_b} in {names[1]}"


def _short(hashes: Json) -> str:
    return " ".join(str(digest)[:16] for digest in (hashes if isinstance(hashes, list) else [hashes]))


def _identity(rung: Rung) -> dict[str, Any]:
    """The settings that can change a rung's answers: not its price, how much is in flight, or what is completed."""
    no_matter = ("name", "price", "max_in_flight", "complete")
    return {key: value for key, value in rung.to_dict().items() if key not in no_matter}


def _suites(run_a: Run, run_b: Run, names: tuple[str, str]) -> Iterator[str]:
    cases_a, cases_b = (
        dict.fromkeys((trial.key.task, trial.key.case) for trial in run.trials) for run in (run_a, run_b)
    )
    for mine, theirs, name in ((cases_a, cases_b, names[0]), (cases_b, cases_a, names[1])):
        only = [f"{task}: {case}" for task, case in mine if (task, case) not in theirs]
        if only:
            yield f"{len(only)} case{'s are' if len(only) != 1 else ' is'} only in {name}: {shortened(only)}"


def _terms(a: Mapping[str, Policy], b: Mapping[str, Policy], names: tuple[str, str]) -> Iterator[str]:
    for task in a:
        if task in b:
            terms = [{term: getattr(policies[task], term) for term in _TERMS} for policies in (a, b)]
            for key, value_a, value_b in _unequal(*terms):
                yield f"task {task}: {key} is {value_a} in {names[0]} and {value_b} in {names[1]}"


def _surroundings(a: Mapping[str, Json], b: Mapping[str, Json], names: tuple[str, str]) -> Iterator[str]:
    if a.get("commit") and b.get("commit") and a["commit"] != b["commit"]:
        yield f"the suite is at commit {a['commit'][:10]} in {names[0]} and {b['commit'][:10]} in {names[1]}"
    for key, value_a, value_b in _unequal(a.get("machine") or {}, b.get("machine") or {}):
        where = f"{value_a} in {names[0]} and {value_b} in {names[1]}"
        yield f"the machine's {key} is {where}: mind that with seconds and energy"


def _unequal(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Keys whose values differ, with both values; a missing value is `not set`."""
    for key in dict.fromkeys([*a, *b]):
        if a.get(key) != b.get(key):
            yield key, _value(a, key), _value(b, key)


def _value(plain: Mapping[str, Any], key: str) -> Any:
    return "not set" if plain.get(key) is None else plain[key]
