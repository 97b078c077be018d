"""No key, password, token or header leaves: planted wherever one can be given, looked for in every output, in any form.

The sessions here fail in every way at once: each rung of their ladder in another one.
"""

import base64
import gzip
import html
import io
import json
import logging
import pickle
import re
import signal
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.meters import CounterError
from pytest_rightsize.meters.prometheus import Prometheus
from pytest_rightsize.providers.environment import known_secrets, secret_variable
from pytest_rightsize.providers.openai.http import Endpoint
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.providers.plain_http import FetchError, fetch
from pytest_rightsize.providers.secret_texts import (
    Mask,
    Secret,
    holds_secret,
    is_secret,
    literal_secret,
    secrets_in_url,
    shown_place,
    shown_url,
)
from pytest_rightsize.records import Request, Rung
from tests.providers.openai.endpoint import Answering, completion, serve
from tests.session.test_privacy import everything_written
from tests.threaded_server import serving

PACKAGE = Path(__file__).parents[2] / "pytest_rightsize"
KEY = 'sk-p1anted/4242+"do&to=tell'
PASSWORD = "hunter2/of the=proxy?"
URL_PASSWORD = "0pen+sesame/now"
QUERY_KEY = "q-777/planted+in=the&query"
METER_PASSWORD = "m3ter/pass=word"
METER_TOKEN = "t0ken+of/the=meter"
UNRELATED = "ghx_an0ther/token+of=CI"
SECRETS = [KEY, PASSWORD, URL_PASSWORD, QUERY_KEY, METER_PASSWORD, METER_TOKEN, UNRELATED]


def forms_of(secret: str) -> set[str]:
    """The secret in each form in which a library or a server may write it."""
    data = secret.encode()
    quoted = quote(secret, safe="")
    return {
        secret,
        quoted,
        quote(secret),
        quote_plus(secret),
        re.sub("%..", lambda match: match[0].lower(), quoted),
        "".join(f"%{byte:02x}" for byte in data),
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        html.escape(secret),
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        *(base64.b64encode(user + data + b"!").decode() for user in (b"me:", b"you:", b"anna:")),
        data.hex(),
        secret[::-1],
    }


FORMS = {form: secret for secret in SECRETS for form in forms_of(secret)}
_RUN = re.compile("[A-Za-z0-9+/_-]{8,2000}")


def in_base64(text: str, secrets: Iterable[str]) -> Iterator[str]:
    """The secrets that stand within words of base64, but for a few characters at their ends."""
    parts = {secret.encode()[3:-3]: secret for secret in secrets}
    for word in _RUN.findall(text):
        plain = word.translate({ord("-"): "+", ord("_"): "/"})
        for begin in range(4):
            piece = plain[begin:]
            decoded = base64.b64decode(piece[: len(piece) // 4 * 4])
            yield from (secret for part, secret in parts.items() if part in decoded)


def leaks(texts: Mapping[str, str | bytes]) -> list[str]:
    """The places whose text has a secret, with its form."""
    found = []
    for place, text in texts.items():
        plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        found += [f"{place}: {form}" for form in FORMS if form in plain]
        if place != "page.html":  # where all base64 is packed, and unpacked beside it
            found += [f"{place}: {secret} in base64" for secret in in_base64(plain, SECRETS)]
    return found


# --- the wrapper, URLs, masks -----------------------------------------------------------------------------------------


@given(st.text(min_size=4))
def test_a_wrapped_secret_is_shown_nowhere(text: str) -> None:
    secret = Secret(text)

    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>9}", repr([secret]), repr({1: secret})]
    assert all(text not in one.replace("***", "") or text in "***" for one in shown)
    assert (secret.reveal(), bool(secret), secret == Secret(text), len({secret, Secret(text)})) == (text, True, True, 1)
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


@settings(max_examples=40)
@given(st.text(st.characters(codec="utf-8", min_codepoint=32), min_size=8).filter(lambda text: text == text.strip()))
def test_no_form_of_a_secret_passes_a_mask(secret: str) -> None:
    mask = Mask([Secret(secret)])
    for form in forms_of(secret):
        shown = mask(f"said: {form}.")
        assert form not in shown.replace("***", "")
        assert [*in_base64(shown, [secret])] == []


@pytest.mark.parametrize(
    "text", ["fine", "100 %", "C:\\temp\\x", "a & b", "%20", "sk-planted", "***", "\\u00e9", "key=", ""]
)
def test_a_mask_leaves_other_texts_alone(text: str) -> None:
    assert Mask([Secret(KEY), Secret(""), Secret("x")])(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abcdefghij", "Authorization: Bearer ***"),
        ("basic bWU6cGFzc3dvcmQ=", "basic ***"),
        ("only basic arithmetic and basic authentication", "only basic arithmetic and basic authentication"),
        ("at http://me:pw@x.example/v1", "at http://***@x.example/v1"),
    ],
)
def test_words_of_others_have_secrets_that_nobody_named(text: str, shown: str) -> None:
    assert Mask(()).words(text) == shown


