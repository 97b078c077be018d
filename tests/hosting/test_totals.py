"""One account of a rung whose host freed its model in between: sums are sums, and what is not known stays unknown."""

from typing import Any

import pytest

from pytest_rightsize.energy import Basis, Energy, unknown_energy
from pytest_rightsize.hosting.totals import NO_METER, together, total_of_answers
from pytest_rightsize.meter_records import Metering


def joules(amount: float, basis: Basis = "gross") -> Energy:
    return Energy(
        joules=amount,
        low=amount * 0.9,
        high=amount * 1.1,
        provenance="measured",
        boundary=frozenset({"gpu.board"}),
        basis=basis,
        devices=("GPU-1",),
        window_s=2.0,
    )


def metering(answers: int, *, meter: str = "nvml", **values: Any) -> Metering:
    return Metering(rung="a", meter=meter, answers=answers, **values)


def test_none_and_one_are_what_they_are() -> None:
    one = metering(3, served=joules(2.0))
    assert together([]) == []
    assert together([one]) == [one]


def test_amounts_add_up_and_findings_are_those_of_most_answers() -> None:
    def parts(*amounts: float) -> dict[str, Any]:
        return dict(zip(("load", "served", "idle", "total"), map(joules, amounts), strict=True))

    first = metering(2, **parts(1.0, 5.0, 2.0, 8.0), busy_s=1.0, load_s=0.5)
    second = metering(
        9,
        **parts(1.5, 20.0, 0.5, 22.0),
        lost=joules(0.0),
        busy_s=4.0,
        load_s=0.25,
        tick_s=0.1,
        idle_w=30.0,
        cold_w=20.0,
        prompt_weights={"GPU-1": 0.2},
        notes=("a note",),
    )
    (both,) = together([first, second])
    found = {part: getattr(both, part) for part in ("load", "served", "lost", "idle", "total")}
    assert {part: energy.joules for part, energy in found.items()} == {
        "load": 2.5,
        "served": 25.0,
        "lost": 0.0,
        "idle": 2.5,
        "total": 30.0,
    }
    assert both.served is not None
    assert both.served.bounds == pytest.approx((22.5, 27.5))
    assert both.served.window_s == 4.0
    assert both.repeated is None, "nothing was seen of it"
    assert (both.answers, both.busy_s, both.load_s, both.tick_s) == (11, 5.0, 0.75, 0.1)
    assert (both.idle_w, both.cold_w, both.prompt_weights, both.notes) == (30.0, 20.0, {"GPU-1": 0.2}, ("a note",))


def test_what_a_crash_took_makes_the_total_unknown_and_not_the_rest() -> None:
    crash = metering(50, meter=NO_METER, total=unknown_energy("it crashed"), notes=("it crashed after 50 answers",))
    (both,) = together([crash, metering(2, served=joules(5.0), total=joules(8.0))])
    assert both.meter == "nvml"
    assert both.total is not None
    assert (both.total.joules, both.total.reason) == (None, "it crashed")
    assert both.served is not None
    assert (both.served.joules, both.answers, both.notes) == (5.0, 52, ("it crashed after 50 answers",))


def test_joules_of_answers_add_up_unless_they_are_of_two_kinds() -> None:
    assert total_of_answers(None, None) is None
    assert total_of_answers(None, joules(2.0)) == joules(2.0) == total_of_answers(joules(2.0), None)
    both = total_of_answers(joules(2.0), joules(0.5))
    assert both is not None
    assert both.joules == 2.5
    mixed = total_of_answers(joules(2.0), joules(0.5, basis="marginal"))
    assert mixed is not None
    assert (mixed.joules, mixed.reason) == (None, "its answers' amounts are of several kinds")


def test_amounts_of_two_kinds_are_not_added() -> None:
    both = [metering(1, served=joules(1.0)), metering(1, served=joules(1.0, basis="marginal"))]
    assert together(both) == both
