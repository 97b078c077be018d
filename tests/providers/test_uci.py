"""The provider `uci`: positions are found in prompts, and engines answer, break and hang; also a real one."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError, NoAnswerError, RungError
from pytest_rightsize.providers.uci import Uci, position_in
from pytest_rightsize.records import Reply, Request, Rung

pytest.importorskip("chess")

BACK_RANK = "6k1/5ppp/8/8/8/8/5PPP/3R2K1 w - - 0 1"
# An engine that plays the first legal move, and does as its option Mood says.
ENGINE = """#!{python}
import sys, time
import chess
mood, board, asked = "well", chess.Board(), 0
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "uci":
        print("id name Simple")
        print("option name Mood type string default well")
        print("uciok")
    elif word == "setoption":
        mood = rest.rpartition(" ")[2]
    elif word == "isready":
        print("readyok")
    elif word == "position":
        board = chess.Board() if rest.startswith("startpos") else chess.Board(rest.removeprefix("fen "))
    elif word == "go" and mood == "die":
        sys.exit(3)
    elif word == "go" and mood == "hang":
        time.sleep(3600)
    elif word == "go" and mood == "cheat":
        print("bestmove a1a1")
    elif word == "go":
        asked += 1
        moves = [*board.legal_moves]
        if mood == "late" or (mood == "second" and asked == 1):
            print("info depth 1 nodes 1")
        else:
            moves.reverse()
            print("info depth 1 nodes", len(moves))
        print("bestmove", next(iter(moves), "(none)"))
    elif word == "quit":
        break
    sys.stdout.flush()
