"""Recorded answers: what they stand under, and that none is lost or mixed up."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Collection
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.recorded.cache import AnswerCache
from pytest_rightsize.recorded.json_lines import lines_of, read_lines
from pytest_rightsize.recorded.keys import Recorded, base_of, key_of, plain_request, rung_digest
from pytest_rightsize.records import Identity, Reply, Request, Tokens

TEXT = st.text(st.characters(), max_size=20)  # surrogates and NULs too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
REQUESTS = st.builds(
    Request,
    messages=st.lists(st.fixed_dictionaries({"role": TEXT, "content": TEXT}), min_size=1, max_size=3).map(tuple),
    sample=st.integers(0, 3),
    max_tokens=st.none() | st.integers(1, 9),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    seed=st.none() | st.integers(0, 9),
    schema=st.none() | OBJECT,
    tools=st.none() | st.lists(OBJECT, max_size=2).map(tuple),
    extra=OBJECT,
)
REPLIES = st.builds(
    Reply,
    text=TEXT,
    seconds=st.none() | st.floats(0, 1e6),
    tokens=st.builds(
        Tokens,
        prompt=st.none() | st.integers(0, 9),
        completion=st.none() | st.integers(0, 9),
        source=st.sampled_from(["reported", "counted", "unknown"]),
    ),
    finish_reason=st.none() | TEXT,
    reasoning=st.none() | TEXT,
    tool_calls=st.lists(OBJECT, max_size=2).map(tuple),
    energy=st.none()
    | st.builds(
        Energy,
        joules=st.floats(0, 1e9),
        provenance=st.sampled_from(["measured", "modelled"]),
        boundary=st.sets(st.sampled_from(["gpu.board", "cpu.package"])).map(frozenset),
        flags=st.sets(TEXT, max_size=2).map(lambda flags: tuple(sorted(flags))),
    ),
)
IDENTITY = Identity(content={"sha256": ["ab"], "engine": "e 1"})


def base(request: Request, *, rung: str = "small", content: Any = None) -> str:
    identity = IDENTITY if content is None else Identity(content=content)
    return base_of(rung_digest(rung, identity), plain_request(request, greedy=False))


def key(request: Request, *, rung: str = "small", content: Any = None, asker: str = "t", draw: int = 0) -> str:
    return key_of(base(request, rung=rung, content=content), asker=asker, draw=draw)


def recorded(request: Request, reply: Reply, *, rung: str = "small", asker: str = "t", draw: int = 0) -> Recorded:
    plain = plain_request(request, greedy=False)
    return Recorded(
        base=base(request, rung=rung),
        rung=rung,
        identity=IDENTITY,
        asker=asker,
        draw=draw,
        request=plain,
        reply=reply,
        recorded="2026-01-02T03:04:05+00:00",
    )


def find(cache: AnswerCache, request: Request, *, asker: str = "t", needed: Collection[str] = ("t",)) -> Reply | None:
    return cache.find(base(request), asker=asker, draw=0, is_needed=needed.__contains__)


def ask(prompt: str = "a", **more: Any) -> Request:
    return Request(messages=({"role": "user", "content": prompt},), **more)


def exactly(value: object) -> str:
    """A value as it is: `1`, `1.0` and `True` are equal to Python and differ to a model."""
    return repr(value)


@given(one=REQUESTS, other=REQUESTS)
def test_requests_that_differ_have_keys_that_differ(one: Request, other: Request) -> None:
    assert (key(one) == key(other)) == (exactly(one) == exactly(other))


@given(request=REQUESTS, other=REQUESTS, name=st.sampled_from([field.name for field in fields(Request)]))
def test_each_field_of_a_request_is_in_the_key(request: Request, other: Request, name: str) -> None:
    changed = replace(request, **{name: getattr(other, name)})
    assume(exactly(changed) != exactly(request))
    assert key(changed) != key(request)


@given(one=OBJECT, other=OBJECT)
def test_rungs_of_another_content_share_no_answer(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (key(ask(), content=one) == key(ask(), content=other)) == (exactly(one) == exactly(other))


@given(st.lists(st.tuples(TEXT, TEXT, st.integers(0, 3)), min_size=2, max_size=2, unique=True))
def test_another_rung_asker_or_draw_is_another_key(places: list[tuple[str, str, int]]) -> None:
    one, other = (key(ask(), rung=rung, asker=asker, draw=draw) for rung, asker, draw in places)
    assert one != other


def test_the_order_of_properties_counts_as_a_model_sees_it() -> None:
    one = key(ask(schema={"properties": {"a": {}, "b": {}}}))
    assert one != key(ask(schema={"properties": {"b": {}, "a": {}}}))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ask(), ask(sample=1), True),
        (ask(seed=1), ask(seed=2, temperature=0.0), False),
        (ask(seed=1, temperature=0.0), ask(seed=2, temperature=0.0), True),
        (ask(temperature=0.5), ask(temperature=0.5, sample=1), False),
    ],
)
def test_greedy_samples_are_one_answer(one: Request, other: Request, same: bool) -> None:
    assert (plain_request(one, greedy=True) == plain_request(other, greedy=True)) is same


def test_what_is_not_json_has_no_key() -> None:
    for extra in ({"f": object()}, {"f": float("nan")}):
        with pytest.raises(ValueError):
            key(ask(extra=extra))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=REQUESTS, reply=REPLIES)
def test_a_reply_comes_back_as_it_was(tmp_path: Path, request: Request, reply: Reply) -> None:
    cache = AnswerCache(tmp_path, overwrite=True)
    one = recorded(request, reply)
    cache.keep_all([one])
    found = find(cache, request)
    cache.close()
    energy = None if reply.energy is None else reply.energy.as_replayed()
    assert found == replace(reply, replayed=True, recorded=one.recorded, energy=energy)


def test_answers_are_on_disk_soon_without_a_close(tmp_path: Path) -> None:
    program = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from tests.recorded.test_cache import AnswerCache, Reply, ask, recorded
cache = AnswerCache(Path({str(tmp_path)!r}))
for n in range(50):
    cache.keep(recorded(ask(str(n)), Reply(text=str(n))))
deadline = time.monotonic() + 30
while cache._pending and time.monotonic() < deadline:
    time.sleep(0.01)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, stderr=subprocess.PIPE, text=True)
    assert done.returncode == -9, done.stderr
    cache = AnswerCache(tmp_path)
    assert len(list(cache.entries())) == 50
    cache.close()


def test_several_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from tests.recorded.test_cache import AnswerCache, Reply, ask, recorded
cache = AnswerCache(Path({str(tmp_path)!r}))
for n in range(200):
    cache.keep(recorded(ask(str(n)), Reply(text=sys.argv[1])))
cache.close()
"""
    children = [subprocess.Popen([sys.executable, "-c", program, str(number)]) for number in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    cache = AnswerCache(tmp_path)
    assert len(list(cache.entries())) == 200
    cache.close()


def test_the_first_answer_stays_unless_it_is_to_be_overwritten(tmp_path: Path) -> None:
    for overwrite, text, kept in ((False, "one", "one"), (False, "two", "one"), (True, "three", "three")):
        cache = AnswerCache(tmp_path, overwrite=overwrite)
        cache.keep(recorded(ask(), Reply(text=text)))
        cache.close()
        cache = AnswerCache(tmp_path)
        found = find(cache, ask())
        cache.close()
        assert found is not None
        assert found.text == kept


def test_an_answer_of_this_session_is_no_older_one_within_the_same_second_too(tmp_path: Path) -> None:
    """Whether a test that need not run is started must not depend on when the second changed."""
    cache = AnswerCache(tmp_path)
    cache.keep_all([recorded(ask(), Reply(text="x"))])
    assert not cache.has_answers("small", until="2999-01-01T00:00:00+00:00")
    cache.close()
    cache = AnswerCache(tmp_path)
    cache.keep_all([recorded(ask("b"), Reply(text="x"), rung="other")])
    assert cache.has_answers("small", until="2999-01-01T00:00:00+00:00")
    assert not cache.has_answers("small", until="1999-01-01T00:00:00+00:00")
    assert not cache.has_answers("other", until="2999-01-01T00:00:00+00:00")
    cache.close()


def test_an_answer_whose_asker_is_gone_is_taken_over_once(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.keep_all([recorded(ask(), Reply(text=name), asker=name) for name in ("old", "here")])
    found = [find(cache, ask(), asker=name, needed=["here", "a", "b"]) for name in ("a", "b")]
    assert [reply and reply.text for reply in found] == ["old", None]
    assert find(cache, ask(), asker="old", needed=["here", "a", "b"]) is None
    assert find(cache, ask(), asker="a") == found[0]
    cache.close()
    cache = AnswerCache(tmp_path, read_only=True)
    found = [find(cache, ask(), asker=name, needed=["here", "c", "d"]) for name in ("c", "d")]
    assert [reply and reply.text for reply in found] == ["old", None]
    cache.close()


def test_the_files_are_for_their_owner_only_and_git_ignores_them(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "new")
    cache.keep_all([recorded(ask(), Reply(text="x"))])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    cache.close()
    assert modes.pop(".gitignore") is not None
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "new" / ".gitignore").read_text(encoding="utf-8") == "*\n"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_file_that_is_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "answers.sqlite3").write_bytes(b"no database " * 100)
    with pytest.raises(ConfigError, match=r"is no cache of answers .*remove it"):
        AnswerCache(tmp_path)


