"""The providers and meters that a command knows: those of this package, and of modules that the user names."""

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import pluggy

from pytest_rightsize import hookspecs
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.meters import Meter, load_meters
from pytest_rightsize.providers import Provider, load_providers
from pytest_rightsize.session.builtin import BuiltIn

__all__ = ["add_ladder_arguments", "add_plugin_argument", "classes"]


def add_ladder_arguments(parser: argparse.ArgumentParser, *, example: str) -> None:
    """Add the ladder file, the rungs of it that are meant, and `add_plugin_argument`'s own."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the ladder file (default: rightsize.toml here, or [tool.rightsize] in pyproject.toml)",
    )
    parser.add_argument("--ladder", metavar="RUNGS", help=f"only these rungs, such as {example} (default: all)")
    add_plugin_argument(parser)


def add_plugin_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--plugin MODULE`, which may be given several times."""
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="MODULE", help="a module with providers or meters of your own"
    )


def classes(modules: Sequence[str] = ()) -> tuple[Mapping[str, type[Provider]], Mapping[str, type[Meter]]]:
    """The providers and meters by their names; raises ConfigError for a module that cannot be imported."""
    manager = pluggy.PluginManager("pytest")
    manager.add_hookspecs(hookspecs)
    manager.register(BuiltIn(), "rightsize-builtin")
    for name in modules:
        try:
            manager.register(import_module(name), name)
        except ImportError as error:
            raise ConfigError(f"--plugin {name} cannot be imported ({error}): correct its name") from None
    return (
        load_providers(manager.hook.pytest_rightsize_providers()),
        load_meters(manager.hook.pytest_rightsize_meters()),
    )