"""
STOCKFISH = next(
    (found for name in ("stockfish", "/usr/games/stockfish") if (found := shutil.which(name)) is not None), None
)


@pytest.fixture
def engines() -> Iterator[list[Uci]]:
    made: list[Uci] = []
    yield made
    for one in made:
        one.close()


def simple(engines: list[Uci], folder: Path, **options: Any) -> Uci:
    file = folder / "simple.py"
    file.write_text(ENGINE.format(python=sys.executable), encoding="utf-8")
    file.chmod(0o755)
    engines.append(Uci(Rung(name="simple", provider="uci", options={"engine": str(file), **options})))
    return engines[-1]


def ask(one: Uci, prompt: str) -> Reply:
    return one.submit(Request(messages=({"role": "user", "content": prompt},))).result(60)


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        (f"What is best in {BACK_RANK}? Answer in UCI.", BACK_RANK),
        ("8/8/8/8/8/4k3/4p3/4K3 b", "8/8/8/8/8/4k3/4p3/4K3 b - - 0 1"),
        (f"FEN:\n{BACK_RANK.rpartition(' 0')[0]}\nmate in one", BACK_RANK),
        (f"Position a/b, then {BACK_RANK}", BACK_RANK),
    ],
)
def test_a_position_is_found_in_a_prompt(text: str, fen: str) -> None:
    assert position_in(text).fen() == fen


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Which opening is this?", "there is no position in the prompt"),
        ("9/8/8/8/8/8/8/8 w", "there is no position in the prompt"),
        ("8/8/8/8/8/8/8/8 w", "is not legal"),
        ("kk6/8/8/8/8/8/8/K7 w", "is not legal"),
        ("88/8/8/8/8/8/8/K6k w", "the position in the prompt is none"),
    ],
)
def test_a_prompt_without_a_legal_position_has_no_answer(text: str, words: str) -> None:
    with pytest.raises(NoAnswerError, match=words):
        position_in(text)


@pytest.mark.skipif(os.name == "nt", reason="a script is no program there")
class TestSimple:
    """A simple engine, which does what a test wants."""

    def test_it_answers_in_either_notation(self, engines: list[Uci], tmp_path: Path) -> None:
        assert ask(simple(engines, tmp_path), BACK_RANK).text == "f2f4"
        assert ask(simple(engines, tmp_path, notation="san", nodes=1), BACK_RANK).text == "f4"

    def test_a_move_that_was_not_searched_for_is_no_answer(self, engines: list[Uci], tmp_path: Path) -> None:
        """A busy machine may give an engine no processor before its time is over."""
        second = simple(engines, tmp_path, engine_options={"Mood": "second"}, movetime_s=0.001)
        assert ask(second, BACK_RANK).text == "f2f4"
        with pytest.raises(RungError, match=r"had no time to search in 0\.001 s: the machine is busy") as told:
            ask(simple(engines, tmp_path, engine_options={"Mood": "late"}, movetime_s=0.001), BACK_RANK)
        assert (told.value.reason, told.value.permanent) == ("timeout", False)

    def test_a_move_that_need_not_be_searched_for_is_an_answer(self, engines: list[Uci], tmp_path: Path) -> None:
        forced = "7k/8/8/8/8/8/6q1/7K w - - 0 1"
        late: dict[str, Any] = {"Mood": "late"}
        assert ask(simple(engines, tmp_path, engine_options=late, movetime_s=0.001), forced).text == "h1g2"
        # Somebody who gives nodes = 1 wants no search.
        assert ask(simple(engines, tmp_path, engine_options=late, nodes=1), BACK_RANK).text == "g1h1"

    def test_an_engine_that_ends_is_started_again(self, engines: list[Uci], tmp_path: Path) -> None:
        one = simple(engines, tmp_path, engine_options={"Mood": "die"})
        for _ in range(2):
            with pytest.raises(RungError, match=r"simple\.py ended") as told:
                ask(one, BACK_RANK)
            assert (told.value.reason, told.value.permanent) == ("crash", False)

    def test_an_engine_that_hangs_is_given_up(self, engines: list[Uci], tmp_path: Path) -> None:
        one = simple(engines, tmp_path, engine_options={"Mood": "hang"}, timeout_s=2, movetime_s=0.01)
        with pytest.raises(RungError, match="gave no move within 2 s") as told:
            ask(one, BACK_RANK)
        assert told.value.reason == "timeout"

    def test_an_illegal_move_is_a_fault_of_the_engine(self, engines: list[Uci], tmp_path: Path) -> None:
        with pytest.raises(RungError, match="broke the protocol") as told:
            ask(simple(engines, tmp_path, engine_options={"Mood": "cheat"}), BACK_RANK)
        assert told.value.reason == "bad_reply"

    def test_a_game_that_is_over_has_no_answer(self, engines: list[Uci], tmp_path: Path) -> None:
        with pytest.raises(NoAnswerError, match="the game is over"):
            ask(simple(engines, tmp_path), "3R2k1/5ppp/8/8/8/8/5PPP/6K1 b - - 0 1")

    def test_an_option_that_it_does_not_know_takes_the_rung_out(self, engines: list[Uci], tmp_path: Path) -> None:
        with pytest.raises(RungError, match="cannot be started") as told:
            ask(simple(engines, tmp_path, engine_options={"Tact": 1}), BACK_RANK)
        assert told.value.permanent

    def test_answers_are_recorded_under_the_engine_and_how_long_it_thinks(
        self, engines: list[Uci], tmp_path: Path
    ) -> None:
        def digest(path: Path) -> str:
            return path.name

        contents = [
            simple(engines, tmp_path, **options).identity(digest).content
            for options in ({}, {"nodes": 5}, {"engine_options": {"Mood": "well"}}, {"notation": "san"})
        ]
        assert contents[0] == {
            "engine": "simple.py",
            "limits": {"time": 0.1},
            "options": {},
            "notation": "uci",
            "version": None,
        }
        assert all(contents.count(content) == 1 for content in contents)


@pytest.mark.skipif(
    STOCKFISH is None and os.environ.get("RIGHTSIZE_ENGINES") != "required", reason="there is no stockfish"
)
def test_stockfish_mates_in_one(engines: list[Uci]) -> None:
    options = {"engine": STOCKFISH or "stockfish", "nodes": 1000, "engine_options": {"Threads": 1, "Hash": 16}}
    engines.append(Uci(Rung(name="stockfish", provider="uci", options=options)))
    assert engines[0].check() is None
    assert ask(engines[0], f"Mate in one: {BACK_RANK}").text == "d1d8"


@pytest.mark.parametrize(
    ("options", "words"),
    [({"nodes": 0}, "nodes = 0 cannot be"), ({"notation": "long"}, 'write "uci" or "san"')],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Uci(Rung(name="a", provider="uci", options={"engine": "stockfish", **options}))


def test_an_engine_that_is_not_there_is_a_problem() -> None:
    problem = Uci(Rung(name="a", provider="uci", options={"engine": "no-such-engine"})).check()
    assert problem is not None
    assert problem.what == "the engine no-such-engine is not there, or may not be run"
