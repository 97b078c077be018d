"""What must not leave this machine does not, and what must not be written down is not."""

import base64
import gzip
import json
import re
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.providers.locality import LeavesMachineError, is_this_machine, loopback_socket
from tests.outside import Listener
from tests.providers.openai.endpoint import Answering, completion, serve

KEY = "sk-planted-4242-do-not-tell"
SECRET = "the patient's name is Xylophone"
ANSWER = "Glockenspiel"
SUITE = f"""
import pytest

@pytest.mark.rightsize(task="care", private=True)
@pytest.mark.parametrize("word", ["{SECRET}", "other"])
def test_care(model, word):
    assert model.ask("summarise: " + word) == "{ANSWER}"
"""


def rung(name: str, url: str, more: str = "") -> str:
    return f'[ladder.{name}]\nprovider = "openai"\nmodel = "m"\nbase_url = "{url}"\nretries = 0\n{more}\n'


@contextmanager
def resolving(monkeypatch: pytest.MonkeyPatch, to: Callable[[], str]) -> Iterator[None]:
    """A resolver that knows the name trusted.example."""
    original = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        return original(to() if host in ("trusted.example", b"trusted.example") else host, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


@pytest.mark.parametrize(
    ("host", "stays"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("db.localhost", True),
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("192.168.0.1", False),
        ("127.0.0.1.example.invalid", False),
        ("localhost.example.invalid", False),
        ("", False),
        ("2130706433x.invalid", False),
    ],
)
def test_a_loopback_address_is_this_machine(host: str, stays: bool) -> None:
    assert is_this_machine(host) is stays


def test_a_name_is_this_machine_if_all_its_addresses_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with resolving(monkeypatch, lambda: "127.0.0.1"):
        assert is_this_machine("trusted.example")
    with resolving(monkeypatch, lambda: "192.0.2.1"):
        assert not is_this_machine("trusted.example")
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.1", "192.0.2.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: both)
    assert not is_this_machine("trusted.example")


def test_the_socket_itself_connects_nowhere_else() -> None:
    with pytest.raises(LeavesMachineError, match=r"192\.0\.2\.1 is not this machine, and nothing was sent there"):
        loopback_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80)))
    loopback_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))).close()


def test_offline_refuses_a_rung_that_leaves_before_any_test(
    pytester: pytest.Pytester, outside: tuple[str, Listener]
) -> None:
    url, listener = outside
    pytester.makepyfile(test_suite=SUITE)
    pytester.makefile(".toml", rightsize=rung("near", "http://127.0.0.1:9/v1") + rung("far", url))
    result = pytester.runpytest("--rightsize-ladder=near,far", "--rightsize-offline")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--rightsize-offline: far would leave this machine: take them off" in str(result.stderr)
    assert listener.connections == 0


def test_offline_refuses_where_the_request_leaves_without_a_ladder_too(
    pytester: pytest.Pytester, outside: tuple[str, Listener]
) -> None:
    url, listener = outside
    pytester.makepyfile("def test_it(model): assert model.ask('x') == 'x'")
    pytester.makefile(".toml", rightsize='default = "far"\n' + rung("far", url))
    pytester.makeini("[pytest]\nrightsize_offline = true\n")
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(["rung 'far' is not on this machine, and was not asked: --rightsize-offline"])
    assert listener.connections == 0


