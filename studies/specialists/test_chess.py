"""Positions in which one move mates, at once or by the next move; positions.py makes them and proves it."""

import json
import re
from pathlib import Path

import pytest

POSITIONS = json.loads((Path(__file__).parent / "data" / "positions.json").read_text(encoding="utf-8"))
PROMPT = (
    "You play White. In this chess position, given as FEN, find the move that forces mate {when}.\n"
    "FEN: {fen}\n"
    "Answer with that move alone: the square it goes from and the square it goes to, as in e2e4."
)
WHEN = {"mate-in-one": "at once", "mate-in-two": "by your next move"}
CASES = [
    pytest.param(
        each["fen"],
        each["move"],
        WHEN[each["task"]],
        id=each["fen"],
        marks=pytest.mark.rightsize(task=each["task"], pass_rate=0.8, chosen="smollm2-135m"),
    )
    for each in POSITIONS
]


@pytest.mark.parametrize(("fen", "move", "when"), CASES)
def test_the_first_move_it_names_mates(model, fen, move, when):
    answer = model.ask(PROMPT.format(fen=fen, when=when), temperature=0)
    assert re.findall(r"\b[a-h][1-8][a-h][1-8][qrbn]?\b", answer)[:1] == [move]
