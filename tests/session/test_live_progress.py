"""How far a session is: what it says, and that a terminal looks as if it had never been there."""

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_rightsize.records import AnswerRecord, Tokens, Trial, TrialKey
from pytest_rightsize.session.live_progress import Screen, Tally

LADDER = "--rightsize-ladder=tiny,small,big"


class Terminal:
    """A terminal of so many columns, as far as pytest and this plugin use one."""

    def __init__(self, columns: int = 80) -> None:
        self.columns = columns
        self.lines = [""]
        self.row = self.column = 0

    def write(self, text: str) -> None:
        for found in re.finditer(r"\x1b\[(\d*)([A-Za-z])|\x1b\][^\x07]*\x07|[\r\n]|[^\x1b\r\n]", text):
            self._one(found)

    def _one(self, found: re.Match[str]) -> None:
        number, letter = int(found[1] or 1) if found[2] else 1, found[2]
        if found[0] == "\r":
            self.column = 0
        elif found[0] == "\n":
            self.row, self.column = self.row + 1, self.column
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif letter == "A":
            self.row -= number
        elif letter == "C":
            self.column = min(self.column + number, self.columns - 1)
        elif letter == "K":
            self.lines[self.row] = ""
        elif letter == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            self.lines[self.row + 1 :] = []
        elif letter is None and len(found[0]) == 1:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + found[0] + line[self.column + 1 :]
            self.column += 1

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)


class Writer:
    """Stands for pytest's writer, at a column."""

    def __init__(self, terminal: Terminal, *, hasmarkup: bool = True) -> None:
        self._terminal = terminal
        self.hasmarkup = hasmarkup

    @property
    def width_of_current_line(self) -> int:
        return self._terminal.column

    def flush(self) -> None:
        """Nothing is held back here."""


def trial(
    rung: str, number: int, outcome: str = "passed", *, tokens: int | None = 10, usd: float | None = 0.01
) -> Trial:
    answer = AnswerRecord(text="x", tokens=Tokens(prompt=1, completion=tokens), cost_usd=usd)
    key = TrialKey(task="t", case=str(number), rung=rung)
    answers = () if outcome == "not_run" else (answer,)
    return Trial(key=key, outcome=outcome, answers=answers)  # type: ignore[arg-type]  # a literal from a parameter


@pytest.fixture
def tally() -> tuple[Tally, list[float]]:
    """Two rungs of ten trials; the clock is the list's last number."""
    now = [0.0]
    tally = Tally(["1b", "4b"], lambda _: 3, clock=lambda: now[-1])
    tally.plan({("t", "1b"): 4, ("u", "1b"): 6, ("t", "4b"): 10})
    return tally, now


def test_before_the_first_answer_only_the_ladder_is_known(tally: tuple[Tally, list[float]]) -> None:
    assert tally[0].lines(80) == ["rightsize:  1b 0/10  4b 0/10"]


def test_speed_and_time_left_are_those_of_the_last_while(tally: tuple[Tally, list[float]]) -> None:
    counted, now = tally
    for number in range(5):
        now.append(2.0 * number)
        counted.add(trial("1b", number))
    assert counted.lines(80) == [
        "rightsize:  [1b 5/10]  4b 0/10",
        "  1b: 5 left · about 10 s · 3 in flight · 5 tokens/s · $0.05",
    ]
    now.append(40.0)
    assert "tokens/s" not in counted.lines(80)[1]


def test_what_is_not_known_is_left_out_and_never_zero(tally: tuple[Tally, list[float]]) -> None:
    counted, _ = tally
    counted.add(trial("1b", 1, tokens=None, usd=None))
    counted.add(trial("4b", 1, "not_run"))
    assert counted.lines(80) == ["rightsize:  [1b 1/10]  4b 1/10", "  1b: 9 left · 3 in flight"]


def test_a_narrow_terminal_gets_what_fits(tally: tuple[Tally, list[float]]) -> None:
    counted, _ = tally
    counted.add(trial("1b", 1))
    assert [len(line) <= 22 for line in counted.lines(22)] == [True, True]
    assert counted.lines(22)[1] == "  1b: 9 left"


def test_lines_below_leave_no_trace(tally: tuple[Tally, list[float]]) -> None:
    terminal = Terminal()
    screen = Screen(Writer(terminal), terminal.write)
    terminal.write("tests/test_a.py ..")
    screen.draw(["one", "two"])
    assert terminal.text == "tests/test_a.py ..\none\ntwo"
    assert (terminal.row, terminal.column) == (0, 18)
    screen.draw(["three"])
    screen.wipe()
    terminal.write("F\r\ntests/test_b.py")
    assert terminal.text == "tests/test_a.py ..F\ntests/test_b.py"


@pytest.mark.parametrize("hasmarkup", [True, False])
def test_lines_are_dim_only_where_pytest_may_style(hasmarkup: bool) -> None:
    sent: list[str] = []
    Screen(Writer(Terminal(), hasmarkup=hasmarkup), sent.append).draw(["one"])
    assert ("\x1b[2mone" in sent[0]) is hasmarkup


@pytest.fixture
def at_a_terminal(suite: pytest.Pytester) -> Callable[..., str]:
    """Run pytest at a pseudo-terminal; everything it sent."""
    # Slow enough that the lines are drawn while it runs.
    suite.makeconftest(
        """
        import time
        import pytest

        @pytest.fixture(autouse=True)
        def slow():
            time.sleep(0.12)
        """
    )

    def run(*options: str) -> str:
        ours, its = pty.openpty()
        command = [sys.executable, "-m", "pytest", LADDER, "-p", "no:cacheprovider", *options]
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "PYTHONPATH": str(Path(__file__).parents[2])}
        environment.pop("CI", None)
        process = subprocess.Popen(command, stdout=its, stderr=its, cwd=suite.path, env=environment)
        os.close(its)
        sent = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end was closed
                break
            if not part:
                break
            sent += part
        process.wait(timeout=60)
        os.close(ours)
        return sent.decode("utf-8", "replace")

    return run


@pytest.mark.parametrize(
    "options", [(), ("-v",), ("-q",), ("-n2",)], ids=lambda options: options[0] if options else "plain"
)
def test_a_terminal_shows_progress_and_ends_as_without_it(
    at_a_terminal: Callable[..., str], options: tuple[str, ...]
) -> None:
    sent = at_a_terminal(*options)
    assert "rightsize:  [tiny " in sent
    assert " left" in sent
    terminal = Terminal()
    terminal.write(sent)
    assert "rightsize:  [" not in terminal.text
    assert "in flight" not in terminal.text
    assert re.search(r"^upper .* OVER-SIZED$", terminal.text, re.MULTILINE)
    if not options:
        assert re.search(r"^test_suite.py [.t]+ +\[100%\]$", terminal.text, re.MULTILINE)


@pytest.mark.parametrize("options", [("-qq",), ("-s",)], ids=lambda options: options[0])
def test_nothing_is_drawn_where_it_is_not_wanted(at_a_terminal: Callable[..., str], options: tuple[str, ...]) -> None:
    assert "\x1b[2m" not in at_a_terminal(*options)


def test_without_a_terminal_there_are_only_plain_lines(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in str(suite.runpytest(LADDER).stdout)
    monkeypatch.setattr("pytest_rightsize.session.live_progress._PLAIN_S", 0.0)
    result = suite.runpytest(LADDER, "--rightsize-concurrency=1")
    assert "\x1b" not in str(result.stdout)
    result.stdout.fnmatch_lines(["rightsize:  [[]tiny 1/4[]]  small 0/4  big 0/4", "  tiny: 3 left*"])
