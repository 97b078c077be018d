"""No control character of foreign text reaches a terminal, a log or a CSV, and no line is a command to a CI system."""

import ast
import csv
import io
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.errors import ConfigError, RightsizeWarning, RungError
from pytest_rightsize.escaping import json_escaped, one_line, printable, visible
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Trial, TrialKey
from pytest_rightsize.reports.tables import CsvReport
from pytest_rightsize.results.results_file import read_run
from tests.runs import make_run

PACKAGE = Path(__file__).parents[2] / "pytest_rightsize"
OSC_52 = "\x1b]52;c;cHduZWQ=\x07"
OSC_8 = "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\"
HOSTILE = [OSC_52, OSC_8, "\x1b[2J", "\x9b31m", "\x90q", "a\u202eb", "a\u2066b", "a\u200bb", "a\rb", "\x08\x08", "\x7f"]
HARMFUL = {*map(chr, range(32)), *map(chr, range(127, 160)), *"\u200b\u202e\u2066\ufeff"} - {"\n", "\t"}
# The files that write to a terminal, a pipe or a log.
WRITERS = {"commands/_output.py", "session/terminal_lines.py", "session/live_progress.py"}


# --- the functions ----------------------------------------------------------------------------------------------------


@given(st.text() | st.text(alphabet=":#[] \n\t\x1b\x9b\u202eae", max_size=20))
def test_nothing_printable_is_harmful(text: str) -> None:
    for shown in (visible(text), one_line(text), printable(text)):
        assert not HARMFUL & set(shown)
    assert not {"\n", "\t"} & set(one_line(text))
    assert not any(line.lstrip().startswith("::") or "##[" in line for line in printable(text).split("\n"))


