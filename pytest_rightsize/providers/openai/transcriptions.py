"""A rung that is the transcription route of an endpoint: a sound goes in, the words that were said come out.

The route takes a form with a file (platform.openai.com/docs/api-reference/audio/createTranscription); vLLM, speaches,
LocalAI and whisper.cpp's server have it too. Connections, retries and faults are those of the provider `openai`.
"""

import base64
import io
import secrets
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import pluggy

from pytest_rightsize.content_parts import audio_part, sound_in, texts_of
from pytest_rightsize.errors import RungError
from pytest_rightsize.providers import Provider
from pytest_rightsize.providers.openai.error_bodies import error_in
from pytest_rightsize.providers.openai.faults import AnswerFaultError
from pytest_rightsize.providers.openai.outcomes import fault_of
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.providers.openai.replies import Completion
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung, Tokens

__all__ = ["Transcriptions", "form_of"]

hookimpl = pluggy.HookimplMarker("pytest")

_SILENCE_S, _SAMPLES_A_SECOND = 0.5, 16_000
_LEFT_OUT = ("structured_output", "reasoning", "reasoning_effort", "chat_template_kwargs")


class Transcriptions(OpenAI):
    """Posts the sound of a message to `audio/transcriptions`, with its text as the prompt that says what to expect.

    `language` is that of the speech, as in `en`. The other options are those of the provider `openai`; `extra_body` has
    further fields of the form.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        **{name: kind for name, kind in OpenAI.options.items() if name not in _LEFT_OUT},
        "language": str,
    }
    takes_images = False
    path: ClassVar[str] = "audio/transcriptions"

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError as the provider `openai` does."""
        super().__init__(rung)
        self._boundary = secrets.token_hex(16)

    def identity(self, sha256: Callable[[Path], str]) -> Identity:
        """As of the endpoint, with the route and the language."""
        of_endpoint = super().identity(sha256).content
        return Identity(content={**of_endpoint, "route": self.path, "language": self._rung.options.get("language")})

    @property
    def content_type(self) -> str:
        """The type of the form, with the line that parts its fields."""
        return f"multipart/form-data; boundary={self._boundary}"

    def encoded(self, body: Json) -> bytes:
        """The fields as a form."""
        return form_of(body, self._boundary)

    def _body(self, request: Request) -> dict[str, Json]:
        """The fields of the form; the file as its name and its content in base64."""
        if request.schema or request.tools:
            raise RungError(
                f"rung {self._rung.name!r}: it transcribes, and takes neither a schema nor tools: ask for text",
                reason="request",
                alone=True,
            )
        sound, (prompt, _) = sound_in(request, rung=self._rung.name), texts_of(request)
        fields = {
            "model": self._rung.model,
            "response_format": "json",
            "language": self._rung.options.get("language"),
            "prompt": prompt or None,
            "temperature": request.temperature,
            "file": [f"sound.{sound.format}", base64.b64encode(sound.data).decode()],
        }
        body = {name: value for name, value in fields.items() if value is not None}
        return {**body, **self._rung.options.get("extra_body", {}), **request.extra}

    def plain_question(self) -> Request:
        """Half a second of silence, to see whether the rung answers at all."""
        file = io.BytesIO()
        with wave.open(file, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(_SAMPLES_A_SECOND)
            sound.writeframes(bytes(2 * round(_SILENCE_S * _SAMPLES_A_SECOND)))
        return Request(messages=({"role": "user", "content": [audio_part(file.getvalue())]},))

    def read(self, answer: Json, seconds: float, retries: int) -> Completion:
        """The text of a transcription; raises AnswerFaultError or ValueError where it is none."""
        error = error_in(answer)
        if error is not None:
            raise AnswerFaultError(fault_of(error))
        text = answer.get("text")
        if not isinstance(text, str):
            raise ValueError("it has no text")
        tokens = _tokens_in(answer.get("usage"))
        return Completion(
            reply=Reply(text=text.strip(), seconds=seconds, retries=retries, tokens=tokens, finish_reason="stop")
        )


def form_of(fields: Mapping[str, Json], boundary: str) -> bytes:
    """Fields as `multipart/form-data` (RFC 7578); a list of two is a file, its name and its content in base64.

    A field of many values is one of that name for each; true and false are written as JSON has them.
    """
    parts = []
    for name, value in fields.items():
        if name == "file":
            file_name, content = value
            head = f'name="file"; filename="{file_name}"\r\nContent-Type: application/octet-stream'
            parts.append((head, base64.b64decode(content)))
            continue
        for each in value if isinstance(value, list) else [value]:
            text = str(each).lower() if isinstance(each, bool) else str(each)
            parts.append((f'name="{_field_name(name)}"', text.encode()))
    lines = [
        b"--" + boundary.encode() + b"\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content
        for head, content in parts
    ]
    return b"\r\n".join([*lines, b"--" + boundary.encode() + b"--\r\n"])


def _field_name(name: str) -> str:
    """The name as browsers write it: quotes and line breaks would end it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _tokens_in(usage: Json) -> Tokens:
    """The counts of models that bill by token; those that bill by second of sound count none."""
    if not isinstance(usage, Mapping) or usage.get("type") != "tokens":
        return Tokens()
    prompt, completion = usage.get("input_tokens"), usage.get("output_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int) or prompt < 0 or completion < 0:
        return Tokens()
    return Tokens(prompt=prompt, completion=completion, source="reported")


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `transcription`."""
    return {"transcription": Transcriptions}
