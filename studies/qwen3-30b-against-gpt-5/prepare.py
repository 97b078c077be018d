"""Writes the recorded answers of each rung, `answers/MODEL.jsonl.gz`, from `data/`; they are committed.

    python studies/qwen3-30b-against-gpt-5/prepare.py [FOLDER]

A line is one answer of a model to one prompt. Its text is what the source's judge found, as the answers themselves are
no part of the data. A reported count of reasoning tokens that is more than all the answer's tokens is kept as it was
reported. The joules are those that ML.ENERGY measured for an output token of the same model, times the answer's tokens.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MET, NOT_MET = "criterion met", "criterion not met"
# The rungs of rightsize.toml, and three more that the page compares with.
MODELS = (
    *("deepseek-r1-distill-qwen-7b", "gpt-oss-20b", "qwen3-30b-a3b-think", "gpt-oss-120b", "qwen3-235b-a22b-think"),
    *("gpt-5", "o4-mini-high-long", "claude-opus-4.1", "magistral-small-2506"),
)


def main() -> None:
    """Write a file for each model."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "answers"
    folder.mkdir(exist_ok=True)
    for model in MODELS:
        text = "".join(json.dumps(line) + "\n" for line in lines(model))
        # Without a date, so that the same answers are the same bytes.
        (folder / f"{model}.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def lines(model: str) -> Iterator[dict[str, Any]]:
    """The lines of one model's replay file, by task, case and sample."""
    prompts = {each["case"]: each["prompt"] for each in _json("prompts.json")}
    joules_per_token = _joules_per_token(model)
    with gzip.open(HERE / "data" / "records.jsonl.gz", "rt", encoding="utf-8") as file:
        records = [record for record in map(json.loads, file) if record["model"] == model]
    for record in sorted(records, key=lambda record: (record["task"], record["case"], record["sample"])):
        tokens = {"completion": record["completion_tokens"], "reasoning": record["reasoning_tokens"]}
        line = {
            "prompt": prompts[record["case"]],
            "sample": record["sample"],
            "text": MET if record["correct"] else NOT_MET,
            "tokens": {name: count for name, count in tokens.items() if count is not None},
        }
        if joules_per_token is not None:
            line["energy"] = {
                "joules": round(record["completion_tokens"] * joules_per_token, 3),
                "provenance": "vendor_declared",
                "boundary": ["gpu.board"],
                "meter": "declared",
                "flags": [f"source: {_json('energy.json')['source']}"],
            }
        yield line


def _joules_per_token(model: str) -> float | None:
    """Joules of the boards for an output token with the batch that the sessions take; None where nobody measured it."""
    published = _json("energy.json")
    configurations = published["models"].get(model, {}).get("configurations", [])
    at_batch = [each for each in configurations if each["batch"] == published["session_batch"]]
    return min(at_batch, key=lambda each: each["boards"])["joules_per_token"] if at_batch else None


def _json(name: str) -> Any:
    return json.loads((HERE / "data" / name).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
