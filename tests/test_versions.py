"""The versions in pyproject.toml and tox.ini: bounds that are tested, reasons, and an environment for each Python."""

import os
import re
import tomllib
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from pytest_rightsize.versions import TooOld, too_old

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads(TEXT)
# `tox run -e oldest` says so.
IS_OLDEST = os.environ.get("RIGHTSIZE_VERSIONS") == "oldest"


def _tested() -> dict[str, Requirement]:
    """All that the tests are run on in the environment `oldest`, by name."""
    listed = [*PROJECT["project"]["dependencies"]]
    for name, extra in PROJECT["project"]["optional-dependencies"].items():
        listed += extra if name != "ray" else []  # it takes 500 MB, and is tested in an environment of its own
    for group in ("test", "server", "crosscheck"):
        listed += [entry for entry in PROJECT["dependency-groups"][group] if isinstance(entry, str)]
    return {requirement.name: requirement for requirement in map(Requirement, listed)}


def _lists() -> list[list[Any]]:
    """All lists of dependencies, those that only build the package too."""
    project = PROJECT["project"]
    return [
        PROJECT["build-system"]["requires"],
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
        PROJECT["tool"]["hatch"]["build"]["hooks"]["custom"]["dependencies"],
    ]


def _oldest(requirement: Requirement) -> Version:
    (specifier,) = requirement.specifier
    assert specifier.operator == ">=", f"{requirement}: a lower bound and nothing else, so that users can install it"
    return Version(specifier.version)


@pytest.mark.parametrize("requirement", _tested().values(), ids=str)
def test_what_is_installed_is_allowed_and_the_oldest_environment_has_the_oldest(requirement: Requirement) -> None:
    oldest = _oldest(requirement)
    try:
        installed = Version(version(requirement.name))
    except PackageNotFoundError:
        assert not IS_OLDEST, f"{requirement.name} is not installed"
        pytest.skip("not installed")
    assert installed >= oldest
    if IS_OLDEST:
        assert installed == oldest, "the bound is tested as it stands: name a version that exists"


def test_whatever_is_named_twice_has_one_bound() -> None:
    named = [Requirement(entry) for entries in _lists() for entry in entries if isinstance(entry, str)]
    bounds: dict[str, set[str]] = {}
    for requirement in named:
        if requirement.specifier:
            bounds.setdefault(requirement.name, set()).add(str(requirement.specifier))
    assert {name: found for name, found in bounds.items() if len(found) > 1} == {}


def test_bounds_that_are_told_elsewhere_are_those_of_pyproject() -> None:
    tested = _tested()
    assert Version(PROJECT["tool"]["pytest"]["ini_options"]["minversion"]) == _oldest(tested["pytest"])


def test_each_dependency_has_its_reason_beside_it() -> None:
    entries = [entry for entries in _lists() for entry in entries if isinstance(entry, str)]
    beside = {line.strip() for line in TEXT.splitlines() if re.search(r"[\]}\"],? *# \w", line)}
    assert [entry for entry in entries if not any(f'"{entry}"' in line for line in beside)] == []


@pytest.mark.parametrize(
    ("installed", "is_too_old"),
    [("3.6.1", True), ("3.6", True), ("3", True), ("3.7", False), ("3.7.0", False), ("3.10.0", False), ("4", False)],
)
def test_an_optional_package_is_held_against_the_bound_of_its_extra(
    installed: str, is_too_old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_rightsize.versions.version", lambda _: installed)
    monkeypatch.setattr(
        "pytest_rightsize.versions.requires", lambda _: ["pytest>=8.2", "pytest-xdist>=3.7; extra == 'xdist'"]
    )
    old = TooOld(package="pytest-xdist", installed=installed, oldest="3.7")
    assert too_old("pytest-xdist") == (old if is_too_old else None)
    assert too_old("pytest-other") is None


def test_what_is_not_installed_is_not_too_old() -> None:
    assert too_old("no-such-package-at-all") is None


def _tox() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini", encoding="utf-8")
    return parser


def test_tox_runs_the_tests_on_each_python_and_on_the_oldest_and_newest_versions() -> None:
    tox = _tox()
    (name,) = [section for section in tox.sections() if section.startswith("testenv:py3")]
    minors = re.findall(r"\d+", name.partition("{")[2])
    classifiers = [line.rpartition(" :: ")[2] for line in PROJECT["project"]["classifiers"]]
    assert {line for line in classifiers if re.fullmatch(r"3\.\d+", line)} <= {f"3.{minor}" for minor in minors}
    assert tox["tox"]["labels"].split("=")[1].split(", ")[2:] == [f"py3{minor}" for minor in minors]
    assert tox["tox"]["skip_missing_interpreters"] == "true"
    lowest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert tox["testenv:oldest"]["base_python"] == f"py{lowest.replace('.', '')}" == f"py3{minors[0]}"
    for environment in (name, "testenv:oldest", "testenv:newest"):
        assert tox[environment]["commands"] == "{[testenv:tests]commands}"


def test_contributing_says_what_tox_runs_by_itself() -> None:
    *first, last = (f"`{name}`" for name in _tox()["tox"]["env_list"].split(", "))
    said = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f"`tox run` is {', '.join(first)} and {last}." in said
    script = ROOT / ".ci" / "run"  # no part of a source distribution
    assert not script.exists() or script.read_text(encoding="utf-8").rstrip().endswith("tox run")
