"""Puts the chat templates of llama-cpp-python's source package into a folder: `python -m ... FOLDER`."""

import importlib.metadata
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath


def main(folder: Path) -> None:
    """Download the source of the installed version and unpack its templates, unless they are there."""
    if any(folder.glob("*.jinja")):
        return
    folder.mkdir(parents=True, exist_ok=True)
    requirement = f"llama-cpp-python=={importlib.metadata.version('llama-cpp-python')}"
    with tempfile.TemporaryDirectory() as download:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python"]
        subprocess.run([*command, "--dest", download, requirement], check=True)
        with tarfile.open(next(Path(download).glob("*.tar.gz"))) as source:
            for member in source:
                path = PurePosixPath(member.name)
                if path.suffix == ".jinja" and path.parts[-3:-1] == ("models", "templates"):
                    content = source.extractfile(member)
                    if content is not None:
                        (folder / path.name).write_bytes(content.read())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
