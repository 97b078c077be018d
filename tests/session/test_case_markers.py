"""Cases from files and variants of a prompt, in whole sessions."""

import json
from pathlib import Path

import pytest

from pytest_rightsize.config import case_files
from pytest_rightsize.config.case_files import LazyRow, read_cases
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.results.results_file import read_run
from tests.conftest import record

CASES_TEST = """
    import pytest

    @pytest.mark.rightsize(task="upper", pass_rate=0.75, chosen="big")
    @pytest.mark.rightsize_cases("data/cases.{}")
    def test_upper(model, word, expected):
        assert model.ask(word) == expected
"""
LADDER = "--rightsize-ladder=tiny,small,big"
FILES = {
    "jsonl": "".join(json.dumps({"word": word, "expected": word.upper()}) + "\n" for word in "abcd"),
    "csv": "word,expected\n" + "".join(f"{word},{word.upper()}\n" for word in "abcd"),
    "tsv": "word\texpected\n" + "".join(f"{word}\t{word.upper()}\n" for word in "abcd"),
    "yaml": "".join(f"- word: {word}\n  expected: {word.upper()}\n" for word in "abcd"),
}


def write_cases(suite: pytest.Pytester, suffix: str, text: str) -> None:
    suite.makepyfile(test_suite=CASES_TEST.format(suffix))
    (suite.path / "data").mkdir(exist_ok=True)
    (suite.path / "data" / f"cases.{suffix}").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("suffix", FILES)
