"""The processor's counters on planted trees and simulated zones: which are read, wraps, resets, lost permissions."""

import os
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import ConfigError, MixedEnergyError
from pytest_rightsize.meters import CounterError, check_meter
from pytest_rightsize.meters.choice import choose
from pytest_rightsize.meters.nvml import Nvml
from pytest_rightsize.meters.rapl import Rapl, _Package, processor_seconds
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
    seconds = iter([(10.0, 100.0), (10.9, 101.0), (11.2, 102.0)])
    monkeypatch.setattr("pytest_rightsize.meters.rapl.processor_seconds", lambda: next(seconds))
    (counter,) = Rapl(RUNG, {}, "process").counters()
    assert counter.others() is None
    assert counter.others() == "other processes took 70 % of the processor time"


def plant_processor(root: Path, *, own: int, busy: int) -> None:
    """Fake /proc files with so many hundredths of a second, spread over the fields that count."""
    (root / "self").mkdir(exist_ok=True)
    (root / "stat").write_text(f"cpu  {busy - 40} 10 10 99999 888 10 10 7 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    (root / "self" / "stat").write_text(f"7 (my) prog 1) S {'0 ' * 10}{own - 3} 1 1 1 20 0 1 0\n")


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "proc"
    root.mkdir()
    monkeypatch.setenv("RIGHTSIZE_PROC_ROOT", str(root))
    return root


def test_processor_seconds_are_read_from_the_proc_tree(processor: Path) -> None:
    assert processor_seconds() is None
    plant_processor(processor, own=250, busy=1000)
    ticks = os.sysconf("SC_CLK_TCK")
    assert processor_seconds() == (250 / ticks, 1000 / ticks)


def test_what_others_take_is_told_from_the_proc_tree(tree: Path, processor: Path) -> None:
    plant_powercap(tree, {"intel-rapl:0": zone("package-0")})
    plant_processor(processor, own=100, busy=1000)
    (counter,) = Rapl(RUNG, {}, "process").counters()
    plant_processor(processor, own=140, busy=1200)
    assert counter.others() == "other processes took 80 % of the processor time"


def test_a_share_of_the_package_is_this_processes_own(tree: Path, processor: Path) -> None:
    plant_powercap(tree, {"intel-rapl:0": zone("package-0")})
    plant_processor(processor, own=100, busy=1000)
    meter = Rapl(RUNG, {"share": "process"}, "process")
    assert meter.check() is None
    (counter,) = meter.counters()
    assert counter.facts.own_process is processor_seconds
    assert counter.facts.flags == ("process_share",)
    assert not counter.facts.whole_device
    (whole,) = Rapl(RUNG, {"share": "device"}, "process").counters()
    assert whole.facts.own_process is None


def test_a_share_is_only_for_a_model_in_this_process_on_a_system_that_tells(tree: Path, processor: Path) -> None:
    plant_powercap(tree, {"intel-rapl:0": zone("package-0")})
    problem = Rapl(RUNG, {"share": "process"}, "process").check()
    assert problem is not None
    assert problem.what == f"{processor} does not tell processor seconds"
    plant_processor(processor, own=100, busy=1000)
    problem = Rapl(RUNG, {"share": "process"}, "machine").check()
    assert problem is not None
    assert "this one runs in another" in problem.what
    with pytest.raises(ConfigError, match="did you mean 'process'"):
        Rapl(RUNG, {"share": "proces"}, "process")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "rapl", "share": "process", "basis": "gross"}, 'leave basis = "gross" out'),
        ({"name": "nvml+rapl", "share": "process"}, "name rapl alone"),
        ({"name": "rapl", "share": "process", "idle_s": 0}, "needs idle power, and idle_s = 0 has none measured"),
        ({"name": "rapl", "basis": "marginal", "idle_s": 0}, 'basis = "marginal" needs idle power'),
    ],
)
def test_options_that_contradict_each_other_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_meter(given, {"rapl": Rapl, "nvml": Nvml}, where="rung '1b'")
    check_meter({"name": "rapl", "share": "process", "idle_s": 5}, {"rapl": Rapl}, where="rung '1b'")


def test_a_rung_with_a_share_of_its_package_is_metered_above_idle_power(tree: Path, processor: Path) -> None:
    plant_powercap(tree, {"intel-rapl:0": zone("package-0")})
    plant_processor(processor, own=100, busy=1000)
    given = {"name": "rapl", "share": "process"}
    choice = choose(Rung(name="1b", provider="llama_cpp", meter=given), "process", {"rapl": Rapl})
    assert (str(choice), choice.basis, choice.idle_s) == ("rapl", "marginal", None)
