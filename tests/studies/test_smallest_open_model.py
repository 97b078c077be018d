"""The study "The smallest open model": its suite grades as ZeroEval does, and its answers come from either source.

The page itself is held in tests/session/test_zeroeval.py, by a session that runs there anyway.
"""

import gzip
import json
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from studies import smallest_open_model
from studies.smallest_open_model import SUITE

PREPARE = run_path(str(SUITE / "prepare.py"))
SOURCE = Path(__file__).parents[3] / "shared" / "data" / "zeroeval"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names of the study's test file, which reads its questions beside it."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "data").mkdir()
    (folder / "data" / "items.jsonl").write_text("", encoding="utf-8")
    copy = folder / "test_questions.py"
    copy.write_text((SUITE / "test_questions.py").read_text(encoding="utf-8"), encoding="utf-8")
    return run_path(str(copy))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('```json\n{"reasoning": "so", "answer": "[1, 2]"}\n```', "[1, 2]"),
        ('{"reasoning": "a {brace}", "answer": 42}', "42"),
        ('{"answer": "first"} {"answer": "second"}', "first"),
        ('{"reasoning": "a "quoted" word", "answer": "7"}', "7"),
        ('"answer": 8,', "8"),
        ("answer: 9", "9"),
        (r"The result is $\boxed{36}$", "36"),
        ("no idea", None),
    ],
)
def test_the_answer_is_found_as_zeroeval_finds_it(suite: dict[str, Any], text: str, answer: str | None) -> None:
    assert suite["answer_of"](text) == answer


@pytest.mark.parametrize(
    ("text", "number"), [("$1,200 in all", 1200.0), ("# 18", 18.0), ("3/4", 0.75), ("-2.5 kg", -2.5), ("none", None)]
)
def test_a_number_is_read_as_zeroeval_reads_it(suite: dict[str, Any], text: str, number: float | None) -> None:
    assert suite["first_number"](text) == number


def test_answers_are_prepared_alike_from_a_checkout_and_from_records(tmp_path: Path) -> None:
    checkout, records = tmp_path / "checkout", tmp_path / "records"
    records.mkdir()
    items, lines = [], []
    for task, question in (("crux", "f(1) == ??"), ("gsm", "1 + 1?")):
        folder = checkout / "result_dirs" / task
        folder.mkdir(parents=True)
        items.append({"item": f"{task}-0", "task": task, "prompt": question, "expected": "# 2"})
        for model in PREPARE["MODELS"]:
            row = {"id": f"{task}-0", "chat_history": [question], "answer": "# 2", "output": [f"{model}: 2"]}
            file = PREPARE["_FILES"].get((task, model), model)
            (folder / f"{file}.json").write_text(json.dumps([row]), encoding="utf-8")
            lines.append({"item": f"{task}-0", "task": task, "model": f"{model}@x", "outputs": [f"{model}: 2"]})
    for name, rows in (("items", items), ("records", lines)):
        with gzip.open(records / f"{name}.jsonl.gz", "wt", encoding="utf-8") as packed:
            packed.write("".join(json.dumps(row) + "\n" for row in rows))
    for source in (checkout, records):
        PREPARE["prepare"](source, tmp_path / f"from-{source.name}")
    written = sorted(path.name for path in (tmp_path / "from-checkout").iterdir())
    assert written == sorted(["items.jsonl", *(f"{model}.jsonl" for model in PREPARE["MODELS"])])
    for name in written:
        texts = [(tmp_path / f"from-{source}" / name).read_text(encoding="utf-8") for source in ("checkout", "records")]
        assert texts[0] == texts[1]
        assert len(texts[0].splitlines()) == 2


def test_where_the_answers_are_missing_the_study_says_where_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(smallest_open_model, "DATA", tmp_path)
    monkeypatch.delenv("RIGHTSIZE_ZEROEVAL", raising=False)
    why = smallest_open_model.missing()
    assert why is not None
    assert "clone https://github.com/WildEval/ZeroEval, and set RIGHTSIZE_ZEROEVAL" in why


@pytest.mark.skipif(not SOURCE.is_dir(), reason=f"the recorded ZeroEval answers are not in {SOURCE}")
def test_the_suite_grades_real_answers_as_they_were_graded(suite: dict[str, Any]) -> None:
    """Every tenth of 10,595; all of them agree."""
    with gzip.open(SOURCE / "items.jsonl.gz", "rt", encoding="utf-8") as file:
        items = {item["item"]: item for item in map(json.loads, file)}
    with gzip.open(SOURCE / "records.jsonl.gz", "rt", encoding="utf-8") as file:
        records = [json.loads(line) for number, line in enumerate(file) if number % 10 == 0]
    assert len(records) == 1060
    for record in records:
        text = record["outputs"][0]
        passed = _passes(suite, items[record["item"]], text)
        assert [passed] == record["correct"], (record["item"], record["model"])


def _passes(suite: dict[str, Any], item: dict[str, Any], text: str) -> bool:
    class Model:
        def ask(self, prompt: str) -> str:
            assert prompt == item["prompt"]
            return text

    try:
        suite["test_question"](Model(), item)
    except AssertionError:
        return False
    return True
