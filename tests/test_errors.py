"""Every exception of the package can be pickled and copied, whole: pools, queues and other processes do both."""

import copy
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pytest_rightsize
from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.openai.faults import Fault

# For each parameter of a constructor a value that is not its default.
_VALUES: dict[str, Any] = {
    "message": "rung 4b cannot answer",
    "reason": "transport",
    "permanent": True,
    "flag": "denied",
    "kind": "status",
    "detail": "overloaded",
    "status": 503,
    "fault": Fault(kind="timeout", words="too slow"),
    "attempts": 3,
    "advice": "false",
    "names": ["a.gguf", "b.gguf"],
    "rung": "4b",
    "alone": True,
    "may_retry": False,
    "wait_s": 1.5,
    "what": "n is 2",
    "why": "nothing has come for 60 s",
    "words": "does not answer",
    "arguments": {"prompt": "Say hello"},
}


def _exceptions() -> Iterator[type[BaseException]]:
    names = [module.name for module in pkgutil.walk_packages(pytest_rightsize.__path__, "pytest_rightsize.")]
    for name in names:
        if name.endswith("__main__"):
            continue
        for kind in vars(importlib.import_module(name)).values():
            if inspect.isclass(kind) and issubclass(kind, BaseException) and kind.__dict__["__module__"] == name:
                yield kind


def _made(kind: type[BaseException]) -> BaseException:
    own = "__init__" in kind.__dict__
    parameters = list(inspect.signature(kind).parameters.values()) if own else []
    positional = [_VALUES[one.name] for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    named = {one.name: _VALUES[one.name] for one in parameters if one.kind is one.KEYWORD_ONLY}
    error = kind(*positional, **named) if own else kind("what was given, and what to do")
    error.add_note("seen in test_route")
    return error


def _state(error: BaseException) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, BaseException) else value for name, value in vars(error).items()}


def _pickled(error: BaseException) -> BaseException:
    made: BaseException = pickle.loads(pickle.dumps(error))
    return made


@pytest.mark.parametrize("again", [_pickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", sorted(set(_exceptions()), key=str))
def test_an_error_is_the_same_elsewhere(
    kind: type[BaseException], again: Callable[[BaseException], BaseException]
) -> None:
    error = _made(kind)
    other = again(error)
    assert other is not error
    assert type(other) is kind
    assert (str(other), other.args, _state(other)) == (str(error), error.args, _state(error))


def test_the_exceptions_are_found() -> None:
    assert {"RungError", "ConfigError", "Suspended", "CounterError", "HttpError"} <= {
        kind.__name__ for kind in _exceptions()
    }


def test_what_a_caller_decides_by_survives() -> None:
    error = pickle.loads(pickle.dumps(RungError("the key was refused", reason="auth", permanent=True)))
    assert (str(error), error.reason, error.permanent) == ("the key was refused", "auth", True)
