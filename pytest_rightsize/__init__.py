"""Find the smallest language model that passes your tests.

The line, left to right; nothing on the left knows what stands on its right:

    argv/ini -> Settings -> Ladder -> items x rungs -> Model.ask -> Request -> Provider -> Reply -> Answer
             -> Trial -> Run -> judge -> Verdict -> gate + reports
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_rightsize.answers import Answer
    from pytest_rightsize.content_parts import audio_part, image_part
    from pytest_rightsize.errors import (
        ConfigError,
        FormatError,
        NoAnswerError,
        RightsizeError,
        RungError,
        TooLongError,
    )
    from pytest_rightsize.judges import judged, preferred_over
    from pytest_rightsize.matchers import Match, Matcher, containing, fuzzy, json_matching, number, one_of
    from pytest_rightsize.model import Conversation, Model

__all__ = [
    "Answer",
    "ConfigError",
    "Conversation",
    "FormatError",
    "Match",
    "Matcher",
    "Model",
    "NoAnswerError",
    "RightsizeError",
    "RungError",
    "TooLongError",
    "audio_part",
    "containing",
    "fuzzy",
    "image_part",
    "json_matching",
    "judged",
    "number",
    "one_of",
    "preferred_over",
]

# Imported on first use: pytest loads this package in every project that has it installed.
_FILES = {
    **dict.fromkeys(
        ["ConfigError", "FormatError", "NoAnswerError", "RightsizeError", "RungError", "TooLongError"], "errors"
    ),
    "Answer": "answers",
    **dict.fromkeys(["judged", "preferred_over"], "judges"),
    **dict.fromkeys(["audio_part", "image_part"], "content_parts"),
    **dict.fromkeys(["Conversation", "Model"], "model"),
}


def __getattr__(name: str) -> Any:
    """Import an export from its file."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILES.get(name, 'matchers')}"), name)


def __dir__() -> list[str]:
    """The exports, for tab completion."""
    return __all__
