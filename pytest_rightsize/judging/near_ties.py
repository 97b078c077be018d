"""Notes on verdicts that hang on near ties: greedy answers of a local model that its neighbours may have decided. Pure.

A batch in which several prompts are read changes the order of sums, and moves logits a little. Where the two likeliest
tokens were closer than that, the same question alone may get another answer.
"""

from collections.abc import Mapping, Sequence

from pytest_rightsize.records import Policy, Rung, Trial
from pytest_rightsize.verdict_records import Standing

__all__ = ["NEAR_TIE_LOGITS", "near_tie_notes"]

# Measured on SmolLM2 135M Q4_1, 16 answers in flight and alone: those whose margin in flight was above 0.03 were equal
# alone, margin included. Rarely a logit moves further: by 0.5 there, by 1.06 on Gemma 3 270M.
NEAR_TIE_LOGITS = 0.1


def near_tie_notes(
    policy: Policy, trials: Sequence[Trial], standing: Mapping[str, Standing], rungs: Sequence[Rung]
) -> list[str]:
    """A note for each rung whose state would be another one if its near ties had fallen the other way."""
    notes = []
    for rung in rungs:
        found = standing.get(rung.name)
        # Of a rung that was stopped early, the trials so far are no fair sample.
        if found is None or found.state not in ("passes", "fails") or found.rate is None or _reads_alone(rung):
            continue
        near = [trial for trial in trials if trial.key.rung == rung.name and _is_near_tie(trial)]
        counting = "passed" if found.state == "passes" else "failed"
        turned = sum(trial.outcome == counting for trial in near)
        passed = found.passed - turned if counting == "passed" else found.passed + turned
        if turned and (passed / found.trials >= policy.pass_rate) == (counting == "failed"):
            notes.append(
                f"{rung.name}: {turned} of its {counting} cases are near ties (two tokens within {NEAR_TIE_LOGITS:g} "
                "logits), which other questions in flight may decide; with deterministic = true the rung reads each "
                "alone"
            )
    return notes


def _reads_alone(rung: Rung) -> bool:
    return bool(rung.options.get("deterministic")) or rung.options.get("n_parallel") == 1


def _is_near_tie(trial: Trial) -> bool:
    margins = [answer.margin for answer in trial.answers if answer.margin is not None]
    return bool(margins) and min(margins) < NEAR_TIE_LOGITS
