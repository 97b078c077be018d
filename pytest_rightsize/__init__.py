"""Find the smallest language model that passes your tests.

The line, left to right; nothing on the left knows what stands on its right:

    argv/ini -> Settings -> Ladder -> items x rungs -> Model.ask -> Request -> Provider -> Reply -> Answer
             -> Trial -> Run -> judge -> Verdict -> gate + reports
"""

from pytest_rightsize.errors import ConfigError, FormatError, RightsizeError, RungError, TooLongError
from pytest_rightsize.matchers import Match, Matcher, containing, fuzzy, json_matching, number, one_of
from pytest_rightsize.model import Answer, Conversation, Model

__all__ = [
    "Answer",
    "ConfigError",
    "Conversation",
    "FormatError",
    "Match",
    "Matcher",
    "Model",
    "RightsizeError",
    "RungError",
    "TooLongError",
    "containing",
    "fuzzy",
    "json_matching",
    "number",
    "one_of",
]
