"""Asks the real rungs of real/rightsize.toml every case, and writes their answers, `answers/RUNG.jsonl.gz`.

    python -m studies.specialists.prepare

It needs the extras `local`, `onnx` and `uci`, a Stockfish, and the package of SmolLM2. On an idle machine: the seconds
of each answer are recorded too.
"""

import gzip
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_rightsize.records import Run
from pytest_rightsize.results.results_file import read_run
from studies.sessions import FOLDER, run_session

__all__ = ["lines", "main"]

SUITE = FOLDER / "specialists"
_KEPT, _COUNTS = ("seconds", "energy", "finish_reason"), ("prompt", "completion", "reasoning")


def main() -> None:
    """Run the real ladder, and write a file for each rung."""
    with tempfile.TemporaryDirectory() as folder:
        options = ("-c", str(SUITE / "real" / "pytest.ini"), "--rightsize-strategy=full", "--rightsize-cache=off")
        run = read_run(run_session(SUITE, Path(folder) / "run.jsonl", *options))
        (SUITE / "answers").mkdir(exist_ok=True)
        for rung in run.rungs:
            text = "".join(json.dumps(line) + "\n" for line in lines(run, rung.name))
            # Without a date, so that the same answers are the same bytes.
            (SUITE / "answers" / f"{rung.name}.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def lines(run: Run, rung: str) -> Iterator[dict[str, Any]]:
    """The answers of a rung as a replay file has them; where it had none, the text is empty.

    The trials of another rung tell what was asked there.
    """
    asked = {
        (trial.key.task, trial.key.case): trial.answers[0].messages for trial in run.trials if len(trial.answers) == 1
    }
    for trial in run.trials:
        if trial.key.rung != rung:
            continue
        line: dict[str, Any] = {"messages": [dict(message) for message in asked[trial.key.task, trial.key.case]]}
        if not trial.answers:
            yield line | {"text": ""}
            continue
        (answer,) = trial.answers
        plain = answer.to_dict()
        tokens = {name: plain["tokens"][name] for name in _COUNTS if plain["tokens"].get(name) is not None}
        kept = {name: plain[name] for name in _KEPT if plain.get(name) is not None}
        yield line | {"text": answer.text} | ({"tokens": tokens} if tokens else {}) | kept


if __name__ == "__main__":
    main()
