"""Counters of another machine: pages of an exporter on a loopback port, parsed, deduplicated, and lost."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.meters import CounterError
from pytest_rightsize.meters.prometheus import Prometheus, parse_metrics
from pytest_rightsize.records import Rung

DCGM = """\
# HELP DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION Total energy consumption since boot (in mJ).
# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-a",GPU_I_ID="1",Hostname="n"} 5000
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-a",GPU_I_ID="2",Hostname="n"} 5000
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="1",UUID="GPU-b",Hostname="n"} 7000
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-a"} 61.5
"""
KEPLER = """\
kepler_node_cpu_joules_total{zone="package",path="/sys/0"} 120.5
kepler_node_cpu_joules_total{zone="core",path="/sys/0:0"} 80.5
kepler_node_cpu_joules_total{zone="dram",path="/sys/0:1"} 10.5
kepler_process_gpu_joules_total{pid="7"} 42
"""


class Exporter:
    """A page that a test may change; None takes it away."""

    def __init__(self) -> None:
        self.page: str | None = ""
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the server's name for it
                if exporter.page is None:
                    self.send_error(503)
                    return
                self.send_response(200)
                self.end_headers()
                self.wfile.write(exporter.page.encode())

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=lambda: self._server.serve_forever(0.01), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/metrics"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    one = Exporter()
    yield one
    one.close()


@pytest.fixture
def other() -> Iterator[Exporter]:
    one = Exporter()
    yield one
    one.close()


def several(*exporters: Exporter) -> Prometheus:
    options = {"urls": [one.url for one in exporters], "poll_s": 1e-6}
    return Prometheus(Rung(name="far", provider="openai"), options, "remote")


def meter(exporter: Exporter, **options: Any) -> Prometheus:
    return Prometheus(Rung(name="far", provider="openai"), {"url": exporter.url, "poll_s": 1e-6, **options}, "remote")


def test_a_board_that_stands_there_once_for_each_slice_is_one_counter(exporter: Exporter) -> None:
    exporter.page = DCGM
    counters = meter(exporter).counters()
    assert [counter.facts.device.partition("/")[2] for counter in counters] == ["GPU-a", "GPU-b"]
    assert [counter.read() for counter in counters] == [5.0, 7.0]
    assert {counter.facts.boundary for counter in counters} == {"gpu.board"}


def test_the_zones_of_kepler_overlap_so_only_packages_are_read(exporter: Exporter) -> None:
    exporter.page = KEPLER
    (counter,) = meter(exporter).counters()
    assert (counter.read(), counter.facts.boundary, counter.facts.provenance) == (120.5, "cpu.package", "measured")


def test_what_an_exporter_splits_among_processes_is_modelled(exporter: Exporter) -> None:
    exporter.page = KEPLER
    (counter,) = meter(exporter, metric="kepler_process_gpu_joules_total", labels={"pid": 7}).counters()
    assert (counter.read(), counter.facts.provenance, counter.facts.boundary) == (42.0, "modelled", "gpu.board")


def test_a_counter_that_begins_anew_or_goes_breaks(exporter: Exporter) -> None:
    exporter.page = DCGM
    counter = meter(exporter, labels={"UUID": "GPU-b"}).counters()[0]
    counter.read()
    for page, flag in ((DCGM.replace("7000", "10"), "counter_reset"), ("", "counter_lost"), (None, "exporter_lost")):
        exporter.page = page
        with pytest.raises(CounterError) as told:
            counter.read()
        assert told.value.flag == flag
    exporter.page = DCGM
    assert counter.read() == 7.0


def test_a_page_without_the_metric_is_a_problem(exporter: Exporter) -> None:
    exporter.page = "up 1\n"
    problem = meter(exporter).check()
    assert problem is not None
    assert "has no DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION or kepler_node_cpu_joules_total" in problem.what


def test_an_exporter_that_is_not_there_is_a_problem() -> None:
    problem = Prometheus(Rung(name="far", provider="openai"), {"url": "http://127.0.0.1:9/metrics"}, "remote").check()
    assert problem is not None
    assert "does not answer" in problem.what


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs the page of an exporter"),
        ({"url": "http://[x"}, "needs the page of an exporter"),
        ({"url": "http://a:b@c/"}, "holds a name, a password or a key"),
        ({"url": "gpu-1:9400"}, "add url"),
    ],
)
def test_a_wrong_address_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Prometheus(Rung(name="far", provider="openai"), options, "remote")


def test_the_counters_of_several_machines_stand_side_by_side(exporter: Exporter, other: Exporter) -> None:
    exporter.page, other.page = DCGM, DCGM.replace("GPU-a", "GPU-c").replace("GPU-b", "GPU-d").replace("7000", "9000")
    counters = several(exporter, other).counters()
    assert [counter.facts.device.partition("/")[2] for counter in counters] == ["GPU-a", "GPU-b", "GPU-c", "GPU-d"]
    assert len({counter.facts.device.partition("/")[0] for counter in counters}) == 2
    assert [counter.read() for counter in counters] == [5.0, 7.0, 5.0, 9.0]


def test_while_one_of_several_machines_is_silent_its_counters_are_lost(exporter: Exporter, other: Exporter) -> None:
    exporter.page, other.page = KEPLER, KEPLER
    first, second = several(exporter, other).counters()
    other.page = None
    assert first.read() == 120.5
    with pytest.raises(CounterError) as told:
        second.read()
    assert told.value.flag == "exporter_lost"


def test_a_machine_without_the_metric_is_a_problem_that_names_it(exporter: Exporter, other: Exporter) -> None:
    exporter.page, other.page = DCGM, "up 1\n"
    problem = several(exporter, other).check()
    assert problem is not None
    assert problem.what.startswith(f"{other.url} has no DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION")


def test_one_board_on_two_pages_would_count_twice(exporter: Exporter, other: Exporter) -> None:
    exporter.page, other.page = DCGM, DCGM
    problem = several(exporter, other).check()
    assert problem is not None
    assert problem.what == f"{exporter.url} and {other.url} both show the board GPU-a"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"urls": ["http://a:1/m", "http://a:1/m"]}, "urls names one page twice"),
        ({"urls": ["http://a:1/m", 3]}, "needs the page of an exporter"),
        ({"urls": ["http://u:p@a:1/m"]}, "urls holds a name, a password or a key"),
        ({"urls": ["http://a:1/m"], "url": "http://b:1/m"}, "has both url and urls: keep one"),
        ({"urls": []}, "needs the page of an exporter"),
    ],
)
def test_wrong_addresses_of_several_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Prometheus(Rung(name="far", provider="openai"), options, "remote")


def test_lines_of_a_page_are_read_as_they_are_written() -> None:
    page = 'a_total{x="1,2",y="q\\"}"} 1.5e3 1700000000\nb NaN\n# c 1\nnot a line\nd +Inf\n'
    samples = list(parse_metrics(page))
    assert [(one.name, dict(one.labels)) for one in samples] == [
        ("a_total", {"x": "1,2", "y": 'q"}'}),
        ("b", {}),
        ("d", {}),
    ]
    assert samples[0].value == 1500.0
