"""The form in which an endpoint takes a request: what it is called, what is left out, and how a schema is sent.

A body in the form of the OpenAI API comes in, one that fits the endpoint goes out. What an endpoint refuses is learned
once from its words and remembered for the session; nothing is sent here.
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal, get_args

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers.openai.faults import Fault
from pytest_rightsize.records import Json

__all__ = ["RequestForm", "allows_strict", "schema_field"]

StructuredOutput = Literal["json_schema", "json_object", "grammar", "none"]
# What follows a refusal: llama_cpp.server, Together and Fireworks read the schema beside `json_object`.
_FORMS = ("json_schema", "json_object with schema", "json_object", "none")
# Models of OpenAI that take no max_tokens (BerriAI/litellm#13432, promptfoo/promptfoo#6153).
_NEWER_MODEL = re.compile(r"^(openai/)?(o\d|gpt-[5-9])", re.IGNORECASE)
_REASONING = "reasoning_content"
_OPENAI_HOSTS = ("api.openai.com", ".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
# Keywords that OpenAI's strict mode refuses (platform.openai.com/docs/guides/structured-outputs).
_NOT_STRICT = (
    "allOf",
    "not",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "then",
    "else",
    "oneOf",
    "patternProperties",
)


def schema_field(schema: Mapping[str, Json]) -> dict[str, Json]:
    """The response_format for a JSON schema in the OpenAI API."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}


