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


@pytest.mark.parametrize("name", ["0" * 64, "../secret", "", SHA256.upper(), f"{SHA256}/"])
def test_what_is_not_there_is_none(name: str, tmp_path: Path) -> None:
    media = KeptMedia(tmp_path / FOLDER)
    media.keep(DATA)
    (tmp_path / "secret").write_bytes(b"x")
    assert media.read(name) is None


def test_data_that_was_changed_is_not_what_its_name_says_and_is_kept_anew(tmp_path: Path) -> None:
    media = KeptMedia(tmp_path / FOLDER)
    media.keep(DATA)
    (tmp_path / FOLDER / SHA256).write_bytes(b"another image")
    assert media.read(SHA256) is None
    media.keep(DATA)
    assert media.read(SHA256) == GIF


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
