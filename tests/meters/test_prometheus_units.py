"""Counters of an exporter in their units, their zones and on their machines: what would make a false joule."""

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.meters import CounterError
from pytest_rightsize.meters.prometheus import Prometheus, parse_metrics
from pytest_rightsize.records import Rung
from tests.meters.test_prometheus import KEPLER, Exporter, exporter, meter, other, several

__all__ = ["exporter", "other"]  # fixtures


@pytest.mark.parametrize(
    ("metric", "joules"),
    [
        ("scaph_host_energy_microjoules", 0.0072),
        ("board_energy_millijoules_total", 7.2),
        ("board_energy_mJ", 7.2),
        ("board_energy_MJ_total", 7.2e9),
        ("board_energy_megajoules", 7.2e9),
        ("energy_MWh", 2.592e13),
        ("energy_mWh_total", 2.592e4),
        ("energy_gigajoule", 7.2e12),
        ("energy_nJ_total", 7.2e-6),
        ("energy_TJ", 7.2e15),
        ("ENERGY_KWH", 2.592e10),
        ("energy_uj_total", 0.0072),
        ("rapl_package_joules_total", 7200.0),
        ("energy_kilojoules_total", 7.2e6),
        ("energy_wh_total", 2.592e7),
        ("energy_watt_hours_total", 2.592e7),
        ("energy_kwh_total", 2.592e10),
        ("energy_kilowatt_hours", 2.592e10),
        ("energy_total", 7200.0),
        ("power_meter_joules_total", 7200.0),
    ],
)
def test_the_unit_is_the_last_word_of_the_name(exporter: Exporter, metric: str, joules: float) -> None:
    exporter.page = f"{metric} 7200\n"
    (counter,) = meter(exporter, metric=metric).counters()
    assert counter.read() == pytest.approx(joules, rel=1e-12)


@pytest.mark.parametrize(
    ("metric", "which"),
    [
        ("board_energy_mj", "millijoules or megajoules"),
        ("BOARD_ENERGY_MJ_TOTAL", "millijoules or megajoules"),
        ("energy_Mj", "millijoules or megajoules"),
        ("energy_mwh_total", "milliwatthours or megawatthours"),
        ("energy_MWH_total", "milliwatthours or megawatthours"),
    ],
)
def test_a_unit_that_may_be_a_thousandth_or_a_million_is_refused(metric: str, which: str) -> None:
    options = {"url": "http://gpu-1:9400/metrics", "metric": metric}
    with pytest.raises(ConfigError, match=f"metric = '{metric}' may count {which}, and its name does not tell which"):
        Prometheus(Rung(name="far", provider="openai"), options, "remote")


@pytest.mark.parametrize(
    ("metric", "unit", "joules"),
    [
        ("board_energy_mj", "millijoules", 7.2),
        ("board_energy_mj", "megajoules", 7.2e9),
        ("energy_total", "watthours", 2.592e7),
        ("energy_joules", "kilojoules", 7.2e6),
    ],
)
def test_the_unit_that_the_ladder_file_gives_counts(exporter: Exporter, metric: str, unit: str, joules: float) -> None:
    exporter.page = f"{metric} 7200\n"
    (counter,) = meter(exporter, metric=metric, unit=unit).counters()
    assert counter.read() == pytest.approx(joules, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "energy_total", "unit": "joule"}, "unknown unit of energy 'joule'"),
        ({"unit": "joules"}, "has a unit and no metric"),
        ({"metric": "node_power_watts", "unit": "joules"}, "is a power"),
    ],
)
def test_a_unit_that_cannot_be_is_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Prometheus(Rung(name="far", provider="openai"), {"url": "http://gpu-1:9400/metrics", **options}, "remote")


@pytest.mark.parametrize("metric", ["DCGM_FI_DEV_POWER_USAGE", "node_hwmon_power_average_watt", "scaph_microwatts"])
def test_a_power_is_no_energy(metric: str) -> None:
    options = {"url": "http://gpu-1:9400/metrics", "metric": metric}
    with pytest.raises(ConfigError, match=f"metric = '{metric}' is a power: name a counter of energy"):
        Prometheus(Rung(name="far", provider="openai"), options, "remote")


def test_zones_overlap_where_the_metric_is_named_too(exporter: Exporter) -> None:
    exporter.page = KEPLER
    (counter,) = meter(exporter, metric="kepler_node_cpu_joules_total").counters()
    assert (counter.read(), counter.facts.boundary) == (120.5, "cpu.package")


