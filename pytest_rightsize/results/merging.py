"""Makes one results file of the shards of a suite, as a stream: prompts and trials are copied line by line.

In come the files that sessions with `--rightsize-shard` wrote; out goes the file that one session would have written,
up to its verdicts. What does not belong together is refused: shards of different ladders, settings, suites or models.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import IO

from pytest_rightsize.bounded_files import numbered_lines
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Json, Policy, TrialKey
from pytest_rightsize.results.line_formats import check_line
from pytest_rightsize.results.results_file import SCHEMA, ResultsFile, rung_of_line
from pytest_rightsize.shards import Shard
from pytest_rightsize.strict_json import loads

__all__ = ["ShardFile", "common_fingerprints", "merge_into", "merged_head", "read_shards", "unidentified"]

# These do not decide a verdict: whoever merges says anew which gates count.
_MAY_DIFFER = ("shard", "gate", "budget")
# Copied as they are, but for what is checked on the way.
_COPIED = ("prompt", "trial", "metering", "strength")


@dataclass(kw_only=True)
class ShardFile:
    """The results file of one shard: its first line, the plan of the whole suite, the models that answered.

    `suite` is empty and `is_whole` False where the session was cut off before its end: then it has no `identities`
    either. `answered` are the rungs whose answers it holds, known when it has been merged.
    """

    path: Path
    shard: Shard
    head: Mapping[str, Json]
    suite: Sequence[Mapping[str, Json]] = ()
    plan: Sequence[Mapping[str, Json]] = ()
    identities: Mapping[str, Json] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    is_whole: bool = False
    is_interrupted: bool = False


def read_shards(paths: Sequence[Path], *, partial: bool = False) -> list[ShardFile]:
    """The shards in their order; raises ConfigError for files that make no run together.

    With `partial`, shards may be missing or cut off: what they have not brought stays undecided.
    """
    shards = sorted((_read(path) for path in paths), key=lambda one: one.shard.index)
    first = shards[0]
    for other in shards[1:]:
        _check_pair(first, other)
    for one, other in pairwise(shards):
        if one.shard.index == other.shard.index:
            raise ConfigError(f"{one.path} and {other.path} are both shard {one.shard}: leave one of them out")
    _check_models(shards)
    if not partial:
        _check_complete(shards)
    _check_parts_of_tasks(shards)
    if not any(one.suite for one in shards):
        if any(one.is_whole for one in shards):
            raise ConfigError("no test of this suite asks a model, so there is nothing to merge: collect other tests")
        raise ConfigError("none of these shards came to its end, so nothing says what the suite holds: run them again")
    return shards


def merge_into(results: ResultsFile, shards: Sequence[ShardFile]) -> None:
    """Copy the plan, the trials and what meters saw; raises ConfigError for a trial in a shard that is not its own."""
    suite = next(one.suite for one in shards if one.suite)
    results.plan(
        (Policy.from_dict(line) for line in suite),
        {(line["task"], rung): count for line in suite for rung, count in line["planned"].items()},
    )
    for one in shards:
        for text, line in _copied(one):
            if line is not None and line.get("kind") == "metering":
                results.copy(json.dumps({**line, "shard": str(one.shard)}) + "\n")
            else:
                results.copy(text)


def common_fingerprints(shards: Sequence[ShardFile]) -> dict[str, Json]:
    """The fingerprint of each rung that is known of every shard that it answered in; of merged shards."""
    known = {rung: identity for one in shards for rung, identity in one.identities.items()}
    return {rung: identity for rung, identity in known.items() if rung not in unidentified(shards)}


def unidentified(shards: Sequence[ShardFile]) -> dict[str, list[str]]:
    """The rungs whose model is not known of each shard that it answered in, with those shards; of merged shards.

    A rung without a fingerprint in a whole session has none anywhere: its provider does not tell one.
    """
    known = {rung for one in shards for rung in one.identities}
    unknown: dict[str, list[str]] = {}
    for one in shards:
        for rung in sorted(one.answered - one.identities.keys()):
            if rung in known or not one.is_whole:
                unknown.setdefault(rung, []).append(str(one.shard))
    return unknown


def merged_head(shards: Sequence[ShardFile]) -> dict[str, Json]:
    """The first line of the merged file, without the ladder: as the first shard's, with a list of all of them."""
    head = {key: value for key, value in shards[0].head.items() if key not in ("kind", "schema", "ladder")}
    settings = {key: value for key, value in head["settings"].items() if key != "shard"}
    parts = [
        {"shard": str(one.shard), "started": one.head.get("started"), "machine": one.head.get("machine")}
        for one in shards
    ]
    return head | {"settings": settings, "shards": parts}


