"""Holds answers to a JSON schema, by llguidance: a schema comes in, a Constraint that allows tokens goes out.

Whatever of a schema it cannot enforce is named, and checked when the answer is complete. It prints nothing.
"""

import ctypes
import importlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_rightsize.records import Json
from pytest_rightsize.schemas import Schema, remote_references
from pytest_rightsize.strict_json import loads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Constraint", "Constraints", "Matcher", "SchemaRefusalError"]

# As llama.cpp's converter allows it: small models otherwise write line breaks without end.
_SPACE = r"( |\n{1,2}[ \t]{0,20})?"
# And numbers of so many digits: a small model writes 1.0000.. until it is cut off.
_MOST_DIGITS = 16
# Below these stand schemas by name, and below those no schema at all.
_BY_NAME = ("properties", "$defs", "definitions")
_DATA = ("const", "enum", "default", "examples")
# Where one of these is, an object may have properties that are named elsewhere.
_COMBINING = frozenset(
    {"allOf", "if", "dependentSchemas", "unevaluatedProperties", "patternProperties", "propertyNames"}
)
_UNIMPLEMENTED = re.compile(r"unimplemented|unknown format|not supported|unsupported", re.IGNORECASE)
_LONGEST_PIECE = 32
# llguidance's mark before a token that is no text.
_SPECIAL = b"\xff"


class SchemaRefusalError(Exception):
    """No answer can be held to the schema; the text says why."""


class Constraints:
    """Makes constraints for one loaded model; its vocabulary is read when the first is asked for."""

    def __init__(self, native: Any) -> None:
        self._native = native
        self._tokenizer: Any = None
        self._pieces: Sequence[bytes] = ()
        self._made: dict[str, Constraint] = {}

    def of(self, schema: Mapping[str, Json]) -> "Constraint":
        """The constraint for a JSON schema; raises SchemaRefusalError."""
        text = json.dumps(schema)
        if text not in self._made:
            self._made[text] = self._make(schema)
        return self._made[text]

    def _make(self, schema: Mapping[str, Json]) -> "Constraint":
        try:
            llguidance = importlib.import_module("llguidance")
        except ImportError:
            raise SchemaRefusalError(
                "llguidance is not installed, which enforces schemas: run "
                '`python -m pip install "pytest-rightsize[local]"`'
            ) from None
        if self._tokenizer is None:
            self._tokenizer, self._pieces = _tokenizer(self._native, llguidance)
        _check_schema(schema)
        pieces = self._pieces
        closed = schema if _has_any(schema, _COMBINING) else _closed(schema)
        grammar, why = _compiled(llguidance, self._tokenizer, closed, lenient=False)
        unenforced = None
        if why is not None and _UNIMPLEMENTED.search(why):
            unenforced = why
            grammar, why = _compiled(llguidance, self._tokenizer, closed, lenient=True)
        if why is not None:
            raise SchemaRefusalError(why)
        return Constraint(llguidance, self._tokenizer, grammar, schema, unenforced, pieces)


class Constraint:
    """What an answer is held to. `unenforced` says in llguidance's words what the grammar cannot hold it to."""

    def __init__(
        self,
        llguidance: Any,
        tokenizer: Any,
        grammar: str,
        schema: Mapping[str, Json],
        unenforced: str | None,
        pieces: Sequence[bytes],
    ) -> None:
        self._llguidance = llguidance
        self._tokenizer = tokenizer
        self._grammar = grammar
        self._schema = schema
        self.unenforced = unenforced
        self._pieces = pieces

    def matcher(self) -> "Matcher":
        """The beginning of one answer."""
        return Matcher(self._llguidance.LLMatcher(self._tokenizer, self._grammar, log_level=0), self._pieces)

    def broken_by(self, answer: str) -> str | None:
        """Which part of the schema a complete answer breaks; None where it breaks none."""
        try:
            value = loads(answer)
        except ValueError as error:
            return f"it is not JSON: {error}"
        problem = Schema(self._schema).problem(value)
        return None if problem is None else f"{problem.keyword} at {problem.path}: {problem}"


