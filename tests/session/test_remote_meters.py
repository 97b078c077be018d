"""Energy of a model on other machines: a played endpoint, and an exporter of a board beside each of its machines."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.records import Run
from pytest_rightsize.results.results_file import read_run
from tests.providers.openai.endpoint import Answering, completion, serve
from tests.threaded_server import serving

WATTS = 50.0
SUITE = """
    import pytest

    @pytest.mark.rightsize(task="echo", pass_rate=0.5)
    @pytest.mark.parametrize("n", range(12))
    def test_echo(model, n):
        assert model.ask(f"echo {n}") == "yes"
"""


@contextmanager
def board(name: str, containers: int = 1) -> Iterator[str]:
    """An exporter whose board takes a steady power; yields the address of its page."""
    began = time.monotonic()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the server's name for it
            shown = int((time.monotonic() - began) * WATTS * 1e3)
            self.send_response(200)
            self.end_headers()
            for number in range(containers):
                labels = f'gpu="0",UUID="GPU-{name}",container="main",namespace="default",pod="pod-{number}"'
                self.wfile.write(f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{labels}}} {shown}\n".encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with serving(Page) as url:
        yield f"{url}/metrics"


def answer(request: dict[str, object]) -> Answering:
    """After a while, as a model does: then the answers to several questions overlap."""
    time.sleep(0.1)
    return Answering(body=completion("yes"))


def measured(pytester: pytest.Pytester, *containers: int, options: tuple[str, ...] = ()) -> Run:
    """A session on an endpoint with so many boards beside it, each shared by so many containers."""
    pytester.makepyfile(test_suite=SUITE)
    with ExitStack() as stack:
        urls = [stack.enter_context(board(str(number), count)) for number, count in enumerate(containers)]
        endpoint = stack.enter_context(serve(answer))
        meter = f'{{ name = "prometheus", urls = {urls}, poll_s = 0.02, lag_s = 0.05, idle_s = 0 }}'
        pytester.makefile(
            ".toml",
            rightsize=f'[ladder.far]\nprovider = "openai"\nmodel = "m"\nbase_url = "{endpoint.url}"\nmeter = {meter}',
        )
        results = ("--rightsize-results=run.jsonl", "--rightsize-cache=off", "--rightsize-strategy=full")
        pytester.runpytest("--rightsize-ladder=far", *results, *options).assert_outcomes(passed=12)
    return read_run(pytester.path / "run.jsonl")


def energies(run: Run) -> list[Energy]:
    return [answer.energy for trial in run.trials for answer in trial.answers if answer.energy is not None]


def parts_and_total(metering: Metering) -> tuple[float, float | None]:
    parts = (metering.load, metering.served, metering.repeated, metering.lost, metering.others, metering.idle)
    total = None if metering.total is None else metering.total.joules
    return sum(part.joules or 0.0 for part in parts if part is not None), total


def test_answers_of_a_model_on_two_machines_have_the_joules_of_both(pytester: pytest.Pytester) -> None:
    """Eight questions at a time: each answer has its share, and no joule is counted twice or lost."""
    run = measured(pytester, 1, 1)
    found = energies(run)
    assert len(found) == 12
    assert {energy.provenance for energy in found} == {"measured_shared"}
    assert {len(energy.devices) for energy in found} == {2}
    assert all(device.startswith("prometheus:127.0.0.1:") for energy in found for device in energy.devices)
    assert {energy.boundary for energy in found} == {frozenset({"gpu.board"})}
    (metering,) = run.meters
    assert metering.served is not None
    known = [energy.joules for energy in found if energy.joules is not None]
    assert len(known) == 12, {energy.reason for energy in found}
    assert metering.served.joules == pytest.approx(sum(known), rel=1e-6)
    parts, total = parts_and_total(metering)
    assert parts == pytest.approx(total, rel=1e-6)


def test_joules_of_a_board_that_containers_share_are_marked(pytester: pytest.Pytester) -> None:
    """The board of an exporter on Kubernetes may compute for others too."""
    run = measured(pytester, 3)
    assert {flag for energy in energies(run) for flag in energy.flags} >= {"contended"}
    assert {energy.scope for energy in energies(run)} == {"device"}
