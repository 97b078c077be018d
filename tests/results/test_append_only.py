"""No line is lost to a full disk, and nobody else reads a private one."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.results import append_only as durable
from pytest_rightsize.results.append_only import DurableFile


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_lines_are_in_the_file_before_it_is_closed(tmp_path: Path) -> None:
    file = DurableFile(tmp_path / "new" / "run.jsonl")
    file.write("one\n")
    file.write("\ud800\n")
    assert (tmp_path / "new" / "run.jsonl").read_text(encoding="utf-8") == "one\n\\ud800\n"
    file.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full, which is always full")
def test_what_a_full_disk_refuses_is_told_at_once_and_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told: list[str] = []
    file = DurableFile(Path("/dev/full"), private=True, on_trouble=told.append)
    file.write("one\n")
    assert told == [
        "/dev/full cannot be written (No space left on device): its lines are kept in memory, and writing is tried "
        "again; make room there"
    ]
    file.write("two\n")
    assert len(told) == 1
    file.close()
    (saved,) = tmp_path.iterdir()
    assert saved.read_text(encoding="utf-8") == "one\ntwo\n"
    assert mode(saved) == 0o600
    assert told[1] == f"the last lines of /dev/full are in {saved}: make room, and append that file to it"
    assert mode(Path("/dev/full")) == 0o666


def test_lines_are_written_in_order_once_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "_RETRY_S", 0.0)
    told: list[str] = []
    file = DurableFile(tmp_path / "run.jsonl", on_trouble=told.append)
    room = os.open("/dev/full", os.O_WRONLY)
    own = os.dup(file._file.fileno())
    os.dup2(room, file._file.fileno())
    file.write("one\n")
    file.write("two\n")
    os.dup2(own, file._file.fileno())
    file.write("three\n")
    file.close()
    assert (tmp_path / "run.jsonl").read_text(encoding="utf-8") == "one\ntwo\nthree\n"
    assert len(told) == 1


def test_a_private_file_is_for_its_owner_also_if_it_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o644)
    DurableFile(path, private=True).close()
    assert mode(path) == 0o600
    DurableFile(tmp_path / "open.jsonl").close()
    assert mode(tmp_path / "open.jsonl") == 0o666 & ~_umask()


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


class Interrupting:
    """A file whose next write is followed by Ctrl-C, before anybody knows how much was written."""

    def __init__(self, file: Any, *, part: int | None = None) -> None:
        self.file = file
        self.part = part

    def write(self, content: bytes) -> int:
        self.file.write(content[: self.part])
        raise KeyboardInterrupt

    def fileno(self) -> int:
        return int(self.file.fileno())


@pytest.mark.parametrize("part", [None, 2, 0])
def test_a_line_that_was_written_as_ctrl_c_came_is_there_once_and_counted(tmp_path: Path, part: int | None) -> None:
    file = DurableFile(tmp_path / "run.jsonl")
    file.write("first\n")
    whole: Any = file._file
    file._file = Interrupting(whole, part=part)  # type: ignore[assignment]  # as much as is used of a file
    with pytest.raises(KeyboardInterrupt):
        file.write("second\n")
    file._file = whole

    assert file.size_bytes == len("first\nsecond\n")
    assert bytes(file.waiting()[1]) == b"second\n"[part if part is not None else 7 :]
    file.write("third\n")
    file.close()

    assert (tmp_path / "run.jsonl").read_text() == "first\nsecond\nthird\n"