@given(st.text(alphabet=st.characters(categories=("L", "N", "Zs"), include_characters=".,!?\n\t-_()"), max_size=40))
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a[U+001B][2Jb"),
        ("::error file=x::pwned", "[U+003A]:error file=x::pwned"),
        ("fine\n  ::set-output name=a::b", "fine\n  [U+003A]:set-output name=a::b"),
        ("a ##[error]b", "a [U+0023]#[error]b"),
        ("std::vector", "std::vector"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_what_is_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_name_stays_on_its_line() -> None:
    assert one_line("t\n::error::x\ty") == "t[U+000A]::error::x[U+0009]y"


@given(st.text(), st.text())
def test_escaped_json_is_the_same_data(key: str, text: str) -> None:
    line = json.dumps({key: text}, ensure_ascii=False)
    shown = json_escaped(line)

    assert json.loads(shown) == {key: text}
    assert not HARMFUL & set(shown)


# --- errors and warnings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_errors_and_warnings_are_harmless_and_stay_so_in_another_process(text: str) -> None:
    for error in (ConfigError(f"x {text}"), RungError(f"x {text}", reason="server"), RightsizeWarning(f"x {text}")):
        for one in (error, pickle.loads(pickle.dumps(error))):
            assert not HARMFUL & set(str(one) + repr(one.args))


# --- who may write ----------------------------------------------------------------------------------------------------


def _writes(file: str) -> Iterator[str]:
    """Calls in a file that print: `print`, those of pytest's terminal reporter, those of stdout and stderr."""
    for node in ast.walk(ast.parse((PACKAGE / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            is_terminal = name.rpartition(".")[2] in ("write_line", "write_sep") and "." in name
            is_stream = name.startswith(("sys.stdout.write", "sys.stderr.write", "terminalreporter.write"))
            if name == "print" or is_terminal or is_stream:
                yield f"{file}:{node.lineno}: {name}"


def test_only_known_writers_write_to_a_terminal() -> None:
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    assert [line for file in sorted(files - WRITERS) for line in _writes(file)] == []
    assert all(any(_writes(file)) for file in WRITERS - {"session/live_progress.py"})


# --- sessions, commands, files ----------------------------------------------------------------------------------------


def _replay(pytester: pytest.Pytester, text: str) -> None:
    pytester.makefile(".toml", rightsize='[ladder.a]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    pytester.makefile(".jsonl", answers=json.dumps({"prompt": "x", "text": text}))


@pytest.mark.parametrize("options", [(), ("-rA",), ("-rt", "--tb=long"), ("-v", "-s"), ("--tb=short", "-l")], ids=str)
def test_an_answer_reaches_no_terminal_raw(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    hostile = "".join(HOSTILE) + "\n::error::pwned\n##[error]pwned"
    _replay(pytester, hostile)
    pytester.makepyfile(
        """
        import pytest

        def test_equal(model):
            assert model.ask("x") == "y"

        def test_reason(model):
            answer = model.ask("x")
            assert answer == "y", f"wrong:\\n{answer}"

        def test_skipped(model):
            pytest.skip(model.ask("x"))

        def test_raised(model):
            raise ValueError(model.ask("x"))
        """
    )

    result = pytester.runpytest("--rightsize-ladder=a", "--rightsize-gate=none", "--junitxml=j.xml", *options)

    # What pytest writes of a failure by itself is pytest's; of ours there is nothing.
    ours = [line for line in result.outlines if "rightsize" in line or "too small" in line.lower()]
    assert ours
    assert not HARMFUL & set("".join(ours))
    assert not any(line.lstrip().startswith("::") for line in ours)
    if "-s" not in options and not {"--tb=long", "--tb=short", "-rA"} & set(options):
        assert not HARMFUL & set(str(result.stdout))


def test_a_task_whose_name_breaks_lines_is_refused(pytester: pytest.Pytester) -> None:
    _replay(pytester, "y")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.rightsize(task="t\\n::error file=x::pwn")
        def test_it(model):
            assert model.ask("x") == "y"
        """
    )

    result = pytester.runpytest("--rightsize-ladder=a")

    result.stdout.fnmatch_lines(["*give a name on one line, without control characters*"])
    assert not any(line.lstrip().startswith("::error") for line in result.outlines)


def test_names_in_a_results_file_of_others_are_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"t\n::error::x{OSC_52}"
    file = tmp_path / "run.jsonl"
    head = {"kind": "run", "schema": 1, "ladder": [{"name": "a", "provider": "replay", "file": "f"}], "settings": {}}
    trial = Trial(key=TrialKey(task=name, case=f"c{OSC_8}\n::warning::", rung="a"), outcome="passed").to_dict()
    plan = {"kind": "plan", "task": name, "planned": {"a": 1}, "pass_rate": 1.0}
    file.write_text("".join(json.dumps(line) + "\n" for line in (head, plan, trial)), encoding="utf-8")

    assert [*read_run(file).policies] == ["t[U+000A]::error::x[U+001B]]52;c;cHduZWQ=[U+0007]"]
    assert main(["show", str(file)]) == 0
    assert main(["report", str(file), "--markdown", str(tmp_path / "r.md")]) in (0, 1)
    assert main(["compare", str(file), str(file), "--rungs", f"a,{name}"]) == 2
    printed = "".join(capsys.readouterr())
    assert "U+001B" in printed
    assert not HARMFUL & set(printed)
    assert not any(line.lstrip().startswith("::") for line in printed.splitlines())


def test_a_csv_cell_is_one_harmless_line() -> None:
    run = make_run({f"=t{OSC_52}\n,x": {"a": "1"}})

    row = next(csv.DictReader(io.StringIO(CsvReport().render(run, judge(run)))))

    assert row["task"] == "'=t[U+001B]]52;c;cHduZWQ=[U+0007][U+000A],x"


def test_a_csv_line_is_no_command_of_a_ci_system() -> None:
    """It may be printed: `rightsize report --csv -`."""
    run = make_run({"::error::x": {"a": "1"}})
    assert "\n[U+003A]:error::x," in CsvReport().render(run, judge(run)).replace("\r", "")
