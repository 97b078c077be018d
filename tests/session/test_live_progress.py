"""How far a session is: what it says, and that a terminal looks as if it had never been there."""

import re
from dataclasses import replace

import pyte
import pytest

from pytest_rightsize.records import AnswerRecord, Tokens, Trial, TrialKey
from pytest_rightsize.reports.progress import RungProgress, progress_lines
from pytest_rightsize.session.live_progress import Screen
from pytest_rightsize.session.tally import Tally
from tests.conftest import SUITE
from tests.session.pseudo_terminal import run_pytest

LADDER = "--rightsize-ladder=tiny,small,big"


class Terminal:
    """An emulated terminal, and pytest's writer at it."""

    def __init__(self, columns: int = 80, rows: int = 6, *, hasmarkup: bool = True) -> None:
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.Stream(self.screen)
        self.hasmarkup = hasmarkup
        self.width_of_current_line = 0

    def write(self, text: str) -> None:
        """As pytest writes; a terminal in its usual mode begins a line at the left."""
        self.stream.feed(text.replace("\n", "\r\n"))
        self.width_of_current_line += len(text)
        if "\n" in text:
            self.width_of_current_line = len(text) - text.rindex("\n") - 1

    def flush(self) -> None:
        """Nothing is held back here."""

    def draw(self, *lines: str) -> Screen:
        screen = Screen(self, self.stream.feed)
        screen.draw(lines, width=self.screen.columns, height=self.screen.lines)
        return screen

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()


def trial(
    rung: str, number: int, outcome: str = "passed", *, tokens: int | None = 10, usd: float | None = 0.01
) -> Trial:
    answer = AnswerRecord(text="x", tokens=Tokens(prompt=1, completion=tokens), cost_usd=usd)
    key = TrialKey(task="t", case=str(number), rung=rung)
    answers = () if outcome == "not_run" else (answer,)
    return Trial(key=key, outcome=outcome, answers=answers, seconds=2.0)  # type: ignore[arg-type]  # a literal from a parameter


@pytest.fixture
def tally() -> tuple[Tally, list[float]]:
    """Two rungs of ten trials; the clock is the list's last number."""
    now = [0.0]
    tally = Tally(["1b", "4b"], lambda _: 3, clock=lambda: now[-1])
    tally.plan({("t", "1b"): 4, ("u", "1b"): 6, ("t", "4b"): 10})
    return tally, now


def test_before_the_first_request_only_the_ladder_is_known() -> None:
    counted = Tally(["1b", "4b"], lambda _: 0)
    counted.plan({("t", "1b"): 10, ("t", "4b"): 10})
    assert counted.lines(80) == ["rightsize:  1b 0/10  4b 0/10"]


def test_before_the_first_answer_it_is_known_what_is_in_flight(tally: tuple[Tally, list[float]]) -> None:
    assert tally[0].lines(80) == ["rightsize:  [1b 0/10]  4b 0/10", "  1b: 10 left · 3 in flight"]


def test_speed_and_time_left_are_those_of_the_last_while(tally: tuple[Tally, list[float]]) -> None:
    counted, now = tally
    for number in range(8):
        now.append(2.0 + 2.0 * number)
        counted.add(trial("1b", number))
    assert counted.lines(80) == [
        "rightsize:  [1b 8/10]  4b 0/10",
        "  1b: 2 left · about 4 s · 3 in flight · 5 tokens/s · $0.08",
    ]


def test_trials_before_the_last_while_are_not_kept_where_no_line_is_shown(tally: tuple[Tally, list[float]]) -> None:
    """A session without a terminal asks for no line."""
    progress, now = tally
    for number in range(1000):
        now.append(float(number))
        progress.add(trial("4b", number))
    assert sum(map(len, progress._recent.values())) < 100


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


