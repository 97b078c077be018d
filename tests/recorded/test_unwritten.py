"""Answers that had come when a process was killed: the next session has them, and nobody else's."""

import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_rightsize.recorded import unwritten
from pytest_rightsize.recorded.cache import AnswerCache
from pytest_rightsize.recorded.keys import Recorded
from pytest_rightsize.recorded.unwritten import Unwritten, take_over
from pytest_rightsize.records import Reply
from tests.recorded import test_cache

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system has no files of this kind")

KILLED = """
import os, signal, sys
from pathlib import Path
from pytest_rightsize.recorded.cache import AnswerCache
from tests.recorded.test_unwritten import recorded
AnswerCache._write_always = lambda self: None  # the thread has no time
cache = AnswerCache(Path(sys.argv[1]))
cache.keep(recorded(text="first", asker="one"))
cache.keep(recorded(text="second", asker="two"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def recorded(text: str = "yes", asker: str = "t") -> Recorded:
    answer = test_cache.recorded(test_cache.ask(), Reply(text=text), asker=asker)
    return replace(answer, request=json.loads(json.dumps(answer.request)))  # with lists, as a file has them


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("unwritten-*"))


def left(folder: Path) -> list[Recorded]:
    """What is taken over from a folder."""
    taken: list[Recorded] = []
    take_over(folder, taken.extend)
    return taken


def leave(folder: Path, answers: Sequence[Recorded]) -> bytes:
    """The content of a file that holds these answers."""
    holder = Unwritten.open(folder)
    assert holder is not None
    for answer in answers:
        holder.add(answer)
    (path,) = files(folder)
    content = path.read_bytes()
    holder.close()
    return content


def test_what_had_come_when_a_process_was_killed_is_in_the_next_sessions_cache(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(files(tmp_path)) == 1

    cache = AnswerCache(tmp_path)

    assert sorted(each.reply.text for each in cache.entries()) == ["first", "second"]
    assert files(tmp_path) == []
    cache.close()


def test_an_answer_that_was_written_is_held_no_longer(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.keep(recorded(text="first"))
    cache.flush()
    (path,) = files(tmp_path)
    assert path.read_bytes()[0] == 0
    assert path.stat().st_mode & 0o777 == 0o600
    cache.close()
    assert files(tmp_path) == []


def test_what_another_process_holds_is_left_alone(tmp_path: Path) -> None:
    holder = Unwritten.open(tmp_path)
    assert holder is not None
    holder.add(recorded())

    assert left(tmp_path) == []
    assert len(files(tmp_path)) == 1
    holder.close()


def test_an_answer_comes_back_as_it_was(tmp_path: Path) -> None:
    answer = recorded(text='ä \x00 \ud800 "\n', asker="case[ä\ud800]")
    content = leave(tmp_path, [answer])
    (tmp_path / "unwritten-x").write_bytes(content)

    assert left(tmp_path) == [answer]
    assert left(tmp_path) == []


@pytest.mark.parametrize("cut", [1, 5, 9, 40, 200])
def test_an_answer_that_was_not_whole_is_none(tmp_path: Path, cut: int) -> None:
    """As where a process is killed while it copies over what stood there before."""
    first, second = recorded(text="first"), recorded(text="second", asker="two")
    content = leave(tmp_path, [first, second])
    start = content.index(b"\n") + 1
    old = bytes(reversed(content[start : content.index(b"\0")]))
    (tmp_path / "unwritten-x").write_bytes(content[: start + cut] + old[cut:])

    assert left(tmp_path) == [first]


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"no line", b"00000000 {}\n", b"\xff\n\xff"])
def test_a_file_of_anything_else_has_no_answers(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "unwritten-x").write_bytes(content)
    assert left(tmp_path) == []


def test_what_has_no_room_waits_in_memory_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = recorded()
    one = leave(tmp_path, [answer]).index(b"\0")
    monkeypatch.setattr(unwritten, "_SIZE_BYTES", 2 * one + 10)
    monkeypatch.setattr(unwritten, "_LONGEST", 100)
    long = replace(answer, reply=replace(answer.reply, text="a" * 101))

    (tmp_path / "unwritten-x").write_bytes(leave(tmp_path, [long, answer, answer, answer]))

    assert left(tmp_path) == [answer, answer]


def test_a_disk_without_room_has_no_such_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)

    assert Unwritten.open(tmp_path) is None
    assert files(tmp_path) == []
    cache = AnswerCache(tmp_path)
    cache.keep(recorded(text="first"))
    cache.flush()
    assert [each.reply.text for each in cache.entries()] == ["first"]
    cache.close()


def test_what_an_earlier_session_left_does_not_replace_a_recorded_answer(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.keep_all([recorded(text="recorded")])
    cache.close()
    (tmp_path / "unwritten-x").write_bytes(leave(tmp_path, [recorded(text="left")]))

    cache = AnswerCache(tmp_path, overwrite=True)

    assert [each.reply.text for each in cache.entries()] == ["recorded"]
    cache.close()


@pytest.mark.parametrize(
    ("name", "value"), [("greedy", 2**70), ("greedy", "yes"), ("content", [1]), ("rung", 7), ("draw", 2**70)]
)
def test_a_line_with_a_value_of_another_kind_is_no_answer(tmp_path: Path, name: str, value: object) -> None:
    """A number that the database could not hold ended the next session, as it began."""
    line = leave(tmp_path, [recorded()]).split(b"\n")[0].partition(b" ")[2]
    changed = json.dumps({**json.loads(line), name: value}).encode()
    (tmp_path / "unwritten-x").write_bytes(b"%08x " % zlib.crc32(changed) + changed + b"\n")

    AnswerCache(tmp_path).close()

    assert files(tmp_path) == []
