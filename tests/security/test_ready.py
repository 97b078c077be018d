"""What a session's end needs is made ready before a model is asked: libraries, folders, templates, room on a disk."""

import os
import sys
from pathlib import Path

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Rung
from pytest_rightsize.reports import publishing
from pytest_rightsize.reports.html import report as page
from pytest_rightsize.session.rehearsal import rehearse_end
from tests.providers.openai.endpoint import Answering, completion, serve

RUNGS = [Rung(name="a", provider="replay"), Rung(name="b", provider="replay")]


def told(pytester: pytest.Pytester, *options: str) -> str:
    """What a session says that asks nothing and ends with a usage error."""
    pytester.makepyfile(test_it="def test_it(model):\n    assert model.ask('x') == 'y'\n")
    with serve(lambda _: Answering(body=completion("y"))) as endpoint:
        pytester.makefile(
            ".toml", rightsize=f'[ladder.a]\nprovider = "openai"\nmodel = "m"\nbase_url = "{endpoint.url}"\n'
        )
        result = pytester.runpytest("--rightsize-ladder=a", *options)
    assert endpoint.requests == []
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.stdout
    return " ".join([*result.errlines, *result.outlines])


@pytest.mark.parametrize("confidence", [None, 0.95])
def test_the_end_is_rehearsed(confidence: float | None) -> None:
    rehearse_end(RUNGS, confidence=confidence)


def test_a_library_that_cannot_be_loaded_is_told(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ImportError("libopenblas.so.0: cannot open shared object file")

    monkeypatch.setattr("pytest_rightsize.session.rehearsal.judge", broken)

    words = told(pytester, "--rightsize-results=run.jsonl")

    assert "could not be made (libopenblas.so.0: cannot open shared object file): install" in words
    assert not (pytester.path / "run.jsonl").exists()


def test_a_library_that_is_loaded_late_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rightsize.session.rehearsal.find_spec", lambda name: None if name == "scipy" else name)
    with pytest.raises(ConfigError, match="scipy is not there"):
        rehearse_end(RUNGS, confidence=None)


@pytest.mark.parametrize("name", ["jinja2", "markupsafe"])
def test_the_page_s_engine_that_is_missing_is_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)

    assert f"import of {name} halted" in told(pytester, "--rightsize-html=r.html")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("report.html.jinja", "{% for %}", "Expected an expression"),
        ("report.html.jinja", b"\xff", "codec can't decode"),
        ("app.js", b"\xff", "codec can't decode"),
        ("report.css", None, "No such file"),
    ],
)
def test_a_template_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str | bytes | None, words: str
) -> None:
    whole = page._page
    broken = tmp_path / name
    if content is not None:
        broken.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setattr(page, "_page", lambda wanted: broken if wanted == name else whole(wanted))

    problem = page.HtmlReport().check()

    assert problem is not None
    assert words in problem
    assert problem.endswith("install pytest-rightsize again")


def test_a_folder_that_is_missing_is_made_and_one_that_cannot_be_is_told(pytester: pytest.Pytester) -> None:
    (pytester.path / "file").touch()

    assert "which is no file: give a file" in told(pytester, "--rightsize-markdown=file/r.md")
    assert "--rightsize-results was given" in told(pytester, "--rightsize-results=file/run.jsonl")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions of POSIX, which do not bind root")
def test_a_folder_that_is_read_only_is_told(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("closed")
    folder.chmod(0o500)

    assert "Permission denied): give another file" in told(pytester, "--rightsize-html=closed/r.html")
    assert "Permission denied" in told(pytester, "--rightsize-results=closed/run.jsonl")


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="a folder of Linux in which nobody makes a file")
def test_a_folder_that_takes_no_file_is_told(pytester: pytest.Pytester) -> None:
    assert "cannot be written to /proc/r.html" in told(pytester, "--rightsize-html=/proc/r.html")


def test_a_full_disk_is_told(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, **_: object) -> None:
            pass

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, _: bytes) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("pytest_rightsize.reports.publishing.tempfile.TemporaryFile", Full)

    assert "r.html (No space left on device): give another file" in told(pytester, "--rightsize-html=r.html")


def test_a_summary_of_the_job_that_cannot_be_written_is_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "missing" / "summary.md"))

    assert "GITHUB_STEP_SUMMARY" in told(pytester)


def test_an_unknown_report_is_told() -> None:
    with pytest.raises(ConfigError, match="unknown"):
        publishing.Publisher([("htm", Path("r.html"))], [{"html": page.HtmlReport}])