@pytest.mark.parametrize(
    ("zone", "joules", "boundary"),
    [("core", 80.5, "cpu.core"), ("dram", 10.5, "dram"), ("package", 120.5, "cpu.package")],
)
def test_a_zone_that_is_asked_for_says_what_it_covers(
    exporter: Exporter, zone: str, joules: float, boundary: str
) -> None:
    exporter.page = KEPLER
    (counter,) = meter(exporter, labels={"zone": zone}).counters()
    assert (counter.read(), counter.facts.boundary) == (joules, boundary)


def test_a_node_that_two_pages_show_would_count_twice(exporter: Exporter, other: Exporter) -> None:
    exporter.page = other.page = 'kepler_node_cpu_joules_total{zone="package",node_name="n1"} 5\n'
    problem = several(exporter, other).check()
    assert problem is not None
    assert problem.what == f"{exporter.url} and {other.url} both show the counter node_name=n1,zone=package"
    other.page = exporter.page.replace("n1", "n2")
    assert several(exporter, other).check() is None


def shared_board(*values: int, gpu_id: str = "GPU-a", slices: bool = False) -> str:
    """What dcgm-exporter writes with `--kubernetes-virtual-gpus` of a board that pods share by time."""
    part = "GPU_I_ID" if slices else "vgpu"
    return "".join(
        f'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{gpu="0",UUID="{gpu_id}",{part}="{number}",container="main",'
        f'namespace="default",pod="pod-{number}"}} {value}\n'
        for number, value in enumerate(values)
    )


def test_the_copies_of_a_board_that_pods_share_are_one_counter_of_which_others_have_a_part(exporter: Exporter) -> None:
    exporter.page = shared_board(7000, 7000, 7000) + shared_board(5000, gpu_id="GPU-b")
    shared, alone = meter(exporter).counters()
    assert (shared.read(), shared.others()) == (7.0, "3 containers of Kubernetes share it")
    assert (alone.read(), alone.others()) == (5.0, None)
    (mine,) = meter(exporter, labels={"pod": "pod-1"}).counters()
    assert (mine.read(), mine.others()) == (7.0, "3 containers of Kubernetes share it"), "a part is nobody's"


def test_lines_of_a_board_that_are_no_copies_are_not_guessed_at(exporter: Exporter) -> None:
    exporter.page = shared_board(7000, 7000)
    (counter,) = meter(exporter).counters()
    counter.read()
    exporter.page = shared_board(7100, 7200)
    with pytest.raises(CounterError, match="in 2 lines with different values, so that they are no copies") as told:
        counter.read()
    assert told.value.flag == "not_copies"
    problem = meter(exporter).check()
    assert problem is not None
    assert "choose one by its labels" in problem.what


def test_a_line_that_is_chosen_by_its_labels_is_the_one_that_is_read(exporter: Exporter) -> None:
    """Beside others of the same board, which a metric of each pod has."""
    exporter.page = 'pod_gpu_joules_total{uuid="GPU-a",pod="x"} 5\npod_gpu_joules_total{uuid="GPU-a",pod="y"} 9\n'
    (counter,) = meter(exporter, metric="pod_gpu_joules_total", labels={"pod": "y"}).counters()
    assert counter.read() == 9.0
    with pytest.raises(CounterError, match="are no copies"):
        meter(exporter, metric="pod_gpu_joules_total").counters()


def test_slices_of_a_board_are_read_a_moment_apart(exporter: Exporter) -> None:
    exporter.page = shared_board(7_000_000, 7_050_000, slices=True)
    (counter,) = meter(exporter).counters()
    assert counter.read() == 7050.0
    exporter.page = shared_board(8_000_000, 7_990_000, slices=True)
    assert counter.read() == 8000.0, "whichever line comes first, it never runs backwards"
    exporter.page = shared_board(8_000_000, 208_000_000, slices=True)
    with pytest.raises(CounterError, match="are no copies"):
        counter.read()


@pytest.mark.parametrize(
    "urls",
    [
        ["http://a:80/metrics", "http://A/metrics/"],
        ["http://localhost:9400/m", "http://127.0.0.1:9400/m"],
        ["http://[::1]:9400/m", "http://127.0.0.1:9400/m"],
    ],
)
def test_one_page_is_one_however_its_address_is_written(urls: list[str]) -> None:
    with pytest.raises(ConfigError, match="urls names one page twice"):
        Prometheus(Rung(name="far", provider="openai"), {"urls": urls}, "remote")


def test_an_example_behind_a_value_is_not_the_value() -> None:
    page = 'a_total{x="{1}"} 5 # {trace="t"} 0.5 17.25\nb_total 6 1700000000.125\nc_total{y="#"} 7 # {} 1\n'
    assert [(one.name, dict(one.labels), one.value) for one in parse_metrics(page)] == [
        ("a_total", {"x": "{1}"}, 5.0),
        ("b_total", {}, 6.0),
        ("c_total", {"y": "#"}, 7.0),
    ]
