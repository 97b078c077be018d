"""What must agree in a release."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_citation_is_of_this_version_and_licence() -> None:
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])


def test_each_python_that_is_named_is_tested() -> None:
    named = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)}
    labels = re.search(r"versions = (.+)", (ROOT / "tox.ini").read_text(encoding="utf-8"))
    assert labels is not None
    assert {f"py{version.replace('.', '')}" for version in named} == set(re.findall(r"py3\d+", labels[1]))


def test_the_schema_of_results_files_has_its_line_in_the_docs() -> None:
    from pytest_rightsize.results.results_file import SCHEMA

    rows = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "versions.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows[-1] == str(SCHEMA)


def test_each_export_has_a_type() -> None:
    """What `__getattr__` finds is Any to mypy, unless it is imported for it by name."""
    text = (ROOT / "pytest_rightsize" / "__init__.py").read_text(encoding="utf-8")
    import pytest_rightsize

    for_types = text.partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
    assert [name for name in pytest_rightsize.__all__ if not re.search(rf"\b{name}\b", for_types)] == []
