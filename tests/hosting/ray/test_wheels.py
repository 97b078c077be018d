"""`tox run -e ray` where Ray has no wheel: skipped, and told apart from an index that cannot be asked."""

import platform
import sys
from pathlib import Path

import pytest

from tests.hosting.ray.__main__ import is_without_wheel

pytest.importorskip("pip")
FOR_LINUX = "ray-2.60.0-cp312-cp312-manylinux2014_x86_64.whl"
FITS_HERE = sys.version_info[:2] == (3, 12) and (sys.platform, platform.machine()) == ("linux", "x86_64")


@pytest.mark.parametrize(
    ("wheels", "is_without"),
    [((), False), ((FOR_LINUX,), not FITS_HERE), ((FOR_LINUX, "ray-2.60.0-py3-none-any.whl"), False)],
    ids=["no index", "for another Python", "for this Python"],
)
def test_ray_without_a_wheel_is_no_index_that_cannot_be_asked(
    wheels: tuple[str, ...], is_without: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wheel in wheels:
        (tmp_path / wheel).touch()
    for name, value in (("CONFIG_FILE", "/dev/null"), ("NO_INDEX", "1"), ("FIND_LINKS", str(tmp_path))):
        monkeypatch.setenv(f"PIP_{name}", value)
    assert is_without_wheel() is is_without
