"""Nothing is fetched beside models, offline or in private: no tokenizer, template, price or file of a report.

Every way that leads out of this machine (proxies, the hub's address, a redirect) leads to a listener here. The guard of
an offline session would refuse a try: here it lets all pass, so that what stays is that nothing is tried.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.providers.plain_http import fetch
from pytest_rightsize.providers.secret_texts import Secret
from pytest_rightsize.records import Request, Rung
from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.served.guard import Guard
from tests.outside import Listener
from tests.providers.openai.endpoint import Answering, completion, serve
from tests.providers.test_onnx import QUEUES, folder

__all__ = ["folder"]  # the fixture with a classifier and its tokenizer

pytest.importorskip("llama_cpp")
tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("huggingface_hub")
Outside = tuple[str, Listener]
REPORTS = ("html", "markdown", "csv", "json", "badge")


@pytest.fixture
def heard(outside: Outside, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Listener:
    """Who listens at the end of every way out."""
    for thread in threading.enumerate():
        if thread.name == "rightsize download":  # one that an earlier test left would look for the hub here
            thread.join(60)
    url, listener = outside
    root = url.removesuffix("/v1")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, root)
        monkeypatch.setenv(name.upper(), root)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", root)
    # The hub's package of now, which another test may have loaded anew, offline, or with a client for other proxies.
    known = import_module("huggingface_hub.constants")
    monkeypatch.setattr(known, "ENDPOINT", root)
    monkeypatch.setattr(known, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
    monkeypatch.setattr(known, "HF_HUB_OFFLINE", False)
    import_module("huggingface_hub").close_session()
    monkeypatch.setattr("urllib.request._opener", None)  # it keeps the proxies of its first call
    return listener


@pytest.fixture
def ladder(folder: Path, outside: Outside, pytester: pytest.Pytester) -> Iterator[str]:
    """A rung of each kind that has a tokenizer, one of them with a list price."""
    from tests.providers.llama_cpp.random_gguf import TINY, write_model

    write_model(folder / "tiny.gguf", TINY)
    for file in folder.iterdir():
        (pytester.path / file.name).write_bytes(file.read_bytes())
    redirect = Answering(status=307, body={}, headers={"Location": outside[0]})
    reply = completion("billing", reasoning_content="I was charged, so it is billing")
    with serve(lambda _: Answering(body=reply), aside={"/tokenize": lambda _: redirect}) as endpoint:
        yield f"""
            [ladder.words]
            provider = "onnx"
            model = "queues.onnx"
            tokenizer = "tokenizer.json"
            labels = {QUEUES}
            [ladder.tiny]
            provider = "llama_cpp"
            model = "tiny.gguf"
            [ladder.listed]
            provider = "openai"
            model = "openai/gpt-4o-mini"
            base_url = "{endpoint.url}"
            price = "auto"
            """
        assert "/tokenize" in endpoint.paths


@pytest.mark.parametrize("how", ["offline", "private"])
def test_no_tokenizer_price_or_report_is_fetched(
    pytester: pytest.Pytester,
    heard: Listener,
    ladder: str,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(Guard, "meet", lambda _, host, **__: tried.append(host))  # it would refuse
    pytester.makefile(".toml", rightsize=ladder)
    pytester.makepyfile(
        test_suite=f"""
        import pytest

        @pytest.mark.rightsize(task="queue", private={how == "private"}, max_tokens=4)
        def test_it(model):
            assert model.ask("I was charged twice") == "billing"
        """
    )
    options = ["--rightsize-report=" + ",".join(f"{name}:r.{name}" for name in REPORTS)]
    if how == "offline":
        options.append("--rightsize-offline")

    pytester.runpytest(
        "--rightsize-ladder=words,tiny,listed", "--rightsize-strategy=full", "--rightsize-results=run.jsonl", *options
    )

    trials = {trial.key.rung: trial for trial in read_run(pytester.path / "run.jsonl").trials}
    assert {name: trial.outcome for name, trial in trials.items()} == {
        "words": "passed",
        "tiny": "failed",
        "listed": "passed",
    }
    assert trials["words"].answers[0].tokens.prompt == 4
    assert all((pytester.path / f"r.{name}").stat().st_size for name in REPORTS)
    assert (heard.connections, tried) == (0, [])


@pytest.mark.parametrize("way", ["the tokenizers' own", "a fetch"])
def test_each_way_does_lead_to_the_listener(heard: Listener, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above would prove nothing."""
    sleep, here = time.sleep, threading.get_ident()

    def wait(seconds: float) -> None:
        """The hub's client tries for 23 s: here at once, and not again when it was heard."""
        if threading.get_ident() != here:
            sleep(seconds)
        elif heard.connections:
            raise ConnectionError("it was heard")

    monkeypatch.setattr("time.sleep", wait)
    with suppress(Exception):  # it hears, and says nothing
        if way == "a fetch":
            fetch(Secret("http://example.invalid/prices.json"), local_only=False, timeout_s=5)
        else:
            tokenizers.Tokenizer.from_pretrained("org/repo")
    assert heard.connections > 0


def test_names_are_looked_up_by_python_whatever_else_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver of aiodns, which aiohttp takes where it is installed, passes by the guard."""
    monkeypatch.setattr("aiohttp.connector.DefaultResolver", lambda *_, **__: pytest.fail("it is asked for"))
    with serve(lambda _: Answering(body=completion("yes"))) as endpoint:
        options = {"base_url": endpoint.url.replace("127.0.0.1", "localhost"), "retries": 0}
        provider = OpenAI(Rung(name="near", provider="openai", model="m", options=options))
        try:
            reply = provider.submit(Request(messages=({"role": "user", "content": "x"},))).result()
        finally:
            provider.close()
    assert reply.text == "yes"
