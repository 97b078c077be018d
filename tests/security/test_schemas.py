"""A schema is never fetched: not from the network, not from a file, not through a redirect."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from pytest_rightsize.answers import Answer
from pytest_rightsize.errors import FormatError, SchemaReferenceError
from pytest_rightsize.matchers import json_matching
from pytest_rightsize.records import AnswerRecord
from pytest_rightsize.schemas import Schema, remote_references
from tests.threaded_server import serving

ITEM = {"type": "object", "required": ["qty"], "properties": {"qty": {"type": "integer"}}}


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server that would give a schema, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"const": "TOPSECRET"}')

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as url:
        yield f"{url}/s.json", asked


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_nothing_is_fetched(server: tuple[str, list[str]], keyword: str, tmp_path: Path) -> None:
    url, asked = server
    secret = tmp_path / "secret.json"
    secret.write_text('{"const": "TOPSECRET"}')
    for place in (url, f"{url}#/a", secret.as_uri()):
        schema = {"properties": {"a": {keyword: place}}}
        for use in (
            lambda schema=schema: json_matching(schema).match('{"a": 1}'),
            lambda schema=schema: Answer(AnswerRecord(text='{"a": 1}')).json(schema),
            lambda schema=schema: Schema(schema).problem({"a": 1}),
        ):
            with pytest.raises(SchemaReferenceError) as told:
                use()
            assert place.partition("#")[0] in str(told.value)
            assert "nothing is fetched: put it under $defs, or give registry=" in str(told.value)
            assert "TOPSECRET" not in str(told.value)
    assert asked == []


def test_what_the_user_gives_is_found() -> None:
    uri = "https://schemas.example/item.json"
    registry = Registry().with_resource(uri, Resource.from_contents(ITEM, default_specification=DRAFT202012))
    schema = {"type": "array", "items": {"$ref": uri}}

    assert json_matching(schema, registry=registry) == '[{"qty": 2}]'
    assert json_matching(schema, registry=registry) != '[{"qty": "2"}]'
    assert Answer(AnswerRecord(text='[{"qty": 2}]')).json(schema, registry=registry) == [{"qty": 2}]
    with pytest.raises(FormatError, match=r"at \$\[0\].qty"):
        Answer(AnswerRecord(text='[{"qty": "2"}]')).json(schema, registry=registry)


def test_a_schema_refers_to_itself_and_to_the_standard() -> None:
    tree = {
        "$defs": {"t": {"properties": {"next": {"$ref": "#/$defs/t"}, "n": {"type": "integer"}}}},
        "$ref": "#/$defs/t",
    }

    assert Schema(tree).problem({"next": {"next": {"n": 1}}}) is None
    problem = Schema(tree).problem({"next": {"next": {"n": "1"}}})
    assert problem is not None
    assert (problem.path, problem.keyword, str(problem)) == ("$.next.next.n", "type", "'1' is not of type 'integer'")
    assert Schema({"$ref": "https://json-schema.org/draft/2020-12/schema"}).problem({"type": "object"}) is None


@pytest.mark.parametrize(
    ("schema", "remote"),
    [
        ({"$ref": "#/$defs/a", "$defs": {"a": {}}}, []),
        ({"$id": "https://x.example/a", "items": [{"$ref": "https://x.example/a#/b"}]}, []),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, []),
        (
            {"anyOf": [{"$ref": "file:///etc/passwd"}, {"$ref": "http://x.example/b#c"}]},
            ["file:///etc/passwd", "http://x.example/b"],
        ),
    ],
)
def test_references_to_elsewhere_are_known_before(schema: dict[str, object], remote: list[str]) -> None:
    assert remote_references(schema) == remote


def test_a_schema_that_is_not_there_is_the_tests_own_error(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", rightsize='[ladder.a]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    pytester.makefile(".jsonl", answers='{"prompt": "x", "text": "{}"}')
    pytester.makepyfile(
        """
        from pytest_rightsize import json_matching

        def test_it(model):
            assert model.ask("x") == json_matching({"$ref": "file:///etc/hostname"})
        """
    )

    result = pytester.runpytest("--rightsize-ladder=a")

    result.stdout.fnmatch_lines(["*SchemaReferenceError: the schema refers to 'file:///etc/hostname'*", "*UNDECIDED*"])
    assert result.ret == 1
