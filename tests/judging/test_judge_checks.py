"""What a verdict that rests on a judge is worth: calibrated, changed since, or no better than chance."""

from dataclasses import replace

import pytest

from pytest_rightsize.calibration_records import Calibration
from pytest_rightsize.judgement_records import Criterion, Judgement
from pytest_rightsize.judging.judge_checks import check_judge, correction_of, rests_on_calibrated
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Policy, Run, Rung, Trial, TrialKey
from pytest_rightsize.verdict_records import Verdict

POLITE = Criterion(question="judged", rubric="It is polite.", template="0f", at_least=4)
SAYS = Judgement(by="big", judge="a1", criterion=POLITE, passed=True, answer=0)
KNOWN = Calibration(judge="a1", by="big", criterion=POLITE, good=100, good_passed=90, bad=100, bad_passed=5)
RUNGS = [Rung(name="small", provider="replay"), Rung(name="large", provider="replay")]


def trial(place: int, outcome: str, *judgements: Judgement, rung: str = "small") -> Trial:
    key = TrialKey(task="greet", case=f"case-{place}", rung=rung)
    return Trial(key=key, outcome=outcome, judgements=judgements)  # type: ignore[arg-type]


def trials(passed: int, of: int, *, rung: str = "small") -> list[Trial]:
    """Trials that a judge decides."""
    return [
        trial(place, "passed" if place < passed else "failed", replace(SAYS, passed=place < passed), rung=rung)
        for place in range(of)
    ]


def verdict(
    which: list[Trial], *calibrations: Calibration, confidence: float | None = 0.95, seed: int | None = None
) -> Verdict:
    policy = Policy(task="greet", pass_rate=0.9, confidence=confidence, chosen="large", shuffle_seed=seed)
    planned = {("greet", rung.name): sum(each.key.rung == rung.name for each in which) for rung in RUNGS}
    run = Run(rungs=RUNGS, trials=which, policies={"greet": policy}, planned=planned, calibrations=calibrations)
    return judge(run)[0]


CHANGED = "its model, or how it is asked, has changed since"


@pytest.mark.parametrize(
    ("judgement", "calibration", "state", "why"),
    [
        (SAYS, KNOWN, "calibrated", None),
        (SAYS, None, "uncalibrated", None),
        (replace(SAYS, judge="b2"), KNOWN, "uncalibrated", CHANGED),
        (replace(SAYS, judge=None), KNOWN, "uncalibrated", "its model is not known"),
        # A file of an earlier version has no more than the judge's name.
        (Judgement(by="big"), KNOWN, "uncalibrated", None),
        *(
            (
                replace(SAYS, criterion=replace(POLITE, **changed)),
                KNOWN,
                "uncalibrated",
                "it was calibrated for another rubric, bar or prompt",
            )
            for changed in ({"rubric": "It is short."}, {"template": "1e"}, {"at_least": 5})
        ),
        (SAYS, replace(KNOWN, good_passed=50, bad_passed=48), "chance", None),
        (SAYS, replace(KNOWN, bad=0, bad_passed=0), "chance", None),
    ],
)
def test_a_judge_is_calibrated_only_as_it_was_then(
    judgement: Judgement, calibration: Calibration | None, state: str, why: str | None
) -> None:
    check = check_judge([trial(0, "passed", judgement)], [calibration] if calibration else [])
    assert check is not None
    assert (check.state, check.why, check.by) == (state, why, ("big",))


@pytest.mark.parametrize(
    ("which", "why"),
    [
        ([trial(0, "passed", SAYS, SAYS)], "a test asks it more than once, and one judgement can be corrected for"),
        ([trial(0, "passed", replace(SAYS, passed=False))], "a test passes where the judge does not"),
    ],
)
def test_what_cannot_be_corrected_says_so(which: list[Trial], why: str) -> None:
    check = check_judge(which, [KNOWN])
    assert check is not None
    assert (check.state, check.why) == ("uncalibrated", why)
    assert correction_of(check, which) is None


def test_two_rubrics_in_a_task_are_not_corrected() -> None:
    short = replace(POLITE, rubric="It is short.")
    both = [trial(0, "passed", SAYS), trial(1, "passed", replace(SAYS, criterion=short))]
    check = check_judge(both, [KNOWN, replace(KNOWN, criterion=short)])
    assert check is not None
    assert check.why == "the task has 2 rubrics or judges, and only one can be corrected for"


@pytest.mark.parametrize("other", [replace(POLITE, rubric="It is short."), POLITE])
def test_a_judge_no_better_than_chance_decides_nothing_beside_another_rubric(other: Criterion) -> None:
    """Nor where the other is not calibrated, or is the same that is asked twice."""
    coin = replace(KNOWN, by="coin", good_passed=50, bad_passed=48)
    which = [trial(place, "passed", SAYS, replace(SAYS, criterion=other)) for place in range(60)]
    for known in ([coin], [coin, replace(KNOWN, criterion=replace(POLITE, rubric="It is short."))]):
        result = verdict([*which, *trials(60, 60, rung="large")], *known)
        assert (result.verdict, result.smallest) == ("undecided", None)
        assert result.standing["small"].reason == "the judge coin is not shown to be better than chance"


def test_no_judge_no_check() -> None:
    assert check_judge([trial(0, "passed"), trial(1, "error", SAYS)], [KNOWN]) is None
    assert verdict([trial(0, "passed")]).judge is None