@pytest.mark.parametrize(("ended", "is_known"), [(7, False), (8, True)])
def test_a_time_left_is_known_when_two_for_each_in_flight_have_ended(
    tally: tuple[Tally, list[float]], ended: int, is_known: bool
) -> None:
    """Three are in flight and one has just ended: the first four all end at once, and say nothing of the next."""
    counted, now = tally
    for number in range(ended):
        now.append(2.0 + 2.0 * (number // 4))
        counted.add(trial("1b", number))
    assert ("about" in counted.lines(80)[1]) is is_known


def test_a_time_left_is_not_known_any_more_when_nothing_ends(tally: tuple[Tally, list[float]]) -> None:
    counted, now = tally
    for number in range(8):
        now.append(2.0 + 2.0 * number)
        counted.add(trial("1b", number))
    now.append(now[-1] + 23.0)
    assert "about 4 s" in counted.lines(80)[1]
    now.append(now[-1] + 2.0)
    assert "about" not in counted.lines(80)[1]


def test_recorded_answers_say_nothing_of_speed(tally: tuple[Tally, list[float]]) -> None:
    counted, now = tally
    for number in range(9):
        now.append(now[-1] + 0.001)
        recorded = trial("1b", number)
        counted.add(replace(recorded, answers=(replace(recorded.answers[0], cached=True),)))
    assert counted.lines(80)[1] == "  1b: 1 left · 3 in flight · $0.09"


@pytest.mark.parametrize(
    ("size", "words"),
    [(2_489_757_856, "loading 4b (2.5 GB)"), (253_000_000, "loading 4b (253 MB)"), (None, "loading 4b")],
)
def test_a_model_that_is_loaded_is_named_with_its_size(size: int | None, words: str) -> None:
    counted = Tally(["1b", "4b"], lambda _: 3, loading=lambda: ("4b", size))
    counted.plan({("t", "1b"): 4, ("t", "4b"): 4})
    counted.add(trial("1b", 1))
    assert counted.lines(80) == ["rightsize:  1b 1/4  [4b 0/4]", f"  {words}"]


def test_when_a_rung_is_done_the_one_that_is_asked_is_told() -> None:
    counted = Tally(["1b", "4b"], lambda rung: 5 if rung == "4b" else 0)
    counted.plan({("t", "1b"): 1, ("t", "4b"): 9})
    counted.add(trial("1b", 1))
    assert counted.lines(80) == ["rightsize:  1b 1/1  [4b 0/9]", "  4b: 9 left · 5 in flight"]


def test_a_rung_that_could_not_answer_has_no_count(tally: tuple[Tally, list[float]]) -> None:
    counted, _ = tally
    key = TrialKey(task="t", case="1", rung="1b")
    counted.add(Trial(key=key, outcome="error", reason="missing", detail="it is not there"))
    counted.add(Trial(key=replace(key, case="2"), outcome="not_run", reason="down"))
    assert counted.lines(80)[0] == "rightsize:  [1b down]  4b 0/10"


def test_the_rung_that_is_asked_has_its_place_in_a_narrow_line() -> None:
    rungs = {name: RungProgress(name=name, planned=100, ended=100) for name in ("135m", "360m", "1b", "4b", "30b")}
    assert [progress_lines(rungs, name, width=42)[0] for name in ("360m", "4b", "30b")] == [
        "rightsize:  135m 100/100  [360m 100/100]",
        "rightsize:  1b 100/100  [4b 100/100]",
        "rightsize:  4b 100/100  [30b 100/100]",
    ]


def test_wide_letters_count_twice() -> None:
    rungs = {"小": RungProgress(name="小", planned=9), "大大大大": RungProgress(name="大大大大", planned=9)}
    assert progress_lines(rungs, None, width=31) == ["rightsize:  小 0/9"]
    assert progress_lines(rungs, None, width=32) == ["rightsize:  小 0/9  大大大大 0/9"]


@pytest.mark.parametrize("rows", [6, 4])
def test_lines_below_leave_no_trace(rows: int) -> None:
    """With four rows the lines have to make room by scrolling."""
    terminal = Terminal(rows=rows)
    terminal.write("1\n2\ntests/test_a.py ..")
    screen = terminal.draw("one", "two")
    assert terminal.text.endswith("tests/test_a.py ..\none\ntwo")
    screen = terminal.draw("three")
    assert terminal.text.endswith("tests/test_a.py ..\nthree")
    screen.wipe()
    terminal.write("F\ntests/test_b.py")
    assert terminal.text.endswith("tests/test_a.py ..F\ntests/test_b.py")


def test_a_line_that_the_terminal_has_broken_goes_on_where_it_was() -> None:
    terminal = Terminal(columns=10)
    terminal.write("0123456789abc")
    terminal.draw("one").wipe()
    terminal.write("d")
    assert terminal.text == "0123456789\nabcd"


@pytest.mark.parametrize("columns", [10, 20])
def test_nothing_is_drawn_while_the_cursor_waits_at_the_right_edge(columns: int) -> None:
    terminal = Terminal(columns=columns)
    terminal.write("x" * 20)
    terminal.draw("one")
    terminal.write("y")
    assert "one" not in terminal.text
    assert terminal.text.replace("\n", "") == "x" * 20 + "y"


def test_nothing_is_drawn_where_there_is_no_room() -> None:
    terminal = Terminal(rows=3)
    terminal.write("a")
    terminal.draw("one", "two")
    assert terminal.text == "a"


@pytest.mark.parametrize("hasmarkup", [True, False])
def test_lines_are_dim_only_where_pytest_may_style(hasmarkup: bool) -> None:
    sent: list[str] = []
    Screen(Terminal(hasmarkup=hasmarkup), sent.append).draw(["one"], width=80, height=24)
    assert ("\x1b[2mone" in sent[0]) is hasmarkup


@pytest.fixture
def slow_suite(suite: pytest.Pytester) -> pytest.Pytester:
    """The suite, slow enough that progress is drawn while each test runs; one of its names is a long one."""
    suite.makeconftest(
        """
        import time
        import pytest
        from pytest_rightsize.session import live_progress

        live_progress._REDRAW_S = 0.01

        @pytest.fixture(autouse=True)
        def slow():
            time.sleep(0.05)
        """
    )
    suite.makepyfile(test_suite=SUITE.replace('"d"]', 'pytest.param("d", id="d" * 50)]'))
    return suite


@pytest.mark.parametrize(
    ("columns", "options", "environment"),
    [
        (40, (), {}),
        (60, (), {}),
        (80, (), {}),
        (120, (), {}),
        (40, ("-v",), {}),
        (60, ("-q",), {"NO_COLOR": "1"}),
        (60, ("-p", "xdist.plugin", "-n2"), {}),
    ],
    ids=str,
)
def test_a_terminal_shows_progress_and_ends_as_without_it(
    slow_suite: pytest.Pytester, columns: int, options: tuple[str, ...], environment: dict[str, str]
) -> None:
    seen = run_pytest(slow_suite.path, (LADDER, *options), columns=columns, environment=environment)
    assert seen.status == pytest.ExitCode.OK
    assert any(lines[0].startswith("rightsize:  [tiny ") for lines in seen.drawn)
    assert any(" left" in line for lines in seen.drawn for line in lines)
    # The controller of xdist does not know what its workers have asked.
    assert any(" in flight" in line for lines in seen.drawn for line in lines) is ("-n2" not in options)
    assert max(len(line) for lines in seen.drawn for line in lines) < columns
    assert seen.text == seen.text_without_progress
    assert "OVER-SIZED" in seen.text
    # The colours of pytest's comparisons are no part of a reason.
    assert re.search(r"^    \|   - [BCD]$", seen.text, re.MULTILINE)
    if not {"-v", "-q", "-n2"} & {*options}:
        assert re.search(r"^test_suite.py [.t]+ +\[100%\]$", seen.text, re.MULTILINE)
    assert (b"\x1b[2m" in seen.sent) is ("NO_COLOR" not in environment)


@pytest.mark.parametrize("way", ["capsys.disabled()", "debugging(request)"])
def test_what_a_test_or_a_debugger_writes_itself_is_left_alone(slow_suite: pytest.Pytester, way: str) -> None:
    slow_suite.makepyfile(
        test_suite=f"""
        import contextlib
        import time
        import pytest

        @contextlib.contextmanager
        def debugging(request):
            capture = request.config.pluginmanager.get_plugin("capturemanager")
            capture.suspend(in_=True)  # as pytest does for pdb
            yield
            capture.resume()

        @pytest.mark.rightsize(task="upper", pass_rate=0.75, chosen="big")
        @pytest.mark.parametrize("word", ["a", "b", "c", "d"])
        def test_upper(model, word, capsys, request):
            answer = model.ask(word)
            time.sleep(0.05)
            with {way}:
                print("\\nsome\\nlines")
                time.sleep(0.05)
                print("of", word)
            assert answer == word.upper()
        """
    )
    seen = run_pytest(slow_suite.path, (LADDER,), columns=60)
    assert seen.drawn
    assert seen.text == seen.text_without_progress
    assert re.search("^some\nlines\nof c$", seen.text, re.MULTILINE)


def test_a_terminal_that_becomes_narrower_gets_shorter_lines(slow_suite: pytest.Pytester) -> None:
    seen = run_pytest(slow_suite.path, (LADDER,), columns=100, resized_to=30)
    assert len(seen.parts) == 2
    assert max(map(len, seen.drawn[0])) > 30
    assert max(map(len, seen.drawn[-1])) < 30


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (("-qq",), {}),
        (("-s",), {}),
        (("--capture=sys",), {}),
        (("--capture=tee-sys",), {}),
        ((), {"TERM": "dumb"}),
        ((), {"CI": "true"}),
    ],
    ids=str,
)
def test_nothing_is_drawn_where_it_is_not_wanted(
    slow_suite: pytest.Pytester, options: tuple[str, ...], environment: dict[str, str]
) -> None:
    seen = run_pytest(slow_suite.path, (LADDER, *options), columns=60, environment=environment)
    assert seen.status == pytest.ExitCode.OK
    assert not seen.drawn
    assert b"\x1b[J" not in seen.sent
    assert "OVER-SIZED" in seen.text


def test_without_a_terminal_there_are_only_plain_lines(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in str(suite.runpytest(LADDER).stdout)
    monkeypatch.setattr("pytest_rightsize.session.live_progress._PLAIN_S", 0.0)
    result = suite.runpytest(LADDER, "--rightsize-concurrency=1")
    assert "\x1b" not in str(result.stdout)
    result.stdout.fnmatch_lines(["rightsize:  [[]tiny 1/4[]]  small 0/4  big 0/4", "  tiny: 3 left*"])
