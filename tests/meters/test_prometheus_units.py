"""Counters of an exporter in their units, their zones and on their machines: what would make a false joule."""

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.meters.prometheus import Prometheus, parse_metrics
from pytest_rightsize.records import Rung
from tests.meters.test_prometheus import KEPLER, Exporter, exporter, meter, other, several

__all__ = ["exporter", "other"]  # fixtures


@pytest.mark.parametrize(
    ("metric", "joules"),
    [
        ("scaph_host_energy_microjoules", 0.0072),
        ("board_energy_millijoules_total", 7.2),
        ("board_energy_mj", 7.2),
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
