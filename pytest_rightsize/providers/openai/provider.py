"""Provider for any OpenAI-compatible endpoint: vLLM, llama-server, Ollama, LM Studio, or a vendor's own.

One event loop thread sends the requests over connections that are kept alive, `max_in_flight` of a rung at once, and
again after a temporary fault, at most `retries` times; answers come whole, never as streams. The key is read from the
environment when the first request is made and never appears in a message.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pluggy

from pytest_rightsize import clocks
from pytest_rightsize.errors import ConfigError, RightsizeError, RungError
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.providers.bounded_bodies import DEFAULT_LIMIT_MB
from pytest_rightsize.providers.environment import is_own_endpoint, secret_variable, user_variable
from pytest_rightsize.providers.locality import host_of, is_this_machine
from pytest_rightsize.providers.openai import event_loop
from pytest_rightsize.providers.openai.echoes import answer_mask, masked_reply, masked_words
from pytest_rightsize.providers.openai.endpoint_urls import CHAT, address_below
from pytest_rightsize.providers.openai.fault_words import error_for
from pytest_rightsize.providers.openai.http import Client, Endpoint, HttpError
from pytest_rightsize.providers.openai.image_faults import about_images
from pytest_rightsize.providers.openai.probing import probe_models
from pytest_rightsize.providers.openai.replies import Completion, read_completion
from pytest_rightsize.providers.openai.request_forms import RequestForm, schema_field
from pytest_rightsize.providers.openai.rung_check import RungCheck
from pytest_rightsize.providers.openai.tokenizing import Tokenizer
from pytest_rightsize.providers.reasoning import marks_of, reasoning_in
from pytest_rightsize.providers.secret_texts import Mask, Secret, holds_secret, literal_secret, shown_url
from pytest_rightsize.providers.template_kwargs import with_template_kwargs
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung

__all__ = ["OpenAI"]

hookimpl = pluggy.HookimplMarker("pytest")

_VENDOR = "https://api.openai.com/v1"
_DEFAULT_KEY = "OPENAI_API_KEY"
_MAX_IN_FLIGHT = 64
# A server that keeps its connections open must not keep a session from ending.
_CLOSING_S = 10
# What an endpoint refuses is learned from it one by one: a name, a parameter, a form of the schema after the other.
_MOST_FORMS = 6
_PLAIN_QUESTION = Request(messages=({"role": "user", "content": "Say OK."},), max_tokens=16)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class OpenAI:
    """An endpoint that speaks the chat completions protocol; `model` is its name for the model.

    Without `base_url` (or `base_url_env`, the name of a variable that holds it) it is the vendor's own endpoint.
    `retries` (default 4) bounds how often one request is sent again, `timeout_s` (default 120) each attempt, and
    `patience_s` (default 300) how long one request waits for a rate limit or for the model to load. The rung's
    `max_in_flight` (default 64) bounds how many are in flight; a 429 halves the number, and answers raise it again.
    `api_key_header` names the header of the key where that is not `Authorization`, `structured_output` the form in
    which a schema is sent where the endpoint does not tell.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "api_key_env": str,
        "api_key_header": str,
        "base_url": str,
        "base_url_env": str,
        "chat_template_kwargs": dict,
        "extra_body": dict,
        "headers": dict,
        "max_answer_mb": (int, float),
        "patience_s": (int, float),
        "reasoning": (dict, bool),
        "reasoning_effort": str,
        "retries": int,
        "structured_output": str,
        "timeout_s": (int, float),
    }
    required: ClassVar[tuple[str, ...]] = ("model",)
    # What another route of the endpoint has otherwise: see `transcriptions`.
    path: ClassVar[str] = CHAT

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError if its options contradict each other."""
        options = rung.options
        where = f"rung {rung.name!r}"
        marks_of(rung)
        if "base_url" in options and "base_url_env" in options:
            raise ConfigError(f"{where} has both base_url and base_url_env: keep one")
        if options.get("retries", 0) < 0 or options.get("timeout_s", 1) <= 0 or options.get("patience_s", 0) < 0:
            raise ConfigError(f"{where}: retries must be 0 or more, patience_s too, and timeout_s above 0")
        if options.get("max_answer_mb", 1) <= 0:
            raise ConfigError(f"{where}: max_answer_mb must be above 0: leave it out for {DEFAULT_LIMIT_MB:g}")
        if "base_url" in options and host_of(options["base_url"]) is None:
            shown = "" if {"@", "?"} & {*options["base_url"]} else f" = {options['base_url']!r}"  # a key may be in it
            raise ConfigError(f"{where}: base_url{shown} is no URL: write http://host:port/v1")
        if "base_url" in options and holds_secret(options["base_url"]):
            raise ConfigError(
                f"{where}: base_url holds a name, a password or a key, which is refused: name a variable in "
                f"api_key_env, or one with the whole URL in base_url_env"
            )
        for kind, names in (
            ("header", options.get("headers", {})),
            ("key of extra_body", options.get("extra_body", {})),
        ):
            name = literal_secret(names)
            if name is not None:
                own = f', with api_key_header = "{name}"' if kind == "header" else ""
                raise ConfigError(
                    f"{where}: the {kind} {name} would hold a literal key, which is refused: use api_key_env{own}"
                )
        if not _HEADER_NAME.fullmatch(options.get("api_key_header", "Authorization")):
            raise ConfigError(f'{where}: api_key_header is no name of a header: write one such as "api-key"')
        self._rung = rung
        if is_own_endpoint(self._base_url or ""):
            raise ConfigError(
                f"{where}: its base_url is the endpoint that this session serves to the application under test "
                f"([app] serve), so that it would ask itself: set it to the endpoint of a model"
            )
        self._lock = threading.Lock()
        self._is_local: dict[str, bool] = {}
        self._client: Client | None = None
        self._mask = Mask(())
        self._tokenizer = Tokenizer(lambda: self._base_url or "", rung.model or "")
        self._host = host_of(self._base_url or _VENDOR) or ""
        self._form = RequestForm(
            model=rung.model or "",
            host=self._host,
            structured_output=options.get("structured_output"),
            on_note=self._note,
        )
        self._rung_check = RungCheck(
            lambda: self._fitted(self.plain_question()), lambda plain: self.read(plain, 0.0, 0)
        )
        self.on_note: Callable[[str], object] = lambda _: None
        self._noted: set[str] = set()

    @property
    def leaves_machine(self) -> bool:
        """Whether the endpoint's host is another machine; an unknown host counts as another."""
        host = host_of(self._base_url or _VENDOR) or ""
        if host not in self._is_local:
            self._is_local[host] = not self._is_vendors_own and is_this_machine(host)
        return not self._is_local[host]

    def check(self) -> Problem | None:
        """Report a variable that is not set, or that holds no URL."""
        for option, what in (("base_url_env", "the endpoint's URL"), ("api_key_env", "its key")):
            variable = self._rung.options.get(option)
            if variable and not user_variable(variable):
                return Problem(
                    what=f"the variable {variable} with {what} is not set", remedy=f"run `export {variable}=...`"
                )
        if host_of(self._base_url or _VENDOR) is None:  # the URL is not shown: a key may be in it
            return Problem(
                what=f"the variable {self._rung.options['base_url_env']} holds no URL",
                remedy="set it to one, such as http://host:port/v1",
            )
        if is_own_endpoint(self._base_url or ""):
            return Problem(
                what="its base_url is the endpoint that this session serves to the application, so that it would ask "
                "itself",
                remedy="set it to the endpoint of a model",
            )
        if self._needs_default_key and not user_variable(_DEFAULT_KEY):
            return Problem(
                what=f"the variable {_DEFAULT_KEY} with its key is not set",
                remedy=f"run `export {_DEFAULT_KEY}=...`, or set base_url to an endpoint of your own",
            )
        if self._rung.options.get("structured_output") == "grammar" and find_spec("llama_cpp") is None:
            return Problem(
                what="llama-cpp-python, which turns a schema into a grammar, is not installed",
                remedy="run `pip install 'pytest-rightsize[local]'`, or set structured_output to another form",
            )
        if re.search(r"[\x00-\x1f\x7f]|^\s|\s$", self._key.reveal()):  # the key itself is not shown
            is_ended = self._key.reveal().endswith("\n")
            ends = "ends in a line break" if is_ended else "holds a blank or a control character"
            return Problem(
                what=f"the variable {self._key_variable} {ends}, which no header can hold",
                remedy=f"set it again without that, as with `export {self._key_variable}=$(cat FILE)`",
            )
        return None

    def identity(self, sha256: Callable[[Path], str]) -> Identity:  # noqa: ARG002  # the protocol has it
        """Identify the rung by endpoint and model name, and by the options that go into each request."""
        options, base_url = self._rung.options, self._base_url
        if base_url is None and not self._is_vendors_own:
            variable = options["base_url_env"]
            raise RungError(f"rung {self._rung.name!r}: {variable} is not set", reason="missing", permanent=True)
        return Identity(
            content={
                "provider": "openai",
                "endpoint": shown_url(base_url or _VENDOR),
                "model": self._rung.model,
                "reasoning_effort": options.get("reasoning_effort"),
                "extra_body": options.get("extra_body"),
                **({"structured_output": form} if (form := options.get("structured_output")) else {}),
                **({"chat_template_kwargs": kwargs} if (kwargs := options.get("chat_template_kwargs")) else {}),
            }
        )

    def probe(self) -> Problem | None:
        """Ask the endpoint for its list of models, which costs nothing; returns what keeps it from answering."""
        return probe_models(
            self._base_url or _VENDOR,
            headers=self._key_header(),
            model=self._rung.model or "",
            local_only=not self.leaves_machine,
        )

    def submit(self, request: Request) -> Future[Reply]:
        """Send the request from the event loop thread, once the rung has a place for it."""
        with self._lock:
            try:
                client = self._client = self._client or Client(self._endpoint())
            except RungError as fault:
                refused: Future[Reply] = Future()
                refused.set_exception(fault)
                return refused
            return event_loop.start(self._answer(request, client))

    def close(self) -> None:
        """Close the connections; requests still in flight end in a RungError."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            closing = event_loop.start(client.close())
            if not event_loop.in_loop():
                wait([closing], timeout=_CLOSING_S)

    @property
    def _base_url(self) -> str | None:
        options = self._rung.options
        url: str | None = options.get("base_url") or user_variable(options.get("base_url_env", ""))
        return url

    @property
    def _is_vendors_own(self) -> bool:
        return "base_url" not in self._rung.options and "base_url_env" not in self._rung.options

    @property
    def _needs_default_key(self) -> bool:
        return self._is_vendors_own and "api_key_env" not in self._rung.options

    @property
    def _key(self) -> Secret:
        """The key from the environment; empty where the endpoint needs none."""
        return secret_variable(self._key_variable) or Secret("")

    @property
    def _key_variable(self) -> str:
        """The variable that holds the key; empty where the endpoint needs none."""
        return self._rung.options.get("api_key_env") or (_DEFAULT_KEY if self._needs_default_key else "")

    def _key_header(self) -> dict[str, Secret]:
        """The header with the key, if there is one."""
        name = self._rung.options.get("api_key_header", "Authorization")
        value = Secret(f"Bearer {self._key.reveal()}") if name.lower() == "authorization" else self._key
        return {name: value} if self._key else {}

    async def _answer(self, request: Request, client: Client) -> Reply:
        """Post the request; raises RungError or NoAnswerError."""
        answers_before = client.answers
        has_schema = self._has_own_schema(request)
        for forms_left in reversed(range(_MOST_FORMS)):
            body = self._fitted(request)
            try:
                completion = await client.post(body, self.read)
                break
            except HttpError as error:
                # Another request may have learned what this one did not know yet.
                learned = forms_left and self._form.learn(error.fault, body, has_schema=has_schema)
                if forms_left and (learned or self._fitted(request) != body):
                    continue
                is_down = await self._rung_check.is_down(error.fault, client, answers_before=answers_before)
                raise self._as_error(error, request, is_down=is_down) from None
        self._rung_check.note_answered(body)
        for note in completion.notes:
            self._note(note)
        return masked_reply(await self._with_reasoning_counted(completion.reply, client), self._mask)

    @property
    def content_type(self) -> str:
        """The type of a request's body."""
        return "application/json"

    def encoded(self, body: Json) -> bytes:
        """The body as it is sent."""
        return json.dumps(body).encode()

    def plain_question(self) -> Request:
        """A request that any rung answers."""
        return _PLAIN_QUESTION

    def read(self, answer: Json, seconds: float, retries: int) -> Completion:
        """The answer of the endpoint; raises as `read_completion` does."""
        return read_completion(answer, seconds, retries, host=self._host)

    def _note(self, note: str) -> None:
        """Tell the user something of the endpoint, once for each kind of thing."""
        kind = note.partition("(")[0]
        if kind not in self._noted:
            self._noted.add(kind)
            self.on_note(f"rung {self._rung.name!r}: {shown_url(self._base_url or _VENDOR)} {self._masked(note)}")

    async def _with_reasoning_counted(self, reply: Reply, client: Client) -> Reply:
        """The reply with its reasoning counted by the endpoint's own tokenizer, where it reported no count."""
        reasoning = reply.reasoning or reasoning_in(reply.text, marks_of(self._rung) or ())
        if self._is_vendors_own or not reasoning or reply.tokens.reasoning is not None:
            return reply
        started = clocks.perf_counter()
        count = await self._tokenizer.count(reasoning, client)
        tokens = reply.tokens
        if count is not None and (tokens.completion is None or count <= tokens.completion):
            tokens = replace(tokens, reasoning=count, reasoning_source="counted")
        return replace(reply, tokens=tokens, after_s=clocks.perf_counter() - started)

    def _endpoint(self) -> Endpoint:
        """The endpoint and how to post to it; raises RungError if a variable that it needs is not set."""
        problem = self.check()
        if problem is not None:
            raise RungError(
                f"rung {self._rung.name!r}: {problem.what}; {problem.remedy}", reason="missing", permanent=True
            )
        options = self._rung.options
        self._mask = answer_mask(self._key, self._base_url or _VENDOR)
        return Endpoint(
            url=address_below(self._base_url or _VENDOR, self.path),
            encode=self.encoded,
            headers={
                "Content-Type": self.content_type,
                "User-Agent": f"pytest-rightsize/{version('pytest-rightsize')}",
                **self._key_header(),
                **options.get("headers", {}),
            },
            timeout_s=float(options.get("timeout_s", 120)),
            retries=int(options.get("retries", 4)),
            patience_s=float(options.get("patience_s", 300)),
            max_answer_mb=float(options.get("max_answer_mb", DEFAULT_LIMIT_MB)),
            max_in_flight=self._rung.max_in_flight or _MAX_IN_FLIGHT,
            local_only=not self.leaves_machine,
        )

    def _fitted(self, request: Request) -> dict[str, Json]:
        """The request's body in the form that the endpoint takes."""
        return self._form.fitted(self._body(request), request.schema if self._has_own_schema(request) else None)

    def _has_own_schema(self, request: Request) -> bool:
        """Whether the schema goes in a form of ours: a response_format that the user wrote is sent as it is."""
        own = {**self._rung.options.get("extra_body", {}), **request.extra}
        return bool(request.schema) and "response_format" not in own

    def _body(self, request: Request) -> dict[str, Json]:
        """The request's body; fields that are None are left out, for the endpoint's own default."""
        options = self._rung.options
        fields = {
            "model": self._rung.model,
            "messages": [dict(message) for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": None if request.seed is None else request.seed + request.sample,
            "tools": [dict(tool) for tool in request.tools] if request.tools else None,
            "response_format": schema_field(request.schema) if request.schema else None,
            "reasoning_effort": options.get("reasoning_effort"),
        }
        body = {name: value for name, value in fields.items() if value is not None}
        return with_template_kwargs({**body, **options.get("extra_body", {}), **request.extra}, self._rung)

    def _as_error(self, error: HttpError, request: Request, *, is_down: bool) -> RightsizeError:
        """The error to raise for a fault, with the key masked."""
        words = self._masked(error.fault.words)[:500]
        return error_for(
            about_images(replace(error.fault, words=words), request),
            attempts=error.attempts,
            rung=self._rung.name,
            model=self._rung.model,
            where=shown_url(self._base_url or _VENDOR),
            key_variable=self._rung.options.get("api_key_env", _DEFAULT_KEY if self._is_vendors_own else None),
            is_down=is_down,
        )

    def _masked(self, text: str) -> str:
        """The text without the key and without what the headers hold."""
        headers = self._rung.options.get("headers", {})
        return masked_words(text, self._key, self._base_url or _VENDOR, headers=headers)


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `openai`."""
    return {"openai": OpenAI}
