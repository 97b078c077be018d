"""Exceptions of this package, one class for each thing a caller can do about it.

RightsizeError
├── ConfigError      an option, marker, ladder file or replay file is wrong: correct it and start again
├── RungError        a rung could not answer: an infrastructure fault, never held against the model
├── NoAnswerError    the model itself is why there is no answer: the rung fails this trial
│   └── TooLongError the prompt does not fit the rung's context
├── SchemaReferenceError a schema refers to another that it was not given: the test is to be mended
├── MixedEnergyError two amounts of energy cannot be added or compared: keep them apart
└── FormatError      an answer does not have the form that was asked for: the rung fails this trial
"""

import difflib
from collections.abc import Iterable

from pytest_rightsize.escaping import printable
from pytest_rightsize.portable import Portable

__all__ = [
    "ConfigError",
    "FormatError",
    "MixedEnergyError",
    "NoAnswerError",
    "RightsizeError",
    "RungError",
    "SchemaReferenceError",
    "TooLongError",
    "unknown_name",
]


class RightsizeError(Portable, Exception):
    """Base of everything this package raises on purpose; what it says is harmless in a terminal or a log.

    >>> try:
    ...     model.ask("How are you?").json()
    ... except RightsizeError as error:
    ...     print(error)
    the answer is not JSON (Expecting value: line 1 column 1 (char 0)): 'Fine, thank you.'
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))

    @property
    def __context__(self) -> None:
        """None: it says all there is to say, and a library's error that it was made of has its request and headers."""

    @__context__.setter
    def __context__(self, _: BaseException | None) -> None:
        """Forget it."""


class ConfigError(RightsizeError):
    """The user's input cannot be used; the message says what was given and what to do.

    >>> raise unknown_name("--rightsize-ladder", "1bn", ["1b", "4b"], noun="rung")
    Traceback (most recent call last):
    pytest_rightsize.errors.ConfigError: --rightsize-ladder: unknown rung '1bn': did you mean '1b'? Known: 1b, 4b.
    """


class RungError(RightsizeError):
    """A rung could not answer, for a reason that says nothing about its model.

    `reason` is one word for the results file: `missing`, `load`, `memory`, `auth`, `transport`, `timeout`,
    `rate_limit`, `server`, `bad_reply`, `too_large`, `request`, `credit`, `crash`, `unrecorded`, `private`, `offline`,
    `budget`, and `unserved` where an application asked for what no rung can be asked. `permanent` means that asking
    again cannot help, so the rung is not asked again in this session. `alone` means that the fault says nothing of
    other requests to the rung.

    >>> error = RungError("no connection to 127.0.0.1:8080: start the server", reason="transport")
    >>> error.reason, error.permanent, error.alone
    ('transport', False, False)
    """

    def __init__(self, message: str, *, reason: str, permanent: bool = False, alone: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.permanent = permanent
        self.alone = alone


class RightsizeWarning(UserWarning):
    """A warning for the user that changes no verdict; what it says is harmless in a terminal or a log."""

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class NoAnswerError(RightsizeError):
    """The endpoint gives no answer because of what the model or the prompt did, as where a filter refused the prompt.

    `reason` is `refusal`, `format`, `truncated` or `too_long`.

    >>> NoAnswerError("the endpoint's filter refused the prompt", reason="refusal").reason
    'refusal'
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class TooLongError(NoAnswerError):
    """The prompt and the room for an answer are more tokens than the rung's context holds.

    >>> TooLongError("the prompt has 5000 tokens, and n_ctx is 4096").reason
    'too_long'
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="too_long")


class SchemaReferenceError(RightsizeError, LookupError):
    """A JSON schema of a test refers to another schema that it was not given, and that is not fetched."""


class MixedEnergyError(RightsizeError, TypeError):
    """Two amounts of energy were obtained in different ways, or their sum would count a joule twice."""


class FormatError(RightsizeError, ValueError):
    """An answer is not JSON, or not the JSON that the schema asks for.

    >>> model.ask("The date as JSON: 3 May 2026").json({"required": ["day"]})
    Traceback (most recent call last):
    pytest_rightsize.errors.FormatError: the answer does not follow the schema at $: 'day' is a required property
    """


def unknown_name(where: str, name: str, known_names: Iterable[str], *, noun: str = "name") -> ConfigError:
    """The error for an unknown name, with the nearest known one; `where` is the option, file or key that holds it."""
    choices = list(dict.fromkeys(known_names))
    nearest = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f": did you mean {nearest[0]!r}?" if nearest else "."
    return ConfigError(f"{where}: unknown {noun} {name!r}{hint} Known: {', '.join(choices)}.")
