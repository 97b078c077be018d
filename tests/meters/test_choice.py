"""Which meter a rung gets: the best that works, by trying, or the one that is named, or none with the reasons."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.meters import Counter, Facts, MeterProblem, Site, check_meter, load_meters, site_of
from pytest_rightsize.meters.choice import choose
from pytest_rightsize.records import Json, Reply, Rung


def kind(*, works: bool = True, boundary: str = "gpu.board") -> Any:
    """A meter that works, or says why not."""

    class One:
        facts = Facts(device="x", boundary=boundary, meter="x")

        def read(self) -> float:
            return 0.0

        def others(self) -> str | None:
            return None

    class Fake:
        options: ClassVar[dict[str, type]] = {"poll": int}

        def __init__(self, rung: Rung, options: Json, site: Site) -> None:
            self.given = (rung, options, site)

        def check(self) -> MeterProblem | None:
            return None if works else MeterProblem(what="it is not there", remedy="buy one")

        def counters(self) -> Sequence[Counter]:
            return [One()]

        def of_answer(self, reply: Reply) -> Energy:
            raise NotImplementedError

    return Fake


def chosen(site: Site | None = "process", meter: Any = None, **meters: Any) -> list[str]:
    return list(choose(Rung(name="r", provider="x", meter=meter), site, meters).meters)


@pytest.mark.parametrize(
    ("site", "broken", "expected"),
    [
        ("process", (), ["nvml", "rapl"]),
        ("process", ("nvml",), ["rapl"]),
        ("process", ("rapl",), ["nvml"]),
        ("process", ("nvml", "rapl"), ["cpu_time"]),
        ("process", ("nvml", "rapl", "cpu_time"), []),
        ("machine", ("nvml", "rapl"), []),
        ("remote", (), ["served_model"]),
        ("remote", ("served_model",), []),
        (None, (), []),
    ],
)
def test_auto_takes_the_best_that_works_where_the_model_runs(
    site: Site | None, broken: tuple[str, ...], expected: list[str]
) -> None:
    names = ("nvml", "rapl", "cpu_time", "served_model")
    meters = {
        name: kind(works=name not in broken, boundary="cpu.package" if name == "rapl" else "gpu.board")
        for name in names
    }
    assert chosen(site, **meters) == expected


def test_a_module_that_holds_its_processor_is_not_added_to_it() -> None:
    assert chosen(nvml=kind(boundary="gpu.module"), rapl=kind(boundary="cpu.package")) == ["nvml"]


def test_of_two_that_are_named_both_work_or_neither_is_used() -> None:
    assert chosen(meter="a+b", a=kind(), b=kind(boundary="cpu.package")) == ["a", "b"]
    choice = choose(Rung(name="r", provider="x", meter="a+b"), "process", {"a": kind(), "b": kind(works=False)})
    assert (list(choice.meters), str(choice)) == ([], "none (b: it is not there)")


def test_options_reach_the_meter_and_what_concerns_all_does_not() -> None:
    rung = Rung(name="r", provider="x", meter={"name": "a", "poll": 3, "basis": "marginal", "idle_s": 0.5})
    choice = choose(rung, "process", {"a": kind()})
    meter: Any = choice.meters["a"]
    assert meter.given[1:] == ({"poll": 3}, "process")
    assert (choice.basis, choice.idle_s) == ("marginal", 0.5)


def test_no_meter_is_wanted_where_none_is_named() -> None:
    choice = choose(Rung(name="r", provider="x", meter="none"), "process", {"rapl": kind()})
    assert str(choice) == "none (the ladder file wants none)"


def test_a_name_that_nobody_knows_is_refused_with_the_nearest() -> None:
    for check in (
        lambda: chosen(meter="rappl", rapl=kind()),
        lambda: check_meter("rappl", {"rapl": kind()}, where="here"),
    ):
        with pytest.raises(ConfigError, match="did you mean 'rapl'"):
            check()


def test_two_meters_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two plugins provide the meter 'a'"):
        load_meters([{"a": kind()}, {"a": kind()}])


@pytest.mark.parametrize(("leaves", "site"), [(True, "remote"), (False, "machine")])
def test_a_provider_that_does_not_say_where_it_runs_is_placed_by_what_leaves(leaves: bool, site: str) -> None:
    class Provider:
        leaves_machine = leaves

    assert site_of(Provider()) == site
