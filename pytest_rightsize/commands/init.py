"""Write a ladder file, a first test that passes, and a workflow for CI; three questions, or options in their place.

`--models demo` needs nothing: recorded answers of four tiny models. `local` names GGUF models that fit this machine's
memory, `endpoint` models of a server or a vendor. No file is replaced without --force.
"""

import argparse
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_rightsize.authoring.first_suite import DEMO, FirstLadder, first_suite
from pytest_rightsize.commands._machine import memory_of_this_machine
from pytest_rightsize.commands._output import ask, say
from pytest_rightsize.commands.fit import rung_lines, short_name
from pytest_rightsize.commands.schema import schema_text
from pytest_rightsize.config.model_sizes import need, suggested
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.output_paths import leads_elsewhere, write_whole
from pytest_rightsize.providers.locality import host_of, is_this_machine
from pytest_rightsize.providers.secret_texts import holds_secret

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = (
    "rightsize init",
    "rightsize init --models demo --ci github",
    "rightsize init --models local --memory 16 --ci none",
    "rightsize init --models endpoint --model gpt-5-nano --model gpt-5 --ci gitlab",
)
_MODELS = ("demo", "local", "endpoint")
_CI = ("github", "gitlab", "none")
_OPENAI_KEY = "OPENAI_API_KEY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize init`."""
    parser.add_argument("--dir", type=Path, default=Path(), help="where to write the files (default: this folder)")
    parser.add_argument("--models", choices=_MODELS, help="which models the ladder names (default: ask, else demo)")
    parser.add_argument("--ci", choices=_CI, help="the CI to write a workflow for (default: ask, else none)")
    parser.add_argument("--memory", type=float, metavar="GB", help="for local models (default: 0.9 of this machine's)")
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="a model of the endpoint; several times, smallest first"
    )
    parser.add_argument("--base-url", metavar="URL", help="the endpoint, up to /v1 (default: OpenAI's)")
    parser.add_argument(
        "--key-variable", metavar="NAME", help=f"the variable with its key (default: {_OPENAI_KEY}, none if local)"
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def run(arguments: argparse.Namespace) -> int:
    """Ask, write the files, and say what to do next; raises ConfigError before a file would be replaced."""
    asks = sys.stdin.isatty() and sys.stdout.isatty()
    memory = _memory(arguments.memory)
    models = arguments.models or (_ask_models(memory) if asks else "demo")
    if models == "demo":
        ladder = DEMO
    elif models == "local":
        ladder = _local(memory)
    else:
        ladder = _endpoint(arguments, asks=asks)
    ci = arguments.ci or (_choice("Which CI runs your tests", _CI, "none") if asks else "none")
    written = first_suite(ladder, ci=None if ci == "none" else ci, schema=schema_text())
    _write(arguments.dir, written, force=arguments.force)
    steps = [*_way_there(arguments.dir, ci), *_next_steps(ladder, models)]
    say("\n".join([*(f"wrote {arguments.dir / name}" for name in written), "", *steps]))
    return 0


def _ask_models(memory: int | None) -> str:
    shapes = suggested(memory or 0)
    size = sum(need(shape, "Q4_K_M", context=1, parallel=1).weights for shape in shapes) / 1e9
    local = f"{', '.join(shape.name for shape in shapes)} ({size:.1f} GB to download)" if shapes else "none fits here"
    say(
        "demo:     recorded answers of four tiny models; works now, offline\n"
        f"local:    models in this process: {local}\n"
        "endpoint: models of a server or a vendor (OpenAI-compatible)"
    )
    return _choice("Which models", _MODELS, "demo")


def _choice(question: str, known: Sequence[str], default: str) -> str:
    """One of the known words, asked for until one is given."""
    while True:
        answer = ask(f"{question}? {', '.join(known)} [{default}] ").strip() or default
        if answer in known:
            return answer
        say(str(unknown_name("answer", answer, known)))


def _memory(gigabytes: float | None) -> int | None:
    if gigabytes is not None and not 0 < gigabytes < 1e6:
        raise ConfigError(f"--memory was given {gigabytes:g}: give gigabytes, such as 16")
    return memory_of_this_machine().for_models if gigabytes is None else int(gigabytes * 1e9)


def _local(memory: int | None) -> FirstLadder:
    if memory is None:
        raise ConfigError("this system does not tell how much memory it has: give it, as in --memory 16")
    shapes = suggested(memory)
    if not shapes:
        raise ConfigError(
            f"no model of the list fits {memory / 1e9:.1f} GB of memory (rightsize fit): use --models endpoint, or demo"
        )
    tables = "\n".join("\n".join([*rung_lines(shape), ""]) for shape in shapes)
    return FirstLadder(
        names=[short_name(shape) for shape in shapes],
        tables=tables,
        is_local=True,
    )


def _endpoint(arguments: argparse.Namespace, *, asks: bool) -> FirstLadder:
    models: list[str] = arguments.model or []
    if not models and asks:
        models = [name.strip() for name in ask("Which models, smallest first, with commas between? ").split(",")]
    models = [name for name in dict.fromkeys(models) if name]
    if not models:
        raise ConfigError("--models endpoint needs the names of models: give --model NAME for each, smallest first")
    url: str | None = arguments.base_url
    host = None if url is None else host_of(url)
    if url is not None and host is None:
        raise ConfigError("--base-url is no URL: write http://host:port/v1")
    if url is not None and holds_secret(url):
        raise ConfigError(
            "--base-url holds a name, a password or a key: leave it out, and set base_url_env in the file"
        )
    is_here = host is not None and is_this_machine(host)
    key = arguments.key_variable or (None if is_here else _OPENAI_KEY)
    if key is not None and not key.isidentifier():
        raise ConfigError(f"--key-variable needs the name of a variable, such as {_OPENAI_KEY}; never the key itself")
    names = _names(models)
    tables = "\n".join(
        "\n".join(
            [
                f"[ladder.{name}]",
                'provider = "openai"',
                *([f'base_url = "{url}"'] if url else []),
                f"model = {_quoted(model)}",
                *([f'api_key_env = "{key}"'] if key else []),
                "",
            ]
        )
        for name, model in names.items()
    )
    return FirstLadder(names=list(names), tables=tables, key_variable=key)


def _names(models: Sequence[str]) -> Mapping[str, str]:
    """A rung's name for each model: the last part of the model's own, with what TOML takes without quotes."""
    named: dict[str, str] = {}
    for model in models:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", model.rpartition("/")[2]).strip("-") or "model"
        while name in named:
            name += "-2"
        named[name] = model
    return named


def _quoted(text: str) -> str:
    """A basic string of TOML, which is written as JSON's is."""
    return json.dumps(text)


def _write(folder: Path, written: Mapping[str, str], *, force: bool) -> None:
    there = [name for name in written if (folder / name).exists()]
    if there and not force:
        raise ConfigError(
            f"{', '.join(str(folder / name) for name in there)} {'is' if len(there) == 1 else 'are'} there already: "
            f"give another --dir, or --force to replace {'it' if len(there) == 1 else 'them'}"
        )
    for name, text in written.items():
        path = folder / name
        if (problem := leads_elsewhere(path)) is not None:
            raise ConfigError(f"{path} is not written: {problem}")
        try:
            write_whole(path, [text])
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}: give another --dir") from None