def test_a_file_of_a_later_version_is_told(tmp_path: Path) -> None:
    AnswerCache(tmp_path).close()
    with sqlite3.connect(tmp_path / "answers.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigError, match="has schema 99; this version reads 1"):
        AnswerCache(tmp_path)


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        AnswerCache(tmp_path / "file" / "cache")


def test_what_can_only_be_read_is_read(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.keep_all([recorded(ask(), Reply(text="x"))])
    cache.close()
    before = (tmp_path / "answers.sqlite3").read_bytes()
    cache = AnswerCache(tmp_path, read_only=True)
    cache.keep(recorded(ask("b"), Reply(text="y")))
    found = find(cache, ask())
    cache.close()
    assert found is not None
    assert found.text == "x"
    assert (tmp_path / "answers.sqlite3").read_bytes() == before


def test_an_answer_that_is_not_json_keeps_no_other_from_being_recorded(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.keep(recorded(ask("a"), Reply(text="x", seconds=float("nan"))))
    cache.keep(recorded(ask("b", temperature=0.5), Reply(text="\ud800\0"), asker="\udfff"))
    cache.close()
    cache = AnswerCache(tmp_path)
    assert [one.asker for one in cache.entries()] == ["\udfff"]
    cache.close()


def test_a_full_disk_loses_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    troubles: list[str] = []
    heard = threading.Event()

    def trouble(message: str) -> None:
        troubles.append(message)
        heard.set()

    cache = AnswerCache(tmp_path / "full", on_trouble=trouble)
    pages = cache._connection.execute("PRAGMA page_count").fetchone()[0]
    cache._connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then says that the disk is full
    for number in range(50):
        cache.keep(recorded(ask(str(number)), Reply(text="x" * 5000)))
    assert heard.wait(60)
    cache.close()
    assert "(database or disk is full): they are kept in memory" in troubles[0]
    assert "50 answers could not be written" in troubles[1]
    (saved,) = tmp_path.glob("rightsize-answers-*.jsonl")
    assert str(saved) in troubles[1]
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert len([one for one in read_lines(saved) if isinstance(one, Recorded)]) == 50


def test_answers_are_written_once_there_is_room_again(tmp_path: Path) -> None:
    heard = threading.Event()
    cache = AnswerCache(tmp_path, on_trouble=lambda _: heard.set())
    pages = cache._connection.execute("PRAGMA page_count").fetchone()[0]
    cache._connection.execute(f"PRAGMA max_page_count = {pages}")
    cache.keep(recorded(ask(), Reply(text="x" * 5000)))
    assert heard.wait(60)
    cache._connection.execute("PRAGMA max_page_count = 100000")
    cache.close()
    cache = AnswerCache(tmp_path)
    assert len(list(cache.entries())) == 1
    cache.close()


def test_the_hash_of_a_file_is_remembered_until_it_changes(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "cache")
    model = tmp_path / "model.gguf"
    model.write_bytes(b"one")
    os.utime(model, ns=(1, 1))
    first = cache.sha256(model)
    model.write_bytes(b"two")
    os.utime(model, ns=(1, 1))
    assert cache.sha256(model) == first  # as far as size and time tell, nothing happened
    os.utime(model, ns=(2, 2))
    assert cache.sha256(model) == "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"
    cache.close()


# --- export and import ------------------------------------------------------------------------------------------------


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(REQUESTS, REPLIES, TEXT, st.integers(0, 2)), max_size=5), st.randoms())
def test_an_export_comes_back_whole_and_is_the_same_in_any_order(
    tmp_path: Path, asked: list[tuple[Request, Reply, str, int]], random: Any
) -> None:
    answers = [recorded(request, reply, asker=asker, draw=draw) for request, reply, asker, draw in asked]
    by_key = {one.key: one for one in answers}
    declarations = [("small", {"model": "m"}, IDENTITY), ("small", {"model": "n"}, IDENTITY)]
    lines = list(lines_of(by_key.values(), declarations))
    shuffled = list(by_key.values())
    random.shuffle(shuffled)
    assert list(lines_of(shuffled, declarations[::-1])) == lines
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    back = list(read_lines(path))
    kept = {one.key: one for one in back if isinstance(one, Recorded)}
    assert kept.keys() == by_key.keys()
    assert all(kept[name].reply == by_key[name].reply for name in kept)
    assert [one for one in back if not isinstance(one, Recorded)] == (declarations if by_key else [])


def exported(tmp_path: Path, change: Any) -> Path:
    """An export of one answer, with something changed in its second line."""
    lines = [json.loads(line) for line in lines_of([recorded(ask(), Reply(text="x"))], ())]
    change(lines)
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[1]["request"]["messages"][0].update(content="b"), "does not stand under its own base"),
        (lambda lines: lines[0]["content"].update(engine="e 2"), "does not stand under its own base"),
        (lambda lines: lines[1].update(rung="x"), "speaks of the rung 'x'"),
        (lambda lines: lines[1].pop("reply"), "has no 'reply'"),
        (lambda lines: lines[1]["reply"].update(text=1), "has text = '1', which is no str"),
        (lambda lines: lines[1]["reply"].update(replayed=True), "has a reply with an unknown key 'replayed'"),
        (lambda lines: lines[1]["reply"]["tokens"].update(prompt=-1), "has -1 prompt tokens"),
        (lambda lines: lines[1].update(draw=2**40), "has draw = 1099511627776, which is no count"),
        (lambda lines: lines[1].update(recorded="now"), "Invalid isoformat string"),
        (lambda lines: lines[1].update(base="ab", request=None), "has base = 'ab', which is no SHA-256"),
        (lambda lines: lines[1].update(kind="x"), 'is neither of the kind "rung" nor "answer"'),
    ],
)
def test_an_export_that_was_changed_is_refused_by_line(tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"answers\.jsonl:2: this line of recorded answers {words}"):
        list(read_lines(exported(tmp_path, change)))
