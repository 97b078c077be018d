"""Sessions whose tests ask from threads: each question is asked once, whoever asks it, and nothing is warned of."""

from collections import Counter

import pytest

from pytest_rightsize.results.results_file import read_run
from tests.running.test_suspension import LADDER, PROVIDER, asked

SUITE = """
    import asyncio, queue, threading
    from concurrent.futures import ThreadPoolExecutor
    import pytest

    @pytest.mark.parametrize("word", ["a", "b", "c"])
    def test_pool(model, word):
        prompts = [f"pool {word}{number}" for number in range(6)]
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(model.ask, prompts)) == [prompt.upper() for prompt in prompts]
        assert model.ask(f"after {word}") == f"AFTER {word.upper()}"

    def test_same_question(model):
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(model.ask, ["same"] * 4)) == ["SAME"] * 4

    def test_event_loop(model):
        async def ask_all():
            return await asyncio.gather(*(asyncio.to_thread(model.ask, f"loop {number}") for number in range(4)))
        assert asyncio.run(ask_all()) == [f"LOOP {number}" for number in range(4)]

    def test_a_thread_of_its_own(model):
        '''It waits for what the thread puts there: a thread that ended without would keep it for ever.'''
        told = queue.Queue()
        thread = threading.Thread(target=lambda: told.put(model.ask("queued")))
        thread.start()
        assert model.ask("beside") == "BESIDE"
        assert told.get() == "QUEUED"
        thread.join()

    @pytest.mark.parametrize("word", ["x", "y"])
    def test_in_parallel(model, word):
        assert model.ask(word) == word.upper()
"""
# As pytest-run-parallel does it: the function of each test runs in several threads at once.
PARALLEL = """
import threading

def pytest_itemcollected(item):
    if "parallel" not in item.name:
        return
    function = item.obj

    def in_threads(*args, **kwargs):
        errors = []
        barrier = threading.Barrier(3)

        def once():
            barrier.wait()
            try:
                function(*args, **kwargs)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=once) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    item.obj = in_threads
"""
ASKED = Counter(
    {
        **{f"pool {word}{number}": 1 for word in "abc" for number in range(6)},
        **{f"after {word}": 1 for word in "abc"},
        "same": 4,
        **{f"loop {number}": 1 for number in range(4)},
        "queued": 1,
        "beside": 1,
        "x": 3,
        "y": 3,
    }
)


@pytest.mark.parametrize("options", [(), ("--rightsize-concurrency=1",)])
def test_each_question_of_each_thread_is_asked_once(options: tuple[str, ...], pytester: pytest.Pytester) -> None:
    pytester.makeconftest(PROVIDER + PARALLEL)
    pytester.makefile(".toml", rightsize=LADDER.replace("together = 4", "together = 4\ndelay_ms = 20"))
    pytester.makepyfile(test_it=SUITE)
    arguments = ("--rightsize-ladder=gate,gate2", "--rightsize-strategy=full", "--rightsize-results=run.jsonl")
    result = pytester.runpytest(*arguments, "-Werror::pytest.PytestUnhandledThreadExceptionWarning", *options)
    result.assert_outcomes(passed=16)
    run = read_run(pytester.path / "run.jsonl")
    assert {trial.outcome for trial in run.trials} == {"passed"}
    counts = {(trial.key.task.partition("test_")[2].rpartition("test_")[2], len(trial.answers)) for trial in run.trials}
    assert counts == {
        ("pool", 7),
        ("same_question", 4),
        ("event_loop", 4),
        ("a_thread_of_its_own", 2),
        ("in_parallel", 3),
    }
    assert Counter(asked(pytester)) == {prompt: 2 * count for prompt, count in ASKED.items()}


def test_a_model_of_another_test_is_an_error_in_words(pytester: pytest.Pytester) -> None:
    """It is on another rung, or of another case: its answers would be counted for nobody."""
    pytester.makeconftest(PROVIDER)
    pytester.makefile(".toml", rightsize=LADDER.replace("together = 4", "together = 1"))
    pytester.makepyfile(
        """
        import pytest
        kept = []

        @pytest.mark.parametrize("word", ["a", "b"])
        def test_it(model, word):
            kept.append(model)
            assert model.ask(word) == word.upper()
            assert kept[0].ask(word) == word.upper()
        """
    )
    arguments = ("--rightsize-ladder=gate", "--rightsize-results=run.jsonl", "--rightsize-concurrency=1")
    result = pytester.runpytest(*arguments)
    result.stdout.fnmatch_lines(["*RuntimeError: *test_it[[]*a] has ended, and its model is asked no more: *"])
    outcomes = {
        trial.key.case[-2]: (trial.outcome, trial.reason) for trial in read_run(pytester.path / "run.jsonl").trials
    }
    assert outcomes == {"a": ("passed", None), "b": ("error", "test")}