def test_trials_that_the_judge_did_not_decide_are_counted_apart() -> None:
    which = [
        trial(0, "failed"),  # an assertion before the judge
        trial(1, "failed", SAYS),  # one after it
        trial(2, "passed"),
        *trials(3, 5),
        trial(9, "error", SAYS),
    ]
    correction = correction_of(check_judge(which, [KNOWN]), which)
    assert correction is not None
    assert (correction.good, correction.unjudged_failed, correction.unjudged_passed) == (100, 2, 1)


@pytest.mark.parametrize("seed", [None, 0])
def test_the_verdict_uses_the_corrected_bounds(seed: int | None) -> None:
    """Of 100 answers the judge passes 90: it fails a tenth of what people pass, so nearly all are passed by people."""
    which = [*trials(90, 100), *trials(100, 100, rung="large")]
    often = replace(KNOWN, good=1000, good_passed=900)
    as_judged, corrected = verdict(which, seed=seed), verdict(which, often, seed=seed)
    assert (as_judged.verdict, as_judged.standing["small"].state) != ("over-sized", "passes")
    assert (corrected.verdict, corrected.smallest, corrected.evidence) == ("over-sized", "small", "shown")
    low = corrected.standing["small"].low
    assert low is not None
    assert 0.9 <= low <= 1
    assert corrected.evidence_bound == low
    assert corrected.standing["small"].passed == 90


def test_a_kind_judge_does_not_make_a_rung_pass() -> None:
    kind = replace(KNOWN, good_passed=99, bad_passed=45)
    which = [*trials(92, 100), *trials(100, 100, rung="large")]
    assert verdict(which, confidence=None).smallest == "small"
    corrected = verdict(which, kind, confidence=None)
    assert corrected.standing["small"].state == "fails"
    assert corrected.standing["small"].rate == pytest.approx((0.92 - 0.45) / 0.54)
    assert corrected.smallest == "large"


@pytest.mark.parametrize("confidence", [None, 0.95])
@pytest.mark.parametrize("seed", [None, 0])
def test_a_judge_no_better_than_chance_decides_nothing(confidence: float | None, seed: int | None) -> None:
    coin = replace(KNOWN, good_passed=50, bad_passed=48)
    for which in (trials(100, 100), trials(3, 100)):
        result = verdict([*which, *trials(100, 100, rung="large")], coin, confidence=confidence, seed=seed)
        assert (result.verdict, result.smallest, result.evidence) == ("undecided", None, None)
        assert result.standing["small"].reason == "the judge big is not shown to be better than chance"
        assert (result.standing["small"].low, result.standing["small"].rate) == (None, None)


def test_a_rung_that_fails_without_the_judge_fails() -> None:
    """Its answers never came as far as the judge."""
    unjudged = [trial(place, "failed") for place in range(60)]
    for calibration in (KNOWN, replace(KNOWN, good_passed=50, bad_passed=48)):
        result = verdict([*unjudged, *trials(100, 100, rung="large")], calibration)
        assert result.standing["small"].state == "fails"


def test_records_survive_a_file() -> None:
    assert Calibration.from_dict(KNOWN.to_dict()) == KNOWN
    assert Judgement.from_dict(SAYS.to_dict()) == SAYS
    assert Judgement.from_dict(Judgement(by="x").to_dict()) == Judgement(by="x")
    assert "passed" not in Judgement(by="x").to_dict()
    with pytest.raises(ValueError, match="passed more answers than there were"):
        Calibration.from_dict({**KNOWN.to_dict(), "bad_passed": 101})


OTHER = "it was calibrated for another rubric, bar or prompt"


@pytest.mark.parametrize("rubric", ["It is short.", "It is kind.", "It is true.", "It is calm."])
@pytest.mark.parametrize("is_turned", [False, True])
def test_another_rubric_is_no_changed_model_and_another_model_is_not_known(rubric: str, is_turned: bool) -> None:
    """Whichever of the two fingerprints sorts first."""
    asked, calibrated = POLITE, replace(POLITE, rubric=rubric)
    if is_turned:
        asked, calibrated = calibrated, asked
    known = [replace(KNOWN, criterion=calibrated)]
    whys = {}
    for model in ("a1", "a0", "a2"):
        check = check_judge([trial(0, "passed", replace(SAYS, judge=model, criterion=asked))], known)
        assert check is not None
        whys[model] = check.why
    assert whys == {"a1": OTHER, "a0": None, "a2": None}


def test_a_trial_rests_on_a_calibrated_judge_where_one_of_its_judges_is() -> None:
    unknown = replace(SAYS, judge="b2")
    assert rests_on_calibrated(trial(0, "passed", unknown, SAYS), [KNOWN])
    assert not rests_on_calibrated(trial(0, "passed", unknown), [KNOWN])
    assert not rests_on_calibrated(trial(0, "passed", SAYS), [])
    assert not rests_on_calibrated(trial(0, "passed"), [KNOWN])


def test_no_check_and_one_that_is_not_calibrated_correct_nothing() -> None:
    which = trials(3, 5)
    assert correction_of(None, which) is None
    coin = check_judge(which, [replace(KNOWN, good_passed=50, bad_passed=48)])
    assert coin is not None
    assert (coin.state, correction_of(coin, which)) == ("chance", None)


def test_a_corrected_rung_that_was_stopped_has_the_corrected_bound_whatever_would_have_come() -> None:
    """How soon it was stopped says nothing of its rate where the judge errs."""
    left_out = [replace(trial(place, "not_run"), reason="settled") for place in range(97, 100)]
    result = verdict([*trials(97, 97), *left_out, *trials(100, 100, rung="large")], KNOWN, confidence=None)
    standing = result.standing["small"]
    assert (standing.state, standing.given_up, result.smallest) == ("passes", 3, "small")
    assert result.evidence_bound == standing.low
