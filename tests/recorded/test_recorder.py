"""Sessions that record what they are told, and do not ask twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.results.results_file import read_run
from tests.providers.openai.endpoint import Answering, Endpoint, completion, serve

LADDER = "--rightsize-ladder=small,big"
# What is settled early depends on which answers come first; in full, every trial runs.
FULL = "--rightsize-strategy=full"
SUITE = """
    import pytest

    @pytest.mark.rightsize(task="upper", pass_rate=0.75)
    @pytest.mark.parametrize("word", ["alpha", "beta", "gamma", "delta"])
    def test_upper(model, word):
        assert model.ask(f"Shout {word}") == word.upper()
"""


def rungs(url: str, *, temperature: float | None = None) -> str:
    settings = "" if temperature is None else f"temperature = {temperature}"
    return "\n".join(
        f'[ladder.{name}]\nprovider = "openai"\nbase_url = "{url}"\nmodel = "{name}"\nretries = 0\n{settings}'
        for name in ("small", "big")
    )


def shouting(asked: dict[str, Any]) -> Answering:
    """`small` knows two words of four, `big` all."""
    word = asked["messages"][-1]["content"].split()[-1]
    knows = asked["model"] == "big" or word in ("alpha", "beta")
    return Answering(body=completion(word.upper() if knows else word))


@pytest.fixture
def served(pytester: pytest.Pytester) -> Any:
    """The suite, and the endpoint that both rungs are on."""
    pytester.makepyfile(test_suite=SUITE)
    with serve(shouting) as endpoint:
        pytester.makefile(".toml", rightsize=rungs(endpoint.url))
        yield pytester, endpoint


def answers(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [answer for line in lines if line["kind"] == "trial" for answer in line["answers"]]


def test_a_second_session_asks_nobody_and_concludes_the_same(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, endpoint = served
    first = pytester.runpytest(LADDER, FULL, "--rightsize-results=one.jsonl")
    first.stdout.fnmatch_lines(["upper   2/4      4/4[*] *"])
    assert len(endpoint.requests) == 8
    second = pytester.runpytest(LADDER, FULL, "--rightsize-results=two.jsonl")
    second.stdout.fnmatch_lines(["upper   2/4      4/4[*] *"])
    assert len(endpoint.requests) == 8
    fresh, cached = answers(pytester.path / "one.jsonl"), answers(pytester.path / "two.jsonl")
    assert not any(answer["cached"] for answer in fresh)
    assert all(answer["cached"] and answer["recorded"].startswith("20") for answer in cached)
    kept = ("text", "tokens", "seconds", "energy", "finish_reason")
    for answer in fresh:
        answer["energy"] = answer["energy"] and {**answer["energy"], "replayed": True}
    assert sorted(([one[name] for name in kept] for one in cached), key=str) == sorted(
        ([one[name] for name in kept] for one in fresh), key=str
    )


def test_workers_of_xdist_record_too(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, endpoint = served
    pytester.runpytest(LADDER, FULL, "-n2")
    assert len(endpoint.requests) == 8
    pytester.runpytest(LADDER, FULL).stdout.fnmatch_lines(["upper   2/4      4/4[*] *"])
    assert len(endpoint.requests) == 8


def test_off_neither_looks_up_nor_records(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, endpoint = served
    pytester.runpytest(LADDER, FULL, "--rightsize-cache=off")
    assert not (pytester.path / ".rightsize").exists()
    pytester.runpytest(LADDER, FULL)
    pytester.runpytest(LADDER, FULL, "--rightsize-cache=off")
    assert len(endpoint.requests) == 24


def test_refresh_asks_again_and_records(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, endpoint = served
    pytester.runpytest(LADDER, FULL)
    pytester.makefile(".toml", rightsize=rungs(endpoint.url).replace('"small"', '"small"'))
    pytester.runpytest(LADDER, FULL, "--rightsize-cache=refresh")
    assert len(endpoint.requests) == 16
    pytester.runpytest(LADDER, FULL)
    assert len(endpoint.requests) == 16


def test_another_model_or_setting_is_asked_anew(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, endpoint = served
    pytester.runpytest(LADDER, FULL)
    pytester.makefile(".toml", rightsize=rungs(endpoint.url, temperature=0.5))
    pytester.runpytest(LADDER, FULL)
    assert len(endpoint.requests) == 16


def test_samples_and_repetitions_are_draws_of_their_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.rightsize(task="draws", samples=2)
        @pytest.mark.parametrize("again", [0, 1])
        def test_draws(model, again, request):
            heard = model.ask("a number"), model.ask("a number")
            with open("heard.txt", "a") as file:
                print(request.node.name, *heard, file=file)
        """
    )
    drawn = iter(range(1000))
    with serve(lambda _: Answering(body=completion(str(next(drawn))))) as endpoint:
        pytester.makefile(".toml", rightsize=rungs(endpoint.url))
        for _ in range(2):
            pytester.runpytest("--rightsize-ladder=big")
    heard = sorted((pytester.path / "heard.txt").read_text(encoding="utf-8").splitlines())
    assert len(endpoint.requests) == 8
    assert sorted(int(number) for line in heard[::2] for number in line.split()[1:]) == list(range(8))
    assert heard[::2] == heard[1::2]


