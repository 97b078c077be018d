"""Asks every exported rung every held-out case through llama.cpp, and writes the pass rates down.

The counts go into the model card's JSON; the tables in README.md and MODEL_CARD.md are made from it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from llama_cpp import Llama

from .cases import CASES, passes, read_cases
from .tasks import TASKS

MODELS = Path(__file__).parent.parent
CARD = MODELS / "card.json"
GOLDEN = MODELS / "golden.jsonl"
NEAR_TIE_LOGITS = 0.1
DOCUMENTS = (MODELS / "MODEL_CARD.md", MODELS.parent / "README.md")


def load(path: Path) -> Llama:
    return Llama(str(path), n_ctx=0, n_threads=1, n_threads_batch=1, verbose=False)


def ask(model: Llama, prompt: str) -> str:
    """The greedy answer, through the chat template that the file carries."""
    reply: Any = model.create_chat_completion(
        messages=[{"role": "user", "content": prompt}], temperature=0, max_tokens=160
    )
    return str(reply["choices"][0]["message"]["content"])


def golden_misses(every: int = 1) -> list[dict[str, Any]]:
    """The golden answers of PyTorch, or every so many-th, that llama.cpp does not give, near ties aside.

    llama.cpp keeps keys, values and activations in 16 bits here and there, which moves a logit by some hundredths.
    """
    golden = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
    golden = [line for line in golden[::every] if line["margin"] >= NEAR_TIE_LOGITS]
    models = {line["rung"]: load(MODELS / f"{line['rung']}.gguf") for line in golden}
    return [line for line in golden if ask(models[line["rung"]], line["prompt"]) != line["answer"]]


def pass_counts(model: Llama) -> dict[str, dict[str, int]]:
    """Passes and cases of each task."""
    counts = {}
    for name, task in TASKS.items():
        cases = read_cases(CASES / f"{name}.jsonl")
        passed = sum(passes(case.answer, ask(model, task.instruction + case.text)) for case in cases)
        counts[name] = {"passed": passed, "cases": len(cases)}
    return counts


def table(models: list[dict[str, Any]]) -> str:
    """The pass rates as Markdown, a task a line and a rung a column."""
    rows = [["task", *(model["rung"] for model in models)], ["---", *("---:" for _ in models)]]
    for name in TASKS:
        counts = [model["held_out"][name] for model in models]
        rows.append([name, *(f"{count['passed'] / count['cases']:.3f}" for count in counts)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def training_table(models: list[dict[str, Any]]) -> str:
    """How each rung was made, as Markdown."""
    rows = [["rung", "parameters", "width x layers", "steps", "tokens", "CPU minutes", "file"], ["---", *["---:"] * 6]]
    for model in models:
        shape = f"{model['shape']['width']} x {model['shape']['layers']}"
        tokens = f"{model['tokens'] / 1e6:.1f} M"
        size = f"{model['size_bytes'] / 1e6:.2f} MB"
        numbers = [f"{model['parameters']:,}", shape, str(model["steps"]), tokens, str(model["cpu_minutes"]), size]
        rows.append([model["rung"], *numbers])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def measure_all() -> None:
    """Adds the pass counts to the card, and the tables to the documents."""
    missed = golden_misses()
    print(f"golden answers of PyTorch that llama.cpp does not give: {len(missed)}")
    card = json.loads(CARD.read_text())
    for entry in card["models"]:
        entry["held_out"] = pass_counts(load(MODELS / entry["file"]))
        print(entry["rung"], entry["held_out"], flush=True)
    CARD.write_text(json.dumps(card, indent=2) + "\n")
    write_tables(card["models"])


def write_tables(models: list[dict[str, Any]]) -> None:
    """Puts each table between its marks in the documents."""
    tables = {"pass rates": table(models), "training": training_table(models)}
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for name, made in tables.items():
            marks = rf"(<!-- {name} -->\n).*?(\n<!-- end -->)"
            text = re.sub(marks, lambda match, made=made: match[1] + made + match[2], text, flags=re.DOTALL)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        document.write_text(text, encoding="utf-8")
