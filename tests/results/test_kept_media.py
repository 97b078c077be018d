"""Images beside results files: kept once, found by what they are, taken along, and removed with the last run."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from pytest_rightsize.content_parts import image_part
from pytest_rightsize.part_data import PartData
from pytest_rightsize.records import AnswerRecord, Rung, Trial, TrialKey
from pytest_rightsize.results.kept_media import FOLDER, KeptMedia, copy_media, media_beside, remove_unused
from pytest_rightsize.results.kept_runs import copy_run, remove_oldest
from pytest_rightsize.results.results_file import ResultsFile, read_run

GIF = b"GIF89a and pixels"
SHA256 = hashlib.sha256(GIF).hexdigest()
DATA = PartData(data=GIF, media_type="image/gif")
_OLD = 2 * 86_400


def write_run(path: Path, image: bytes = GIF, troubles: list[str] | None = None) -> None:
    """A results file with one trial, whose prompt has the image."""
    content = [{"type": "text", "text": "What is it?"}, image_part(image)]
    answer = AnswerRecord(text="a cat", messages=({"role": "user", "content": content},))
    on_trouble = (lambda _: None) if troubles is None else troubles.append
    about = {"settings": {}, "started": "2026-05-03T10:00:00+00:00"}
    results = ResultsFile(path, rungs=[Rung(name="a", provider="replay")], about=about, on_trouble=on_trouble)
    results.trial(Trial(key=TrialKey(task="t", case="c", rung="a"), outcome="passed", answers=(answer,)))
    results.end([], exitstatus=0, failed=[], totals={})


def grow_old(folder: Path) -> None:
    for path in (folder / FOLDER).iterdir():
        status = path.stat()
        os.utime(path, (status.st_atime - _OLD, status.st_mtime - _OLD))


def names(folder: Path) -> set[str]:
    kept = folder / FOLDER
    return {path.name for path in kept.iterdir()} - {".gitignore"} if kept.is_dir() else set()


def test_data_is_kept_once_and_read_by_its_hash(tmp_path: Path) -> None:
    media = KeptMedia(tmp_path / FOLDER)
    media.keep(DATA)
    media.keep(DATA)
    assert names(tmp_path) == {SHA256}
    assert media.read(SHA256) == GIF
    assert (tmp_path / FOLDER / SHA256).stat().st_mode & 0o777 == 0o600


def leave_spoilt(path: Path, how: str) -> None:
    """Put something else in the place of kept data."""
    path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    elif how == "device":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes({"as long": GIF[::-1], "longer": GIF + b"x", "empty": b""}[how])


@pytest.mark.parametrize("how", ["as long", "longer", "empty", "pipe"])
def test_what_is_not_the_data_of_its_name_is_not_read_and_is_kept_anew(how: str, tmp_path: Path) -> None:
    media = KeptMedia(tmp_path / FOLDER)
    media.keep(DATA)
    leave_spoilt(tmp_path / FOLDER / SHA256, how)
    assert media.read(SHA256) is None
    media.keep(DATA)
    assert media.read(SHA256) == GIF
    assert names(tmp_path) == {SHA256}


def test_an_endless_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media = KeptMedia(tmp_path / FOLDER)
    media.keep(DATA)
    leave_spoilt(tmp_path / FOLDER / SHA256, "device")
    assert media.read(SHA256) is None
    (tmp_path / FOLDER / SHA256).unlink()
    media.keep(DATA)
    monkeypatch.setattr("pytest_rightsize.results.kept_media._LARGEST_BYTES", len(GIF))
    assert media.read(SHA256) == GIF
    monkeypatch.setattr("pytest_rightsize.results.kept_media._LARGEST_BYTES", len(GIF) - 1)
    assert media.read(SHA256) is None
    with pytest.raises(OSError, match=r"it has 17 bytes, and 16 is the most that is kept"):
        media.keep(DATA)


def test_two_processes_may_make_the_folder_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    looks = iter([False])
    monkeypatch.setattr(Path, "is_dir", lambda _: next(looks, True))  # it was made since the first look
    KeptMedia(folder).keep(DATA)
    assert KeptMedia(folder).read(SHA256) == GIF


@pytest.mark.parametrize("name", ["0" * 64, "../secret", "", SHA256.upper(), f"{SHA256}/"])
def test_what_is_not_there_is_none(name: str, tmp_path: Path) -> None:
    media = KeptMedia(tmp_path / FOLDER)
    media.keep(DATA)
    (tmp_path / "secret").write_bytes(b"x")
    assert media.read(name) is None


def test_a_folder_that_leads_elsewhere_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / FOLDER).symlink_to(tmp_path / "elsewhere")
    troubles: list[str] = []
    write_run(tmp_path / "run" / "run.jsonl", troubles=troubles)
    assert [*(tmp_path / "elsewhere").iterdir()] == []
    assert len(troubles) == 1
    assert "an image or sound of a prompt cannot be kept in" in troubles[0]
    (trial,) = read_run(tmp_path / "run" / "run.jsonl").trials
    assert SHA256 in json.dumps(trial.answers[0].messages)


def test_a_run_that_is_copied_takes_its_images_along(tmp_path: Path) -> None:
    write_run(tmp_path / "run.jsonl")
    media_beside(tmp_path / "run.jsonl").keep(PartData(data=b"of another run", media_type="image/gif"))
    kept = copy_run(tmp_path / "run.jsonl", tmp_path / "kept" / "runs")
    assert names(kept.parent) == {SHA256}
    run = read_run(kept)
    assert run.read_data is not None
    assert run.read_data(SHA256) == GIF


def test_an_image_goes_with_the_last_run_that_names_it(tmp_path: Path) -> None:
    folder, other = tmp_path / "runs", b"GIF89a of the later run"
    for image in (GIF, other):
        write_run(tmp_path / "run.jsonl", image)
        copy_run(tmp_path / "run.jsonl", folder)
    remove_oldest(folder, 1)
    assert names(folder) == {SHA256, hashlib.sha256(other).hexdigest()}  # one of today may be needed in a moment
    grow_old(folder)
    remove_oldest(folder, 1)
    assert names(folder) == {hashlib.sha256(other).hexdigest()}
    assert (folder / FOLDER / ".gitignore").is_file()


def test_images_stay_while_a_run_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may name them."""
    write_run(tmp_path / "run.jsonl")
    grow_old(tmp_path)
    (tmp_path / "folder.jsonl").mkdir()
    remove_unused(tmp_path, [tmp_path / "folder.jsonl"])
    assert names(tmp_path) == {SHA256}
    monkeypatch.setattr("pytest_rightsize.bounded_files.LONGEST_LINE_BYTES", 40)
    remove_unused(tmp_path, [tmp_path / "run.jsonl"])
    assert names(tmp_path) == {SHA256}
    remove_unused(tmp_path, [tmp_path / "gone.jsonl"])
    assert names(tmp_path) == set()


def test_where_nothing_is_kept_there_is_nothing_to_copy_or_remove(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text("", encoding="utf-8")
    copy_media(tmp_path / "run.jsonl", tmp_path / "there" / "run.jsonl")
    copy_media(tmp_path / "run.jsonl", tmp_path / "other.jsonl")
    remove_unused(tmp_path, [tmp_path / "gone.jsonl"])
    assert [path.name for path in tmp_path.iterdir()] == ["run.jsonl"]


def test_a_pipe_gets_no_folder_beside_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_run(pipe)
    written = os.read(reader, 100_000).decode()
    os.close(reader)
    assert SHA256 in written
    assert names(tmp_path) == set()
