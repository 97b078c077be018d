"""The compatibility table of the docs is the one that the suites print."""

from pathlib import Path

import pytest

from tests.served.sdks import table
from tests.served.sdks.table import COLUMNS, SUITES, Suite, cells_of, functions_in, in_page, read, with_table, written


def page() -> str:
    """As it is now: the tests before these may have written it anew."""
    return (Path(__file__).parents[3] / "docs" / "sdks.md").read_text(encoding="utf-8")


def test_the_docs_have_the_table_in_the_printed_form() -> None:
    printed = in_page(page())
    assert written(read(printed)) == printed
    assert with_table(page(), printed) == page()


def test_the_table_has_a_row_for_each_suite_and_says_what_its_tests_try() -> None:
    rows = read(in_page(page()))
    assert len(rows) == len(SUITES)
    for suite, (name, by, cells) in zip(SUITES, rows, strict=True):
        assert name.startswith(table.name_of(suite))
        assert (by, cells) == (suite.by, cells_of(functions_in(suite))), (
            f"run RIGHTSIZE_SDKS=write tox run -e sdks: {name}"
        )


@pytest.mark.parametrize("suite", SUITES, ids=[suite.name for suite in SUITES])
def test_each_test_of_a_suite_has_a_column(suite: Suite) -> None:
    names = functions_in(suite)
    assert names
    assert all(any(name.startswith(f"test_{prefix}") for prefix in COLUMNS) for name in names)


def test_a_cell_says_what_was_tried_and_what_fails() -> None:
    names = ["test_ask", "test_ask_image", "test_stream", "test_async_task_group", "test_async"]
    assert cells_of(names, ["test_stream", "test_async_task_group"]) == {
        "ask": "ok (image)",
        "stream": "fails: plain",
        "tool call": "",
        "JSON schema": "",
        "async": "fails: task group",
        "Responses": "",
        "refused": "",
    }


def test_a_table_is_read_as_it_was_written() -> None:
    rows = [("openai 3.57.0", "variables", cells_of(["test_ask"]))]
    assert read(written(rows)) == rows
    with pytest.raises(ValueError, match="the table has the headings"):
        read("| a | b |\n| --- | --- |")
    with pytest.raises(ValueError, match="the page has no"):
        in_page("nothing")
