"""Nothing leaves this machine in an offline session, and nothing of a private task: whoever in the process tries."""

import os
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.config.list_prices import list_price
from pytest_rightsize.errors import RungError
from pytest_rightsize.meters import CounterError
from pytest_rightsize.meters.prometheus import Prometheus
from pytest_rightsize.providers.llama_cpp import hub
from pytest_rightsize.providers.locality import LeavesMachineError, is_this_machine
from pytest_rightsize.providers.own_threads import own_work
from pytest_rightsize.providers.plain_http import FetchError, fetch
from pytest_rightsize.providers.secret_texts import Secret
from pytest_rightsize.records import Reply, Request, Rung, Tokens
from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.served.guard import Guard
from tests.outside import Listener
from tests.providers.openai.endpoint import Answering, completion, serve
from tests.session.test_privacy import resolving, rung
from tests.threaded_server import serving

Outside = tuple[str, Listener]
OFFLINE = "--rightsize-offline"
REFUSED = f"is not this machine, and nothing was sent there: {OFFLINE}"
METRICS = b'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0"} 5\n'


@pytest.fixture
def offline() -> Iterator[Guard]:
    """The guard of an offline session, without a session."""
    guard = Guard(offline=OFFLINE)
    guard.open()
    yield guard
    guard.close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("urllib.request._opener", None)  # it keeps the proxies of its first call


# --- whoever tries ----------------------------------------------------------------------------------------------------

# Each of these is refused in an offline session, and heard by the listener in any other.
TRIES = """
    import asyncio, atexit, os, socket, threading, urllib.request
    import pytest

    URL = os.environ["OUTSIDE"]
    HOST, PORT = URL.split("/")[2].rpartition(":")[::2]

    def reach():
        with socket.create_connection((HOST, int(PORT)), timeout=5) as connection:
            connection.sendall(b"gone")
            connection.recv(1)  # until it is heard

    def in_a_thread(function):
        errors = []
        def run():
            try:
                function()
            except OSError as error:
                errors.append(error)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
"""


def test_no_code_of_an_offline_session_gets_out(
    pytester: pytest.Pytester, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of tests without a model and without `[app] serve`: by sockets, libraries, proxies, threads, fixtures, hooks."""
    url, listener = outside
    monkeypatch.setenv("OUTSIDE", url)
    pytester.makepyfile(tries=TRIES)
    pytester.makeconftest(
        """
        import pytest
        from tries import reach

        @pytest.fixture(scope="session")
        def wide():
            reach()

        @pytest.fixture
        def late():
            yield
            reach()

        def pytest_sessionfinish():
            try:
                reach()
            except OSError as error:
                print("at the end:", error)
        """
    )
    pytester.makepyfile(
        test_suite="""
        import asyncio, socket, urllib.request
        from tries import *

        def test_socket(): reach()
        def test_thread(): in_a_thread(reach)
        def test_library(): urllib.request.urlopen(URL, timeout=5)
        def test_proxy(monkeypatch):
            monkeypatch.setenv("http_proxy", URL)
            urllib.request.urlopen("http://127.0.0.1:9/", timeout=5)
        def test_asyncio(): asyncio.run(asyncio.open_connection(HOST, PORT))
        def test_datagram():
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"gone", (HOST, int(PORT)))
        def test_name(): socket.getaddrinfo("somewhere.example", 80)
        def test_name_of_an_address(): socket.getnameinfo((HOST, 80), 0)
        def test_wide_fixture(wide): pass
        def test_fixture_that_ends(late): pass
        def test_here():
            with socket.create_server(("127.0.0.1", 0)) as server:
                socket.create_connection(server.getsockname()).close()
        """
    )

    result = pytester.runpytest(OFFLINE, "-s", "-p", "no:rerunfailures")

    assert listener.connections == 0
    result.assert_outcomes(passed=2, failed=8, errors=2)
    result.stdout.fnmatch_lines([f"*at the end: *{REFUSED}"])
    assert str(result.stdout).count(f"LeavesMachineError: [Errno 13] {url.split('/')[2].split(':')[0]} {REFUSED}") >= 8


def test_a_conftest_that_connects_when_it_is_imported_is_refused(
    pytester: pytest.Pytester, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, listener = outside
    monkeypatch.setenv("OUTSIDE", url)
    pytester.makepyfile(tries=TRIES)
    pytester.makeconftest("from tries import reach\nreach()")
    pytester.makepyfile("def test_it(): pass")

    result = pytester.runpytest(OFFLINE)

    assert (listener.connections, result.ret) == (0, pytest.ExitCode.USAGE_ERROR)
    assert REFUSED in str(result.stderr)
    pytester.makeini("[pytest]\nrightsize_offline = true\n")
    assert pytester.runpytest().ret == pytest.ExitCode.USAGE_ERROR
    assert listener.connections == 0


def test_a_worker_of_xdist_is_offline_too(
    pytester: pytest.Pytester, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process: about a second."""
    url, listener = outside
    monkeypatch.setenv("OUTSIDE", url)
    pytester.makepyfile(tries=TRIES)
    pytester.makepyfile(test_suite="from tries import *\ndef test_socket(): reach()")

    result = pytester.runpytest(OFFLINE, "-n1")

    assert listener.connections == 0
    result.stdout.fnmatch_lines([f"*{REFUSED}*"])