def allows_strict(schema: Json) -> bool:
    """Whether OpenAI's strict mode takes the schema: every object names all that it has, and requires all of it."""
    if isinstance(schema, list):
        return all(map(allows_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    if any(name in schema for name in _NOT_STRICT):
        return False
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties):
            return False
        if not all(map(allows_strict, properties.values())):
            return False
    rest = [value for name, value in schema.items() if name in ("items", "anyOf", "prefixItems")]
    definitions = [each for name in ("$defs", "definitions") for each in (schema.get(name) or {}).values()]
    return all(map(allows_strict, [*rest, *definitions]))


class RequestForm:
    """The form of one endpoint's requests, so far as it is known. For the event loop thread only.

    `structured_output` is the option of that name. `on_note` gets a sentence once for each thing that is left out.
    """

    def __init__(
        self, *, model: str, host: str, structured_output: str | None = None, on_note: Callable[[str], None]
    ) -> None:
        """Start from what is known of the host and the model; raises ConfigError for an unknown form."""
        if structured_output is not None and structured_output not in get_args(StructuredOutput):
            forms = ", ".join(get_args(StructuredOutput))
            raise ConfigError(f"structured_output = {structured_output!r} cannot be: write one of {forms}")
        self._on_note = on_note
        self._is_chosen = structured_output is not None
        self._schema_form: str = structured_output or "json_schema"
        self._strict = True
        is_openai = host.endswith(_OPENAI_HOSTS)
        self._limit = "max_completion_tokens" if is_openai and _NEWER_MODEL.match(model) else "max_tokens"
        self._left_out: set[str] = set()
        self._takes_reasoning = True

    def fitted(self, body: Mapping[str, Json], schema: Mapping[str, Json] | None = None) -> dict[str, Json]:
        """The body in the endpoint's form; `schema` is the one that its response_format is made of."""
        fitted = {name: value for name, value in body.items() if name not in self._left_out}
        if not self._takes_reasoning:
            fitted["messages"] = [_without_reasoning(message) for message in body["messages"]]
        if "max_tokens" in fitted and self._limit not in fitted:
            fitted = {self._limit if name == "max_tokens" else name: value for name, value in fitted.items()}
        if schema is not None and "response_format" in fitted:
            del fitted["response_format"]
            fitted |= self._schema_fields(schema)
        return fitted

    def _schema_fields(self, schema: Mapping[str, Json]) -> dict[str, Json]:
        if self._schema_form == "json_schema":
            field = schema_field(schema)
            if self._strict and allows_strict(schema):
                field["json_schema"]["strict"] = True
            return {"response_format": field}
        if self._schema_form == "grammar":
            return {"grammar": _grammar(schema)}
        if self._schema_form == "json_object with schema":
            return {"response_format": {"type": "json_object", "schema": dict(schema)}}
        return {"response_format": {"type": "json_object"}} if self._schema_form == "json_object" else {}

    def learn(self, fault: Fault, sent: Mapping[str, Json], *, has_schema: bool = False) -> bool:
        """Learn from a refusal of what was sent; False where its words tell of nothing that could be sent otherwise.

        `has_schema` says that its response_format is one of ours, and not the user's own.
        """
        if fault.kind not in ("request", "missing"):
            return False
        words = fault.words.lower()
        if self._learn_limit(words, sent) or self._learn_sampling(words, sent) or self._learn_reasoning(words, sent):
            return True
        return has_schema and self._learn_schema(words, sent)

    def _learn_limit(self, words: str, sent: Mapping[str, Json]) -> bool:
        """`max_tokens` where `max_completion_tokens` is wanted, or the other way about."""
        for name, other in (("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")):
            is_named = re.search(rf"\b{name}\b", words) is not None
            if (
                is_named
                and name in sent
                and re.search(r"unsupported|not supported|unknown|extra|unrecognized|permitted|instead", words)
            ):
                self._limit = other
                return True
        return False

    def _learn_sampling(self, words: str, sent: Mapping[str, Json]) -> bool:
        for name in ("temperature", "top_p"):
            if (
                name in sent
                and re.search(rf"\b{name}\b", words)
                and re.search(
                    r"unsupported|not support|only the default|deprecated|cannot (both )?be|not allowed|not permitted",
                    words,
                )
            ):
                if name not in self._left_out:
                    self._left_out.add(name)
                    self._on_note(f"refuses {name}, which is left out from now on ({words[:200]})")
                return True
        return False

    def _learn_reasoning(self, words: str, sent: Mapping[str, Json]) -> bool:
        """Whether the reasoning of earlier turns is refused, as by Groq and Mistral; DeepSeek and vLLM take it."""
        if _REASONING not in words or not any(_REASONING in message for message in sent.get("messages", ())):
            return False
        self._takes_reasoning = False
        self._on_note(f"takes no reasoning of earlier turns, which is left out from now on ({words[:200]})")
        return True

    def _learn_schema(self, words: str, sent: Mapping[str, Json]) -> bool:
        """The next form in which the schema may be sent."""
        field = sent.get("response_format")
        if (
            self._is_chosen
            or not isinstance(field, dict)
            or not re.search(r"response[_ ]?format|json_?schema|json_object|structured|\bschema\b|\bjson\b", words)
        ):
            return False
        if field.get("json_schema", {}).get("strict") and re.search(
            r"invalid schema|strict|additionalproperties|required", words
        ):
            self._strict = False
            return True
        sent_as = "json_object with schema" if "schema" in field else str(field.get("type"))
        if sent_as not in _FORMS[:-1]:
            return False
        following = _FORMS[_FORMS.index(sent_as) + 1]
        if _FORMS.index(self._schema_form) < _FORMS.index(following):
            self._schema_form = following
            if following in ("json_object", "none"):
                what = (
                    "no JSON schema: it is asked for JSON without one"
                    if following == "json_object"
                    else "no response_format"
                )
                self._on_note(f"takes {what}; answers are checked by the tests alone")
        return True


def _without_reasoning(message: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in message.items() if name != _REASONING}


def _grammar(schema: Mapping[str, Json]) -> str:
    """The schema as a grammar of llama.cpp; raises ConfigError without its converter."""
    import json

    try:
        from llama_cpp.llama_grammar import json_schema_to_gbnf
    except ImportError:
        raise ConfigError(
            'structured_output = "grammar" needs the converter of llama-cpp-python: '
            "pip install 'pytest-rightsize[local]'"
        ) from None
    try:
        grammar: str = json_schema_to_gbnf(json.dumps(schema))
    except Exception as error:  # whatever it raises for a schema that it does not know
        message = (
            f"the schema cannot be made a grammar ({type(error).__name__}: {error}): use another structured_output"
        )
        raise RungError(message, reason="request", alone=True) from None
    return grammar