def test_a_renamed_test_is_not_asked_again(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, endpoint = served
    pytester.runpytest(LADDER, FULL)
    pytester.makepyfile(
        test_suite=SUITE.replace("def test_upper", "def test_shout").replace('["alpha', '["omega", "alpha')
    )
    pytester.runpytest(LADDER, FULL).stdout.fnmatch_lines(["upper   2/5      5/5[*] *"])
    assert len(endpoint.requests) == 10


def test_faults_and_refusals_are_not_recorded(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_suite=SUITE)
    replies = {
        "alpha": Answering(body=completion("ALPHA")),
        "beta": Answering(status=500, body={}),
        "gamma": Answering(body=completion("", finish_reason="content_filter")),
        "delta": Answering(body=completion(None, refusal="I cannot")),
    }
    with serve(lambda asked: replies[asked["messages"][-1]["content"].split()[-1]]) as endpoint:
        pytester.makefile(".toml", rightsize=rungs(endpoint.url))
        pytester.runpytest("--rightsize-ladder=big")
        pytester.runpytest("--rightsize-ladder=big")
    asked = [request["messages"][-1]["content"].split()[-1] for request in endpoint.requests]
    assert {word: asked.count(word) for word in replies} == {"alpha": 1, "beta": 2, "gamma": 2, "delta": 2}


@pytest.mark.parametrize("end", ["abort", "cancelled", "error"])
def test_an_answer_that_was_cut_off_by_an_interrupt_is_not_recorded(pytester: pytest.Pytester, end: str) -> None:
    pytester.makepyfile(test_suite="def test_it(model): assert model.ask('x')")
    with serve(lambda _: Answering(body=completion("half an ans", finish_reason=end))) as endpoint:
        pytester.makefile(".toml", rightsize=rungs(endpoint.url))
        for _ in range(2):
            pytester.runpytest("--rightsize-ladder=big")
    assert len(endpoint.requests) == 2


def test_replay_needs_neither_server_nor_key(
    served: tuple[pytest.Pytester, Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester, endpoint = served
    table = rungs(endpoint.url) + '\napi_key_env = "SOME_KEY"'
    pytester.makefile(".toml", rightsize=table)
    monkeypatch.setenv("SOME_KEY", "k-1234567")
    pytester.runpytest(LADDER, FULL)
    monkeypatch.delenv("SOME_KEY")
    result = pytester.runpytest(LADDER, FULL, "--rightsize-cache=replay", "--rightsize-gate=none")
    result.stdout.fnmatch_lines(["upper   2/4      4/4[*] *"])
    assert result.ret == pytest.ExitCode.OK
    assert len(endpoint.requests) == 8


def test_replay_names_the_test_and_shows_the_nearest_prompt(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, endpoint = served
    pytester.runpytest(LADDER, FULL)
    changed = SUITE.replace("Shout {word}", "Shout in one word {word}")
    pytester.makepyfile(test_suite=changed)
    result = pytester.runpytest(LADDER, FULL, "--rightsize-cache=replay")
    result.stdout.fnmatch_lines(
        [
            "rightsize: test_suite.py::test_upper?small-alpha?: no recorded answer of the rung 'small' in *.rightsize. "
            "The nearest recorded one differs:",
            "    -user: Shout alpha",
            "    +user: Shout in one word alpha",
            "Record it with --rightsize-cache=auto, where the model is. (4 answers did not come)",
        ]
    )
    # The first miss of each rung is told, and how many there are: the rung is not down, others may be there.
    assert str(result.stdout).count("The nearest recorded one differs:") == 2
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(endpoint.requests) == 8


def test_replay_shows_which_setting_differs(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, endpoint = served
    pytester.runpytest(LADDER, FULL)
    pytester.makefile(".toml", rightsize=rungs(endpoint.url, temperature=0.5).replace('model = "big"', 'model = "b2"'))
    result = pytester.runpytest(LADDER, FULL, "--rightsize-cache=replay")
    result.stdout.fnmatch_lines(["*temperature: recorded with null, asked with 0.5"])
    result.stdout.fnmatch_lines(['*the rung\'s model: was "big", is "b2"'])


def test_replay_without_a_recording_is_told_before_any_test(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, _ = served
    result = pytester.runpytest(LADDER, FULL, "--rightsize-cache=replay")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--rightsize-cache=replay finds no recorded answers in" in str(result.stderr)


def test_a_recording_travels_to_a_machine_without_models(
    served: tuple[pytest.Pytester, Endpoint], capsys: pytest.CaptureFixture[str]
) -> None:
    pytester, endpoint = served
    pytester.runpytest(LADDER, FULL)
    assert main(["cache", "export", "answers.jsonl"]) == 0
    assert main(["cache", "import", "answers.jsonl", "--dir", "elsewhere"]) == 0
    assert main(["cache", "export", "again.jsonl", "--dir", "elsewhere"]) == 0
    exported = (pytester.path / "answers.jsonl").read_text(encoding="utf-8")
    assert (pytester.path / "again.jsonl").read_text(encoding="utf-8") == exported
    assert "8 answers are new of the 8" in capsys.readouterr().out
    result = pytester.runpytest(LADDER, FULL, "--rightsize-cache=replay", "--rightsize-cache-dir=elsewhere")
    result.stdout.fnmatch_lines(["upper   2/4      4/4[*] *"])
    assert len(endpoint.requests) == 8


def test_stat_counts_and_prune_removes(
    served: tuple[pytest.Pytester, Endpoint], capsys: pytest.CaptureFixture[str]
) -> None:
    pytester, _ = served
    pytester.runpytest(LADDER, FULL)
    capsys.readouterr()
    assert main(["cache", "stat"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].split()[:3] == ["big", "4", "36"]
    assert main(["cache", "prune", "--rung", "small"]) == 0
    assert main(["cache", "prune", "--older-than", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == ["4 answers removed", "0 answers removed"]
    assert main(["cache", "prune"]) == 2
    assert "was not told what to remove" in capsys.readouterr().err
    assert main(["cache", "prune", "--all"]) == 0
    assert capsys.readouterr().out == "4 answers removed\n"


def test_a_wrong_line_is_told_and_nothing_is_imported(
    pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    pytester.path.joinpath("answers.jsonl").write_text("{}\n", encoding="utf-8")
    assert main(["cache", "import", "answers.jsonl"]) == 2
    assert "answers.jsonl:1: this line of recorded answers is neither of the kind" in capsys.readouterr().err
    assert not (pytester.path / ".rightsize").exists()


def test_a_folder_that_cannot_be_written_ends_only_the_recording(served: tuple[pytest.Pytester, Endpoint]) -> None:
    pytester, endpoint = served
    pytester.path.joinpath(".rightsize").touch()
    result = pytester.runpytest(LADDER, FULL)
    result.stdout.fnmatch_lines(["rightsize: answers cannot be recorded in *", "upper   2/4      4/4[*] *"])
    assert str(result.stdout).count("answers cannot be recorded in") == 1
    assert len(endpoint.requests) == 8


def test_a_folder_that_was_asked_for_and_cannot_be_written_is_a_usage_error(
    served: tuple[pytest.Pytester, Endpoint],
) -> None:
    pytester, endpoint = served
    pytester.path.joinpath("file").touch()
    result = pytester.runpytest(LADDER, FULL, "--rightsize-cache-dir=file/cache")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "make it writable, or give another folder in --rightsize-cache-dir" in str(result.stderr)
    assert not endpoint.requests


def test_an_unknown_mode_is_refused(served: tuple[pytest.Pytester, Endpoint]) -> None:
    result = served[0].runpytest(LADDER, FULL, "--rightsize-cache=reply")
    assert "--rightsize-cache: unknown name 'reply': did you mean 'replay'?" in str(result.stderr)


def test_recorded_answers_need_no_folder_where_nothing_is_asked(suite: pytest.Pytester) -> None:
    suite.runpytest("--rightsize-ladder=tiny,small,big")
    assert not (suite.path / ".rightsize").exists()
    assert suite.runpytest("--rightsize-ladder=tiny", "--rightsize-results=r.jsonl").ret is not None
    assert not read_run(suite.path / "r.jsonl").interrupted
