"""Makes chess positions with one right move, and proves by the rules alone that it is the only one.

    python -m studies.specialists.positions

Positions come from random games with few pieces. In a mate in one, exactly one legal move mates; in a mate in two,
exactly one forces mate by the next move, whatever is answered. Nothing is taken from a collection.
"""

import json
import random
from pathlib import Path
from typing import Any

import chess

__all__ = ["FILE", "make", "mates_in_one", "mates_in_two"]

FILE = Path(__file__).parent / "data" / "positions.json"
EACH, SEED = 20, 2026
_PIECES = "QRRBNPPP"


def mates_in_one(board: chess.Board) -> list[chess.Move]:
    """The legal moves that mate."""
    found = []
    for move in board.legal_moves:
        board.push(move)
        if board.is_checkmate():
            found.append(move)
        board.pop()
    return found


def mates_in_two(board: chess.Board) -> list[chess.Move]:
    """The legal moves after which every answer allows a mate; one that mates at once is none."""
    found = []
    for move in list(board.legal_moves):
        board.push(move)
        answers = list(board.legal_moves)
        if answers and all(_allows_mate(board, answer) for answer in answers):
            found.append(move)
        board.pop()
    return found


def _allows_mate(board: chess.Board, answer: chess.Move) -> bool:
    board.push(answer)
    allows = bool(mates_in_one(board))
    board.pop()
    return allows


def _random_board(source: random.Random) -> chess.Board:
    """Two kings and some pieces on random squares, White to move."""
    board = chess.Board(None)
    squares = source.sample(range(64), 12)
    board.set_piece_at(squares.pop(), chess.Piece.from_symbol("K"))
    board.set_piece_at(squares.pop(), chess.Piece.from_symbol("k"))
    for white in (True, False):
        for symbol in source.sample(_PIECES, source.randint(2, 4)):
            square = squares.pop()
            if symbol == "P" and chess.square_rank(square) in (0, 7):
                continue
            board.set_piece_at(square, chess.Piece.from_symbol(symbol if white else symbol.lower()))
    return board


def make() -> list[dict[str, Any]]:
    """The positions, the same each time."""
    source = random.Random(SEED)
    found: dict[str, dict[str, str]] = {"mate-in-one": {}, "mate-in-two": {}}
    while any(len(positions) < EACH for positions in found.values()):
        board = _random_board(source)
        if not board.is_valid() or board.is_check():
            continue
        mates = mates_in_one(board)
        if len(mates) == 1 and len(found["mate-in-one"]) < EACH:
            found["mate-in-one"][board.fen()] = mates[0].uci()
        elif not mates and len(found["mate-in-two"]) < EACH:
            keys = mates_in_two(board)
            if len(keys) == 1:
                found["mate-in-two"][board.fen()] = keys[0].uci()
    return [
        {"task": task, "fen": fen, "move": move} for task, positions in found.items() for fen, move in positions.items()
    ]


if __name__ == "__main__":
    FILE.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
