"""Fetch the models of a ladder that are not on this machine: sizes first, then the room on the disk, then the files.

A download that was interrupted goes on where it was. Models come from the Hugging Face hub, into its own cache;
HF_HOME, HF_ENDPOINT and HF_TOKEN count. Rungs that are endpoints, recordings or files need nothing.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pytest_rightsize.commands._output import complain, say
from pytest_rightsize.commands._plugins import add_ladder_arguments, classes
from pytest_rightsize.config.catalogue import CATALOGUE
from pytest_rightsize.config.ladder import Ladder, read_ladder
from pytest_rightsize.config.options import find_ladder_file
from pytest_rightsize.errors import ConfigError, RungError, unknown_name
from pytest_rightsize.providers.llama_cpp.provider import HubModel, free_bytes, hub_model, pull_model
from pytest_rightsize.records import Rung

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = ("rightsize pull", "rightsize pull --ladder 1b,4b --dry-run")
# Left free on the disk.
_SPARE_BYTES = 500_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize pull`."""
    add_ladder_arguments(parser, example="1b,4b")
    parser.add_argument("--dry-run", action="store_true", help="say what would be fetched, and how large it is")


def run(arguments: argparse.Namespace) -> int:
    """Fetch what is missing; returns 1 where a model could not be had. Raises ConfigError where there is no room."""
    rungs = _rungs(arguments)
    missing: dict[str, HubModel] = {}
    failed = False
    for name, rung in _with_projectors(rungs):
        try:
            model = hub_model(rung.model or "") if rung.provider == "llama_cpp" else None
        except (RungError, ConfigError) as error:
            complain(f"{name}: {error}")
            failed = True
            if isinstance(error, RungError) and error.reason == "transport":  # nor can it be asked for the others
                return 1
            continue
        say(f"{name}: {_line(rung, model)}")
        if model is not None and model.path is None:
            missing.setdefault(rung.model or "", model)
    if missing:
        failed |= _fetch(missing, dry_run=arguments.dry_run)
    return 1 if failed else 0


def _with_projectors(rungs: Mapping[str, Rung]) -> Iterator[tuple[str, Rung]]:
    """The rungs by name; one with a vision projector comes once more, with that as its model."""
    for name, rung in rungs.items():
        yield name, rung
        if "mmproj" in rung.options:
            yield name, replace(rung, model=rung.options["mmproj"])


def _rungs(arguments: argparse.Namespace) -> Mapping[str, Rung]:
    """The rungs that are asked for, by name."""
    providers, meters = classes(arguments.plugin)
    path = arguments.config or find_ladder_file(Path.cwd())
    ladder = Ladder(rungs={}) if path is None else read_ladder(path, providers, meters)
    if arguments.ladder is None:
        return ladder.rungs or CATALOGUE
    names = ladder.unspread([name.strip() for name in arguments.ladder.split(",") if name.strip()])
    for name in names:
        if name not in ladder.known:
            raise unknown_name("--ladder", name, [*ladder.spreads, *ladder.known], noun="rung")
    return {name: ladder.known[name] for name in names}


def _line(rung: Rung, model: HubModel | None) -> str:
    if model is None:
        return f"{rung.provider} {rung.model or rung.options.get('file', '')}: nothing to fetch".replace(" : ", ": ")
    if model.path is not None:
        return f"{rung.model}: on this machine ({_size(model.size_bytes)})"
    half = f", of which {_size(model.have_bytes)} came before" if model.have_bytes else ""
    return f"{rung.model}: {_size(model.size_bytes)} to fetch{half}"


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "size unknown"
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e8 else f"{size_bytes / 1e6:.1f} MB"


def _fetch(missing: Mapping[str, HubModel], *, dry_run: bool) -> bool:
    """Fetch the models, if there is room for all of them; returns whether one could not be had."""
    needed = sum(model.missing_bytes or 0 for model in missing.values())
    cache, free = free_bytes()
    say(f"{_size(needed)} to fetch into {cache}, where {_size(free)} are free")
    if needed + _SPARE_BYTES > free:
        raise ConfigError(
            f"{_size(needed)} do not fit into {cache}, where {_size(free)} are free: make room, set HF_HOME to another "
            f"disk, or fetch fewer with --ladder"
        )
    if dry_run:
        return False
    failed = False
    for line in _fetched(missing):
        failed |= line is None
        if line is not None:
            say(line)
    return failed


def _fetched(missing: Mapping[str, HubModel]) -> Iterator[str | None]:
    """A line for each model that came, None for one that did not."""
    for name in missing:
        try:
            yield f"{name}: {pull_model(name)}"
        except RungError as error:
            complain(str(error))
            yield None