def test_data_is_masked_at_any_depth_and_else_stays_the_same_object() -> None:
    mask = Mask([Secret(KEY)])
    calls = ({"function": {"name": "f", "arguments": f'{{"k": {json.dumps(KEY)}}}'}},)
    assert mask.data(calls) == ({"function": {"name": "f", "arguments": '{"k": "***"}'}},)
    clean = {"a": [1, None, {"b": "c"}]}
    assert mask.data(clean) is clean


@pytest.mark.parametrize(
    ("url", "shown", "secrets"),
    [
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1", []),
        ("https://x.example/v1?api-version=2&deployment=d", "https://x.example/v1?api-version=2&deployment=d", []),
        ("http://me:pass%2Fword@x.example/v1", "http://x.example/v1", ["pass%2Fword", "pass/word", "me:pass/word"]),
        ("http://only-a-key@x.example", "http://x.example", ["only-a-key"]),
        ("https://x.example/v1?a=1&api_key=k&sig=s;token=t", "https://x.example/v1?a=1", ["k", "s", "t"]),
        ("https://x.example/f?code=abc", "https://x.example/f", ["abc"]),
        ("https://x.example/v1?u=sk-abcdefghijklmnop", "https://x.example/v1", ["sk-abcdefghijklmnop"]),
        ("https://x.example/t/ghp_abcdefghijklmnop/v1", "https://x.example/t/***/v1", ["ghp_abcdefghijklmnop"]),
        ("https://x.example/v1#access_token=abc", "https://x.example/v1", []),
        ("http://me:12/34@x.example/v1", "http://me:12/***", []),
        ("me:pass@x", "what is no URL", []),
        ("http://[x", "what is no URL", []),
        ("http://x:port/", "what is no URL", []),
    ],
)
def test_what_of_a_url_is_shown(url: str, shown: str, secrets: list[str]) -> None:
    assert shown_url(url) == shown
    assert [secret.reveal() for secret in secrets_in_url(url)] == secrets
    if secrets:
        assert holds_secret(url)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/login?token=abc#x", "/login"),
        ("https://me:pw@x.example/a?state=abc", "https://x.example/a"),
        ("//me:pw@x.example/a", "what is no URL"),
        ("", "no place"),
    ],
)
def test_where_a_redirect_leads(location: str, shown: str) -> None:
    assert shown_place(location) == shown


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *((name, True) for name in ("Authorization", "X-Api-Key", "apiKey", "access_token", "sig", "Cookie", "db_pwd")),
        *((name, True) for name in ("X-Amz-Credential", "HF_TOKEN", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "jwt")),
        *((name, False) for name in ("max_tokens", "stop_token_ids", "tokenizer", "prompt_cache_key", "keyword")),
        *((name, False) for name in ("author", "bypass", "design", "eos_token", "X-Team", "temperature")),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"meter": {"name": "x", "url": "http://a:b@c/"}}, "url"),
        ({"extra_body": {"deep": [{"access_token": "abc"}]}}, "access_token"),
        ({"where": ["https://x.example/?sig=abc"]}, "where"),
        ({"api_key_env": "MY_KEY", "api_key_header": "api-key", "url_env": "X"}, None),
        ({"extra_body": {"stop_token_ids": [1], "max_tokens": 3, "prompt_cache_key": "x"}}, None),
    ],
)
def test_a_literal_secret_is_found_at_any_depth(table: dict[str, Any], key: str | None) -> None:
    assert literal_secret(table) == key


def test_what_the_environment_holds_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SOME_API_KEY": KEY,
        "CI_TOKEN": UNRELATED,
        "ODDLY_NAMED": "4711-0815-xyz",
        "HTTPS_PROXY": f"http://me:{quote(PASSWORD, safe='')}@proxy:1",
        "DATABASE_URL": "postgres://me:db-pass-1@db/x",
        "USE_TOKENS": "true",
        "XAUTHORITY": "/root/.Xauthority",
    }.items():
        monkeypatch.setenv(name, value)
    text = f"{KEY} {UNRELATED} {PASSWORD} db-pass-1 true /root/.Xauthority"

    assert known_secrets()(text) == "*** *** *** *** true /root/.Xauthority"
    assert known_secrets()("4711-0815-xyz") == "4711-0815-xyz"
    secret_variable("ODDLY_NAMED")
    assert known_secrets()("4711-0815-xyz") == "***"


