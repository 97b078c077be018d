"""A rung of several: the first member answers, and what a check does not accept is passed on to the next.

It says who its members are and what it accepts; the engine asks the members, as it knows their recorded answers, their
meters and the budget. In come a request and a member's reply, out goes whether that reply is the answer.
"""

import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pluggy

from pytest_rightsize.content_parts import texts_of
from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.matchers import json_in
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.providers.broken_providers import checked
from pytest_rightsize.providers.environment import error_words
from pytest_rightsize.providers.own_threads import stay_on_this_machine
from pytest_rightsize.providers.placement import keeps_private
from pytest_rightsize.providers.specialists import Threads
from pytest_rightsize.providers.user_functions import UserFunction
from pytest_rightsize.records import Identity, Reply, Request, Rung
from pytest_rightsize.schemas import Schema

__all__ = ["Cascade"]

hookimpl = pluggy.HookimplMarker("pytest")

_IN_FLIGHT = 8
_SELF_CHECK = "Is the answer above correct, complete, and in the form that was asked for? Reply with yes or no."
# What a parameter of this name is given; the first of any other name gets the answer's text.
_BY_NAME: Mapping[str, Callable[[Request, Reply], object]] = {
    "prompt": lambda request, _: texts_of(request)[0],
    "messages": lambda request, _: [dict(message) for message in request.messages],
    "request": lambda request, _: request,
    "reply": lambda _, reply: reply,
}


class Cascade:
    """A rung whose `rungs` are asked one after the other, until `accept` takes an answer; that of the last is taken.

    `accept` is `schema` (the answer is JSON of the schema that was asked for), `self_check` (the member says yes when
    it is asked whether its answer is right) or `package.module:function`, which is given the answer's text, and by
    their names `prompt`, `messages`, `request` or `reply`, and returns a bool.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {"rungs": list, "accept": str}
    required: ClassVar[tuple[str, ...]] = ("rungs", "accept")
    site = None
    takes_room_of = None

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError if its members or its check cannot be."""
        names = rung.options["rungs"]
        if not all(isinstance(name, str) for name in names) or len({*names}) < max(2, len(names)):
            raise ConfigError(
                f"rung {rung.name!r}: rungs = {names!r} cannot be: name two rungs or more, each once, smallest first"
            )
        self._rung = rung
        self._accept = str(rung.options["accept"])
        self._function: UserFunction | None = None
        if self._accept not in ("schema", "self_check"):
            where = f'rung {rung.name!r}: accept (which may be "schema" or "self_check" too)'
            self._function = UserFunction(self._accept, base_dir=rung.base_dir, where=where)
        self.members: tuple[str, ...] = tuple(names)
        self._providers: Mapping[str, Provider] = {}
        self._rungs: Mapping[str, Rung] = {}
        self._threads: Threads | None = None

    def bind(self, providers: Mapping[str, Provider], rungs: Mapping[str, Rung]) -> None:
        """Take the providers of the members, and their rungs, before anything is asked."""
        self._providers = {name: providers[name] for name in self.members}
        self._rungs = {name: rungs[name] for name in self.members}

    @property
    def in_flight(self) -> int:
        """As many as the member that takes fewest at once."""
        limits = [self._rungs[name].max_in_flight for name in self.members if name in self._rungs]
        own = [getattr(provider, "in_flight", _IN_FLIGHT) for provider in self._providers.values()]
        return min([*own, *(limit for limit in limits if limit is not None)], default=_IN_FLIGHT)

    @property
    def leaves_machine(self) -> bool:
        """Whether a request to any member does: the strictest one counts."""
        return any(provider.leaves_machine for provider in self._providers.values())

    @property
    def trusted(self) -> bool:
        """Whether each member may be given private tasks."""
        return all(keeps_private(provider, self._rungs[name]) for name, provider in self._providers.items())

    def check(self) -> Problem | None:
        """Report the first member that cannot answer, or a check that cannot be imported."""
        for name, provider in self._providers.items():
            problem = checked(provider, name)
            if problem is not None:
                return Problem(what=f"its rung {name} cannot answer: {problem.what}", remedy=problem.remedy)
        try:
            if self._function is not None:
                self._function.loaded()
        except RungError as error:
            return Problem(what=str(error), remedy=f"correct accept of {self._rung.name} in the ladder file")
        return None

    def identity(self, sha256: Callable[[Path], str]) -> Identity | None:  # noqa: ARG002  # the protocol has it
        """None: the answers of the members are recorded, each as that of its rung."""
        return None

    def submit(self, request: Request) -> Future[Reply]:  # noqa: ARG002  # the protocol has it
        """Not called: the engine asks the members."""
        raise RungError(f"rung {self._rung.name!r} is a cascade, and only a session asks it", reason="request")

    def begin(self, work: Callable[[], Reply]) -> Future[Reply]:
        """Do what asks the members and waits for them in a thread, of which there are as many as requests at once."""
        if self._threads is None:
            self._threads = Threads(replace(self._rung, max_in_flight=self._rung.max_in_flight or self.in_flight))
        return self._threads.submit(lambda _: work(), _NOTHING)

    def close(self) -> None:
        """End the threads as soon as their requests have ended."""
        if self._threads is not None:
            self._threads.close()

    def accepts(self, request: Request, reply: Reply, ask_again: Callable[[Request], Reply]) -> bool:
        """Whether the reply of a member is the answer; `ask_again` asks that member something else.

        Raises RungError where the check itself is broken.
        """
        if reply.finish_reason == "length":
            return False
        if self._function is not None:
            return self._is_accepted_by(self._function, request, reply)
        if self._accept == "schema":
            return self._follows_schema(request, reply)
        said = ask_again(_self_check(request, reply)).text.strip().strip("*_`\"'").lower()
        return said.startswith("yes")

    def _follows_schema(self, request: Request, reply: Reply) -> bool:
        if request.schema is None:
            raise RungError(
                f'rung {self._rung.name!r}: accept = "schema" needs a schema, and the test asks without one: give '
                f"model.ask(schema=...), or name a function in accept",
                reason="request",
                alone=True,
            )
        try:
            return Schema(request.schema).problem(json_in(reply.text)) is None
        except ValueError:
            return False

    def _is_accepted_by(self, accept: UserFunction, request: Request, reply: Reply) -> bool:
        function = accept.loaded()
        try:
            names = [*inspect.signature(function).parameters]
            with stay_on_this_machine():
                said = function(*(_BY_NAME[name](request, reply) if name in _BY_NAME else reply.text for name in names))
        except RungError:
            raise
        except Exception as error:
            raise RungError(
                f"rung {self._rung.name!r}: {self._accept} raised {error_words(error)}: mend it",
                reason="crash",
                alone=True,
            ) from None
        if not isinstance(said, bool):
            raise RungError(
                f"rung {self._rung.name!r}: {self._accept} returned a {type(said).__name__}: have it return a bool",
                reason="bad_reply",
                alone=True,
            )
        return said


_NOTHING = Request(messages=())


def _self_check(request: Request, reply: Reply) -> Request:
    """The request by which a member checks its own answer."""
    answer = {"role": "assistant", "content": reply.text}
    return replace(
        request,
        messages=(*request.messages, answer, {"role": "user", "content": _SELF_CHECK}),
        schema=None,
        tools=None,
    )


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `cascade`."""
    return {"cascade": Cascade}
