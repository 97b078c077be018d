"""What SDKs ask beside questions: which models there are, and which version serves them; pure.

Also the error for a path that nothing serves, in the form of the SDK that has this path.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from pytest_rightsize.records import Json
from pytest_rightsize.served.wires.anthropic_messages import AnthropicMessages
from pytest_rightsize.served.wires.asked import Wire
from pytest_rightsize.served.wires.chat_completions import ChatCompletions
from pytest_rightsize.served.wires.gemini import Gemini
from pytest_rightsize.served.wires.ollama import Ollama

__all__ = ["listing", "unserved"]

_SERVED = (
    "/v1/chat/completions, /v1/responses, /v1/messages, /api/chat, /api/generate, models/MODEL:generateContent and "
    "models/MODEL:streamGenerateContent"
)
_EPOCH = "1970-01-01T00:00:00Z"
# A version of Ollama that can do all that clients look for: tools, schemas, thinking.
_OLLAMA_VERSION = "0.12.0"
_GEMINI = re.compile(r"/v1(?:alpha|beta)\d*/(?:.*/)?models(?:/(?P<model>[^/:]+))?$")
_OPENAI = re.compile(r"/models(?:/(?P<model>.+))?$")


def listing(method: str, path: str, models: Sequence[str]) -> Json | None:
    """What a list of `models` looks like at this path; None where it is no such path.

    A single model is described whatever its name is, as the application may make sure that its own is there.
    """
    if method == "POST":
        return _shown() if path.endswith("/api/show") else None
    if method not in ("GET", "HEAD"):
        return None
    for end, answer in _OLLAMA.items():
        if path.endswith(end):
            return answer(models)
    if found := _GEMINI.search(path):
        return _gemini(found["model"]) if found["model"] else {"models": [_gemini(name) for name in models]}
    if found := _OPENAI.search(path):
        return _model(found["model"]) if found["model"] else _models(models)
    return None


def unserved(method: str, path: str) -> tuple[int, Json, str]:
    """Status, body and words of the error for a path that nothing serves."""
    text = f"rightsize does not serve {method} {path}; it serves POST to {_SERVED}"
    return 404, _wire_beside(path).error(404, text), text


def _wire_beside(path: str) -> Wire:
    """The wire of the vendor whose path it is, to tell the error in its form."""
    if re.search(r"/v1/messages\b|/v1/complete$", path):
        return AnthropicMessages()
    if re.search(r"/v1(alpha|beta)\d*/|:\w+$", path):
        return Gemini()
    return Ollama() if re.search(r"/api/\w+$", path) else ChatCompletions()


def _models(models: Sequence[str]) -> Json:
    """The list of OpenAI, of Anthropic and of Google's newer path, which are one path; each reads its own members."""
    ends = {"first_id": models[0] if models else None, "last_id": models[-1] if models else None}
    described = [_model(name) for name in models]
    return {"object": "list", "data": described, "models": described, "has_more": False, **ends}


def _model(name: str) -> Json:
    anthropic = {"type": "model", "display_name": name, "created_at": _EPOCH}
    return {"id": name, "object": "model", "created": 0, "owned_by": "rightsize", **anthropic, **_gemini(name)}


def _gemini(name: str) -> Json:
    return {
        "name": f"models/{name}",
        "version": "1",
        "displayName": name,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
    }


def _tags(models: Sequence[str]) -> Json:
    return {"models": [_tag(name) for name in models]}


def _tag(name: str) -> Json:
    return {"name": name, "model": name, "modified_at": _EPOCH, "size": 0, "digest": "", "details": _details()}


def _details() -> Json:
    texts = dict.fromkeys(("parent_model", "format", "family", "parameter_size", "quantization_level"), "")
    return {**texts, "families": []}


def _shown() -> Json:
    """The description of a model; litellm looks for tools in the template."""
    return {
        "modified_at": _EPOCH,
        "template": "{{ .Messages }} {{ .Tools }}",
        "details": _details(),
        "model_info": {},
        "capabilities": ["completion", "tools", "thinking", "vision"],
    }


_OLLAMA: Mapping[str, Callable[[Sequence[str]], Json]] = {
    "/api/tags": _tags,
    "/api/ps": _tags,
    "/api/version": lambda _: {"version": _OLLAMA_VERSION},
}
