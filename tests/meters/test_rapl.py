"""The processor's counters on planted trees and simulated zones: which are read, wraps, resets, lost permissions."""

import os
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import ConfigError, MixedEnergyError
from pytest_rightsize.meters import CounterError
from pytest_rightsize.meters.rapl import Rapl, _Package
from pytest_rightsize.records import Rung
from tests.meters.simulated import Asked, Clock, FakeZone, Load, SimCounter, plant_powercap

RANGE = 262_143_328_850
RUNG = Rung(name="1b", provider="llama_cpp")


def zone(name: str, energy_uj: int = 10**9, **more: object) -> dict[str, object]:
    return {"name": name, "energy_uj": energy_uj, "max_energy_range_uj": RANGE, **more}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RIGHTSIZE_POWERCAP_ROOT", str(tmp_path))
    return tmp_path


def devices(**options: Any) -> list[str]:
    return [counter.facts.device for counter in Rapl(RUNG, options, "process").counters()]


def test_each_package_is_one_counter_and_its_parts_are_none(tree: Path) -> None:
    plant_powercap(
        tree,
        {
            "intel-rapl:0": zone("package-0"),
            "intel-rapl:0:0": zone("core"),
            "intel-rapl:0:1": zone("dram"),
            "intel-rapl:1": zone("package-1", 5 * 10**9),
        },
    )
    assert devices() == ["rapl:package-0", "rapl:package-1"]


def test_the_whole_platform_is_never_read_beside_the_packages_in_it(tree: Path) -> None:
    plant_powercap(tree, {"intel-rapl:0": zone("package-0"), "intel-rapl:1": zone("psys", 3 * 10**9)})
    assert devices() == ["rapl:package-0"]
    assert devices(psys=True) == ["rapl:psys"]
    every = {"low": 1.0, "high": 1.0, "provenance": "measured", "window_s": 1.0}
    package = Energy(joules=1.0, boundary=frozenset({"cpu.package"}), devices=("rapl:package-0",), **every)  # type: ignore[arg-type]
    psys = Energy(joules=1.0, boundary=frozenset({"cpu.psys"}), devices=("rapl:psys",), **every)  # type: ignore[arg-type]
    with pytest.raises(MixedEnergyError):
        package + psys


def test_one_package_behind_two_interfaces_is_read_by_one(tree: Path) -> None:
    plant_powercap(tree, {"intel-rapl:0": zone("package-0"), "intel-rapl-mmio:0": zone("package-0")})
    assert devices() == ["rapl:package-0"]


def test_where_only_the_other_interface_is_there_it_is_read(tree: Path) -> None:
    plant_powercap(tree, {"intel-rapl-mmio:0": zone("package-0")})
    assert devices() == ["rapl-mmio:package-0"]