# --- where one can be given -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["extra_body = {{ user = '{}' }}", "extra_body = {{ a = [{{ b = 'x {}' }}] }}"])
def test_the_value_of_a_known_variable_is_refused_under_any_name(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY)
    pytester.makefile(".toml", rightsize=f'[ladder.near]\nprovider = "openai"\nmodel = "m"\n{line.format(KEY)}\n')

    result = pytester.runpytest("--rightsize-ladder=near")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*holds a literal password or key, which is refused: put it into a variable*"])
    assert leaks({"stdout": str(result.stdout), "stderr": str(result.stderr)}) == []


@pytest.mark.parametrize(
    "line",
    [
        f'base_url = "http://me:{quote(PASSWORD, safe="")}@127.0.0.1/v1"',
        f'base_url = "http://127.0.0.1/v1?token={quote(KEY, safe="")}"',
        f"headers = {{ X-Auth-Token = '{KEY}' }}",
        f"extra_body = {{ deep = [{{ api_key = '{KEY}' }}] }}",
        f"api_key = '{KEY}'",
        f"api_key_env = '{KEY}'",
        f'meter = {{ name = "prometheus", url = "http://me:{quote(METER_PASSWORD, safe="")}@127.0.0.1/metrics" }}',
        f'meter = {{ name = "prometheus", url = "http://127.0.0.1/metrics?token={quote(METER_TOKEN, safe="")}" }}',
        f"meter = {{ name = \"prometheus\", url = 'http://127.0.0.1/', labels = {{ token = '{METER_TOKEN}' }} }}",
    ],
)
def test_a_literal_secret_in_a_ladder_file_is_refused_and_not_repeated(pytester: pytest.Pytester, line: str) -> None:
    base = "" if "base_url" in line else 'base_url = "http://127.0.0.1:9/v1"\n'
    pytester.makefile(".toml", rightsize=f'[ladder.near]\nprovider = "openai"\nmodel = "m"\n{base}{line}\n')

    result = pytester.runpytest("--rightsize-ladder=near", "--full-trace", "-l")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert re.search("which is refused|must be the name of an environment variable", str(result.stderr))
    assert leaks({"stdout": str(result.stdout), "stderr": str(result.stderr)}) == []


# --- sessions that fail in every way ----------------------------------------------------------------------------------


def told_in_every_form(secrets: Iterable[str]) -> str:
    """What a server says that repeats each secret in each form."""
    return " | ".join(form for secret in secrets for form in sorted(forms_of(secret)))


@dataclass
class Backend:
    """The rungs of a ladder by their names, each with its table."""

    tables: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, table: str) -> None:
        """Add a rung."""
        self.tables[name] = f'[ladder.{name}]\nprovider = "openai"\nmodel = "m"\nretries = 0\n{table}\n'


