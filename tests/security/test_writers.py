"""Every file that is written: whole or not at all, of its own kind, in its own folder, for whom it is promised."""

import ast
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.output_paths import refuse_other, replacing, write_whole
from pytest_rightsize.recorded.cache import AnswerCache
from pytest_rightsize.recorded.cache_folder import make_folder
from pytest_rightsize.recorded.recorder import _no_link
from pytest_rightsize.results.append_only import DurableFile
from tests.results.test_results_file import RUN, write

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and permissions of POSIX")
PACKAGE = Path(__file__).parents[2] / "pytest_rightsize"
# The files that write, each for its reason.
WRITERS = {
    "output_paths.py",  # replaces files
    "results/append_only.py",  # adds to files
    "recorded/cache_folder.py",  # a temporary file for what has no room
    "results/kept_runs.py",  # makes an empty file, whose number nobody else takes
    "recorded/recorder.py",  # a note of which process asks
    "reports/publishing.py",  # the summary of a GitHub job
    "providers/llama_cpp/hub_download.py",  # the unfinished file in the hub's own cache
    "commands/__main__.py",  # a closed pipe
    "providers/programs.py",  # a sound for a program, in a temporary folder
    "providers/openai/transcriptions.py",  # a sound in memory
}


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


# --- the one that replaces --------------------------------------------------------------------------------------------


def test_a_file_is_replaced_whole(tmp_path: Path, umask: None) -> None:
    path = tmp_path / "new" / "a.txt"

    write_whole(path, ["one\n", "zwei \u00e4 \ud800\n"])

    assert path.read_bytes() == b"one\nzwei \xc3\xa4 \\ud800\n"
    assert mode(path) == "0o644"
    assert [*path.parent.iterdir()] == [path]


def test_what_is_there_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def pieces() -> Iterator[str]:
        yield "half"
        assert path.read_text() == "before"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(path, pieces())

    assert path.read_text() == "before"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(("before", "private", "after"), [("640", False, "640"), ("644", True, "600")])
def test_permissions_are_kept_or_narrowed(tmp_path: Path, before: str, private: bool, after: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    path.chmod(int(before, 8))

    write_whole(path, ["after"], private=private)

    assert mode(path) == f"0o{after}"


def test_a_private_file_is_its_owners_from_the_first_byte(tmp_path: Path, umask: None) -> None:
    with replacing(tmp_path / "a.txt", private=True) as file:
        file.write(b"x")
        assert {mode(path) for path in tmp_path.iterdir()} == {"0o600"}


def test_a_link_within_the_folder_is_kept_and_one_out_of_it_is_not_followed(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "precious.txt"
    folder.mkdir()
    elsewhere.write_text("precious")
    (folder / "within").symlink_to("a.txt")
    (folder / "out").symlink_to(elsewhere)

    write_whole(folder / "within", ["x"])
    with pytest.raises(OSError, match="it is a symbolic link to"):
        write_whole(folder / "out", ["x"])

    assert (folder / "a.txt").read_text() == "x"
    assert (folder / "within").is_symlink()
    assert elsewhere.read_text() == "precious"


def test_a_link_in_place_of_the_unfinished_file_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "precious.txt"
    elsewhere.write_text("precious")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / f".a.txt.{os.getpid()}.part").symlink_to(elsewhere)

    write_whole(tmp_path / "d" / "a.txt", ["x"])

    assert elsewhere.read_text() == "precious"
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["a.txt"]


def test_what_a_killed_process_has_left_is_removed(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from pytest_rightsize.output_paths import replacing\n"
        "with replacing(Path(sys.argv[1])) as file: file.write(b'x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "a.txt"
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len([*tmp_path.iterdir()]) == 1
    other = tmp_path / ".b.txt.1.part"
    other.touch()

    write_whole(path, ["x"])

    assert sorted(tmp_path.iterdir()) == sorted([path, other])


def test_a_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE, text=True)

    write_whole(path, ["x"])

    assert reader.communicate()[0] == "x"


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="a system without it")
def test_the_standard_output_is_written_where_it_is_a_pipe(tmp_path: Path) -> None:
    program = (
        "import pathlib; from pytest_rightsize.output_paths import write_whole; "
        "write_whole(pathlib.Path('/dev/stdout'), ['x'])"
    )
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=paths, cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"x"


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("mine")

    with pytest.raises(ConfigError, match=r"the lock would replace .*, which is no lock: give another file"):
        refuse_other(path, "lock", is_own=lambda head: "lock" in head)
    refuse_other(path, "lock", is_own=lambda head: head == "mine")
    refuse_other(tmp_path / "new", "lock", is_own=lambda _: False)


# --- who uses it ------------------------------------------------------------------------------------------------------


def _opens(file: str) -> Iterator[str]:
    """Calls in a file that write: `write_text` and the like, and `open` with a mode that writes."""
    text = (PACKAGE / file).read_text(encoding="utf-8")
    if not re.search(r"open\(|write_|touch|NamedTemporaryFile|copyfile|rename", text):
        return
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        modes = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        is_open = name == "open" and any(set(each) <= set("wxab+t") and set(each) & set("wxa+") for each in modes)
        if is_open or name in ("write_text", "write_bytes", "touch", "NamedTemporaryFile", "copyfile", "rename"):
            yield f"{file}:{node.lineno}: {ast.unparse(node)[:60]}"