def test_rows_of_a_file_are_cases_with_readable_names(suite: pytest.Pytester, suffix: str) -> None:
    write_cases(suite, suffix, FILES[suffix])
    result = suite.runpytest(LADDER, "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(["upper *<3/4 *>=3/4[*] *small *OVER-SIZED"])
    cases = {trial.key.case for trial in read_run(suite.path / "run.jsonl").trials}
    assert cases == {f"test_suite.py::test_upper[{word}]" for word in "abcd"}


def test_rows_of_a_large_file_are_read_when_their_tests_run(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_files, "_LARGE_BYTES", 10)
    write_cases(suite, "jsonl", FILES["jsonl"])
    suite.makeconftest(
        """
        import pytest

        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(items):
            held = [dict.get(item.callspec.params, "word") for item in items]
            assert held.count("a") == 3 and len({type(word).__name__ for word in held}) == 2
        """
    )
    for options in ([LADDER], [LADDER, "--rightsize-concurrency=1", "--rightsize-cache=off"]):
        result = suite.runpytest_inprocess(*options)
        result.stdout.fnmatch_lines(["upper *<3/4 *>=3/4[*] *small *OVER-SIZED"])


def test_cases_need_no_ladder(suite: pytest.Pytester) -> None:
    write_cases(suite, "csv", FILES["csv"])
    assert suite.runpytest().parseoutcomes() == {"passed": 4}
    (suite.path / "rightsize.toml").unlink()
    suite.makepyfile(
        test_suite="""
        import pytest

        @pytest.mark.rightsize_cases("data/cases.csv", "data/more.csv")
        @pytest.mark.parametrize("times", [1, 2])
        def test_plain(word, times, tmp_path, request):
            assert word in ("a", "b", "c", "d", "e")
        """
    )
    (suite.path / "data" / "more.csv").write_text("word\ne\n", encoding="utf-8")
    result = suite.runpytest("-v", "--strict-markers")
    result.stdout.fnmatch_lines(["*::test_plain[[]*cases-a*[]] PASSED*", "*::test_plain[[]*more-e*[]] PASSED*"])
    assert result.parseoutcomes() == {"passed": 10}


@pytest.mark.parametrize(
    ("suffix", "text", "words"),
    [
        (
            "jsonl",
            '{"word": "a", "expectd": "A"}',
            "cases.jsonl:1, for test_suite.py::test_upper: unknown column 'expected'",
        ),
        ("jsonl", '{"word": "a", "expectd": "A"}', "did you mean 'expectd'? Known: word, expectd."),
        ("jsonl", '{"word": "a", "expected": "A"}\n\n{"word": "b"}', "cases.jsonl:3, for "),
        ("jsonl", '{"word": "a", "expected": "A"}\n{"word": \n', "cases.jsonl:2 is not JSON ("),
        ("jsonl", "[1]\n", "cases.jsonl:1 is no JSON object"),
        ("jsonl", '{"word": "a", "expected": NaN}', "cases.jsonl:1 is not JSON (NaN is no number of JSON)"),
        ("jsonl", '{"id": 1, "word": "a", "expected": "A"}\n' * 2, "cases.jsonl:2 has the id '1', as line 1 has"),
        ("jsonl", '{"word": "a", "expected": "A"}\n' * 2, "cases.jsonl:2 repeats line 1: remove it, or give both"),
        ("jsonl", "\n", "cases.jsonl has no cases: write one in each row"),
        ("csv", "word,expected\na\n", "cases.csv:2 has 1 cells, and the header has 2"),
        ("csv", "word,word\na,b\n", "cases.csv:1 has two columns 'word'"),
        ("csv", "", "cases.csv:1 has no header"),
        ("csv", 'word,expected\n"a\n', "cases.csv:2 is not CSV ("),
        ("yaml", "word: a\n", "cases.yaml is no list of cases: begin each with a dash"),
        ("yaml", "- word: a\n  expected: A\n- b\n", "cases.yaml:3 is no case: write its columns"),
        ("yaml", "- word: a\n expected: [\n", "cases.yaml:2 is not YAML ("),
        (
            "json",
            "{}",
            "cases.json is no file of cases: its name must end in .jsonl, .ndjson, .csv, .tsv, .yaml or .yml",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(tmp_path: Path, suffix: str, text: str, words: str) -> None:
    path = tmp_path / f"cases.{suffix}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_cases(path, ["word", "expected"], test="test_suite.py::test_upper")
    assert words in str(error.value)


def test_what_is_wrong_in_a_file_ends_the_session_in_one_line(suite: pytest.Pytester) -> None:
    write_cases(suite, "csv", "word,expected\na\n")
    result = suite.runpytest(LADDER)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*cases.csv:2 has 1 cells, and the header has 2: put a text that holds a comma in *"])
    assert "case_files.py" not in result.stdout.str()


def test_a_file_that_is_not_there_or_a_wrong_marker_is_told(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_suite=CASES_TEST.format("csv"))
    suite.runpytest().stdout.fnmatch_lines(
        ["*cases.csv is not there: a file of cases is looked up from the folder of*"]
    )
    for arguments, words in (("", "needs the name of a file"), ("file='x.csv'", "needs the name of a file")):
        suite.makepyfile(test_suite=f"import pytest\n@pytest.mark.rightsize_cases({arguments})\ndef test_a(word): pass")
        assert words in suite.runpytest().stdout.str()
    suite.makepyfile(test_suite="import pytest\n@pytest.mark.rightsize_cases('x.csv')\ndef test_a(tmp_path): pass")
    assert "takes no argument that could be one" in suite.runpytest().stdout.str()


def test_names_of_cases_are_ids_or_short_texts_that_differ(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    long = "The parcel that I ordered in the spring has not come yet, "
    rows = [
        {"id": "first", "text": long},
        {"text": long + "and it is autumn"},
        {"text": long + "and\nit is winter"},
        {"text": "short\ntext"},
        {"text": {"deep": 1}},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    names = [case.name for case in read_cases(path, ["text"], test="t")]
    assert names[0] == "first"
    assert names[1].startswith("The parcel that I ordered in the spring has not..~")
    assert len({*names}) == len(names)
    assert names[3:] == ["short text", '{"text": {"deep": 1}}']


def test_a_file_that_changes_while_its_tests_run_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"word": "a"}\n', encoding="utf-8")
    row = LazyRow(path, 1, 0, 14)
    assert row.read() == {"word": "a"}
    path.write_text("something else", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cases\.jsonl:1 has changed since the tests were collected"):
        row.read()


PROMPTS_TEST = """
    from pathlib import Path

    import pytest

    @pytest.mark.rightsize(task="upper", pass_rate=0.75, chosen="big")
    @pytest.mark.rightsize_prompts(plain="{}", polite=Path("polite.txt"))
    @pytest.mark.parametrize("word", ["a", "b", "c", "d"])
    def test_upper(model, prompt, word):
        assert model.ask(prompt.format(word)) == word.upper()
"""


@pytest.fixture
def prompts(suite: pytest.Pytester) -> pytest.Pytester:
    """Of two prompts, the polite one lets `tiny` pass all four cases."""
    suite.makepyfile(test_suite=PROMPTS_TEST)
    (suite.path / "polite.txt").write_text("please {}", encoding="utf-8")
    for rung, plain in (("tiny", "Abcd"), ("small", "ABCd"), ("big", "ABCD")):
        answers = dict(zip("abcd", plain, strict=True)) | {f"please {word}": word.upper() for word in "abcd"}
        record(suite.path / f"{rung}.jsonl", answers)
    return suite


def test_each_prompt_climbs_the_ladder_and_the_best_is_named(prompts: pytest.Pytester) -> None:
    result = prompts.runpytest(LADDER, "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(
        [
            "upper @ plain *small *OVER-SIZED",
            "upper @ polite *tiny *OVER-SIZED",
            "upper @ polite: this prompt lets a smaller model pass: tiny; plain needs small; the best of 2 prompts "
            "looks better than it is: its true rate may be as low as 29 %, and the bar is 75 %",
        ]
    )
    keys = {(trial.key.task, trial.key.case) for trial in read_run(prompts.path / "run.jsonl").trials}
    assert ("upper @ polite", "test_suite.py::test_upper[polite-a]") in keys
    assert len(keys) == 8


def test_a_table_of_the_task_counts_for_each_of_its_prompts(prompts: pytest.Pytester) -> None:
    with (prompts.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tasks.upper]\nprivate = true\nconfidence = 0.9\n[tasks."upper @ polite"]\npass_rate = 0.5\n')
    prompts.makepyfile(test_suite=PROMPTS_TEST.replace("pass_rate=0.75, ", ""))
    result = prompts.runpytest(LADDER, "--rightsize-results=run.jsonl")
    assert "no test has this task" not in result.stdout.str()
    plain, polite = read_run(prompts.path / "run.jsonl").policies.values()
    assert (plain.task, plain.private, plain.pass_rate, plain.confidence) == ("upper @ plain", True, 1.0, 0.95)
    assert (polite.task, polite.private, polite.pass_rate, polite.confidence) == ("upper @ polite", True, 0.5, 0.95)
    assert (plain.confidence_from, polite.pass_rate_from) == (
        "rightsize.toml [tasks.upper]",
        'rightsize.toml [tasks."upper @ polite"]',
    )


def test_prompts_need_no_ladder_and_go_with_cases_of_a_file(prompts: pytest.Pytester) -> None:
    write_cases(prompts, "csv", "word\na\nb\n")
    cases = PROMPTS_TEST.replace('parametrize("word", ["a", "b", "c", "d"])', 'rightsize_cases("data/cases.csv")')
    prompts.makepyfile(test_suite=cases)
    assert prompts.runpytest("--strict-markers").parseoutcomes() == {"passed": 4}


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ('"text"', 'needs a name for each prompt: write rightsize_prompts(v1="...", v2="...")'),
        ("", "needs a name for each prompt"),
        ('v1="x"', "gives the test a `prompt`, and it takes none: name it among its arguments"),
        ('v1=__import__("pathlib").Path("no.txt")', "gives the test a `prompt`"),
    ],
)
def test_a_wrong_marker_of_prompts_is_told(suite: pytest.Pytester, marker: str, words: str) -> None:
    suite.makepyfile(test_suite=f"import pytest\n@pytest.mark.rightsize_prompts({marker})\ndef test_a(model): pass")
    assert words in suite.runpytest().stdout.str()
