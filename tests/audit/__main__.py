"""Audits what a user installs: `tox run -e audit`, or `python -m tests.audit FOLDER`.

Builds the wheel into FOLDER, installs it with all extras into an environment of its own, and looks at that: pip-audit
for advisories, pip-licenses for licences outside the list in pyproject.toml, cyclonedx-py for the SBOM, which is
written beside the wheel. Exit status 1 for an advisory or a licence that is not allowed. An advisory service that
cannot be reached is told, and fails nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path

from tests.audit.advisories import read_advisories
from tests.audit.licences import refused

__all__ = ["main"]

_ROOT = Path(__file__).parents[2]
_NAME = "pytest-rightsize"


def main() -> int:
    """Build, install, look, write; 1 if anything is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the wheel and the SBOM go")
    parser.add_argument("--extras", help="only these extras, separated by commas (default: all)")
    args = parser.parse_args()
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = args.extras or ",".join(project["project"]["optional-dependencies"])
    wheel = _built(args.folder)
    with tempfile.TemporaryDirectory() as temporary:
        python = _installed(Path(temporary) / "installed", f"{wheel}[{extras}]")
        are_found = [_advisories(python), _licences(python, project["tool"]["audit"])]
        print(f"SBOM: {_sbom(python, wheel)}")
    return 1 if any(are_found) else 0


def _tool(*arguments: str | Path, may_fail: bool = False) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=_ROOT, check=not may_fail, text=True, capture_output=may_fail)


def _built(folder: Path) -> Path:
    folder = folder.absolute()
    for old in folder.glob("pytest_rightsize-*"):
        old.unlink()
    _tool("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, _ROOT)
    return next(folder.glob("pytest_rightsize-*.whl"))


def _installed(folder: Path, what: str) -> Path:
    """The Python of a new environment with what a user gets, and nothing else."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = next(path for path in (folder / "bin" / "python", folder / "Scripts" / "python.exe") if path.exists())
    _tool("pip", "--python", python, "install", "--quiet", what)
    for note in folder.rglob("direct_url.json"):  # the place on this machine, which would stand in the SBOM
        note.unlink()
    return python


def _advisories(python: Path) -> bool:
    site = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    options = ["--path", site, "--format", "json", "--progress-spinner", "off"]
    done = _tool("pip_audit", *options, may_fail=True)
    result = read_advisories(done.stdout, done.stderr)
    if result.why is not None:
        print(f"advisories: NOT CHECKED, as the service cannot be asked from here ({result.why})")
        return False
    others = [name for name in result.unknown if name != _NAME]
    aside = f"; not known to the service: {', '.join(others)}" if others else ""
    print(f"advisories: {len(result.found)} in {result.checked} packages{aside}")
    _print_all(result.found)
    return bool(result.found)


def _licences(python: Path, table: dict[str, dict[str, str]]) -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "piplicenses", "--python", python, "--from=mixed", "--format=json"],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    packages = {each["Name"]: each["License"] for each in json.loads(done.stdout)}
    if len(packages) < len(table["licences"]) // 2:
        raise SystemExit(f"pip-licenses sees {len(packages)} packages only: was anything installed?")
    by_hand = {name: reason.partition(":")[0] for name, reason in table["stated-by-hand"].items()}
    looked_at = {name: licence for name, licence in packages.items() if name not in table["accepted"]}
    lines = refused(looked_at, table["licences"].keys(), by_hand)
    _print_all([f"accepted: {name}, {table['accepted'][name]}" for name in sorted(packages.keys() - looked_at.keys())])
    print(f"licences: {len(lines)} of {len(packages)} packages have one that [tool.audit.licences] does not allow")
    _print_all(lines)
    return bool(lines)


def _sbom(python: Path, wheel: Path) -> Path:
    path = wheel.with_name(f"{'-'.join(wheel.name.split('-')[:2])}.cdx.json")
    about = ("--pyproject", _ROOT / "pyproject.toml", "--mc-type", "library", "--output-reproducible")
    _tool("cyclonedx_py", "environment", *about, "-o", path, python)
    return path


def _print_all(lines: Sequence[str]) -> None:
    for line in lines:
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