class Matcher:
    """One answer as it grows, and the tokens that may follow."""

    def __init__(self, matcher: Any, pieces: Sequence[bytes]) -> None:
        import numpy as np

        self._matcher = matcher
        self._pieces = pieces
        self._mask: NDArray[np.int32] = np.zeros((len(pieces) + 31) // 32, dtype=np.int32)
        self._digits = 0
        self._in_string = self._is_escaped = False
        self._check()

    def allows(self, token: int) -> bool:
        """Whether the token may come next."""
        if self._is_long_number and self._pieces[token][:1].isdigit():
            return False
        return bool(self._matcher.validate_tokens([token]) == 1)

    def allowed(self, count: int) -> "NDArray[np.bool_]":
        """Whether each of the first `count` tokens may come next."""
        import numpy as np

        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        self._check()
        bits = np.unpackbits(self._mask.view(np.uint8), bitorder="little")[:count].view(np.bool_)
        allowed = bits if len(bits) == count else np.concatenate([bits, np.zeros(count - len(bits), dtype=np.bool_)])
        if self._is_long_number:
            ending = allowed.copy()
            for token in np.flatnonzero(allowed).tolist():
                ending[token] = not self._pieces[token][:1].isdigit()
            return ending if ending.any() else allowed
        return allowed

    def accept(self, token: int) -> None:
        """The token was drawn."""
        if not self._matcher.consume_token(token):
            self._check()
        for byte in self._pieces[token]:
            self._follow(byte)

    @property
    def _is_long_number(self) -> bool:
        return self._digits >= _MOST_DIGITS

    def _follow(self, byte: int) -> None:
        """Count the digits of a number, and of nothing in a string."""
        if self._in_string:
            if self._is_escaped:
                self._is_escaped = False
            elif byte == ord("\\"):
                self._is_escaped = True
            elif byte == ord('"'):
                self._in_string = False
            return
        self._in_string = byte == ord('"')
        self._digits = self._digits + 1 if ord("0") <= byte <= ord("9") else 0

    def _check(self) -> None:
        if self._matcher.is_error():
            raise ValueError(f"the schema cannot be followed: {self._matcher.get_error()}")


def _has_any(schema: Json, keys: frozenset[str]) -> bool:
    if isinstance(schema, Mapping):
        return bool(keys & set(schema)) or any(_has_any(value, keys) for value in schema.values())
    return isinstance(schema, list) and any(_has_any(value, keys) for value in schema)


def _closed(schema: Json) -> Json:
    """The schema without room for properties that it does not name, as llama.cpp reads it and OpenAI asks for.

    A small model otherwise adds properties until it is cut off. Whatever follows this follows the schema too.
    """
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed: dict[str, Json] = {}
    for key, value in schema.items():
        if key in _BY_NAME and isinstance(value, Mapping):
            closed[key] = {name: _closed(inner) for name, inner in value.items()}
        else:
            closed[key] = value if key in _DATA else _closed(value)
    names = schema.get("properties")
    if (
        isinstance(names, Mapping)
        and schema.get("type", "object") == "object"
        and not {"anyOf", "oneOf", "$ref", "not"} & set(schema)
        and set(schema.get("required", ())) <= set(names)
        and schema.get("minProperties", 0) <= len(names)
    ):
        closed.setdefault("additionalProperties", False)
    return closed


def _check_schema(schema: Mapping[str, Json]) -> None:
    """Refuse what is no JSON schema at all, such as an unknown type."""
    import jsonschema

    try:
        jsonschema.validators.validator_for(schema).check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        raise SchemaRefusalError(f"it is no JSON schema: {error.message} at {error.json_path}") from None
    remote = remote_references(schema)
    if remote:
        raise SchemaRefusalError(f"it refers to {remote[0]}, which is not in it, and nothing is fetched: use $defs")


def _compiled(llguidance: Any, tokenizer: Any, schema: Mapping[str, Json], *, lenient: bool) -> tuple[str, str | None]:
    """The grammar, and why it cannot be used; None if it can."""
    options = {"whitespace_pattern": _SPACE, "lenient": lenient}
    try:
        grammar = str(llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=options))
        # With the tokenizer: limits on the size of a grammar show only there.
        problem = llguidance.LLMatcher.validate_grammar(grammar, tokenizer)
    except (ValueError, RuntimeError) as error:
        return "", str(error)
    return grammar, str(problem) if problem else None


class _Vocabulary:
    """A model's tokens as llguidance asks for them: about a second for 262,000 tokens, once."""

    def __init__(self, native: Any) -> None:
        llama_cpp: Any = importlib.import_module("llama_cpp")
        self._native = native
        self.tokens: list[bytes] = []
        self.ends: list[int] = []
        vocabulary, buffer = native._model.vocab, ctypes.create_string_buffer(1 << 14)
        special = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN
        for token in range(native.n_vocab()):
            size = llama_cpp.llama_token_to_piece(vocabulary, token, buffer, len(buffer), 0, True)
            piece = buffer.raw[: max(size, 0)]
            attributes = llama_cpp.llama_vocab_get_attr(vocabulary, token)
            is_mark = attributes & llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED and piece[:1] == b"<" and piece[-1:] == b">"
            self.tokens.append(_SPECIAL + piece if attributes & special or is_mark else piece)
            if llama_cpp.llama_vocab_is_eog(vocabulary, token):
                self.ends.append(token)
        self.ends = self.ends or [native.token_eos()]
        self.eos_token_id = self.ends[0]
        self.bos_token_id = None
        self._by_piece: dict[bytes, int] = {}

    def __call__(self, text: bytes) -> list[int]:
        """The model's own tokens of a text that a schema leaves no choice about."""
        tokens: list[int] = list(self._native.tokenize(text, add_bos=False, special=False))
        if b"".join(self.tokens[token] for token in tokens) == text:
            return tokens
        # Some vocabularies write a space by tokens that they read as something else.
        return self._longest_first(text)

    def _longest_first(self, text: bytes) -> list[int]:
        if not self._by_piece:
            self._by_piece = {piece: token for token, piece in reversed(list(enumerate(self.tokens)))}
        found: list[int] = []
        at = 0
        while at < len(text):
            sizes = range(min(len(text) - at, _LONGEST_PIECE), 0, -1)
            token = next(
                (self._by_piece[part] for size in sizes if (part := text[at : at + size]) in self._by_piece), None
            )
            if token is None:
                return found
            found.append(token)
            at += len(self.tokens[token])
        return found


def _tokenizer(native: Any, llguidance: Any) -> tuple[Any, Sequence[bytes]]:
    """The model's vocabulary for llguidance, and what each token writes."""
    vocabulary = _Vocabulary(native)
    wrapper = llguidance.TokenizerWrapper(vocabulary)
    return llguidance.LLTokenizer(wrapper, eos_token=vocabulary.ends), vocabulary.tokens