def _way_there(folder: Path, ci: str) -> Sequence[str]:
    """What to do before the first command, where the files were not written to this folder."""
    there = folder.resolve()
    go = [] if there == Path.cwd() else [f"go to the files:      cd {shlex.quote(str(folder))}"]
    repository = next((parent for parent in (there, *there.parents) if (parent / ".git").exists()), there)
    if ci == "github" and repository != there:
        workflows = shlex.quote(str(repository / ".github" / "workflows"))
        go.append(f"move the workflow:    GitHub reads it from {workflows} alone, and runs it there")
    return go


def _next_steps(ladder: FirstLadder, models: str) -> Sequence[str]:
    climb = f"pytest --rightsize-ladder={','.join(ladder.names)}"
    if models == "demo":
        return [
            f"climb the ladder:     {climb}",
            "then your own models: rightsize init --models local --dir OTHER (or endpoint)",
            "your own tests:       rightsize record -- python app.py",
        ]
    first = {
        "local": "fetch the models:     python -m pip install 'pytest-rightsize[local]' && rightsize pull",
        "endpoint": "see if they answer:   rightsize doctor",
    }[models]
    key = [f"set the key:          export {ladder.key_variable}=..."] if ladder.key_variable else []
    return [*key, first, f"climb the ladder:     {climb}"]
