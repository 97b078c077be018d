"""How SDKs speak to a model: the body of a request becomes what is asked, and a Reply a body or a stream of events.

One pure file for each vendor's form. Nothing here sends, waits or knows which rung answers; what no rung can be asked
is an `UnservedError` that names it, so that nothing that changes an answer is lost on the way.
"""

from pytest_rightsize.served.wires.anthropic_messages import AnthropicMessages
from pytest_rightsize.served.wires.asked import CONTEXT_EXCEEDED, FILTERED, Asked, UnservedError, Wire
from pytest_rightsize.served.wires.chat_completions import ChatCompletions
from pytest_rightsize.served.wires.fields import body_of
from pytest_rightsize.served.wires.gemini import Gemini
from pytest_rightsize.served.wires.ignoring import read_ignoring
from pytest_rightsize.served.wires.listings import listing, unserved
from pytest_rightsize.served.wires.ollama import Ollama
from pytest_rightsize.served.wires.responses import Responses

__all__ = [
    "CONTEXT_EXCEEDED",
    "FILTERED",
    "WIRES",
    "Asked",
    "UnservedError",
    "Wire",
    "body_of",
    "listing",
    "read_ignoring",
    "unserved",
    "wire_of",
]

WIRES: tuple[Wire, ...] = (ChatCompletions(), Responses(), AnthropicMessages(), Ollama(), Gemini())


def wire_of(path: str) -> Wire | None:
    """The wire of a path, or None where no wire has it."""
    return next((wire for wire in WIRES if wire.matches(path)), None)
