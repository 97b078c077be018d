"""What is settled is completed from recorded answers: they are free, and then nothing depends on the order."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run
from pytest_rightsize.results.results_file import read_run
from tests.providers.openai.endpoint import Answering, Endpoint, completion, serve

LADDER = (
    *("--rightsize-ladder=tiny,small,big", "--rightsize-gate=none", "--rightsize-concurrency=1"),
    "--rightsize-savings=none",
)
KNOWN = {"tiny": "a", "small": "abcdefg", "big": "abcdefgh"}
SUITE = """
    import pytest

    @pytest.mark.rightsize(task="upper", pass_rate=0.75, chosen="big")
    @pytest.mark.parametrize("word", [*"hgfedcba"])
    def test_upper(model, word):
        assert model.ask(word) == word.upper()
"""


def answer(asked: dict[str, Any]) -> Answering:
    word = asked["messages"][-1]["content"].split()[-1]
    return Answering(body=completion(word.upper() if word in KNOWN[asked["model"]] else word))


@pytest.fixture
def served(pytester: pytest.Pytester) -> Iterator[tuple[pytest.Pytester, Endpoint]]:
    """Eight cases on three rungs of one endpoint."""
    pytester.makepyfile(test_suite=SUITE)
    with serve(answer) as endpoint:
        pytester.makefile(".toml", rightsize=ladder(endpoint.url))
        yield pytester, endpoint


def ladder(url: str) -> str:
    return "\n".join(
        f'[ladder.{name}]\nprovider = "openai"\nbase_url = "{url}"\nmodel = "{name}"\nretries = 0'
        for name in ("tiny", "small", "big")
    )


def run_session(pytester: pytest.Pytester, *options: str) -> Run:
    """The run of a session with these options beside the ladder."""
    path = pytester.path / "run.jsonl"
    path.unlink(missing_ok=True)
    result = pytester.runpytest(*LADDER, f"--rightsize-results={path}", *options)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    return read_run(path)


def outcomes(run: Run) -> dict[str, str]:
    """The outcomes of each rung in the order of the cases: `1` passed, `0` failed, `-` not run."""
    marks = {"passed": "1", "failed": "0", "not_run": "-", "error": "E"}
    return {
        rung.name: "".join(
            marks[trial.outcome] for trial in sorted(run.trials, key=lambda one: one.key) if trial.key.rung == rung.name
        )
        for rung in run.rungs
    }


def test_a_climb_over_recorded_answers_reports_what_full_reported_and_asks_nobody(
    served: tuple[pytest.Pytester, Endpoint],
) -> None:
    pytester, endpoint = served
    full = run_session(pytester, "--rightsize-strategy=full")
    assert len(endpoint.requests) == 24
    assert outcomes(full) == {"tiny": "10000000", "small": "11111110", "big": "11111111"}
    for options in ((), ("--rightsize-strategy=bisect",), ("--rightsize-concurrency=8",), ("-n1",)):
        again = run_session(pytester, *options)
        assert outcomes(again) == outcomes(full), options
        assert [verdict.standing for verdict in judge(again)] == [verdict.standing for verdict in judge(full)]
    assert len(endpoint.requests) == 24


def test_the_order_of_the_tests_changes_nothing_where_all_is_recorded(
    served: tuple[pytest.Pytester, Endpoint],
) -> None:
    pytester, _ = served
    full = run_session(pytester, "--rightsize-strategy=full")
    pytester.makepyfile(test_suite=SUITE.replace("hgfedcba", "cadbehgf"))
    assert outcomes(run_session(pytester)) == outcomes(full)


def test_what_is_not_recorded_stays_settled(served: tuple[pytest.Pytester, Endpoint]) -> None:
    """A climb asks three of tiny and seven of small; nothing more is asked when it is repeated."""
    pytester, endpoint = served
    first = run_session(pytester)
    asked = len(endpoint.requests)
    assert outcomes(first) == {"tiny": "-----000", "small": "-1111110", "big": "--------"}
    again = run_session(pytester)
    assert outcomes(again) == outcomes(first)
    assert len(endpoint.requests) == asked
    assert {trial.reason for trial in again.trials if trial.outcome == "not_run"} == {"settled"}


def test_the_chosen_rung_is_completed_and_what_the_smaller_one_saves_is_measured(
    served: tuple[pytest.Pytester, Endpoint],
) -> None:
    pytester, endpoint = served
    with (pytester.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write("\nprice = { prompt = 100, completion = 1000 }\n")
    text = (pytester.path / "rightsize.toml").read_text(encoding="utf-8")
    priced = text.replace('model = "small"', 'model = "small"\nprice = { prompt = 1, completion = 10 }')
    (pytester.path / "rightsize.toml").write_text(priced, encoding="utf-8")
    result = pytester.runpytest(*LADDER)
    result.stdout.fnmatch_lines(
        ["upper: small instead of big saves about $* (estimate, as big was not run: its price at the token *"]
    )
    pytester.runpytest(*LADDER, "--rightsize-strategy=full")
    count = len(endpoint.requests)
    result = pytester.runpytest(*LADDER)
    result.stdout.fnmatch_lines(["upper: small instead of big saves $2.67 per 1,000 cases (95 % interval *"])
    assert len(endpoint.requests) == count


def test_what_was_asked_for_savings_is_recorded_and_not_asked_again(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, endpoint = served
    first = run_session(pytester, "--rightsize-savings=sample")
    asked = len(endpoint.requests)
    assert outcomes(first)["big"] == "--------"
    assert sum(trial.sampled is not None for trial in first.trials) == 7  # those that small answered
    again = run_session(pytester, "--rightsize-savings=sample")
    assert len(endpoint.requests) == asked
    # What is recorded is more data on its rung, and changes no verdict.
    assert outcomes(again)["big"] == "-1111111"
    for run in (first, again):
        (verdict,) = judge(run)
        assert (verdict.verdict, verdict.smallest) == ("over-sized", "small")


def test_a_test_of_two_questions_is_completed_only_if_both_are_recorded(
    served: tuple[pytest.Pytester, Endpoint],
) -> None:
    pytester, endpoint = served
    two = SUITE.replace("assert model", "first = model.ask(f'x {word}')\n        assert model")
    pytester.makepyfile(test_suite=two)
    run_session(pytester, "--rightsize-strategy=full")
    changed = two.replace("model.ask(word)", "model.ask(word if word in 'hgf' else f'other {word}')")
    pytester.makepyfile(test_suite=changed)
    count = len(endpoint.requests)
    run = run_session(pytester)
    # tiny fails three of three, whose second question is recorded; the others end at theirs.
    assert outcomes(run)["tiny"] == "-----000"
    assert all(not trial.answers for trial in run.trials if trial.outcome == "not_run")
    assert outcomes(run)["big"] == "-----111"
    assert {request["model"] for request in endpoint.requests[count:]} == {"small"}


@pytest.mark.parametrize(
    "body",
    [
        # Swallowed, judged otherwise, or broken: a test that need not have run does no harm.
        "try:\n            model.ask(f'new {word}')\n        except BaseException:\n            pass",
        "try:\n            model.ask(f'new {word}')\n        finally:\n            assert word == 'never'",
        "raise OSError('no network here')",
    ],
)
def test_a_settled_test_that_breaks_is_still_settled(served: tuple[pytest.Pytester, Endpoint], body: str) -> None:
    pytester, endpoint = served
    run_session(pytester, "--rightsize-strategy=full")
    lines = "\n            ".join(["if model.rung == 'big':", *body.split("\n        "), "return"])
    broken = SUITE.replace("assert model", f"{lines}\n        assert model")
    pytester.makepyfile(test_suite=broken)
    count = len(endpoint.requests)
    run = run_session(pytester)
    assert outcomes(run)["big"] == "--------"
    assert outcomes(run)["small"] == "11111110"
    assert len(endpoint.requests) == count


def test_a_fixture_that_breaks_in_a_settled_test_is_no_error_either(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, _ = served
    run_session(pytester, "--rightsize-strategy=full")
    fixture = (
        "@pytest.fixture\n    def broken(model):\n        assert model.rung != 'big'\n\n    @pytest.mark.rightsize"
    )
    changed = SUITE.replace("@pytest.mark.rightsize", fixture).replace("(model, word)", "(model, broken, word)")
    pytester.makepyfile(test_suite=changed)
    assert outcomes(run_session(pytester)) == {"tiny": "10000000", "small": "11111110", "big": "--------"}


def test_a_settled_test_does_not_start_where_its_rung_has_no_recorded_answer(
    served: tuple[pytest.Pytester, Endpoint],
) -> None:
    pytester, _ = served
    pytester.makepyfile(
        test_suite=SUITE.replace("model, word):", "model, word):\n        open('started', 'a').write(f'{model.rung} ')")
    )
    run_session(pytester)
    run_session(pytester)
    assert "big" not in (pytester.path / "started").read_text(encoding="utf-8").split()


@pytest.mark.parametrize("mode", ["off", "refresh"])
def test_without_recorded_answers_nothing_is_completed(served: tuple[pytest.Pytester, Endpoint], mode: str) -> None:
    pytester, _ = served
    run_session(pytester, "--rightsize-strategy=full")
    assert outcomes(run_session(pytester, f"--rightsize-cache={mode}"))["big"] == "--------"


def test_a_replay_without_the_models_completes_too(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, endpoint = served
    run_session(pytester, "--rightsize-strategy=full")
    count = len(endpoint.requests)
    run = run_session(pytester, "--rightsize-cache=replay")
    assert outcomes(run)["big"] == "11111111"
    assert len(endpoint.requests) == count


def test_only_what_is_asked_is_noted_as_asked(served: tuple[pytest.Pytester, Endpoint], tmp_path: Path) -> None:
    """A rung whose recorded answers were used was not asked: a crash says nothing of it."""
    pytester, _ = served
    run_session(pytester, "--rightsize-strategy=full")
    pytester.makeconftest(
        f"""
        import pathlib
        def pytest_sessionfinish():
            notes = [*pathlib.Path(".rightsize").glob("asking-*")]
            pathlib.Path({str(tmp_path / "notes")!r}).write_text("".join(note.read_text() for note in notes))
        """
    )
    run_session(pytester)
    assert "big" not in (tmp_path / "notes").read_text(encoding="utf-8").split()
