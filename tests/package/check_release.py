"""Builds the source distribution, the wheel from that, and uses both as a stranger does: `tox run -e package`.

    python -m tests.package.check_release [--keep FOLDER]

1. `build` makes the sdist, and the wheel from the sdist; `twine check --strict` reads their metadata.
2. The wheel holds the package with its page and its types, and nothing else.
3. A new environment has the wheel alone: `rightsize init`, a first session, its page; and mypy checks `downstream.py`.
4. The tests that the sdist brings are run from it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Quick ones, of every room that needs no model.
_TESTS = ("tests/statistics", "tests/judging", "tests/reports", "tests/config", "tests/session/test_session.py")
_IN_WHEEL = ("py.typed", "reports/html/page/report.html.jinja", "reports/html/page/vega.js", "plugin.py")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run it and return what it printed; SystemExit with all of that where it fails."""
    shown = " ".join(map(str, command))
    print(f"$ {shown}", flush=True)
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{shown} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def built(folder: Path) -> tuple[Path, Path]:
    """The sdist and the wheel that is made from it."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel, cwd=folder)
    return sdist, wheel


def check_wheel(wheel: Path) -> None:
    """Everything that is needed at run time, and no tests."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    lacking = [name for name in _IN_WHEEL if f"pytest_rightsize/{name}" not in names]
    foreign = [name for name in names if not name.startswith(("pytest_rightsize/", "pytest_rightsize-"))]
    stray = [name for name in names if name.endswith((".pyc", ".gguf"))]
    if lacking or foreign or stray:
        raise SystemExit(f"the wheel lacks {lacking}, and should not hold {foreign + stray}")


def use_wheel(wheel: Path, folder: Path) -> None:
    """A new project with the wheel alone, from nothing to a page."""
    place = folder / "environment"
    venv.create(place, with_pip=True)
    scripts = place / ("Scripts" if os.name == "nt" else "bin")
    run(scripts / "python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    project = folder / "project"
    project.mkdir()
    version = run(scripts / "rightsize", "--version", cwd=project)
    if wheel.name.split("-")[1] not in version:
        raise SystemExit(f"the wheel {wheel.name} says that it is {version}")
    run(scripts / "rightsize", "init", "--models", "demo", "--ci", "none", cwd=project)
    run(scripts / "python", "-m", "pytest", cwd=project)
    ladder = ("--rightsize-ladder=25k,60k,160k,820k", "--rightsize-html=report.html")
    said = run(scripts / "python", "-m", "pytest", *ladder, cwd=project)
    if "smallest model that passes each task" not in said or not (project / "report.html").stat().st_size:
        raise SystemExit(f"the first session shows no verdict:\n{said}")
    shutil.copy(ROOT / "tests" / "package" / "downstream.py", project)
    run(
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--python-executable",
        scripts / "python",
        "downstream.py",
        cwd=project,
    )


def try_sdist(sdist: Path, folder: Path) -> None:
    """Run its own tests from it."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.glob("pytest_rightsize-*/")
    # Sessions in processes of their own find the package there too, and not where this environment has it.
    said = run(sys.executable, "-m", "pytest", "-q", "-n2", *_TESTS, cwd=source, PYTHONPATH=str(source))
    print(said.splitlines()[-1])


def main() -> None:
    """Build and check; SystemExit with what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="a folder for the sdist and the wheel")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sdist, wheel = built(folder)
        check_wheel(wheel)
        use_wheel(wheel, folder)
        try_sdist(sdist, folder)
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            for file in (sdist, wheel):
                print(shutil.copy(file, options.keep))


if __name__ == "__main__":
    main()
