"""Writes the questions and each model's recorded answers, from ZeroEval's published results, into a folder.

    python studies/smallest-open-model/prepare.py SOURCE [FOLDER]

SOURCE is a checkout of https://github.com/WildEval/ZeroEval (Apache-2.0) at commit 8c1485e, or a folder with the same
records as `items.jsonl.gz` and `records.jsonl.gz`. FOLDER is `data/` beside this file, which is no part of the
repository: the answers were written by Gemma 2 and Llama 3.1, under terms of their own.
"""

import gzip
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Smallest first, with the file of ZeroEval that has each model's answers to either task, where its name is another.
MODELS = (
    "gemma-2-2b-it",
    "gemma-2-9b-it",
    "gemma-2-27b-it",
    "Meta-Llama-3.1-70B-Instruct",
    "Llama-3.1-405B-Inst",
)
_FILES = {
    ("gsm", "gemma-2-27b-it"): "gemma-2-27b-it@together",
    ("crux", "Llama-3.1-405B-Inst"): "Llama-3.1-405B-Inst@sambanova",
    ("gsm", "Llama-3.1-405B-Inst"): "Llama-3.1-405B-Inst@sambanova",
}


def main() -> None:
    """Write the files."""
    source = Path(sys.argv[1])
    prepare(source, Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "data")


def prepare(source: Path, folder: Path) -> None:
    """Write `items.jsonl` and `MODEL.jsonl` for each model."""
    folder.mkdir(parents=True, exist_ok=True)
    read = _prepared if (source / "records.jsonl.gz").is_file() else _checkout
    items: dict[str, dict[str, str]] = {}
    lines: dict[str, list[str]] = defaultdict(list)
    for item, model, text in read(source):
        items.setdefault(item["item"], item)
        # The prompt comes from the first model's file: spaces at its ends differ from file to file.
        lines[model].append(json.dumps({"prompt": items[item["item"]]["prompt"], "text": text}))
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items.values()), encoding="utf-8")
    for model in MODELS:
        (folder / f"{model}.jsonl").write_text("\n".join(lines[model]) + "\n", encoding="utf-8")


def _prepared(source: Path) -> Iterator[tuple[dict[str, str], str, str]]:
    """Question, model and answer, from one file of questions and one of answers."""
    items = {item["item"]: item for item in _lines(source / "items.jsonl.gz")}
    for record in _lines(source / "records.jsonl.gz"):
        yield items[record["item"]], record["model"].partition("@")[0], record["outputs"][0]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def _checkout(source: Path) -> Iterator[tuple[dict[str, str], str, str]]:
    """Question, model and answer, from the result files of a checkout."""
    for task in ("crux", "gsm"):
        for model in MODELS:
            file = source / "result_dirs" / task / f"{_FILES.get((task, model), model)}.json"
            for row in json.loads(file.read_text(encoding="utf-8")):
                item = {
                    "item": row.get("id") or row["session_id"],
                    "task": task,
                    "prompt": row["chat_history"][0],
                    "expected": str(row["answer"]),
                }
                yield item, model, row["output"][0]


if __name__ == "__main__":
    main()
