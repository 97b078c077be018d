"""Turns requests into prompts and completions into replies, by the chat template in the file or a named chat format.

It uses llama-cpp-python's own chat formats, and never decodes a token itself.
"""

import importlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pytest_rightsize.errors import RungError, TooLongError
from pytest_rightsize.portable import Portable
from pytest_rightsize.providers.llama_cpp.completions import Completion, Prompt, Sampling
from pytest_rightsize.providers.llama_cpp.native import last_errors
from pytest_rightsize.providers.reasoning import reasoning_in
from pytest_rightsize.records import Json, Reply, Request, Tokens

if TYPE_CHECKING:
    from pytest_rightsize.providers.llama_cpp.batching import Batch

__all__ = ["LoadedModel"]

_EXTRA = frozenset(
    [
        "frequency_penalty",
        "logit_bias",
        "min_p",
        "mirostat_eta",
        "mirostat_mode",
        "mirostat_tau",
        "presence_penalty",
        "repeat_penalty",
        "response_format",
        "stop",
        "tool_choice",
        "top_k",
        "typical_p",
    ]
)


class _CompletionNeededError(Portable, Exception):
    """A chat format needs a completion that is not written yet; carries the arguments it asks with."""

    def __init__(self, arguments: Mapping[str, Json]) -> None:
        super().__init__()
        self.arguments = arguments


class _LlamaStandIn:
    """Stands in for a `llama_cpp.Llama` in the chat formats, and returns completions that were written before.

    The formats call `create_completion`, most of them once and some several times, as if it returned at once. It
    cannot, so a format runs from its beginning each time another completion is ready, and asking for one that is not
    ends the run.
    """

    def __init__(self, native: Any, completions: Iterable[Completion]) -> None:
        self._native = native
        self._completions = iter(completions)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def create_completion(self, **arguments: Json) -> Json:
        """Return the next completion in llama-cpp-python's form."""
        completion = next(self._completions, None)
        if completion is None:
            raise _CompletionNeededError(arguments)
        choice = {"text": completion.text, "index": 0, "logprobs": None, "finish_reason": completion.finish_reason}
        usage = {"prompt_tokens": completion.prompt_tokens, "completion_tokens": completion.completion_tokens}
        return {"id": "cmpl", "object": "text_completion", "created": 0, "model": "", "choices": [choice]} | {
            "usage": usage | {"total_tokens": sum(usage.values())}
        }


