"""A rung that is a chess engine, asked by the UCI protocol through the package `chess`.

In comes a prompt with a position in it, as FEN; out goes the engine's move. A prompt without a legal position is one
that the engine has no answer to; an engine that ends or hangs is a fault of the rung.
"""

import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pluggy

from pytest_rightsize import clocks
from pytest_rightsize.errors import ConfigError, NoAnswerError, RungError
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.providers.specialists import Threads, program_file, prompt_text
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung

if TYPE_CHECKING:
    import chess
    import chess.engine

__all__ = ["Uci"]

hookimpl = pluggy.HookimplMarker("pytest")

_TIMEOUT_S = 120.0
_ENDING_S = 2.0
# How often an engine whose time ran out before it had searched is asked again.
_UNSEARCHED_TRIES = 10
_RANK = "[pnbrqkPNBRQK1-8]{1,8}"
_FEN = re.compile(
    rf"(?<!\S)({_RANK}(?:/{_RANK}){{7}})(?:\s+([wb])(?:\s+(-|[KQkq]{{1,4}})(?:\s+(-|[a-h][36])(?:\s+\d+\s+\d+)?)?)?)?"
)


class Uci:
    """Asks `engine`, the name or path of a UCI engine, for its move in the position of the prompt.

    `movetime_s` (0.1), `nodes` or `depth` say how long it thinks. A time depends on what else the machine does: with
    `nodes` or `depth` and one thread the same position has the same move. `engine_options` are set before, as in
    `{ Threads = 1, Hash = 16 }`. `notation` is "uci" (`e2e4`, the default) or "san" (`e4`). `max_in_flight` (1) engines
    run side by side.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "engine": str,
        "movetime_s": (int, float),
        "nodes": int,
        "depth": int,
        "engine_options": dict,
        "notation": str,
        "timeout_s": (int, float),
        "version": str,
    }
    required: ClassVar[tuple[str, ...]] = ("engine",)
    takes_images = False
    leaves_machine = False
    site = "machine"

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError for a limit or a notation that cannot be."""
        options, where = rung.options, f"rung {rung.name!r}"
        for name in ("movetime_s", "nodes", "depth"):
            if options.get(name, 1) <= 0:
                raise ConfigError(f"{where}: {name} = {options[name]!r} cannot be: give a number above 0")
        self._notation = options.get("notation", "uci")
        if self._notation not in ("uci", "san"):
            raise ConfigError(f'{where}: notation = {self._notation!r} cannot be: write "uci" or "san"')
        self._rung = rung
        self._engine: str = options["engine"]
        limits = {"time": options.get("movetime_s"), "nodes": options.get("nodes"), "depth": options.get("depth")}
        self._limits = {name: limit for name, limit in limits.items() if limit is not None} or {"time": 0.1}
        self._timeout_s = float(options.get("timeout_s", _TIMEOUT_S))
        self._threads = Threads(rung)
        self.in_flight = self._threads.count
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._open: set[chess.engine.SimpleEngine] = set()

    def check(self) -> Problem | None:
        """Look for the package and the engine; it is not started."""
        if find_spec("chess") is None:
            return Problem(
                what="the package chess is not installed",
                remedy='run `python -m pip install "pytest-rightsize[uci]"`',
            )
        if self._file() is None:
            return Problem(
                what=f"the engine {self._engine} is not there, or may not be run",
                remedy=f"install it, or correct engine of {self._rung.name} in the ladder file",
            )
        return None

    def identity(self, sha256: Callable[[Path], str]) -> Identity:
        """Identify the engine by its file's content, its options and its limits."""
        file = self._file()
        content: Json = {
            "engine": None if file is None else sha256(file),
            "limits": self._limits,
            "options": self._rung.options.get("engine_options", {}),
            "notation": self._notation,
            "version": self._rung.options.get("version"),
        }
        return Identity(content=content)

    def submit(self, request: Request) -> Future[Reply]:
        """Ask the engine in a thread."""
        return self._threads.submit(self._answer, request)

    def close(self) -> None:
        """End the engines."""
        with self._lock:
            engines, self._open = [*self._open], set()
            self._mine = threading.local()
        for engine in engines:
            _end(engine)
        self._threads.close()

    def _file(self) -> Path | None:
        return program_file(self._rung, self._engine)

    def _answer(self, request: Request) -> Reply:
        import chess.engine

        board = position_in(prompt_text(request, rung=self._rung.name))
        begun = clocks.perf_counter()
        engine = self._started()
        try:
            played = self._played(engine, board)
        except TimeoutError:
            self._let_go(engine)
            raise self._fault(f"gave no move within {self._timeout_s:g} s: give it less to think", "timeout") from None
        except chess.engine.EngineTerminatedError as error:
            self._let_go(engine)
            raise self._fault(f"ended ({error})", "crash") from None
        except chess.engine.EngineError as error:
            self._let_go(engine)
            raise self._fault(f"broke the protocol ({error})", "bad_reply") from None
        if played.move is None:
            raise NoAnswerError("the game is over in this position", reason="refusal")
        text = board.san(played.move) if self._notation == "san" else played.move.uci()
        return Reply(text=text, seconds=clocks.perf_counter() - begun, finish_reason="stop")

    def _played(self, engine: "chess.engine.SimpleEngine", board: "chess.Board") -> "chess.engine.PlayResult":
        """The engine's move.

        On a busy machine a short time is over before the engine had a processor, and its move is then the first that is
        legal. That is no answer of the engine's: it is asked again, and a fault if that does not help.
        """
        import chess.engine

        limit = chess.engine.Limit(**self._limits)
        for _ in range(_UNSEARCHED_TRIES):
            # Each answer is one of a new game: what the engine remembers of others must not change it.
            played = engine.play(board, limit, game=object(), info=chess.engine.INFO_BASIC)
            searched = played.info.get("nodes", 2) > 1 or board.legal_moves.count() < 2
            if searched or limit.time is None:
                return played
        raise self._fault(
            f"had no time to search in {limit.time:g} s: the machine is busy; give it nodes or a longer movetime_s",
            "timeout",
        )

    def _started(self) -> "chess.engine.SimpleEngine":
        """The engine of this thread."""
        import chess.engine

        engine: chess.engine.SimpleEngine | None = getattr(self._mine, "engine", None)
        if engine is not None:
            return engine
        file = self._file()
        if file is None:
            raise RungError(f"the engine {self._engine} is gone", reason="missing", permanent=True)
        try:
            engine = chess.engine.SimpleEngine.popen_uci(str(file), timeout=self._timeout_s)
            engine.configure(self._rung.options.get("engine_options", {}))
        except (chess.engine.EngineError, TimeoutError, OSError) as error:
            if engine is not None:
                _end(engine)
            raise RungError(
                f"the engine {self._engine} cannot be started ({str(error) or type(error).__name__}): see that it "
                f"speaks UCI, and knows its engine_options",
                reason="load",
                permanent=True,
            ) from None
        with self._lock:
            self._open.add(engine)
        self._mine.engine = engine
        return engine

    def _let_go(self, engine: "chess.engine.SimpleEngine") -> None:
        """End an engine that is of no more use; the next request starts another."""
        self._mine.engine = None
        with self._lock:
            self._open.discard(engine)
        _end(engine)

    def _fault(self, what: str, reason: str) -> RungError:
        return RungError(f"the engine {self._engine} {what}", reason=reason, alone=True)


def position_in(text: str) -> "chess.Board":
    """The first position in a text, as FEN, of which the counters may be left out; raises NoAnswerError without one."""
    import chess

    found = _FEN.search(text)
    if found is None:
        raise NoAnswerError("there is no position in the prompt: give one as FEN", reason="format")
    try:
        board = chess.Board(found[0])
    except ValueError as error:
        raise NoAnswerError(f"the position in the prompt is none ({error})", reason="format") from None
    if not board.is_valid():
        raise NoAnswerError(f"the position {found[0]} is not legal", reason="format")
    return board


def _end(engine: Any) -> None:
    """End an engine, whether or not it listens."""
    engine.timeout = _ENDING_S
    with suppress(Exception):  # it is of no use in any case, and killed by what follows
        engine.quit()
    with suppress(Exception):
        engine.transport.get_extra_info("subprocess").kill()
    with suppress(Exception):
        engine.close()


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `uci`."""
    return {"uci": Uci}