def test_the_listener_hears_other_sessions(
    pytester: pytest.Pytester, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the tests around this one would prove nothing; and an offline session leaves nothing behind."""
    url, listener = outside
    monkeypatch.setenv("OUTSIDE", url)
    pytester.makepyfile(tries=TRIES)
    pytester.makepyfile(test_suite="from tries import *\ndef test_socket(): reach()")

    assert pytester.runpytest(OFFLINE).ret == pytest.ExitCode.TESTS_FAILED
    pytester.runpytest().assert_outcomes(passed=1)

    assert listener.connections == 1


# --- trials -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["offline", "private"])
def test_a_test_that_went_elsewhere_is_a_fault_that_says_what_to_do(
    pytester: pytest.Pytester, outside: Outside, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Without `[app] serve`. Whatever the test made of the refusal, its model did not fail."""
    url, listener = outside
    monkeypatch.setenv("OUTSIDE", url)
    pytester.makepyfile(tries=TRIES)
    pytester.makepyfile(
        test_suite=f"""
        import pytest
        from tries import *

        @pytest.mark.rightsize(task="care", private={how == "private"})
        @pytest.mark.parametrize("how", ["raised", "caught"])
        def test_care(model, how):
            answer = model.ask(how)
            try:
                reach()
            except OSError:
                if how == "raised":
                    raise
                answer = "what was to be fetched is missing"
            assert answer == "right"
        """
    )
    with serve(lambda _: Answering(body=completion("right"))) as endpoint:
        pytester.makefile(".toml", rightsize=rung("near", endpoint.url))
        more = [OFFLINE] if how == "offline" else []
        result = pytester.runpytest("--rightsize-ladder=near", "--rightsize-results=run.jsonl", *more)

    assert listener.connections == 0
    trials = read_run(pytester.path / "run.jsonl").trials
    assert [(trial.outcome, trial.reason) for trial in trials] == [("error", "unserved")] * 2
    host = url.split("/")[2].split(":")[0]
    why, undo = ("--rightsize-offline",) * 2 if how == "offline" else ("the task 'care' is private", "private")
    told = (
        f"was refused a connection to {host}: {why}. To go on, let it use what is on this machine, or take {undo} off"
    )
    assert told in (trials[0].detail or "")
    result.stdout.fnmatch_lines([f"*{told}*", "*UNDECIDED*"])


def test_a_test_beside_a_private_one_may_go_where_it_likes(
    pytester: pytest.Pytester, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, listener = outside
    monkeypatch.setenv("OUTSIDE", url)
    pytester.makepyfile(tries=TRIES)
    pytester.makepyfile(
        test_suite="""
        import pytest
        from tries import *

        @pytest.mark.rightsize(task="care", private=True)
        def test_care(model): assert model.ask("x") == "right"
        @pytest.mark.rightsize(task="news")
        def test_news(model):
            reach()
            assert model.ask("x") == "right"
        def test_plain(): reach()
        """
    )
    with serve(lambda _: Answering(body=completion("right"))) as endpoint:
        pytester.makefile(".toml", rightsize=rung("near", endpoint.url))
        pytester.runpytest("--rightsize-ladder=near", "--rightsize-concurrency=1").assert_outcomes(passed=3)

    assert listener.connections == 2


def test_a_session_that_stays_here_hears_nothing_of_the_guard(pytester: pytest.Pytester) -> None:
    """A rung by a name, prices, and all reports."""
    pytester.makepyfile(test_suite="def test_it(model): assert model.ask('x') == 'right'")
    reports = "html:r.html,markdown:r.md,csv:r.csv,json:r.json,badge:r.svg"
    with serve(lambda _: Answering(body=completion("right"))) as endpoint:
        url = endpoint.url.replace("127.0.0.1", "localhost")
        pytester.makefile(".toml", rightsize=rung("near", url, 'price = "auto"').replace('"m"', '"openai/gpt-4o-mini"'))
        result = pytester.runpytest("--rightsize-ladder=near", OFFLINE, f"--rightsize-report={reports}")

    result.assert_outcomes(passed=1)
    assert "refused" not in str(result.stdout)
    assert all((pytester.path / name).is_file() for name in ("r.html", "r.md", "r.csv", "r.json", "r.svg"))


# --- what this package itself does ------------------------------------------------------------------------------------


class Phoning:
    """A provider that says it stays here, and does not."""

    options: ClassVar[dict[str, type]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    leaves_machine = False

    def __init__(self, rung: Rung) -> None:
        self.rung = rung

    def check(self) -> None:
        """Nothing is missing."""

    def identity(self, sha256: object) -> None:
        """Record nothing."""

    def submit(self, request: Request) -> Future[Reply]:
        """Ask for help."""
        urllib.request.urlopen(os.environ["OUTSIDE"], timeout=5)
        done: Future[Reply] = Future()
        done.set_result(Reply(text="right", tokens=Tokens()))
        return done

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("how", ["by a library", "by itself"])
def test_the_guard_stands_behind_every_other_check(
    pytester: pytest.Pytester, outside: Outside, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    url, listener = outside
    monkeypatch.setenv("OUTSIDE", url)
    if how == "by itself":
        monkeypatch.setattr(Phoning, "submit", lambda *_: socket.create_connection((url[7:].split(":")[0], 80)))
    pytester.makeconftest(
        "from tests.security.test_offline import Phoning\n"
        "def pytest_rightsize_providers(): return {'phoning': Phoning}\n"
    )
    pytester.makefile(".toml", rightsize='[ladder.near]\nprovider = "phoning"\n')
    pytester.makepyfile(test_suite="def test_it(model): assert model.ask('x') == 'right'")

    result = pytester.runpytest("--rightsize-ladder=near", OFFLINE, "--rightsize-results=run.jsonl")

    assert listener.connections == 0
    (trial,) = read_run(pytester.path / "run.jsonl").trials
    assert trial.outcome in ("error", "not_run")
    assert REFUSED in (trial.detail or "")
    result.stdout.fnmatch_lines(["*UNDECIDED*"])


def test_a_function_that_says_it_stays_is_held_to_that_beside_private_tasks(
    pytester: pytest.Pytester, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs in threads of its rung, at any time; in a session without private tasks it is left alone."""
    url, listener = outside
    monkeypatch.setenv("OUTSIDE", url)
    pytester.makepyfile(tries=TRIES)
    pytester.makepyfile(
        asking="""
        from tries import *

        def answer(prompt):
            reach()
            return "right"

        async def answer_async(prompt):
            await asyncio.to_thread(reach)
            return "right"
        """
    )
    tables = [
        f'[ladder.{name}]\nprovider = "callable"\nmodel = "asking:{name}"\n' for name in ("answer", "answer_async")
    ]
    pytester.makefile(".toml", rightsize="".join(tables))
    suite = """
        import pytest

        @pytest.mark.rightsize(task="care", private=PRIVATE)
        def test_care(model): assert model.ask("x") == "right"
        """
    options = ["--rightsize-ladder=answer,answer_async", "--rightsize-strategy=full", "--rightsize-results=run.jsonl"]

    pytester.makepyfile(test_suite=suite.replace("PRIVATE", "True"))
    pytester.runpytest(*options)

    trials = read_run(pytester.path / "run.jsonl").trials
    assert [(trial.outcome, trial.reason) for trial in trials] == [("error", "crash")] * 2
    assert all("its rung has not leaves_machine = true" in (trial.detail or "") for trial in trials)
    assert listener.connections == 0

    pytester.makepyfile(test_suite=suite.replace("PRIVATE", "False"))
    pytester.runpytest(*options, "--rightsize-cache=off").assert_outcomes(passed=2)
    assert listener.connections == 2


def exporter(answer: Callable[[BaseHTTPRequestHandler], None]) -> type[BaseHTTPRequestHandler]:
    """A server of one page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def page(handler: BaseHTTPRequestHandler) -> None:
    """The page of metrics."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(METRICS)


def meter(url: str, **options: Any) -> Prometheus:
    """The meter of a rung at the URL."""
    return Prometheus(Rung(name="r", provider="openai"), {"url": f"{url}/metrics", **options}, "machine")


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_meter_of_this_machine_goes_through_no_proxy(
    outside: Outside, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    url, listener = outside
    monkeypatch.setenv(variable, url.removesuffix("/v1"))

    with serving(exporter(page)) as here:
        assert len(meter(here).counters()) == 1

    assert listener.connections == 0


def test_a_meter_follows_no_redirect(outside: Outside) -> None:
    url, listener = outside

    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"{url}?token=abc")
        handler.end_headers()

    with serving(exporter(elsewhere)) as here, pytest.raises(CounterError) as told:
        meter(here).counters()

    assert str(told.value) == f"{here}/metrics sends on to {url}, which is not followed"
    assert listener.connections == 0


def test_a_meter_whose_name_moves_is_not_followed(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    url, listener = outside
    host, port = url.split("/")[2].split(":")
    looked_up = iter(["127.0.0.1"])

    with (
        resolving(monkeypatch, lambda: next(looked_up, host)),
        pytest.raises(CounterError, match="is not this machine"),
    ):
        meter(f"http://trusted.example:{port}").counters()

    assert listener.connections == 0


def test_a_meter_elsewhere_is_read_where_that_is_allowed(outside: Outside) -> None:
    """The request is heard, so that the other tests of meters prove something."""
    url, listener = outside
    with pytest.raises(CounterError):
        meter(url.removesuffix("/v1")).counters()
    assert listener.heard.startswith(b"GET /metrics HTTP/1.1")


@pytest.mark.parametrize("work", [own_work, nullcontext], ids=["own", "other"])
def test_a_fetch_that_is_not_known_to_stay_is_refused_offline(
    outside: Outside, offline: Guard, work: Callable[[], AbstractContextManager[None]]
) -> None:
    url, listener = outside
    with work(), pytest.raises(FetchError, match=REFUSED):
        fetch(Secret(url), local_only=False, timeout_s=5)
    assert listener.connections == 0
    assert {contact.reason for contact in offline.refused} == {OFFLINE}


def test_a_model_is_not_downloaded_offline(
    pytester: pytest.Pytester, outside: Outside, offline: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    url, listener = outside
    monkeypatch.setattr(constants, "ENDPOINT", url.removesuffix("/v1"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(pytester.path))

    monkeypatch.setattr("time.sleep", lambda _: None)  # it tries again

    with pytest.raises(RungError, match="could not be fetched") as told, own_work():
        hub.download("hf:org/repo")

    assert REFUSED in str(told.value)
    assert listener.connections == 0


def test_a_rung_with_download_of_its_own_fetches_nothing_offline(
    pytester: pytest.Pytester, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llama_cpp")
    constants = pytest.importorskip("huggingface_hub.constants")
    url, listener = outside
    monkeypatch.setattr(constants, "ENDPOINT", url.removesuffix("/v1"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(pytester.path))
    table = '[ladder.near]\nprovider = "llama_cpp"\nmodel = "hf:org/repo"\ndownload = true\n'
    pytester.makefile(".toml", rightsize=table)
    pytester.makepyfile(test_suite="def test_it(model): assert model.ask('x') == 'right'")

    result = pytester.runpytest("--rightsize-ladder=near", OFFLINE)

    result.stdout.fnmatch_lines(["*hf:org/repo is not on this machine*", "*UNDECIDED*"])
    assert listener.connections == 0


def test_prices_come_from_the_package(offline: Guard) -> None:
    assert list_price("gpt-4o-mini", None, where="x").prompt > 0
    assert offline.refused == []


def test_a_name_is_looked_up_only_to_find_out_whether_it_is_here(
    offline: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with resolving(monkeypatch, lambda: "127.0.0.1"):
        assert is_this_machine("trusted.example")
    with own_work(), pytest.raises(LeavesMachineError, match=REFUSED):
        socket.getaddrinfo("trusted.example", 80)


def test_doctor_offline_asks_no_exporter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = threading.Event()

    def note(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        page(handler)

    with serving(exporter(note)) as here:
        table = f'meter = {{ name = "prometheus", url = "{here}/metrics" }}'
        (tmp_path / "rightsize.toml").write_text(rung("near", "http://127.0.0.1:9/v1", table))
        assert main(["doctor", "--offline"]) == 0
        assert "meter:   not asked: --offline" in capsys.readouterr().out
        assert not asked.is_set()
        main(["doctor"])
        assert asked.is_set()