@contextmanager
def failing_in_every_way() -> Iterator[Backend]:
    """Endpoints, a proxy and a meter that fail, and repeat whatever they were sent."""
    everything = told_in_every_form(SECRETS)
    own = told_in_every_form([KEY])
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"k": own})}}
    answers = {
        "unauthorized": Answering(status=401, body={"error": {"message": everything}}),
        "broken": Answering(status=500, body=everything.encode()),
        "page": Answering(status=200, body=f"<html><title>{everything}</title>{everything}</html>".encode()),
        "bad_json": Answering(status=200, body=f'{{"choices": [{everything}'.encode()),
        "redirect": Answering(
            status=302, body={}, headers={"Location": f"https://me:{quote(KEY, safe='')}@x.example/a"}
        ),
        "echo": Answering(body=completion(own, reasoning_content=own, tool_calls=[call])),
        "odd_finish": Answering(body=completion("x", finish_reason=own)),
    }

    def answer(name: str, asked: Mapping[str, Any]) -> Answering:
        if name == "slow":
            time.sleep(0.5)
        return answers.get(name) or Answering(body=completion("x"))

    class Refusing(BaseHTTPRequestHandler):
        """A proxy, and an exporter."""

        def do_POST(self) -> None:
            self._refuse(407)

        def do_CONNECT(self) -> None:
            self._refuse(407)

        def do_GET(self) -> None:
            self._refuse(403)

        def _refuse(self, status: int) -> None:
            self.send_response(status, f"no {quote(PASSWORD, safe='')} {self.headers.get('Proxy-Authorization')}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    backend = Backend()
    user = f"me:{quote(URL_PASSWORD, safe='')}"
    with serve(lambda asked: answer(asked["model"], asked)) as endpoint, serving(Refusing) as refusing:
        for name in (*answers, "slow"):
            more = "timeout_s = 0.1" if name == "slow" else ""
            backend.add(name, f'base_url = "{endpoint.url}"\napi_key_env = "PLANTED"\n{more}')
            backend.tables[name] = backend.tables[name].replace('model = "m"', f'model = "{name}"')
        backend.add("refused", f'base_url = "http://127.0.0.1:{closed_port()}/v1"\napi_key_env = "PLANTED"')
        backend.add("tls", f'base_url = "{endpoint.url.replace("http:", "https:")}"\napi_key_env = "PLANTED"')
        backend.add("nowhere", 'base_url = "http://nowhere.invalid/v1"\napi_key_env = "PLANTED"')
        backend.add("by_proxy", 'base_url = "http://vendor.invalid/v1"\napi_key_env = "PLANTED"')
        backend.add("by_tunnel", 'base_url = "https://vendor.invalid/v1"\napi_key_env = "PLANTED"')
        backend.add("by_url", 'base_url_env = "WHERE"\nmeter = { name = "prometheus", url_env = "EXPORTER" }')
        backend.tables["by_url"] = backend.tables["by_url"].replace('model = "m"', 'model = "unauthorized"')
        backend.add("extra", f'base_url = "{endpoint.url}"\nheaders = {{ X-Team = "{UNRELATED}" }}')
        backend.tables["extra"] = backend.tables["extra"].replace('model = "m"', 'model = "broken"')
        backend.variables = {
            "PLANTED": KEY,
            "OPENAI_API_KEY": KEY,
            "CI_TOKEN": UNRELATED,
            "WHERE": f"{endpoint.url.replace('://', f'://{user}@')}?api_key={quote(QUERY_KEY, safe='')}",
            "EXPORTER": (
                f"{refusing.replace('://', f'://me:{quote(METER_PASSWORD, safe=str())}@')}/metrics"
                f"?token={quote(METER_TOKEN, safe='')}"
            ),
            "HTTP_PROXY": refusing.replace("://", f"://me:{quote(PASSWORD, safe='')}@"),
            "HTTPS_PROXY": refusing.replace("://", f"://me:{quote(PASSWORD, safe='')}@"),
            "NO_PROXY": "127.0.0.1,nowhere.invalid",
        }
        yield backend


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# Beside each exception: what of its chain and its frames is not the test's own must hold no secret before any mask.
CONFTEST = """
    import json, os, pathlib, pytest

    def _chain(error, seen):
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            yield error
            yield from _chain(error.__cause__, seen)
            error = error.__context__

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(item, call):
        if call.excinfo is not None:
            lines = []
            for error in _chain(call.excinfo.value, set()):
                if not isinstance(error, AssertionError):
                    lines += [repr(error), repr(error.args), repr(vars(error))]
                traceback = error.__traceback__
                while traceback is not None:
                    file = traceback.tb_frame.f_code.co_filename
                    if not any(of in file for of in ("test_suite", "_pytest", "pluggy")):
                        lines += [repr(value) for value in traceback.tb_frame.f_locals.values()]
                    traceback = traceback.tb_next
            with open("frames.txt", "a") as file:
                file.write("\\n".join(lines))
        return (yield)
"""
SUITE = """
    import logging, os
    import pytest
    from pytest_rightsize.errors import RightsizeError

    @pytest.mark.parametrize("how", ["raised", "caught"])
    def test_it(model, how):
        logging.getLogger("asyncio").setLevel(logging.DEBUG)
        print(repr(model), vars(model), model)
        headers = {"Authorization": "Bearer " + os.environ["PLANTED"], "X-Meter": os.environ["EXPORTER"]}
        environment = dict(os.environ)
        logging.getLogger("app").warning("asked with %s", headers)
        try:
            answer = model.ask(how)
        except RightsizeError:
            if how == "caught":
                raise AssertionError(f"a chain of frames: {headers}")
            raise
        assert answer == "something else", environment
"""
SHOWING = [
    *("-vv", "-l", "--tb=long", "-rA"),
    *("--log-level=DEBUG", "--log-cli-level=DEBUG", "--log-file=log.txt"),
]
FILES = ["--rightsize-results=run.jsonl", "--rightsize-markdown=summary.md", "--junitxml=junit.xml"]
REPORTS = [
    *(*FILES, "--rightsize-html=page.html"),
    "--rightsize-report=csv:run.csv,json:run.json,badge:badge.svg",
]


def planted(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    """A suite, a ladder file and an environment with a secret wherever one can be given."""
    monkeypatch.setattr("urllib.request._opener", None)  # it keeps the proxies of its first call
    for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in backend.variables.items():
        monkeypatch.setenv(name, value)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)
    pytester.makefile(".toml", rightsize="\n".join(backend.tables.values()))


def written(folder: Path) -> dict[str, bytes]:
    """Every file of a session, and what is packed in its page."""
    files = {name: content for name, content in everything_written(folder).items() if name != "conftest.py"}
    packed = re.findall(rb"H4sI[A-Za-z0-9+/=]+", files.get("page.html", b""))
    return files | {f"page {number}": gzip.decompress(base64.b64decode(text)) for number, text in enumerate(packed)}


def test_a_session_that_fails_in_every_way_tells_no_secret(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One session with fifteen failures, all shown in full: some seconds."""
    with failing_in_every_way() as backend:
        planted(pytester, monkeypatch, backend)
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "step.md"))
        result = pytester.runpytest(
            f"--rightsize-ladder={','.join(backend.tables)}", "--rightsize-strategy=full", *SHOWING, *REPORTS
        )

    assert "INTERNALERROR" not in str(result.stdout) + str(result.stderr)
    files = written(pytester.path)
    assert {"run.jsonl", "page.html", "junit.xml", "frames.txt", "log.txt", "step.md"} <= set(files)
    trials = [line for line in map(json.loads, files["run.jsonl"].splitlines()) if line["kind"] == "trial"]
    outcomes = {trial["rung"]: trial["reason"] for trial in trials if trial["outcome"] == "error"}
    expected = {"unauthorized": "auth", "broken": "server", "slow": "timeout", "tls": "transport", "by_url": "auth"}
    assert outcomes.items() >= expected.items()
    assert {"refused", "page", "bad_json", "redirect", "nowhere", "by_proxy", "by_tunnel", "extra"} <= set(outcomes)
    assert leaks({"stdout": str(result.stdout), "stderr": str(result.stderr), **files}) == []
    assert b"***" in files["run.jsonl"]
    assert "asked with {'Authorization': 'Bearer ***'" in str(result.stdout)


@pytest.mark.parametrize("more", ["--full-trace", "-n1"])
def test_a_full_trace_and_a_worker_tell_no_secret(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    """Of two failures, as pytest reads the source of each of some forty frames: a second; a worker takes one too."""
    with failing_in_every_way() as backend:
        planted(pytester, monkeypatch, backend)
        pytester.makepyfile(test_suite=SUITE.replace('"raised", ', ""))
        options = ["--rightsize-ladder=by_url,echo", "--rightsize-strategy=full", more]
        result = pytester.runpytest(*options, *SHOWING, *FILES)

    assert "INTERNALERROR" not in str(result.stdout) + str(result.stderr)
    assert more == "-n1" or "pluggy" in str(result.stdout)
    assert leaks({"stdout": str(result.stdout), "stderr": str(result.stderr), **written(pytester.path)}) == []


@pytest.mark.parametrize("how", ["while it waits", "by the user's code"])
def test_an_interrupted_session_tells_no_secret(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with failing_in_every_way() as backend:
        planted(pytester, monkeypatch, backend)
        ladder = pytester.path / "rightsize.toml"
        ladder.write_text(ladder.read_text("utf-8").replace("timeout_s = 0.1", "timeout_s = 60"), encoding="utf-8")
        pytester.makepyfile(
            test_suite=f"""
            import os, signal, threading
            def test_it(model):
                if {how == "while it waits"}:
                    threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT]).start()
                else:
                    raise KeyboardInterrupt
                model.ask("x")
            """
        )
        # A worker of pytest-xdist ignores what Ctrl-C sends.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            result = pytester.runpytest_inprocess(
                "--rightsize-ladder=slow", "--full-trace", "--rightsize-concurrency=1", *SHOWING, no_reraise_ctrlc=True
            )
        finally:
            signal.signal(signal.SIGINT, before)

    assert "KeyboardInterrupt" in str(result.stdout)
    assert leaks({"stdout": str(result.stdout), "stderr": str(result.stderr), **written(pytester.path)}) == []


def test_commands_tell_no_secret(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with failing_in_every_way() as backend:
        planted(pytester, monkeypatch, backend)
        pytester.makefile(".toml", rightsize="\n".join(backend.tables[name] for name in ("by_url", "by_proxy", "echo")))
        pytester.runpytest("--rightsize-ladder=echo,by_url", *FILES)
        for command in (["doctor"], ["show", "run.jsonl"], ["cache", "export", "answers.jsonl"], ["lock", "run.jsonl"]):
            main(command)
        literal = f"http://me:{quote(PASSWORD, safe='')}@127.0.0.1:9/v1"
        assert main(["route", "run.jsonl", "--base-url", f"echo={literal}"]) == 2
        assert main(["init", "--models", "endpoint", "--model", "m", "--base-url", literal, "--dir", "new"]) == 2

    said = capsys.readouterr()
    assert "by_url" in said.out
    assert leaks({"out": said.out, "err": said.err, **written(pytester.path)}) == []


def test_a_served_application_tells_no_secret(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own key goes to the endpoint of the session, whose rung fails and repeats what it was sent."""
    with failing_in_every_way() as backend:
        planted(pytester, monkeypatch, backend)
        ladder = "\n".join(["[app]", "serve = true", backend.tables["unauthorized"], backend.tables["echo"]])
        pytester.makefile(".toml", rightsize=ladder)
        pytester.makepyfile(
            test_suite="""
            import json, os, urllib.request

            def post(url):
                headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "X-Token": os.environ["CI_TOKEN"]}
                body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]}).encode()
                with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers)) as response:
                    return json.load(response)

            def test_by_variable(model):
                assert post(os.environ["OPENAI_BASE_URL"] + "/chat/completions") == 1, dict(os.environ)

            def test_by_address(model):
                environment = model.env
                assert post(model.base_url + "/chat/completions") == environment
            """
        )
        options = ["--rightsize-ladder=unauthorized,echo", "--rightsize-strategy=full"]
        result = pytester.runpytest(*options, *SHOWING, *FILES)

    files = written(pytester.path)
    trials = [line for line in map(json.loads, files["run.jsonl"].splitlines()) if line["kind"] == "trial"]
    assert {(trial["rung"], trial["outcome"]) for trial in trials} >= {("unauthorized", "error"), ("echo", "failed")}
    assert leaks({"stdout": str(result.stdout), "stderr": str(result.stderr), **files}) == []