def test_offline_and_download_contradict_each_other(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", rightsize=rung("near", "http://127.0.0.1:9/v1"))
    result = pytester.runpytest("--rightsize-ladder=near", "--rightsize-offline", "--rightsize-download")
    assert "--rightsize-offline and --rightsize-download contradict each other" in str(result.stderr)


@pytest.mark.parametrize(
    "ladder", [["--rightsize-ladder=far", "--rightsize-strategy=full"], []], ids=["ladder", "none"]
)
def test_no_byte_of_a_private_task_leaves(
    pytester: pytest.Pytester, outside: tuple[str, Listener], ladder: list[str]
) -> None:
    url, listener = outside
    pytester.makepyfile(test_suite=SUITE)
    pytester.makefile(".toml", rightsize='default = "far"\n' + rung("far", url))
    result = pytester.runpytest(*ladder)
    assert (listener.connections, listener.heard) == (0, b"")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "passed" not in result.parseoutcomes()


def test_the_listener_does_hear_what_is_not_private(pytester: pytest.Pytester, outside: tuple[str, Listener]) -> None:
    """Else the tests around this one would prove nothing."""
    url, listener = outside
    pytester.makepyfile(test_suite=SUITE.replace("private=True", "private=False"))
    pytester.makefile(".toml", rightsize=rung("far", url, "timeout_s = 0.5"))
    pytester.runpytest("--rightsize-ladder=far")
    assert b"Xylophone" in listener.heard


def test_a_name_that_moves_after_it_was_checked_is_not_followed(
    pytester: pytest.Pytester, outside: tuple[str, Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, listener = outside
    address = url.removeprefix("http://").partition(":")[0]
    looked_up = iter(["127.0.0.1"])
    pytester.makepyfile(test_suite=SUITE)
    pytester.makefile(".toml", rightsize=rung("near", url.replace(address, "trusted.example")))
    with resolving(monkeypatch, lambda: next(looked_up, address)):
        result = pytester.runpytest("--rightsize-ladder=near", "--rightsize-offline")
    result.stdout.fnmatch_lines(["*is not this machine, and nothing was sent there*"])
    assert (listener.connections, listener.heard) == (0, b"")


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_proxy_is_not_used_for_this_machine(
    pytester: pytest.Pytester, outside: tuple[str, Listener], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    url, listener = outside
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, url.removesuffix("/v1"))
    pytester.makepyfile(test_suite=SUITE)
    with serve(lambda _: Answering(body=completion(ANSWER))) as endpoint:
        pytester.makefile(".toml", rightsize=rung("near", endpoint.url))
        pytester.runpytest("--rightsize-ladder=near", "--rightsize-offline").assert_outcomes(passed=2)
    assert listener.connections == 0


def test_a_redirect_is_not_followed(pytester: pytest.Pytester, outside: tuple[str, Listener]) -> None:
    url, listener = outside
    pytester.makepyfile(test_suite=SUITE)
    with serve(lambda _: Answering(status=307, body={}, headers={"Location": url})) as endpoint:
        pytester.makefile(".toml", rightsize=rung("near", endpoint.url))
        result = pytester.runpytest("--rightsize-ladder=near")
    result.stdout.fnmatch_lines(["*which is not followed: set base_url to it*"])
    assert listener.connections == 0


def test_offline_refuses_a_meter_that_is_read_elsewhere(
    pytester: pytest.Pytester, outside: tuple[str, Listener]
) -> None:
    url, listener = outside
    meter = f'meter = {{ name = "prometheus", url = "{url}" }}'
    pytester.makefile(".toml", rightsize=rung("near", "http://127.0.0.1:9/v1", meter))
    result = pytester.runpytest("--rightsize-ladder=near", "--rightsize-offline")
    assert "--rightsize-offline: the meter of near would leave this machine" in str(result.stderr)
    assert listener.connections == 0


def test_the_key_follows_no_redirect_of_a_doctors_question(
    pytester: pytest.Pytester,
    outside: tuple[str, Listener],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, listener = outside

    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(307)
            self.send_header("Location", f"{url}/models")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Redirecting)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("PLANTED", KEY)
    for given in ("", f"?api_key={KEY}"):
        monkeypatch.setenv("WHERE", f"http://127.0.0.1:{server.server_port}/v1{given}")
        near = '[ladder.near]\nprovider = "openai"\nmodel = "m"\nbase_url_env = "WHERE"\napi_key_env = "PLANTED"\n'
        pytester.makefile(".toml", rightsize=near)
        main(["doctor"])
        said = capsys.readouterr()
        assert KEY not in said.out + said.err
    server.shutdown()
    server.server_close()
    assert listener.connections == 0


# --- what is written down ---------------------------------------------------------------------------------------------


def everything_written(folder: Path) -> dict[str, bytes]:
    """The content of every file below the folder that the test itself has not made."""
    own = {"test_suite.py", "rightsize.toml", "pytest.ini"}
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in own and path.suffix != ".pyc"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def echoing_the_key(asked: dict[str, Any]) -> Answering:
    """A server that tells the key again wherever it can."""
    word = asked["messages"][-1]["content"]
    if "fault" in word:
        return Answering(status=500, body={"error": {"message": f"the key {KEY} is tired"}})
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": KEY}}
    return Answering(body=completion(f"your key is {KEY}", reasoning_content=KEY, tool_calls=[call]))


def test_a_planted_key_is_in_no_output(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", KEY)
    pytester.makepyfile(
        test_suite="""
        import logging
        import pytest
        from pytest_rightsize.errors import RungError

        @pytest.mark.parametrize("word", ["fine", "fault", "caught fault"])
        def test_it(model, word):
            logging.getLogger("asyncio").setLevel(logging.DEBUG)
            print(repr(model), vars(model), model)
            try:
                answer = model.ask(word)
            except RungError:
                if "caught" in word:
                    raise AssertionError("a chain of frames")
                raise
            assert answer == "something else"

        def test_broken(model):
            model.ask("fine", surprise=object())
        """
    )
    more = ["-vv", "-l", "--tb=long", "--full-trace", "--log-level=DEBUG", "--log-cli-level=DEBUG", "-rA"]
    with serve(echoing_the_key) as endpoint:
        pytester.makefile(".toml", rightsize=rung("near", endpoint.url, 'api_key_env = "PLANTED"'))
        result = pytester.runpytest(
            "--rightsize-ladder=near",
            "--rightsize-results=run.jsonl",
            "--rightsize-html=page.html",
            "--rightsize-markdown=summary.md",
            "--rightsize-report=csv:run.csv,json:run.json,badge:badge.svg",
            "--junitxml=junit.xml",
            "--debug=debug.log",
            *more,
        )
        without = pytester.runpytest(
            *more, "-p", "no:cacheprovider", "--rightsize-ladder=near", "--rightsize-cache=refresh"
        )
    assert set(endpoint.keys) == {f"Bearer {KEY}"}
    assert main(["cache", "export", "answers.jsonl"]) == 0
    assert main(["lock", "run.jsonl"]) == 0
    written = everything_written(pytester.path)
    assert {"run.jsonl", "junit.xml", "debug.log", "answers.jsonl", ".rightsize/answers.sqlite3"} <= set(written)
    assert {"page.html", "summary.md", "run.csv", "run.json", "badge.svg", "rightsize.lock"} <= set(written)
    # The page's texts are compressed in it.
    written["texts of the page"] = b"".join(
        gzip.decompress(base64.b64decode(packed))
        for packed in re.findall(rb"H4sI[A-Za-z0-9+/=]+", written["page.html"])
    )
    assert b"***" in written["texts of the page"]
    for place, content in written.items():
        assert KEY.encode() not in content, place
    for shown in (result, without):
        assert KEY not in str(shown.stdout)
        assert KEY not in str(shown.stderr)
    assert b"your key is ***" in written["answers.jsonl"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('base_url = "http://user@127.0.0.1/v1"', "base_url holds a name, a password or a key"),
        ('base_url = "http://127.0.0.1/v1?api_key=abc"', "base_url holds a name, a password or a key"),
        (
            'base_url = "http://127.0.0.1/v1"\nextra_body = { api_key = "abc" }',
            "the key of extra_body api_key would hold",
        ),
        ('base_url = "http://127.0.0.1/v1"\nheaders = { X-Auth-Token = "abc" }', "the header X-Auth-Token would hold"),
    ],
)
def test_a_literal_key_is_refused_wherever_it_stands(pytester: pytest.Pytester, line: str, words: str) -> None:
    pytester.makefile(".toml", rightsize=f'[ladder.near]\nprovider = "openai"\nmodel = "m"\n{line}\n')
    result = pytester.runpytest("--rightsize-ladder=near")
    assert words in str(result.stderr)


def test_a_secret_in_a_url_from_a_variable_is_not_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile("def test_it(model): model.ask('x')")
    with serve(lambda _: Answering(status=404, body={})) as endpoint:
        monkeypatch.setenv("WHERE", f"{endpoint.url}?api_key={KEY}")
        table = '[ladder.near]\nprovider = "openai"\nmodel = "m"\nbase_url_env = "WHERE"\n'
        pytester.makefile(".toml", rightsize=table)
        result = pytester.runpytest("--rightsize-ladder=near", "--rightsize-results=run.jsonl", "-l", "--tb=long")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert KEY not in str(result.stdout)
    assert not [place for place, content in everything_written(pytester.path).items() if KEY.encode() in content]


@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["one process", "xdist"])
@pytest.mark.parametrize(
    ("redact", "hidden", "told"),
    [
        ("prompts", [SECRET], [ANSWER]),
        ("answers", [ANSWER], []),
        ("prompts,answers", [SECRET, ANSWER], []),
    ],
)
def test_what_is_withheld_is_in_no_record(
    pytester: pytest.Pytester, redact: str, hidden: list[str], told: list[str], workers: list[str]
) -> None:
    pytester.makepyfile(test_suite=SUITE)

    def script(asked: dict[str, Any]) -> Answering:
        wrong = "other" in asked["messages"][-1]["content"]
        return Answering(body=completion(f"not {ANSWER}" if wrong else ANSWER, reasoning_content=f"{ANSWER}!"))

    with serve(script) as endpoint:
        pytester.makefile(".toml", rightsize=rung("near", endpoint.url))
        options = ["--rightsize-ladder=near", "--rightsize-results=run.jsonl", "-p", "no:cacheprovider", *workers]
        result = pytester.runpytest(*options, f"--rightsize-redact={redact}")
        result.stdout.fnmatch_lines(["care    1/2 *"])
        written = everything_written(pytester.path)
        for word in hidden:
            assert not [place for place, content in written.items() if word.encode() in content]
        assert all(word.encode() in written["run.jsonl"] for word in told)
        # With answers withheld none is recorded, and so each is asked for again.
        pytester.runpytest(*options, f"--rightsize-redact={redact}").stdout.fnmatch_lines(["care    1/2 *"])
    assert len(endpoint.requests) == (4 if "answers" in redact else 2)
    assert set(endpoint.paths) == {"/v1/chat/completions", "/tokenize"}
    trials = [json.loads(line) for line in written["run.jsonl"].splitlines() if b'"trial"' in line]
    assert len({trial["case"] for trial in trials}) == 2


def test_an_unknown_word_to_withhold_is_refused(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--rightsize-redact=promts")
    assert "--rightsize-redact: unknown name 'promts': did you mean 'prompts'?" in str(result.stderr)


@pytest.mark.parametrize("private", [True, False])
def test_records_with_private_prompts_are_their_owners_only(pytester: pytest.Pytester, private: bool) -> None:
    pytester.makepyfile(test_suite=SUITE.replace("private=True", f"private={private}"))
    reports = {"page.html": "html", "summary.md": "markdown", "run.csv": "csv", "run.json": "json"}
    given = ",".join(f"{name}:{file}" for file, name in reports.items())
    with serve(lambda _: Answering(body=completion(ANSWER))) as endpoint:
        pytester.makefile(".toml", rightsize=rung("near", endpoint.url))
        pytester.runpytest(
            "--rightsize-ladder=near", "--rightsize-results=run.jsonl", f"--rightsize-report={given}"
        ).assert_outcomes(passed=2)
    for file in ("run.jsonl", *reports):
        assert (stat.S_IMODE((pytester.path / file).stat().st_mode) == 0o600) is private, file
    assert main(["cache", "export", "answers.jsonl"]) == 0
    assert stat.S_IMODE((pytester.path / "answers.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((pytester.path / ".rightsize" / "answers.sqlite3").stat().st_mode) == 0o600
