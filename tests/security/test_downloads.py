"""A model of the hub is the one that the hub states, a hub that sends nothing is given up, and nothing comes twice."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("huggingface_hub")

from pytest_rightsize.bounded_files import file_sha256
from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers.llama_cpp import hub
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.records import Rung
from tests.threaded_server import serving

MODEL = "hf:o/r:Q4_K_M"
COMMIT = "a" * 40
CONTENT = bytes(range(256)) * 4_000  # four pieces
TOKEN = "hf_" + "s" * 30
Send = Callable[[BaseHTTPRequestHandler, bytes], None]


@dataclass
class Hub:
    """One repository with one file, and how its server behaves; `asked` are the requests for its content."""

    content: bytes = CONTENT
    etag: str = field(default_factory=lambda: sha256(CONTENT).hexdigest())
    elsewhere: str | None = None
    takes_ranges: bool = True
    refuses_ranges: bool = False
    sends: list[Send] = field(default_factory=list)
    hangs_at: str | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    asked: list[dict[str, str]] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """The handler of its server."""
        state = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(sends_body=False)

            def do_GET(self) -> None:
                self._answer(sends_body=True)

            def _answer(self, *, sends_body: bool) -> None:
                path = urlsplit(self.path).path
                if state.hangs_at is not None and state.hangs_at in path:
                    state.ended.wait(60)
                    return
                if "/tree/" in path:
                    entry = {"type": "file", "path": "m-Q4_K_M.gguf", "size": len(state.content), "oid": "b" * 40}
                    self._send(200, json.dumps([entry]).encode(), sends_body=sends_body)
                elif path.startswith("/api/"):
                    self._send(404, b"", sends_body=False)
                elif state.elsewhere is not None:
                    self.send_response(302)
                    self.send_header("Location", f"{state.elsewhere}/file?Signature=abc")
                    self.send_header("X-Linked-Etag", f'"{state.etag}"')
                    self.send_header("X-Linked-Size", str(len(state.content)))
                    self.send_header("X-Repo-Commit", COMMIT)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                else:
                    self._file(sends_body=sends_body)

            def _file(self, *, sends_body: bool) -> None:
                if sends_body:
                    state.asked.append(dict(self.headers))
                start, wanted = 0, self.headers.get("Range") if sends_body else None
                if wanted and state.refuses_ranges:
                    self._send(416, b"", sends_body=False)
                    return
                if wanted and state.takes_ranges:
                    start = int(wanted.removeprefix("bytes=").partition("-")[0])
                rest = state.content[start:]
                self._send(206 if start else 200, rest, sends_body=sends_body, start=start)

            def _send(self, status: int, body: bytes, *, sends_body: bool, start: int = 0) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", f'"{state.etag}"')
                self.send_header("X-Repo-Commit", COMMIT)
                if status == 206:
                    total = start + len(body)
                    self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
                self.end_headers()
                if sends_body:
                    send = state.sends.pop(0) if state.sends and "/tree/" not in self.path else None
                    if send is None:
                        self.wfile.write(body)
                    else:
                        send(self, body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def cut(share: float) -> Send:
    """Send a share of the content, and close the connection."""

    def send(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.wfile.write(body[: int(len(body) * share)])
        handler.close_connection = True

    return send


@pytest.fixture
def state() -> Iterator[Hub]:
    one = Hub()
    yield one
    one.ended.set()


@pytest.fixture
def cache(state: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of the hub, whose endpoint is the server."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving(state.handler()) as url:
        for module in ("constants", "hf_api", "file_download", "utils._cache_manager", "utils._headers"):
            for name, value in (("ENDPOINT", url), ("HF_HUB_CACHE", str(tmp_path))):
                monkeypatch.setattr(f"huggingface_hub.{module}.{name}", value, raising=False)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}", raising=False
        )
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        monkeypatch.setattr("time.sleep", lambda _: None)  # between the client's tries
        yield tmp_path


def blobs(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("models--o--r/blobs/*"))


def ranges(state: Hub) -> list[str | None]:
    return [asked.get("Range", asked.get("range")) for asked in state.asked]


def test_a_file_is_fetched_once_and_found_ever_after(state: Hub, cache: Path) -> None:
    path = hub.download(MODEL)

    assert path.read_bytes() == CONTENT
    assert hub.find(MODEL) == path
    assert hub.download(MODEL) == path
    assert blobs(cache) == [state.etag]
    assert len(state.asked) == 1


def test_content_with_another_hash_is_removed_and_told(state: Hub, cache: Path) -> None:
    state.content = CONTENT[:-1] + b"!"

    with pytest.raises(RungError, match=r"has the hash .*, and the hub states .*: it was removed") as told:
        hub.download(MODEL)

    assert told.value.permanent
    assert told.value.reason == "missing"
    assert blobs(cache) == []
    state.content = CONTENT
    assert hub.download(MODEL).read_bytes() == CONTENT


def test_a_file_of_git_is_compared_too(state: Hub, cache: Path) -> None:
    state.etag = sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
    assert hub.download(MODEL).read_bytes() == CONTENT
    state.etag = "c" * 40
    state.content = CONTENT + b"!"
    (cache / "models--o--r" / "refs" / "main").unlink()
    for pointer in cache.glob("models--o--r/snapshots/*/*"):
        pointer.unlink()

    with pytest.raises(RungError, match="it was removed"):
        hub.download(MODEL)


def test_a_file_goes_on_within_a_session_where_it_was_cut_off(state: Hub, cache: Path) -> None:
    state.sends = [cut(0.6), cut(0.6)]

    assert hub.download(MODEL).read_bytes() == CONTENT
    assert ranges(state)[0] is None
    assert all(wanted and wanted.startswith("bytes=") for wanted in ranges(state)[1:])


@pytest.mark.parametrize("changed", [{}, {"takes_ranges": False}, {"refuses_ranges": True}], ids=str)
def test_a_file_goes_on_in_a_later_session_where_it_was_cut_off(
    state: Hub, cache: Path, changed: dict[str, bool]
) -> None:
    state.sends = [cut(0.6), *[cut(0)] * 9]
    with pytest.raises(RungError, match="could not be fetched"):
        hub.download(MODEL)
    assert blobs(cache) == [f"{state.etag}.incomplete"]
    state.sends.clear()
    state.asked.clear()
    for name, value in changed.items():
        setattr(state, name, value)

    assert hub.download(MODEL).read_bytes() == CONTENT
    assert ranges(state)[0] == f"bytes={2 * 256 * 1024}-"
    assert blobs(cache) == [state.etag]


def test_an_unfinished_file_that_is_longer_than_the_whole_is_begun_anew(state: Hub, cache: Path) -> None:
    folder = cache / "models--o--r" / "blobs"
    folder.mkdir(parents=True)
    (folder / f"{state.etag}.incomplete").write_bytes(CONTENT + b"more")

    assert hub.download(MODEL).read_bytes() == CONTENT


def test_an_unfinished_file_with_other_content_is_removed_and_told(state: Hub, cache: Path) -> None:
    folder = cache / "models--o--r" / "blobs"
    folder.mkdir(parents=True)
    (folder / f"{state.etag}.incomplete").write_bytes(b"x" * 1000)

    with pytest.raises(RungError, match="it was removed"):
        hub.download(MODEL)
    assert hub.download(MODEL).read_bytes() == CONTENT


@pytest.mark.parametrize("place", ["/tree/", "/resolve/"])
def test_a_hub_that_never_answers_is_given_up(state: Hub, cache: Path, place: str) -> None:
    state.hangs_at = place

    with pytest.raises(RungError, match=r"nothing has come for 0\.5 s: raise download_timeout_s"):
        hub.download(MODEL, timeout_s=0.5)


def test_a_hub_that_stops_in_the_middle_is_given_up_and_gone_on_with(state: Hub, cache: Path) -> None:
    def stop(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.wfile.write(body[: len(body) // 2])
        handler.wfile.flush()
        state.ended.wait(60)

    state.sends = [stop]
    with pytest.raises(RungError, match="nothing has come for 1 s"):
        hub.download(MODEL, timeout_s=1)
    state.ended.set()

    assert hub.download(MODEL).read_bytes() == CONTENT
    assert ranges(state)[1:] != [None]


def test_the_token_is_for_the_hub_alone(state: Hub, cache: Path) -> None:
    other = Hub()
    with serving(other.handler()) as url:
        state.elsewhere = url.replace("127.0.0.1", "localhost")
        assert hub.download(MODEL).read_bytes() == CONTENT

    assert len(other.asked) == 1
    assert TOKEN not in json.dumps(other.asked)


def test_an_address_in_an_error_has_no_signature(state: Hub, cache: Path) -> None:
    other = Hub()
    with serving(other.handler()) as url:
        state.elsewhere = f"{url}/gone"
        other.sends = [cut(0)] * 20
        with pytest.raises(RungError) as told:
            hub.download(MODEL)

    assert "Signature" not in str(told.value)
    assert TOKEN not in str(told.value)


def test_a_spoilt_file_in_the_cache_is_told_before_it_answers(state: Hub, cache: Path) -> None:
    path = hub.download(MODEL)

    assert not hub.is_spoilt(path, state.etag)
    assert hub.is_spoilt(path, "f" * 64)
    assert not hub.is_spoilt(cache / "m.gguf", "f" * 64)


def test_no_limit_is_no_limit_that_can_be() -> None:
    with pytest.raises(ConfigError, match="download_timeout_s must be above 0"):
        LlamaCpp(Rung(name="a", provider="llama_cpp", model=MODEL, options={"download_timeout_s": 0}))


def test_a_rung_with_a_spoilt_file_is_a_fault_and_no_wrong_answer(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    blob = tmp_path / "models--o--r" / "blobs" / ("f" * 64)
    blob.parent.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "example_suite" / "models" / "25k.gguf", blob)
    (tmp_path / "m.gguf").symlink_to(blob)
    provider = LlamaCpp(Rung(name="a", provider="llama_cpp", model=str(tmp_path / "m.gguf")))

    with pytest.raises(RungError, match=r"m\.gguf has not the hash that the hub states: remove .*, and get"):
        provider.identity(file_sha256)
