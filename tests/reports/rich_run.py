"""A run with everything that a report may have to show.

It has energy, reasoning, money, samples, a conversation, faults, trials that were not run, and hostile answers that try
to break out of the page.
"""

from collections.abc import Collection, Iterator
from random import Random

from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.records import AnswerRecord, Policy, Price, Run, Rung, Strategy, Tokens, Trial, TrialKey

__all__ = ["HOSTILE", "large_run", "rich_run"]

HOSTILE = (
    "<script>window.broken = 1</script></script><img src=x onerror='window.broken = 1'><!--",
    "[click](javascript:window.broken=1) <a href='javascript:window.broken=1'>x</a>",
    "right\u202eto left\u202c, nul \x00, bell \x07, zero\u200bwidth, lone \ud800 surrogate",
    "]]> {{ 7 * 7 }} {% raw %} ${window.broken = 1} &lt;b&gt;",
    "",
)
RUNGS = (
    Rung(name="1b", provider="llama_cpp", model="models/1b.gguf", params_b=1.0),
    Rung(name="4b", provider="llama_cpp", model="models/4b.gguf", params_b=4.0),
    Rung(name="30b", provider="openai", model="Qwen/Qwen3-30B-A3B", params_b=30.5, active_b=3.3),
    Rung(name="frontier", provider="openai", model="gpt-5", price=Price(prompt=1.25, completion=10.0)),
)
# Task: the bar, what is chosen, and how often each rung is right.
_TASKS: dict[str, tuple[float, str | None, tuple[float, ...]]] = {
    "route-ticket": (0.9, "frontier", (0.74, 0.97, 0.97, 0.99)),
    "extract-invoice": (0.85, "frontier", (0.4, 0.93, 0.95, 0.97)),
    "summarise-call": (0.8, "30b", (0.3, 0.6, 0.9, 0.93)),
    "classify-intent": (0.9, "30b", (0.96, 0.97, 0.98, 0.98)),
    "write-sql": (0.7, "4b", (0.1, 0.45, 0.8, 0.9)),
    "prove-lemma": (0.6, "frontier", (0.0, 0.05, 0.2, 0.4)),
    "translate-note": (0.8, "4b", (0.9, 0.92, 0.95, 0.95)),
    "check-policy": (0.8, "30b", (0.5, 0.85, 0.9, 0.95)),
    "sort-mail": (0.75, None, (0.8, 0.9, 0.9, 0.9)),
}
_WORDS = ("the", "ticket", "asks", "for", "a", "refund", "because", "the", "parcel", "was", "late")


def rich_run(*, strategy: Strategy = "full", cases: int = 30, tasks: Collection[str] = tuple(_TASKS)) -> Run:
    """The run, the same every time: of these tasks, beside the odd one."""
    random = Random(6)
    trials = [
        _trial(random, task, case, place, rate)
        for task, (_, _, rates) in _TASKS.items()
        if task in tasks
        for case in range(cases)
        for place, rate in enumerate(rates)
    ]
    return _run([*trials, *_odd_trials()], strategy)


def _run(trials: list[Trial], strategy: Strategy) -> Run:
    planned: dict[tuple[str, str], int] = {}
    for trial in trials:
        place = (trial.key.task, trial.key.rung)
        planned[place] = planned.get(place, 0) + 1
    bars = {task: (bar, chosen) for task, (bar, chosen, _) in _TASKS.items()}
    return Run(
        rungs=RUNGS,
        trials=trials,
        policies={
            task: Policy(
                task=task,
                pass_rate=bars.get(task, (0.8, None))[0],
                chosen=bars.get(task, (0.8, "4b"))[1],
                chosen_from=f"chosen of {task}",
                test_at=f"tests/test_{task.replace('-', '_')[:20]}.py:12".replace("<", "_"),
                chosen_at="rightsize.toml:31",
                pass_rate_from="--rightsize-pass-rate" if task == "sort-mail" else "marker",
            )
            for task in dict.fromkeys(trial.key.task for trial in trials)
        },
        planned=planned,
        strategy=strategy,
        about={
            "started": "2026-11-24T12:00:00+00:00",
            "commit": "4f1c2b7",
            "machine": {"system": "Linux", "processor": "Example CPU", "cores": 8},
            "versions": {"python": "3.13.1", "pytest": "9.2.0", "pytest-rightsize": "0.1.0"},
            "identities": {
                "1b": {"provider": "llama_cpp", "sha256": ["9f2c" * 16], "engine": "llama-cpp-python 0.3.36"},
                "frontier": {"provider": "openai", "model": "gpt-5"},
            },
            "settings": {"strategy": strategy, "samples": 1, "gate": ["oversized"]},
        },
    )


