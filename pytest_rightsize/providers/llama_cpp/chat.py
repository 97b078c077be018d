"""Turns requests into prompts and completions into replies: by the model's own template, or a named chat format.

Requests and completions come in, prompts and Replies go out; no token is decoded here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pytest_rightsize.errors import RungError, TooLongError
from pytest_rightsize.providers.llama_cpp.chat_formats import (
    CompletionNeededError,
    call_choice,
    named_tool,
    response_of,
    shows_tools,
)
from pytest_rightsize.providers.llama_cpp.chat_template import ChatTemplate, TemplateRefusalError, printable
from pytest_rightsize.providers.llama_cpp.completions import Completion, Prompt, Sampling
from pytest_rightsize.providers.llama_cpp.native import last_errors
from pytest_rightsize.providers.llama_cpp.request_checks import check_request, wanted_schema
from pytest_rightsize.providers.llama_cpp.structured_output import Constraint, Constraints, SchemaRefusalError
from pytest_rightsize.providers.llama_cpp.tool_calls import ToolChoice, calls_in
from pytest_rightsize.providers.llama_cpp.vision import Seen, Vision, VisionError, refused
from pytest_rightsize.providers.reasoning import Marks, marks_of, opened_by, separate
from pytest_rightsize.providers.template_kwargs import template_kwargs
from pytest_rightsize.records import Json, Reply, Request, Rung, Tokens

if TYPE_CHECKING:
    from pytest_rightsize.providers.llama_cpp.batching import Batch

__all__ = ["LoadedModel"]

# What gpt-oss writes before its answer; a schema holds from there.
_FINAL_CHANNEL = "<|channel|>final<|message|>"
_CHANNEL = "<|channel|>"
# Enough of a prompt's end to see whether it has opened reasoning.
_TAIL = 200


class LoadedModel:
    """One `llama_cpp.Llama` and its slots, used by one thread only. `template` is None where a chat format is named.

    `vision` is set where it has a vision projector.
    """

    def __init__(self, native: Any, batch: "Batch", rung: Rung, template: ChatTemplate | None) -> None:
        self.batch = batch
        self.vision: Vision | None = None
        self._native = native
        self._rung = rung
        self._name = rung.name
        self._template = template
        self._constraints = Constraints(native)
        self._marks: tuple[Marks, ...] = marks_of(rung) or ()

    def next_turn(self, request: Request, completions: Sequence[Completion]) -> Prompt | Reply:
        """The next prompt to complete for the request, or its reply if all completions are there."""
        if not completions:
            check_request(
                request, self._rung, vocabulary=int(self._native.n_vocab()), sees_images=self.vision is not None
            )
        choice = ToolChoice.of(request)
        if self._template is None:
            return self._next_turn_by_format(request, completions)
        if not completions:
            return self._prompt_by_template(request, choice, self._template)
        return self._reply(request, choice, completions[-1])

    def start(self, prompt: Prompt) -> int:
        """Start the prompt in a free slot; returns the ticket that identifies its completion."""
        try:
            return self.batch.start(prompt)
        except ValueError as error:
            raise self._refusal(f"{error}{last_errors()}") from None

    def close(self) -> None:
        """Free the memory."""
        self.batch.close()
        if self.vision is not None:
            self.vision.close()
        self._native.close()

    def _refusal(self, why: str) -> RungError:
        return RungError(f"rung {self._name!r}: {why}", reason="request")

    # --- by the model's own template --------------------------------------------------------------------------------

    def _prompt_by_template(self, request: Request, choice: ToolChoice, template: ChatTemplate) -> Prompt:
        tools = choice.tools or None
        try:
            if tools and not template.takes_tools(request.messages, tools):
                raise self._refusal(
                    "this model's template takes no tools, so it would never see them; ask without tools, or set "
                    "chat_format in the ladder file"
                )
            kwargs = template_kwargs(request.extra, self._rung)
            if "reasoning_effort" in request.extra:
                kwargs = {"reasoning_effort": request.extra["reasoning_effort"], **kwargs}
            messages, images = self._images(request)
            text = template.render(messages, tools=tools, kwargs=kwargs)
        except TemplateRefusalError as error:
            raise self._refusal(
                f"the model's chat template refused the conversation ({error}); change the messages, or set "
                "chat_format in the ladder file"
            ) from None
        seen = self._seen(text, images)
        opened = self._opened(text, request)
        return self._prompt(
            seen,
            request,
            opened=opened,
            constraint=self._constraint(request, choice),
            constrained_after=opened.close if opened else _FINAL_CHANNEL if _CHANNEL in template.text else "",
        )

    def _images(self, request: Request) -> tuple[Sequence[Mapping[str, Json]], Sequence[bytes]]:
        """The messages as templates read them, with marks in the places of images, and those."""
        if self.vision is None:
            return request.messages, ()
        try:
            return self.vision.with_markers(request)
        except VisionError as error:
            raise refused(self._name, error) from None

    def _seen(self, text: str, images: Sequence[bytes]) -> Seen:
        """The tokens of the prompt, and its images at their marks."""
        encoded = self._encoded(text)
        if self.vision is None or not images:
            return Seen(tokens=list(self._native.tokenize(encoded, add_bos=False, special=True)))
        try:
            return self.vision.read(text, images)
        except VisionError as error:
            raise refused(self._name, error) from None

    def _encoded(self, text: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError:
            raise self._refusal("the prompt holds half of a surrogate pair, which is no text; remove it") from None

    def _opened(self, text: str, request: Request) -> Marks | None:
        """The marks of a reasoning that the prompt has begun; a question that ends with such a mark begins none."""
        opened = opened_by(text[-_TAIL:], self._marks)
        last = request.messages[-1].get("content") if request.messages else None
        is_quoted = isinstance(last, str) and opened_by(last, self._marks) is not None
        return None if is_quoted and request.messages[-1].get("role") != "assistant" else opened

    def _constraint(self, request: Request, choice: ToolChoice) -> Constraint | None:
        """What the answer is held to: a schema, or a tool call that must come."""
        schema = choice.schema if choice.is_forced else wanted_schema(request)
        if schema is None:
            return None
        try:
            return self._constraints.of(schema)
        except SchemaRefusalError as error:
            raise self._refusal(
                f"the schema cannot be enforced ({printable(str(error))}); simplify it, or ask without it and check "
                "the answer with answer.json(schema)"
            ) from None

    def _prompt(
        self,
        seen: Seen,
        request: Request,
        *,
        opened: Marks | None,
        constraint: Constraint | None,
        constrained_after: str,
    ) -> Prompt:
        room = self._room_after(seen.size)
        extra, stop = request.extra, request.extra.get("stop") or []
        setting_names = {setting.name for setting in fields(Sampling)} - {"logit_bias"}
        settings = {name: value for name, value in extra.items() if name in setting_names and value is not None}
        if request.top_p is not None:
            settings["top_p"] = request.top_p
        return Prompt(
            tokens=seen.tokens,
            images=seen.images,
            max_tokens=room if request.max_tokens is None else min(request.max_tokens, room),
            stop=[text.encode() for text in ([stop] if isinstance(stop, str) else stop)],
            sampling=Sampling(
                **settings,
                temperature=request.temperature or 0.0,
                seed=_seed(request),
                logit_bias={int(token): float(added) for token, added in (extra.get("logit_bias") or {}).items()},
                constraint=constraint,
                constrained_after=constrained_after.encode(),
            ),
            opened=opened,
        )

    def _room_after(self, size: int) -> int:
        """The number of tokens that the context has for the answer; raises where it has none, or nothing is asked."""
        if not size:
            raise self._refusal("the prompt is empty: the chat template writes nothing for these messages; change them")
        room = self.batch.context_tokens - size
        if room <= 0:
            raise TooLongError(
                f"rung {self._name!r}: the prompt is {size} tokens and the context holds "
                f"{self.batch.context_tokens}, the answer included; shorten the prompt or set a larger n_ctx in the "
                "ladder file"
            )
        return room

    def _reply(self, request: Request, choice: ToolChoice, completion: Completion) -> Reply:
        """The reply: reasoning, answer and tool calls apart, and control tokens gone from all of them."""
        parts = separate(completion.marked_text, self._marks, opened=completion.opened, knows_prompt=True)
        calls, answer = calls_in(parts.answer, choice, seed=str(len(request.messages)))
        answer, reasoning = (completion.without_controls(text) for text in (answer, parts.reasoning or ""))
        self._check_unenforced(request, answer, completion)
        return Reply(
            text=answer,
            seconds=completion.seconds,
            tokens=Tokens(
                prompt=completion.prompt_tokens,
                cached=completion.cached_tokens,
                completion=completion.completion_tokens,
                reasoning=self._tokens_in(reasoning),
                source="counted",
            ),
            finish_reason="tool_calls" if calls and completion.finish_reason == "stop" else completion.finish_reason,
            # Empty where there is none: what is left has no marks, whatever it looks like.
            reasoning=reasoning,
            tool_calls=calls,
            margin=completion.margin,
        )

    def _check_unenforced(self, request: Request, answer: str, completion: Completion) -> None:
        """Raise RungError where a complete answer breaks a part of the schema that no grammar could hold it to."""
        constraint = completion.constraint
        if constraint is None or completion.finish_reason != "stop" or wanted_schema(request) is None:
            return
        broken = constraint.broken_by(answer)
        if broken is not None:
            raise self._refusal(
                f"the answer breaks a part of the schema that cannot be enforced ({printable(broken)}); simplify the "
                "schema, or ask without it and check the answer with answer.json(schema)"
            )

    def _tokens_in(self, text: str) -> int:
        return len(self._native.tokenize(text.encode(), add_bos=False, special=False)) if text else 0

    # --- by a chat format of llama-cpp-python -----------------------------------------------------------------------

    def _next_turn_by_format(self, request: Request, completions: Sequence[Completion]) -> Prompt | Reply:
        self._check_format_takes(request)
        try:
            response = self._format_response(request, completions)
        except CompletionNeededError as needed:
            return self._prompt_of_format(request, **needed.arguments)
        except Exception as error:
            raise self._refusal(
                f"the chat format {self._rung.options.get('chat_format')} refused the request "
                f"({printable(f'{type(error).__name__}: {error}')}); change the messages, or name another chat_format"
            ) from None
        margins = [completion.margin for completion in completions if completion.margin is not None]
        choice = response["choices"][0]
        parts = separate(choice["message"].get("content") or "", self._marks)
        self._check_unenforced(request, parts.answer, completions[-1])
        return Reply(
            text=parts.answer,
            seconds=sum(completion.seconds for completion in completions),
            tokens=Tokens(
                prompt=response["usage"]["prompt_tokens"],
                cached=completions[-1].cached_tokens,
                completion=sum(completion.completion_tokens for completion in completions),
                reasoning=self._tokens_in(parts.reasoning or ""),
                source="counted",
            ),
            finish_reason=choice["finish_reason"],
            reasoning=parts.reasoning or "",
            tool_calls=tuple(choice["message"].get("tool_calls") or ()),
            margin=min(margins, default=None),
        )

    def _format_response(self, request: Request, completions: Sequence[Completion]) -> Mapping[str, Json]:
        """The format's response; where a call of any tool is required, the first completion chooses which."""
        arguments, names = self._arguments(request), list(ToolChoice.of(request).parameters)
        if names and not completions and not shows_tools(self._native, arguments):
            raise ValueError("it shows tools only after a system message, so the model would never see them")
        if request.extra.get("tool_choice") == "required" and names:
            if len(names) > 1:
                choice = call_choice(self._native, arguments, names)
                if not completions:
                    raise CompletionNeededError(choice.arguments)
                names, completions = [choice.chosen(completions[0].text)], completions[1:]
            arguments["tool_choice"] = named_tool(names[0])
        return response_of(self._native, arguments, completions)

    def _check_format_takes(self, request: Request) -> None:
        """Refuse what a format would drop without a word."""
        name = str(self._rung.options.get("chat_format"))
        if request.tools and "function" not in name:
            raise self._refusal(
                f"the chat format {name} takes no tools, so the model would never see them; ask without tools, leave "
                "chat_format out, or set it to chatml-function-calling"
            )
        if request.extra.get("chat_template_kwargs") or request.extra.get("reasoning_effort"):
            raise self._refusal(f"the chat format {name} has no variables; leave it out for the model's template")

    def _arguments(self, request: Request) -> dict[str, Json]:
        """The keyword arguments of `create_chat_completion`."""
        not_arguments = ("chat_template_kwargs", "reasoning_effort", "response_format")
        arguments = {name: value for name, value in request.extra.items() if name not in not_arguments} | {
            "messages": [dict(message) for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature or 0.0,
            "seed": _seed(request),
        }
        if request.top_p is not None:
            arguments["top_p"] = request.top_p
        if request.tools is not None:
            arguments["tools"] = [dict(tool) for tool in request.tools]
        return arguments

    def _prompt_of_format(
        self,
        request: Request,
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
        tokens = prompt if isinstance(prompt, list) else self._tokens_with_begin(prompt)
        room = self._room_after(len(tokens))
        stops = [stop] if isinstance(stop, str) else stop or []
        setting_names = {setting.name for setting in fields(Sampling)}
        settings = {name: value for name, value in arguments.items() if name in setting_names and value is not None}
        settings["seed"] = _seed(request)  # those for tools drop it
        bias = {int(token): float(added) for token, added in (logit_bias or {}).items()}
        return Prompt(
            tokens=tokens,
            max_tokens=min(max_tokens, room) if max_tokens is not None and max_tokens > 0 else room,
            stop=[text.encode() for text in stops],
            sampling=Sampling(
                **settings, logit_bias=bias, constraint=self._constraint(request, ToolChoice(tools=(), is_forced=False))
            ),
        )

    def _tokens_with_begin(self, prompt: str) -> list[int]:
        begin = [self._native.token_bos()] if self._native._model.add_bos_token() else []
        return begin + list(self._native.tokenize(prompt.encode(), add_bos=False, special=True))


def _seed(request: Request) -> int:
    """The seed of its draws: another one for each sample."""
    return ((request.seed or 0) + request.sample) % 2**31
