"""Settlement: each share finds its request, waits for repetitions, and becomes an energy or a reason."""

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.meter_records import IdlePower
from pytest_rightsize.meters import Facts
from pytest_rightsize.meters.attribution.idling import IdleMemory, Idling, Reading
from pytest_rightsize.meters.attribution.pending import Pending
from pytest_rightsize.meters.attribution.processes import ProcessorTrack
from pytest_rightsize.meters.attribution.repetition import Row
from pytest_rightsize.meters.attribution.sampler import Sampler
from pytest_rightsize.meters.attribution.settlement import Settlement
from pytest_rightsize.meters.attribution.shares import Part, Share
from pytest_rightsize.meters.attribution.sharing import Ledger
from pytest_rightsize.meters.attribution.timeline import Break
from pytest_rightsize.records import Request

BOARD = Facts(device="sim:0", boundary="gpu.board", meter="sim", exact=True)
POWER = IdlePower(state="resident", watts=40.0, low=39.0, high=41.0, seconds=3.0, ticks=6, at_s=0.0)


class Still:
    """A counter that nobody reads here."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    def read(self) -> float:
        raise AssertionError("it is not read")

    def others(self) -> str | None:
        return None


def settlement(
    *facts: Facts, knows_idle: bool = False, processor: ProcessorTrack | None = None, **more: Any
) -> tuple[Settlement, Ledger]:
    of = facts or (BOARD,)
    sampler = Sampler([Still(each) for each in of], lock=threading.RLock(), after_round=lambda: "quiet")
    ledger = Ledger(sampler.timelines, opened=0.0, patience_s=1.0)
    memory = IdleMemory()
    if knows_idle:
        memory.resident["1b", "sim:0"] = Reading(watts=(40.0,), error_w=1.0, at=0.0, power=POWER)
    idling = Idling(
        ledger.timelines, rung="1b", devices=["sim:0"], memory=memory, opened=1.0, wanted_s=3.0, loads=False
    )
    given: dict[str, Any] = {"basis": "gross", "several": False} | more
    return Settlement(ledger, sampler, idling, facts=of, processor=processor, **given), ledger


def share(ticket: Any, *joules: float, **more: Any) -> Share:
    parts = tuple(Part(low=each, joules=each, high=each, ticks=1) for each in joules)
    given: dict[str, Any] = {"start": 1.0, "end": 2.0, "window_s": 1.0, "parts": parts, "shared": False}
    return Share(ticket=ticket, **(given | more))


def waiting(*rows: Row | None) -> dict[int, Pending]:
    return {
        ticket: Pending(request=Request(messages=()), outer=Future(), row=row)
        for ticket, row in enumerate(rows or (None,))
    }


def only(settled: list[tuple[Pending, Energy]]) -> Energy:
    ((_, energy),) = settled
    return energy


def test_each_share_goes_to_its_own_request_and_the_others_wait_on() -> None:
    one, _ = settlement()
    pendings = waiting(None, None, None)
    second = pendings[1]
    ((pending, energy),) = one.settle([share(1, 6.0), share("another rung's", 9.0)], pendings)
    assert (pending, energy.joules, list(pendings)) == (second, 6.0, [0, 2])
    assert [energy.joules for _, energy in one.settle([share(2, 1.0), share(0, 3.0)], pendings)] == [3.0, 1.0]
    assert pendings == {}


def test_a_counter_that_says_nothing_leaves_the_energy_unknown() -> None:
    one, _ = settlement()
    broken = share(0, parts=(Break(reason="the counter was reset", flag="reset"),))
    energy = only(one.settle([broken], waiting()))
    assert (energy.joules, energy.reason, energy.flags) == (None, "the counter was reset", ("reset",))


# --- repetitions ------------------------------------------------------------------------------------------------------


def row() -> Row:
    return Row(per_block=2, block_tickets=["0/0", "0/1", "0/2"], ended=True)


def test_a_repeated_request_waits_for_the_shares_of_its_blocks() -> None:
    """Two repetitions in each block took 6 J: one is 3 J, whatever the request itself took."""
    one, _ = settlement()
    pendings = waiting(row(), None)
    assert one.settle([share(0, 50.0), share("0/0", 6.0), share("0/1", 6.0)], pendings) == []
    energy = only(one.settle([share("0/2", 6.0)], pendings))
    assert (energy.joules, energy.repeats) == (3.0, 6)
    assert list(pendings) == [1]


def test_repetitions_that_failed_leave_the_request_its_own_energy() -> None:
    one, _ = settlement()
    failed = row()
    failed.failed = True
    energy = only(one.settle([share(0, 50.0)], waiting(failed)))
    assert (energy.joules, energy.repeats) == (50.0, 1)


def test_a_block_that_nobody_could_measure_leaves_the_request_its_own_energy() -> None:
    one, _ = settlement()
    lost = share("0/1", parts=(Break(reason="the counter was reset", flag="reset"),))
    energy = only(one.settle([share(0, 50.0), share("0/0", 6.0), lost, share("0/2", 6.0)], waiting(row())))
    assert (energy.joules, energy.repeats) == (50.0, 1)


# --- idle power -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("basis", "provenance", "knows_idle", "lacks"),
    [
        ("marginal", "measured", False, True),
        ("marginal", "measured", True, False),
        ("marginal", "modelled", False, False),  # there is no idle power in it
        ("gross", "measured", False, False),
    ],
)
def test_above_idle_power_nothing_is_known_before_that_is(
    basis: str, provenance: Any, knows_idle: bool, lacks: bool
) -> None:
    facts = Facts(device="sim:0", boundary="gpu.board", meter="sim", exact=True, provenance=provenance)
    one, _ = settlement(facts, basis=basis, knows_idle=knows_idle)
    energy = only(one.settle([share(0, 6.0)], waiting()))
    assert one.lacks_idle is lacks
    if lacks:
        assert (energy.joules, energy.meter, energy.flags) == (None, "sim", ("no_idle",))
        assert energy.reason == "idle power is not known, nor what the answer took above it"
    else:
        assert (energy.joules, energy.basis) == (6.0, basis)


def test_what_is_not_known_of_several_meters_is_said_of_the_first() -> None:
    other = Facts(device="sim:1", boundary="gpu.board", meter="other", exact=True)
    lacking, _ = settlement(BOARD, other, basis="marginal")
    assert only(lacking.settle([share(0, 6.0, 2.0)], waiting())).meter == "sim"
    untold, _ = settlement(BOARD, other, processor=track(0.25))
    assert only(untold.settle([share(0, 6.0, 2.0, start=20.0, end=21.0)], waiting())).meter == "sim"


# --- a part of the processor ------------------------------------------------------------------------------------------


def track(own: float) -> ProcessorTrack:
    """A machine whose two processors are busy, this process with so much of it, from 0 to 10 s."""
    made = ProcessorTrack(own_step_s=0.0, busy_step_s=0.0)
    for moment in (0.0, 1.0, 2.0, 10.0):
        made.read(moment, 2 * own * moment, 2 * moment)
    return made


def test_of_a_device_that_others_use_an_answer_has_its_processs_part() -> None:
    one, ledger = settlement(processor=track(0.25))
    account = ledger.accounts[0]
    account.served = account.total = 8.0
    energy = only(one.settle([share(0, 8.0)], waiting()))
    assert energy.joules == pytest.approx(2.0)
    assert energy.provenance == "measured_shared"
    assert (account.served, account.others) == pytest.approx((2.0, 6.0))
    served = Energy(joules=2.0, low=2.0, high=2.0, provenance="measured_shared")
    assert one.own_part(served) == served
    assert one.own_part(None) is None


def test_where_the_system_does_not_tell_the_part_nothing_is_known() -> None:
    one, ledger = settlement(processor=track(0.25))
    energy = only(one.settle([share(0, 8.0, start=20.0, end=21.0)], waiting()))
    assert (energy.joules, energy.meter, energy.flags) == (None, "sim", ("no_share",))
    assert energy.reason == "the system did not tell this process's part of the processor time"
    assert ledger.accounts[0].others == 0.0


def test_devices_of_which_one_holds_the_other_have_no_sum() -> None:
    memory = Facts(device="sim:1", boundary="gpu.memory", meter="sim", exact=True)
    one, _ = settlement(BOARD, memory)
    energy = only(one.settle([share(0, 6.0, 2.0)], waiting()))
    assert energy.joules is None
    assert str(energy.reason).startswith("its meters' amounts have no sum (")


def test_devices_beside_each_other_add_up() -> None:
    one, _ = settlement(BOARD, Facts(device="sim:1", boundary="gpu.board", meter="sim", exact=True), several=True)
    energy = only(one.settle([share(0, 6.0, 2.0)], waiting()))
    assert (energy.joules, energy.devices, energy.provenance) == (8.0, ("sim:0", "sim:1"), "measured_shared")


def test_who_else_used_the_device_meanwhile_is_told() -> None:
    facts = (BOARD,)
    sampler = Sampler([Still(BOARD)], lock=threading.RLock(), after_round=lambda: "quiet")
    sampler.others.append((1.5, 3.0, "process 7 uses sim:0"))
    ledger = Ledger(sampler.timelines, opened=0.0, patience_s=1.0)
    idling = Idling(
        ledger.timelines, rung="1b", devices=["sim:0"], memory=IdleMemory(), opened=0.0, wanted_s=0.0, loads=False
    )
    one = Settlement(ledger, sampler, idling, facts=facts, basis="gross", several=False, processor=None)
    assert "contended" in only(one.settle([share(0, 6.0)], waiting())).flags
    assert "contended" not in only(one.settle([share(0, 6.0, start=0.5, end=1.0)], waiting())).flags