# --- reading one ------------------------------------------------------------------------------------------------------


def _read(path: Path) -> ShardFile:
    """What a shard says of itself, of the suite and of its end; trials are passed over unread."""
    found: ShardFile | None = None
    suite: list[Mapping[str, Json]] = []
    plan: list[Mapping[str, Json]] = []
    for number, text in _texts(path):
        if found is not None and text.startswith(('{"kind": "prompt"', '{"kind": "trial"')):
            found.is_whole = False  # as the end comes last
            continue
        line = _line(text, path, number)
        kind = line.get("kind")
        if found is None:
            found = _first(line, path)
            continue
        found.is_whole = kind == "end"
        if kind == "run":
            raise ConfigError(f"{path}:{number} begins another run: give each shard's file as its session wrote it")
        if kind == "suite":
            suite.append({key: value for key, value in line.items() if key != "kind"})
        elif kind == "plan":
            plan.append(line)
        elif kind == "end":
            totals = line.get("totals") or {}
            found.is_interrupted = bool(totals.get("interrupted"))
            found.identities = dict(totals.get("identities") or {})
    if found is None:
        raise ConfigError(f"{path} is empty")
    # Of a file that was cut off nobody knows whether it names all tasks.
    found.suite, found.plan = suite if found.is_whole else (), plan
    return found


def _first(line: Mapping[str, Json], path: Path) -> ShardFile:
    if line.get("kind") != "run":
        raise ConfigError(f'{path}:1 is not the first line of a results file: it has no "kind": "run"')
    if line.get("schema") != SCHEMA:
        raise ConfigError(f"{path} has schema {line.get('schema')}; this version reads {SCHEMA}: update it")
    settings = line.get("settings")
    shard = Shard.from_dict(settings.get("shard") if isinstance(settings, dict) else None)
    if shard is None:
        raise ConfigError(f"{path} is no shard: its session was run without --rightsize-shard")
    return ShardFile(path=path, shard=shard, head=line)


def _copied(one: ShardFile) -> Iterator[tuple[str, Mapping[str, Json] | None]]:
    """The lines of a shard that go into the merged file, prompts unread."""
    seen: set[int] = set()
    for number, text in _texts(one.path):
        if text.startswith('{"kind": "prompt"'):
            if text.endswith("\n"):
                yield text, None
            continue
        line = _line(text, one.path, number, may_be_cut=not one.is_whole)
        if line.get("kind") not in _COPIED:
            continue
        if line["kind"] == "trial":
            key = TrialKey(task=line["task"], case=line["case"], rung=line["rung"], sample=line.get("sample", 0))
            if not one.shard.holds(key):
                raise ConfigError(
                    f"{one.path}:{number} has {key.case} of task {key.task}, which is not of shard {one.shard}: the "
                    f"file was changed, or joined with another"
                )
            # All trials of one shard: eight bytes each, not their names.
            digest = int.from_bytes(
                blake2b(repr(key).encode("utf-8", "backslashreplace"), digest_size=8).digest(), "big"
            )
            if digest in seen:
                raise ConfigError(
                    f"{one.path}:{number} has {key.case} of task {key.task} on {key.rung} for the second time, and no "
                    f"session writes a trial twice: give the file as its session wrote it"
                )
            seen.add(digest)
            one.answered |= _rungs_asked(line)
        yield text, line


def _rungs_asked(trial: Mapping[str, Json]) -> set[str]:
    """The rungs whose answers a trial rests on: its own, members of a cascade, judges."""
    answers, judgements = trial.get("answers") or (), trial.get("judgements") or ()
    own = {trial["rung"]} if answers else set()
    return own | {rung for answer in answers for rung in answer.get("via") or ()} | {each["by"] for each in judgements}


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from _numbered(file, path)
    except OSError as error:
        raise ConfigError(f"cannot read the results file {path}: {error.strerror}") from None


def _numbered(file: IO[str], path: Path) -> Iterator[tuple[int, str]]:
    try:
        yield from numbered_lines(file, path)
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text, and so no results file") from None


def _line(text: str, path: Path, number: int, *, may_be_cut: bool = True) -> dict[str, Json]:
    """A line as data; an empty one for a last line that was cut off in the middle."""
    try:
        line = loads(text)
        if not isinstance(line, dict):
            raise ValueError("it is not a JSON object")
        check_line(line)
    except (ValueError, RecursionError) as error:
        if may_be_cut and not text.endswith("\n"):
            return {}
        raise ConfigError(f"{path}:{number} is not a line this version understands: {error}") from None
    return line


# --- what does not belong together ------------------------------------------------------------------------------------


