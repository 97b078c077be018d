"""What the audit makes of the words of its tools."""

import json
import tomllib
from pathlib import Path

import pytest

from tests.audit.advisories import read_advisories
from tests.audit.licences import is_allowed, refused

ALLOWED = {"MIT", "MIT License", "Apache-2.0", "BSD-3-Clause"}
PYPROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("stated", "allowed"),
    [
        ("MIT", True),
        ("MIT License", True),
        ("GPL-3.0-only", False),
        ("Apache-2.0 AND MIT", True),
        ("Apache-2.0 AND GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("(GPL-3.0-only OR MIT)", True),
        ("GPL-3.0-only OR LGPL-3.0-only", False),
        ("MIT; BSD-3-Clause", True),
        ("MIT; Proprietary", False),
        ("UNKNOWN", False),
        ("", False),
    ],
)
def test_a_licence_is_allowed_by_its_parts(stated: str, allowed: bool) -> None:
    assert is_allowed(stated, ALLOWED) is allowed


def test_what_is_refused_is_named() -> None:
    packages = {"b": "GPL-3.0-only", "a": "UNKNOWN", "c": "MIT", "d": "UNKNOWN"}

    assert refused(packages, ALLOWED, {"d": "MIT"}) == ["a: UNKNOWN", "b: GPL-3.0-only"]


def test_each_licence_of_the_list_has_its_reason() -> None:
    table = PYPROJECT["tool"]["audit"]

    assert all(len(reason) > 20 for reason in table["accepted"].values())
    assert all(len(reason) > 8 for reason in table["licences"].values())
    assert all(licence.partition(":")[0] in table["licences"] for licence in table["stated-by-hand"].values())
    assert is_allowed(PYPROJECT["project"]["license"], table["licences"])


def package(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "version": "1.0", "vulns": [], **more}


def test_advisories_are_told_with_what_mends_them() -> None:
    vulnerable = package("a", vulns=[{"id": "PYSEC-1", "fix_versions": ["1.1"]}, {"id": "GHSA-2", "fix_versions": []}])
    skipped = {"name": "c", "skip_reason": "Dependency not found on PyPI"}

    result = read_advisories(json.dumps({"dependencies": [vulnerable, package("b"), skipped]}), "")

    assert result.found == ("a 1.0: PYSEC-1, mended in 1.1", "a 1.0: GHSA-2, mended in ?")
    assert (result.unknown, result.checked, result.why) == (("c",), 2, None)


def test_a_service_that_knows_no_package_has_checked_nothing() -> None:
    result = read_advisories(json.dumps({"dependencies": [{"name": "c", "skip_reason": "not found"}]}), "")

    assert result.why == "no package is known to it: not found"


@pytest.mark.parametrize(
    "words",
    [
        "pip_audit._service.interface.ConnectionError: Could not connect to PyPI's vulnerability feed",
        "requests.exceptions.ProxyError: HTTPSConnectionPool: Max retries exceeded",
    ],
)
def test_a_service_that_is_not_reached_has_checked_nothing(words: str) -> None:
    result = read_advisories("", f"Traceback (most recent call last):\n{words}\n")

    assert result.why == words
    assert not result.found


@pytest.mark.parametrize(("stdout", "stderr"), [("", "No such option: --path"), ("{}", ""), ("[]", "x")])
def test_any_other_failure_is_one(stdout: str, stderr: str) -> None:
    with pytest.raises(ValueError, match="pip-audit failed: "):
        read_advisories(stdout, stderr)
