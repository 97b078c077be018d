"""Checks, before anything is asked, that no file which the session writes is in the way of another.

Two outputs have two paths, none is a file that the session reads, and no link leads one out of its folder.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_rightsize.config.options import find_ladder_file
from pytest_rightsize.config.settings import Settings
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.output_paths import leads_elsewhere, same_file

__all__ = ["check_outputs"]


def check_outputs(settings: Settings, config: pytest.Config) -> None:
    """Raise ConfigError where two files of the session would be one, or one would be written somewhere else."""
    _check_results(settings.results)
    outputs = [*_outputs(settings, config)]
    for place, (option, path) in enumerate(outputs):
        for other, taken in outputs[:place]:
            if same_file(path, taken):
                raise ConfigError(f"{other} and {option} both name {path}: give each a file of its own")
        for what, read in _inputs(settings, config):
            if same_file(path, read):
                raise ConfigError(f"{option} names {path}, which is {what}: give another file")
    if settings.cache == "off" or settings.cache_is_given:
        return
    from pytest_rightsize.recorded.cache import FILE_NAME

    # A repository that somebody else wrote may hold such a link; who names the folder means it.
    problem = leads_elsewhere(settings.cache_dir) or leads_elsewhere(settings.cache_dir / FILE_NAME)
    if problem is not None:
        raise ConfigError(f"answers are not recorded in {settings.cache_dir}: {problem} in --rightsize-cache-dir")


def _check_results(path: Path | None) -> None:
    if path is None:
        return
    if path.is_dir() or path.parent.is_file():
        raise ConfigError(f"--rightsize-results was given {path}, which is no file that can be written")
    if (problem := leads_elsewhere(path)) is not None:
        raise ConfigError(f"--rightsize-results cannot write {path}: {problem}")


def _outputs(settings: Settings, config: pytest.Config) -> Iterator[tuple[str, Path]]:
    """The options that name a file which is written, and the file."""
    if settings.results is not None:
        yield "--rightsize-results", settings.results
    for name, path in settings.reports:
        yield (f"--rightsize-{name}" if name in ("html", "markdown") else f"--rightsize-report={name}"), path
    for option, words in (("xmlpath", "--junit-xml"), ("log_file", "--log-file")):
        given = config.getoption(option, None)
        if given:
            yield words, config.invocation_params.dir / given


def _inputs(settings: Settings, config: pytest.Config) -> Iterator[tuple[str, Path]]:
    """Files that the session reads; an earlier run to compare with may be replaced by the new one."""
    ladder = settings.config or find_ladder_file(settings.rootdir)
    if ladder is not None:
        yield "the ladder file", ladder
    if config.inipath is not None:
        yield "pytest's configuration", config.inipath
    if settings.baseline is not None and not (settings.results and same_file(settings.baseline, settings.results)):
        yield "the baseline", settings.baseline