def test_only_known_files_write() -> None:
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}

    assert [line for file in sorted(files - WRITERS) for line in _opens(file)] == []
    assert all(any(_opens(file)) for file in WRITERS - {"output_paths.py", "providers/llama_cpp/hub_download.py"})


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a results file, recorded answers, and a file of another tool."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "run.jsonl", RUN)
    AnswerCache(tmp_path / "cache").close()
    (tmp_path / "rows.csv").write_text("prompt,expected\nx,y\n")
    return tmp_path


COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "lock": lambda file: ["lock", "run.jsonl", "--output", file],
    "schema": lambda file: ["schema", "--output", file],
    "export": lambda file: ["cache", "export", file, "--dir", "cache"],
    "html": lambda file: ["report", "run.jsonl", "--html", file],
    "markdown": lambda file: ["report", "run.jsonl", "--markdown", file],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_replaces_its_own_file_alone(results: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    arguments = COMMANDS[command]
    mine = results / "mine.py"
    mine.write_text("x = 1\n")
    (results / "elsewhere").mkdir()
    precious = results / "elsewhere" / "precious.txt"
    precious.write_text("precious")
    (results / "folder").mkdir()
    (results / "folder" / "link").symlink_to(precious)

    for _ in range(2):
        assert main(arguments("out")) == 0, capsys.readouterr().err
    assert main(arguments("mine.py")) == 2
    assert main(arguments("folder/link")) == 2
    words = capsys.readouterr().err

    assert "would replace mine.py, which is no" in words
    assert "it is a symbolic link to" in words
    assert mine.read_text() == "x = 1\n"
    assert precious.read_text() == "precious"
    assert not [*results.rglob("*.part")]


def test_a_draft_replaces_nothing_unless_it_is_told_to(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["import", "rows.csv", "--dir", "suite"]
    assert main(command) == 0
    cases, tests = results / "suite" / "rows_cases.jsonl", results / "suite" / "test_rows.py"
    assert mode(cases) == "0o600"
    tests.write_text("mine")

    assert main(command) == 2
    assert tests.read_text() == "mine"
    assert main([*command, "--force"]) == 0
    assert tests.read_text() != "mine"
    for path in (cases, tests):
        path.unlink()
        path.symlink_to(results / "run.jsonl")
        assert main([*command, "--force"]) == 2
        path.unlink()
        path.symlink_to(results / "not there")
        assert main(command) == 2
        assert not (results / "not there").exists()
        path.unlink()
    assert "it is a symbolic link to" in capsys.readouterr().err


def test_recorded_answers_are_not_kept_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "answers.sqlite3").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "folder" / ".gitignore").symlink_to(tmp_path / "ignored")
    (tmp_path / "folder" / "asking-1").symlink_to(tmp_path / "asking")

    with pytest.raises(OSError, match="it is a symbolic link to"):
        AnswerCache(tmp_path / "folder")
    make_folder(tmp_path / "folder")
    with pytest.raises(OSError):
        open(tmp_path / "folder" / "asking-1", "a", opener=_no_link)  # noqa: SIM115  # it is not opened

    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_results_file_is_not_written_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "run.jsonl").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="it is a symbolic link to"):
        DurableFile(tmp_path / "folder" / "run.jsonl")
    assert not (tmp_path / "elsewhere").exists()


PRIVATE = """
import pytest

@pytest.mark.rightsize(private=True)
def test_it(model):
    assert model.ask("x") == "y"
"""


def test_all_files_of_a_private_task_are_its_owners(pytester: pytest.Pytester, umask: None) -> None:
    pytester.makefile(".toml", rightsize='[ladder.a]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    pytester.makefile(".jsonl", answers='{"prompt": "x", "text": "y"}')
    pytester.makepyfile(PRIVATE)
    before = {*pytester.path.iterdir()}
    options = ["--rightsize-results=run.jsonl", "--rightsize-html=r.html", "--rightsize-markdown=r.md"]
    options.append("--rightsize-report=csv:r.csv,json:r.json,badge:r.svg")

    for _ in range(2):  # the second time over the files of the first
        assert pytester.runpytest("--rightsize-ladder=a", "-p", "no:cacheprovider", *options).ret == 0

    written = {path for path in pytester.path.iterdir() if path.is_file()} - before
    assert {path.name for path in written} >= {"run.jsonl", "r.html", "r.md", "r.csv", "r.json", "r.svg"}
    assert {path.name: mode(path) for path in written if mode(path) != "0o600"} == {}
    assert {mode(path) for path in (pytester.path / ".rightsize").glob("answers.*")} <= {"0o600"}


def test_the_kinds_are_known(results: Path) -> None:
    """A lock that somebody has cleaned of its comments is still a lock."""
    assert main(["lock", "run.jsonl"]) == 0
    lines = [line for line in Path("rightsize.lock").read_text().splitlines() if not line.startswith("#")]
    Path("rightsize.lock").write_text("\n".join(lines))
    assert tomllib.loads("\n".join(lines))["schema"] == 1

    assert main(["lock", "run.jsonl"]) == 0
    assert Path("rightsize.lock").read_text().startswith("#")
