"""The study "Specialists": its positions and tickets are what they are said to be, and real specialists pass them."""

import json
import os
import shutil
from pathlib import Path

import pytest

from studies.pages import DOCS, rendered
from studies.sessions import run_session
from studies.specialists.study import SUITE, figures, run_sessions

REQUIRED = os.environ.get("RIGHTSIZE_ENGINES") == "required"
STOCKFISH = shutil.which("stockfish") or shutil.which("/usr/games/stockfish")


def data(name: str) -> list[dict[str, str]]:
    plain: list[dict[str, str]] = json.loads((SUITE / "data" / name).read_text(encoding="utf-8"))
    return plain


def test_the_page_of_the_docs_is_what_the_session_gives(tmp_path: Path) -> None:
    found = figures(run_sessions(tmp_path))
    assert rendered("specialists", found) == (DOCS / "specialists.md").read_text(encoding="utf-8")
    assert [(task["name"], task["smallest"]) for task in found["tasks"]] == [
        ("mate-in-one", "stockfish"),
        ("mate-in-two", "stockfish"),
        ("route-ticket", "tickets-1k"),
    ]


def test_each_position_has_one_right_move() -> None:
    chess = pytest.importorskip("chess")
    from studies.specialists.positions import mates_in_one, mates_in_two

    moves = {"mate-in-one": mates_in_one, "mate-in-two": mates_in_two}
    positions = data("positions.json")
    assert {task: sum(each["task"] == task for each in positions) for task in moves} == dict.fromkeys(moves, 20)
    for each in positions:
        board = chess.Board(each["fen"])
        assert board.is_valid()
        assert [move.uci() for move in moves[each["task"]](board)] == [each["move"]], each["fen"]


def test_no_ticket_is_among_the_sentences_that_the_classifier_learned() -> None:
    pytest.importorskip("numpy")
    from studies.specialists.tickets import _LEARNED, QUEUES, words_of

    learned = {" ".join(words_of(text)) for texts in _LEARNED.values() for text in texts}
    tickets = data("tickets.json")
    assert {queue: sum(each["queue"] == queue for each in tickets) for queue in QUEUES} == dict.fromkeys(QUEUES, 8)
    assert not {" ".join(words_of(each["text"])) for each in tickets} & learned


@pytest.mark.skipif(not REQUIRED and STOCKFISH is None, reason="there is no stockfish")
def test_the_real_specialists_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not REQUIRED:
        for name in ("chess", "onnxruntime", "tokenizers"):
            pytest.importorskip(name)
    assert STOCKFISH is not None
    monkeypatch.setenv("PATH", f"{Path(STOCKFISH).parent}{os.pathsep}{os.environ['PATH']}")
    real = (
        "-c",
        str(SUITE / "real" / "pytest.ini"),
        "--rightsize-ladder=tickets-1k,stockfish",
        "--rightsize-cache=off",
    )
    found = run_session(SUITE, tmp_path / "run.jsonl", "--rightsize-strategy=full", *real)
    passed = [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines()]
    counts = {
        (task, rung): sum(
            each["outcome"] == "passed" for each in passed if (each.get("task"), each.get("rung")) == (task, rung)
        )
        for task in ("mate-in-one", "mate-in-two", "route-ticket")
        for rung in ("tickets-1k", "stockfish")
    }
    assert counts["mate-in-one", "stockfish"] >= 18  # 20 with 15.1; another version may look elsewhere first
    assert counts["mate-in-two", "stockfish"] >= 14
    assert counts["route-ticket", "tickets-1k"] == 35
    assert counts["route-ticket", "stockfish"] == counts["mate-in-one", "tickets-1k"] == 0