def test_a_mirror_of_another_counter_is_left_out(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some machines show one counter for each die: both move, and stay equal. Two that differ later are two."""
    plant_powercap(tree, {f"intel-rapl:{place}": zone(f"package-0-die-{place}") for place in (0, 1, 2)})
    reads = {"count": 0}

    def raw(self: Any) -> int:
        reads["count"] += 1
        moved = 10**9 + 10**6 * reads["count"] * (1 if self.name.endswith(("0", "1")) else 30)
        return moved // 10**8 * 10**8 if not self.name.endswith("2") else moved

    monkeypatch.setattr("pytest_rightsize.meters.rapl._Zone.raw_uj", raw)
    assert len(devices()) == 2


def test_counters_that_stand_at_the_same_value_and_do_not_move_are_two(tree: Path) -> None:
    plant_powercap(tree, {"intel-rapl:0": zone("package-0"), "intel-rapl:1": zone("package-1")})
    assert devices() == ["rapl:package-0", "rapl:package-1"]


def test_a_machine_without_zones_says_so(tree: Path) -> None:
    problem = Rapl(RUNG, {}, "process").check()
    assert problem is not None
    assert "has no package zone" in problem.what


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_counter_that_may_not_be_read_names_the_command_that_mends_it(tree: Path) -> None:
    plant_powercap(tree, {"intel-rapl:0": zone("package-0")})
    (tree / "intel-rapl:0" / "energy_uj").chmod(0)
    problem = Rapl(RUNG, {}, "process").check()
    assert problem is not None
    assert problem.remedy == f"run `sudo chmod a+r {tree}/intel-rapl*/energy_uj`"


def test_a_refused_counter_names_the_command_that_mends_it(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_powercap(tree, {"intel-rapl:0": zone("package-0")})

    def refuse(self: object) -> int:
        raise PermissionError

    monkeypatch.setattr("pytest_rightsize.meters.rapl._Zone.raw_uj", refuse)
    problem = Rapl(RUNG, {}, "process").check()
    assert problem is not None
    assert problem.remedy == f"run `sudo chmod a+r {tree}/intel-rapl*/energy_uj`"


def test_a_rung_elsewhere_has_no_counter_here() -> None:
    with pytest.raises(ConfigError, match=r"the rung runs elsewhere: use \{ name = \"prometheus\""):
        Rapl(Rung(name="far", provider="openai", meter="rapl"), {}, "remote")


def package(**more: Any) -> tuple[_Package, Clock, Load]:
    clock = Clock(100.0)
    load = Load(50.0, [Asked(start=101.0, end=102.0, watts=100.0)])
    counter = SimCounter(load=load, clock=clock, tick_s=0.001, **more)
    fake: Any = FakeZone(counter=counter)
    return _Package(fake, own_process=False, clock=clock), clock, load


@pytest.mark.parametrize("left_j", [0.5, 60.0, 174.9], ids=["at once", "midway", "at the end"])
def test_a_wrap_is_undone_wherever_it_falls(left_j: float) -> None:
    """The counter turns over right after the first reading, midway, or before the last: the difference is the same."""
    turn = RANGE / 1e6
    zone_, clock, load = package(begins_at_j=turn - load_start() - left_j, wrap_j=turn)
    first = zone_.read()
    for _ in range(30):
        clock.now += 0.1
        last = zone_.read()
    assert last - first == pytest.approx(load.joules(103.0) - load.joules(100.0), abs=0.2)


def load_start() -> float:
    """What the simulated package has spent when the clock starts."""
    return 50.0 * 100.0


def test_more_than_one_turn_of_the_counter_is_unknown_and_not_a_number() -> None:
    zone_, clock, _ = package(wrap_j=RANGE / 1e6)
    zone_.read()
    clock.now += 1000.0
    with pytest.raises(CounterError, match="it may have wrapped more than once") as told:
        zone_.read()
    assert told.value.flag == "counter_reset"


def test_a_counter_that_starts_again_is_unknown_and_goes_on_from_there() -> None:
    zone_, clock, _ = package(reset_at=101.5, begins_at_j=5000.0)
    zone_.read()
    clock.now = 101.6
    with pytest.raises(CounterError, match="was reset") as told:
        zone_.read()
    assert told.value.flag == "counter_reset"
    clock.now = 101.7
    start = zone_.read()
    clock.now = 101.9
    assert zone_.read() - start == pytest.approx(0.2 * 150, abs=0.3)


def test_a_permission_that_is_lost_is_said() -> None:
    zone_, clock, _ = package(denied=(101.0, 102.0))
    zone_.read()
    clock.now = 101.5
    with pytest.raises(CounterError, match="may not be read any more") as told:
        zone_.read()
    assert told.value.flag == "permission_lost"


def test_a_file_that_vanishes_is_said(tree: Path) -> None:
    plant_powercap(tree, {"intel-rapl:0": zone("package-0")})
    (counter,) = Rapl(RUNG, {}, "process").counters()
    assert counter.read() == 0.0
    (tree / "intel-rapl:0" / "energy_uj").unlink()
    with pytest.raises(CounterError, match="cannot be read any more") as told:
        counter.read()
    assert told.value.flag == "counter_lost"


def test_what_other_processes_take_is_seen(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_powercap(tree, {"intel-rapl:0": zone("package-0")})
    seconds = iter([(100.0, 10.0), (101.0, 10.9), (102.0, 11.2)])
    monkeypatch.setattr("pytest_rightsize.meters.rapl._cpu_seconds", lambda: next(seconds))
    (counter,) = Rapl(RUNG, {}, "process").counters()
    assert counter.others() is None
    assert counter.others() == "other processes took 70 % of the processor time"
