"""Whether the verdict of a task rests on a judge, and what is known of that judge's errors; pure.

Trials of one task and the calibrations of the session come in. A judge that was never held against labels of people,
or has changed since, is `uncalibrated`: its verdicts stay as they are, and say so. One that its labels do not show to
be better than chance decides nothing. Of one that is `calibrated` the pass rates are corrected.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_rightsize.calibration_records import Calibration, calibration_for
from pytest_rightsize.judgement_records import Judgement
from pytest_rightsize.records import Trial
from pytest_rightsize.statistics import Correction, is_better_than_chance
from pytest_rightsize.verdict_records import JudgeCheck

__all__ = ["check_judge", "correction_of", "decisions_of", "labels_of", "rests_on_calibrated"]


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What the trials of a task show of their judge."""

    by: tuple[str, ...]
    decisions: Sequence[Judgement]
    why_not: str | None


def decisions_of(trial: Trial) -> list[Judgement]:
    """The judgements of a trial that each ended a comparison."""
    return [judgement for judgement in trial.judgements if judgement.passed is not None]


def rests_on_calibrated(trial: Trial, calibrations: Iterable[Calibration]) -> bool:
    """Whether a judge of the trial was calibrated, so that its pass rate will be corrected."""
    known = [*calibrations]
    return any(calibration_for(judgement, known) is not None for judgement in trial.judgements)


def check_judge(trials: Iterable[Trial], calibrations: Sequence[Calibration]) -> JudgeCheck | None:
    """How the verdict of a task rests on a judge; None where no trial that counts was judged."""
    judged = [trial for trial in trials if trial.outcome in ("passed", "failed") and trial.judgements]
    if not judged:
        return None
    by = tuple(dict.fromkeys(judgement.by for trial in judged for judgement in trial.judgements))
    found = {
        (one.judge, None if one.criterion is None else one.criterion.fingerprint): one
        for trial in judged
        for one in decisions_of(trial)
    }
    known = {key: calibration_for(one, calibrations) for key, one in found.items()}
    for calibration in known.values():
        if calibration is not None and not is_better_than_chance(labels_of(calibration)):
            return JudgeCheck(by=by, state="chance", calibration=calibration)
    missing = next((found[key] for key, calibration in known.items() if calibration is None), None)
    if not found or missing is not None:
        return JudgeCheck(by=by, state="uncalibrated", why=_why_missing(missing, calibrations))
    if (why := _why_uncorrected(judged, len(found))) is not None:
        return JudgeCheck(by=by, state="uncalibrated", why=why)
    (only,) = known.values()
    return JudgeCheck(by=by, state="calibrated", calibration=only)


def _why_missing(judgement: Judgement | None, calibrations: Sequence[Calibration]) -> str | None:
    """What has changed since a judge was calibrated; None where it never was."""
    if judgement is None or judgement.criterion is None:
        return None
    if any(one.criterion.fingerprint == judgement.criterion.fingerprint for one in calibrations):
        return "its model, or how it is asked, has changed since" if judgement.judge else "its model is not known"
    if any(one.judge == judgement.judge for one in calibrations):
        return "it was calibrated for another rubric, bar or prompt"
    return None


def _why_uncorrected(judged: Sequence[Trial], criteria: int) -> str | None:
    """Why errors that are known cannot be corrected."""
    if criteria > 1:
        return f"the task has {criteria} rubrics or judges, and only one can be corrected for"
    if any(len(decisions_of(trial)) > 1 for trial in judged):
        return "a test asks it more than once, and one judgement can be corrected for"
    if any(trial.outcome == "passed" and not one.passed for trial in judged for one in decisions_of(trial)):
        return "a test passes where the judge does not"
    return None


def correction_of(check: JudgeCheck | None, trials: Iterable[Trial]) -> Correction | None:
    """The correction of one rung's trials; None where the judge is not calibrated, or judged none of them."""
    if check is None or check.calibration is None or check.state != "calibrated":
        return None
    counted = [trial for trial in trials if trial.outcome in ("passed", "failed")]
    if not any(trial.judgements for trial in counted):
        return None
    return replace(
        labels_of(check.calibration),
        unjudged_passed=sum(trial.outcome == "passed" and not _is_decided(trial) for trial in counted),
        unjudged_failed=sum(trial.outcome == "failed" and not _is_decided(trial) for trial in counted),
    )


def _is_decided(trial: Trial) -> bool:
    """Whether the judge decided how the trial ended: it failed by something else where the judge passed it."""
    return any(trial.outcome == ("passed" if one.passed else "failed") for one in decisions_of(trial))


def labels_of(calibration: Calibration) -> Correction:
    """The correction that the labels of a calibration allow, before any trial is counted."""
    return Correction(
        good=calibration.good,
        good_passed=calibration.good_passed,
        bad=calibration.bad,
        bad_passed=calibration.bad_passed,
    )