def _check_pair(one: ShardFile, other: ShardFile) -> None:
    """Refuse two files of different splits, ladders, settings, commits or suites."""
    if (one.shard.count, one.shard.by) != (other.shard.count, other.shard.by):
        raise _unlike(one, other, lambda file: f"shard {file.shard} by {file.shard.by}")
    if _ladder(one) != _ladder(other):
        raise _unlike(one, other, lambda file: "ladder " + _differing(_ladder(one), _ladder(other), _ladder(file)))
    mine, yours = _deciding(one), _deciding(other)
    differing = next((name for name in sorted({*mine, *yours}) if mine.get(name) != yours.get(name)), None)
    if differing is not None:
        raise _unlike(one, other, lambda file: f"{differing} = {_deciding(file).get(differing)!r}")
    if _version(one) != _version(other):
        raise _unlike(one, other, lambda file: f"pytest-rightsize {_version(file)}")
    if one.head.get("commit") != other.head.get("commit"):
        raise _unlike(one, other, lambda file: f"commit {file.head.get('commit')}")
    # In any order: plugins such as pytest-randomly collect the same tests in another one each time.
    our_suite, their_suite = ({line["task"]: line for line in file.suite} for file in (one, other))
    if our_suite and their_suite and our_suite != their_suite:
        tasks = {**our_suite, **their_suite}
        task = next(task for task in tasks if our_suite.get(task) != their_suite.get(task))
        raise ConfigError(
            f"{one.path} and {other.path} are of different suites, as task {task} shows: collect the same tests, with "
            f"the same bars, in every shard"
        )


def _unlike(one: ShardFile, other: ShardFile, what: Callable[[ShardFile], str]) -> ConfigError:
    return ConfigError(
        f"{one.path} and {other.path} are not of one run: {what(one)} against {what(other)}. Run the shards with the "
        f"same ladder, settings and commit"
    )


def _version(file: ShardFile) -> Json:
    return (file.head.get("versions") or {}).get("pytest-rightsize")


def _ladder(file: ShardFile) -> list[dict[str, Json]]:
    return [rung_of_line(plain).to_dict() for plain in file.head["ladder"]]


def _differing(mine: list[dict[str, Json]], yours: list[dict[str, Json]], shown: list[dict[str, Json]]) -> str:
    """The names of the rungs, or where those are alike the first rung that differs."""
    if [rung["name"] for rung in mine] != [rung["name"] for rung in yours]:
        return ",".join(str(rung["name"]) for rung in shown)
    number = next(number for number, (one, other) in enumerate(zip(mine, yours, strict=True)) if one != other)
    keys = [key for key in {**mine[number], **yours[number]} if mine[number].get(key) != yours[number].get(key)]
    return f"{shown[number]['name']} with {keys[0]} = {shown[number].get(keys[0])!r}"


def _deciding(file: ShardFile) -> dict[str, Json]:
    return {name: value for name, value in file.head["settings"].items() if name not in _MAY_DIFFER}


def _check_models(shards: Sequence[ShardFile]) -> None:
    """Refuse shards in which a rung was another model, as a file that was not updated on one machine."""
    known: dict[str, tuple[Json, ShardFile]] = {}
    for one in shards:
        for rung, identity in one.identities.items():
            seen, where = known.setdefault(rung, (identity, one))
            if seen != identity:
                raise ConfigError(
                    f"{rung} is another model in {where.path} than in {one.path}: {seen} against {identity}. Bring the "
                    f"same model to every machine"
                )


def _check_parts_of_tasks(shards: Sequence[ShardFile]) -> None:
    """Refuse a part of each task that does not say which models answered: one verdict might rest on two models."""
    for one in shards:
        if one.shard.by == "case" and not one.is_whole:
            raise ConfigError(
                f"{one.path} was cut off before it told which models answered, and has a part of each task's cases: a "
                f"verdict might rest on two models. Run shard {one.shard} again, or leave its file out with --partial"
            )


def _check_complete(shards: Sequence[ShardFile]) -> None:
    """Refuse a run of which a part is missing."""
    count = shards[0].shard.count
    missing = sorted({*range(1, count + 1)} - {one.shard.index for one in shards})
    if missing:
        named = ", ".join(f"{index}/{count}" for index in missing[:5]) + (", .." if len(missing) > 5 else "")
        raise ConfigError(
            f"{len(missing)} of {count} shards are missing: {named}. Give their files too, or --partial to leave what "
            f"they hold undecided"
        )
    for one in shards:
        if not one.is_whole or one.is_interrupted:
            raise ConfigError(
                f"{one.path} was cut off before its end: run shard {one.shard} again (recorded answers are not asked "
                f"for twice), or give --partial to leave undecided what it lacks"
            )