def _trial(random: Random, task: str, case: int, place: int, rate: float) -> Trial:
    rung = RUNGS[place]
    passed = random.random() < rate
    key = TrialKey(task=task, case=f"tests/test_{task}.py::test_answer[case {case:03}-queue]", rung=rung.name)
    text = " ".join(random.choice(_WORDS) for _ in range(6))
    wanted = f"Answer to case {case} of {task}: refund"
    reasoning = random.randrange(40, 400) if place == 2 else 0
    answer = _answer(random, place, wanted if passed else f"{wanted[:-6]}{text}", reasoning, f"{task}: {case}?")
    if passed:
        return Trial(key=key, outcome="passed", answers=(answer,), seconds=answer.seconds)
    detail = f"assert {answer.text!r} == {wanted!r}"
    return Trial(key=key, outcome="failed", reason="wrong", detail=detail, answers=(answer,), seconds=answer.seconds)


def _answer(random: Random, place: int, text: str, reasoning: int, prompt: str) -> AnswerRecord:
    tokens = Tokens(prompt=60 + random.randrange(20), completion=12 + reasoning, reasoning=reasoning, source="reported")
    return AnswerRecord(
        text=text,
        messages=({"role": "system", "content": "Answer in one line."}, {"role": "user", "content": prompt}),
        reasoning="First, what is asked? " * 5 if reasoning else None,
        tokens=tokens,
        seconds=(0.2, 0.5, 1.4, 0.9)[place] * random.uniform(0.8, 1.3),
        energy=_energy((0.8, 2.1, 9.5, 41.0)[place] * random.uniform(0.8, 1.2) * (1 + reasoning / 300)),
        cost_usd=RUNGS[place].price.cost_usd(tokens) if RUNGS[place].price else None,  # type: ignore[union-attr]  # asked just before
        finish_reason="stop",
    )


def _energy(joules: float) -> Energy:
    return Energy(
        joules=joules,
        low=joules * 0.94,
        high=joules * 1.06,
        provenance="measured",
        boundary=frozenset({"gpu.board"}),
        meter="nvml",
        devices=("GPU-1",),
    )


def _odd_trials() -> Iterator[Trial]:
    """A task of hostile answers and faults, on all rungs; its very name is hostile."""
    task = "<b>odd</b> \u202ename"
    for number, text in enumerate(HOSTILE):
        key = TrialKey(task=task, case=f"test_odd.py::test_odd[{number} </script> {text[:12]}]", rung="1b")
        answer = AnswerRecord(
            text=text,
            messages=({"role": "user", "content": text or "empty"},),
            energy=unknown_energy("the counter was reset"),
            tool_calls=({"type": "function", "function": {"name": "look", "arguments": text}},),
        )
        yield Trial(key=key, outcome="failed", reason="format", detail=text, answers=(answer,))
    key = TrialKey(task=task, case="test_odd.py::test_talk", rung="4b")
    first = ({"role": "user", "content": "What is 2 + 2?"},)
    second = (*first, {"role": "assistant", "content": "4"}, {"role": "user", "content": "And twice that?"})
    for sample, outcome in enumerate(("passed", "failed")):
        answers = (AnswerRecord(text="4", messages=first), AnswerRecord(text=str(8 - sample), messages=second))
        yield Trial(
            key=TrialKey(task=key.task, case=key.case, rung="4b", sample=sample),
            outcome="passed" if outcome == "passed" else "failed",
            reason=None if outcome == "passed" else "wrong",
            answers=answers,
        )
    yield Trial(
        key=TrialKey(task=task, case=key.case, rung="30b"), outcome="error", reason="transport", detail="refused"
    )
    yield Trial(
        key=TrialKey(task=task, case=key.case, rung="frontier"), outcome="not_run", reason="settled", detail="settled"
    )


def large_run(*, cases: int, answer_words: int = 60) -> Run:
    """`cases` cases of ten tasks on four rungs, every answer another text of ordinary words."""
    random = Random(7)
    vocabulary = [
        "".join(random.choice("bcdfglmnprst") + random.choice("aeiou") for _ in range(3)) for _ in range(4000)
    ]
    tasks = [*_TASKS, "answer-mail"]

    def words(number: int) -> str:
        return " ".join(random.choices(vocabulary, k=number))

    trials = []
    for case in range(cases):
        task = tasks[case % len(tasks)]
        prompt = ({"role": "system", "content": f"You work on {task}."}, {"role": "user", "content": words(40)})
        for place, rung in enumerate(RUNGS):
            passed = random.random() < 0.5 + place / 8
            key = TrialKey(task=task, case=f"tests/test_large.py::test_{task}[{case:05}]", rung=rung.name)
            tokens = Tokens(prompt=55, completion=answer_words, reasoning=0, source="reported")
            answer = AnswerRecord(
                text=words(answer_words),
                messages=prompt,
                tokens=tokens,
                seconds=1.0,
                energy=_energy(2.0 + place),
            )
            reason, detail = (None, None) if passed else ("wrong", f"assert {answer.text[:60]!r} == 'x'")
            trials.append(
                Trial(
                    key=key,
                    outcome="passed" if passed else "failed",
                    reason=reason,
                    detail=detail,
                    answers=(answer,),
                )
            )
    return _run(trials, "full")