def test_a_provider_that_breaks_tells_no_secret(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of somebody else, against its contract: a fault of the rung, in one sentence, and never the model's."""
    with failing_in_every_way() as backend:
        planted(pytester, monkeypatch, backend)
        pytester.makefile(".toml", rightsize="".join(f'[ladder.{n}]\nprovider = "breaking"\n' for n in "abc"))
        pytester.makeconftest(
            """
            import os

            def key():
                return "Bearer " + os.environ["PLANTED"]

            class Breaking:
                options = {}
                required = ()
                leaves_machine = False
                site = "machine"
                def __init__(self, rung): self.rung = rung
                def check(self): pass
                def identity(self, sha256): return None
                def close(self): pass
                def submit(self, request):
                    headers = {"Authorization": key()}
                    if self.rung.name == "a": raise ValueError(os.environ["PLANTED"])
                    if self.rung.name == "b": raise OSError(0, "no " + os.environ["EXPORTER"])
                    raise KeyError(key())

            def pytest_rightsize_providers(): return {"breaking": Breaking}
            """
        )
        pytester.makepyfile(test_suite="def test_it(model): assert model.ask('x') == 'y'")
        options = ["--rightsize-ladder=a,b,c", "--rightsize-strategy=full"]
        result = pytester.runpytest(*options, *SHOWING, *FILES)

    files = {name: text for name, text in written(pytester.path).items() if name != "conftest.py"}
    trials = [line for line in map(json.loads, files["run.jsonl"].splitlines()) if line["kind"] == "trial"]
    assert [(trial["outcome"], trial["reason"]) for trial in trials] == [("error", "crash")] * 3
    words = r"rung '\w': its provider is broken at conftest.py:\d+ \((Value|OS|Key)Error: "
    assert all(re.search(words, trial["detail"]) for trial in trials)
    assert leaks({"stdout": str(result.stdout), "stderr": str(result.stderr), **files}) == []


@pytest.mark.parametrize("member", ["__init__", "check", "identity", "meter", "meter.check"])
def test_whatever_breaks_of_somebody_else_tells_no_secret(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    monkeypatch.setenv("PLANTED", KEY)
    secret_variable("PLANTED")
    pytester.makefile(".toml", rightsize='[ladder.near]\nprovider = "mine"\nmeter = "mine"\n')
    pytester.makeconftest(
        f"""
        import os
        from concurrent.futures import Future
        from pytest_rightsize.records import Reply, Tokens

        def broken(member):
            if member == {member!r}:
                headers = {{"Authorization": "Bearer " + os.environ["PLANTED"]}}
                raise ValueError(f"{{headers}}")

        class Mine:
            options = {{}}
            required = ()
            leaves_machine = False
            site = "machine"
            def __init__(self, rung): broken("__init__")
            def check(self): broken("check")
            def identity(self, sha256): broken("identity")
            def close(self): pass
            def submit(self, request):
                done = Future()
                done.set_result(Reply(text="y", tokens=Tokens()))
                return done

        class Meter:
            options = {{}}
            def __init__(self, rung, options, site): broken("meter")
            def check(self): broken("meter.check")
            def counters(self): return ()

        def pytest_rightsize_providers(): return {{"mine": Mine}}
        def pytest_rightsize_meters(): return {{"mine": Meter}}
        """
    )
    pytester.makepyfile(test_suite="def test_it(model): assert model.ask('x') == 'y'")

    result = pytester.runpytest("--rightsize-ladder=near", "--full-trace", "-l")

    told = {"stdout": str(result.stdout), "stderr": str(result.stderr)}
    assert "INTERNALERROR" not in "".join(told.values())
    # Why there is no meter, `rightsize doctor` says.
    assert ("broken" in "".join(told.values())) is not member.startswith("meter")
    assert leaks(told) == []
    assert "too small" not in told["stdout"].replace("TOO SMALL", "")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("headers", "'Authorization: Bearer sk-p1anted4242dontell'"),
        ("extra_body", "'http://me:sk-p1anted4242dontell@x/'"),
        ("retries", "'sk-p1anted4242dontell'"),
    ],
)
def test_a_value_of_another_type_is_not_repeated_where_it_looks_like_a_key(
    pytester: pytest.Pytester, key: str, value: str
) -> None:
    pytester.makefile(
        ".toml", rightsize=f'[ladder.a]\nprovider = "openai"\nmodel = "m"\nbase_url = "http://x/v1"\n{key} = {value}\n'
    )
    told = str(pytester.runpytest("--rightsize-ladder=a").stderr)
    assert f"{key} " in told
    assert "sk-p1anted4242dontell" not in told