class LoadedModel:
    """One `llama_cpp.Llama` and its slots, used by one thread only."""

    def __init__(self, native: Any, batch: "Batch", name: str) -> None:
        self.batch = batch
        self._native = native
        self._name = name

    def next_turn(self, request: Request, completions: Sequence[Completion]) -> Prompt | Reply:
        """The next prompt to complete for the request, or its reply if all completions are there."""
        arguments = self._arguments(request)
        stand_in = _LlamaStandIn(self._native, completions)
        try:
            response = type(self._native).create_chat_completion(stand_in, **arguments)
        except _CompletionNeededError as needed:
            return self._prompt(**needed.arguments)
        except ValueError as error:
            raise RungError(
                f"rung {self._name!r}: the model's chat template or llama.cpp refused the request ({error}); "
                "change the messages, or set chat_format in the ladder file",
                reason="request",
            ) from None
        return self._reply(response, completions)

    def start(self, prompt: Prompt) -> int:
        """Start the prompt in a free slot; returns the ticket that identifies its completion."""
        try:
            return self.batch.start(prompt)
        except ValueError as error:
            raise RungError(f"rung {self._name!r}: {error}{last_errors()}", reason="request") from None

    def close(self) -> None:
        """Free the memory."""
        self.batch.close()
        self._native.close()

    def _prompt(
        self,
        *,
        prompt: str | list[int],
        max_tokens: int | None = 16,
        stop: str | list[str] | None = None,
        stopping_criteria: Callable[[Any, Any], bool] | None = None,
        logit_bias: Mapping[str, float] | None = None,
        **arguments: Json,
    ) -> Prompt:
        """Convert the arguments of `create_completion` to a Prompt for the batch."""
        del stopping_criteria  # the chat formats use it only to stop at the end token
        tokens = self._tokens(prompt)
        room = self.batch.context_tokens - len(tokens)
        if room <= 0:
            raise self._too_long(len(tokens))
        stops = [stop] if isinstance(stop, str) else stop or []
        setting_names = {setting.name for setting in fields(Sampling)}
        settings = {name: value for name, value in arguments.items() if name in setting_names and value is not None}
        bias = {int(token): float(added) for token, added in (logit_bias or {}).items()}
        return Prompt(
            tokens=tokens,
            max_tokens=min(max_tokens, room) if max_tokens is not None and max_tokens > 0 else room,
            stop=[text.encode() for text in stops],
            sampling=Sampling(**settings, logit_bias=bias),
        )

    def _tokens(self, prompt: str | list[int]) -> list[int]:
        if isinstance(prompt, list):
            return prompt
        begin = [self._native.token_bos()] if self._native._model.add_bos_token() else []
        return begin + list(self._native.tokenize(prompt.encode(), add_bos=False, special=True))

    def _too_long(self, prompt_tokens: int) -> TooLongError:
        return TooLongError(
            f"rung {self._name!r}: the prompt is {prompt_tokens} tokens and the context holds "
            f"{self.batch.context_tokens}, the answer included; shorten the prompt or set a larger n_ctx in the ladder "
            "file"
        )

    def _arguments(self, request: Request) -> dict[str, Json]:
        """The keyword arguments of `create_chat_completion`."""
        unknown = sorted(set(request.extra) - _EXTRA)
        if unknown:
            raise RungError(
                f"rung {self._name!r}: a llama_cpp rung does not know {', '.join(unknown)}; it takes "
                f"{', '.join(sorted(_EXTRA))}",
                reason="request",
            )
        arguments = dict(request.extra) | {
            "messages": [dict(message) for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": 0.0 if request.temperature is None else request.temperature,
            "seed": ((request.seed or 0) + request.sample) % 2**31,
        }
        if request.top_p is not None:
            arguments["top_p"] = request.top_p
        if request.tools is not None:
            arguments["tools"] = [dict(tool) for tool in request.tools]
        if request.schema is not None:
            arguments["grammar"] = self._grammar(request.schema)
        return arguments

    def _grammar(self, schema: Mapping[str, Json]) -> Any:
        """The grammar that allows only JSON that follows the schema."""
        llama_cpp = importlib.import_module("llama_cpp")
        try:
            text = llama_cpp.llama_grammar.json_schema_to_gbnf(json.dumps(schema))
            # llama-cpp-python passes on a grammar that llama.cpp cannot parse as a null pointer, which crashes.
            sampler = llama_cpp.llama_sampler_init_grammar(self._native._model.vocab, text.encode(), b"root")
            if not sampler:
                raise ValueError(last_errors().removeprefix(": ") or "llama.cpp cannot parse the grammar made of it")
            llama_cpp.llama_sampler_free(sampler)
        except Exception as error:
            raise RungError(
                f"rung {self._name!r}: no grammar can be made of the schema ({type(error).__name__}: {error}); "
                "simplify the schema, or ask without it and check the answer with answer.json(schema)",
                reason="request",
            ) from None
        return llama_cpp.LlamaGrammar.from_string(text, verbose=False)

    def _reply(self, response: Mapping[str, Json], completions: Sequence[Completion]) -> Reply:
        """Convert the chat format's response to a Reply."""
        choice = response["choices"][0]
        text = choice["message"].get("content") or ""
        return Reply(
            text=text,
            seconds=sum(completion.seconds for completion in completions),
            tokens=Tokens(
                prompt=response["usage"]["prompt_tokens"],
                cached=completions[-1].cached_tokens,
                completion=response["usage"]["completion_tokens"],
                reasoning=self._reasoning_tokens(text),
                source="counted",
            ),
            finish_reason=choice["finish_reason"],
            tool_calls=tuple(choice["message"].get("tool_calls") or ()),
        )

    def _reasoning_tokens(self, text: str) -> int:
        """The number of tokens between `<think>` and `</think>`."""
        reasoning = reasoning_in(text)
        return len(self._native.tokenize(reasoning.encode(), add_bos=False, special=False)) if reasoning else 0