# --- what providers and meters hand out -------------------------------------------------------------------------------


def in_reach_of(error: BaseException) -> Iterator[str]:
    """Whatever an exception leads to: its chain, its arguments, the variables of its frames."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        todo += [one.__cause__, one.__context__]
        yield from (repr(one), repr(one.args), repr(vars(one)))
        traceback = one.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename != __file__:
                yield from map(repr, traceback.tb_frame.f_locals.values())
            traceback = traceback.tb_next


def test_no_error_of_a_rung_leads_to_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with failing_in_every_way() as backend:
        for name, value in backend.variables.items():
            monkeypatch.setenv(name, value)
        for name, options in (
            ("WHERE", {"base_url_env": "WHERE"}),
            ("proxy", {"base_url": "http://vendor.invalid/v1", "api_key_env": "PLANTED"}),
            ("gone", {"base_url": f"http://127.0.0.1:{closed_port()}/v1", "api_key_env": "PLANTED"}),
        ):
            provider = OpenAI(Rung(name=name, provider="openai", model="m", options={**options, "retries": 0}))
            question = Request(messages=({"role": "user", "content": "x"},))
            error = provider.submit(question).exception(60)
            provider.close()
            if error is not None:
                assert isinstance(error, RungError)
                assert error.__context__ is None
                assert leaks({name: "\n".join(in_reach_of(error))}) == []
            assert leaks({name: f"{provider!r} {vars(provider)!r} {provider._endpoint()!r}"}) == []


@pytest.mark.parametrize("kind", ["refusing", "closed", "no HTTP", "TLS"])
def test_no_error_of_a_meter_leads_to_a_secret(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    with failing_in_every_way() as backend, socket.create_server(("127.0.0.1", 0)) as odd:
        url = backend.variables["EXPORTER"]
        if kind == "closed":
            url = re.sub(r"127.0.0.1:\d+", f"127.0.0.1:{closed_port()}", url)
        if kind == "TLS":
            url = url.replace("http:", "https:")
        if kind == "no HTTP":
            url = re.sub(r"127.0.0.1:\d+", f"127.0.0.1:{odd.getsockname()[1]}", url)
            odd.settimeout(5)
            import threading

            def speak() -> None:
                connection, _ = odd.accept()
                with connection:
                    connection.recv(9999)
                    connection.sendall(told_in_every_form(SECRETS).encode())

            threading.Thread(target=speak, daemon=True).start()
        monkeypatch.setenv("EXPORTER", url)
        meter = Prometheus(Rung(name="r", provider="openai"), {"url_env": "EXPORTER"}, "machine")
        with pytest.raises(CounterError) as told:
            meter.counters()

    assert leaks({kind: "\n".join([*in_reach_of(told.value), repr(meter), repr(vars(meter))])}) == []
    assert "/metrics" in str(told.value)


def test_a_password_in_the_url_of_a_meter_is_sent_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[str, str | None]] = []

    class Exporter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append((unquote(self.path), self.headers["Authorization"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{UUID="a"} 5\n')

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with serving(Exporter) as url:
        user = f"me:{quote(METER_PASSWORD, safe='')}"
        where = f"{url.replace('://', f'://{user}@')}/metrics?token={quote(METER_TOKEN, safe='')}"
        monkeypatch.setenv("EXPORTER", where)
        meter = Prometheus(Rung(name="r", provider="openai"), {"url_env": "EXPORTER"}, "machine")
        (counter,) = meter.counters()

    basic = base64.b64encode(f"me:{METER_PASSWORD}".encode()).decode()
    assert heard == [(f"/metrics?token={METER_TOKEN}", f"Basic {basic}")]
    assert leaks({"facts": repr(counter.facts)}) == []
    assert counter.facts.device.startswith(f"prometheus:{url.removeprefix('http://')}/")


def test_a_variable_without_a_url_and_two_places_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORTER", KEY)
    rung = Rung(name="r", provider="openai")
    with pytest.raises(ConfigError, match="the variable EXPORTER holds no URL") as told:
        Prometheus(rung, {"url_env": "EXPORTER"}, "machine")
    assert leaks({"error": str(told.value)}) == []
    with pytest.raises(ConfigError, match="both url and url_env"):
        Prometheus(rung, {"url": "http://x/", "url_env": "EXPORTER"}, "machine")


def test_a_fetch_that_is_interrupted_shows_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Ctrl-C comes in the main thread, a library's frames are in another one."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.Future.result", interrupted)
    with pytest.raises(KeyboardInterrupt) as told:
        fetch(Secret(f"http://me:{KEY}@127.0.0.1:9/"), headers={"X": Secret(KEY)}, local_only=True, timeout_s=1)
    assert leaks({"frames": "\n".join(in_reach_of(told.value))}) == []


def test_records_of_an_endpoint_show_neither_key_nor_url() -> None:
    endpoint = Endpoint(url=f"http://x/?api_key={quote(KEY)}", headers={"Authorization": Secret(KEY), "X": KEY})
    assert leaks({"repr": repr(endpoint)}) == []


@pytest.mark.parametrize("key", ["EMPTY", "not-needed", "lm-studio", "ollama", "x1"])
def test_a_short_key_is_a_word_like_any_other_in_an_answer(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """A server that needs no key is given a word, which its answers may have too: masked, they would be wrong."""
    monkeypatch.setenv("PLANTED", key)
    with serve(lambda _: Answering(body=completion(f"it is {key}"))) as endpoint:
        options = {"base_url": endpoint.url, "api_key_env": "PLANTED"}
        provider = OpenAI(Rung(name="r", provider="openai", model="m", options=options))
        reply = provider.submit(Request(messages=({"role": "user", "content": "x"},))).result(60)
        provider.close()
    assert reply.text == f"it is {key}"


def test_a_log_at_debug_has_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the libraries that are used here."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with failing_in_every_way() as backend:
            for name, value in backend.variables.items():
                monkeypatch.setenv(name, value)
            with pytest.raises(FetchError):
                fetch(Secret(backend.variables["EXPORTER"]), local_only=True, timeout_s=5)
            provider = OpenAI(Rung(name="r", provider="openai", model="m", options={"base_url_env": "WHERE"}))
            provider.submit(Request(messages=({"role": "user", "content": "x"},))).result(60)
            provider.close()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert leaks({"log": stream.getvalue()}) == []


# --- one place --------------------------------------------------------------------------------------------------------


# Files that put URLs together to ask them, or to listen; none of theirs is shown but by `shown_url`.
ASKING = {
    "providers/openai/endpoint_urls.py",
    "providers/openai/tokenizing.py",
    "providers/secret_texts.py",
    "served/upstreams.py",
}


def _calls_of(text: str, names: str) -> list[str]:
    return re.findall(rf"\b({names})\(", text)


def test_one_function_writes_urls_and_one_fetches_pages() -> None:
    for file in PACKAGE.rglob("*.py"):
        name, text = file.relative_to(PACKAGE).as_posix(), file.read_text(encoding="utf-8")
        if name not in ASKING:
            assert not _calls_of(text, "urlunsplit|urlunparse|geturl|urlencode"), f"{name}: call shown_url"
        if name != "providers/plain_http.py":
            assert not _calls_of(text, "urlopen|urlretrieve|build_opener|HTTPS?Connection"), f"{name}: call fetch"
        if name != "providers/proxies.py":
            assert not _calls_of(text, "getproxies|proxy_bypass"), f"{name}: call proxy_for"
        # That would lead from an error of ours to the library's.
        assert not re.search(r"^\s*(raise .*|\)) from (?!None$)[a-z_.]+$", text, re.MULTILINE), name


def test_an_error_of_ours_forgets_what_it_was_made_of() -> None:
    def fail() -> None:
        try:
            raise ValueError(KEY)
        except ValueError:
            raise RungError("it failed", reason="server")  # noqa: B904  # the kind of mistake that this is about

    with pytest.raises(RungError) as told:
        fail()
    assert (told.value.__context__, told.value.__cause__) == (None, None)
