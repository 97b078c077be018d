"""YAML as JavaScript reads it, with the lines of its mappings."""

from pathlib import Path

import pytest

from pytest_rightsize.authoring.yaml_files import line_of, read_text, read_yaml
from pytest_rightsize.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("yes", "yes"), ("No", "No"), ("on", "on"), ("true", True), ("False", False)),
        *(("12:30", "12:30"), ("2024-01-03", "2024-01-03"), ("1_000", "1_000"), ("010", 10), ("0x1f", 31), ("-3", -3)),
        *(("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("1.2.3", "1.2.3"), ("~", None), ("null", None), ('"1"', "1")),
    ],
)
def test_a_scalar(file: Path, text: str, value: object) -> None:
    file.write_text(f"key: {text}\nempty:\n", encoding="utf-8")
    assert read_yaml(file) == {"key": value, "empty": None}
    assert type(read_yaml(file)["key"]) is type(value)


def test_mappings_know_their_lines_and_merge(file: Path) -> None:
    file.write_text("base: &base\n  a: 1\nitems:\n  - <<: *base\n    b: 2\n  - {c: 3}\n1: x\n", encoding="utf-8")
    value = read_yaml(file)
    assert value["items"] == [{"a": 1, "b": 2}, {"c": 3}]
    assert [line_of(item) for item in value["items"]] == [4, 6]
    assert line_of(value) == 1
    assert value["1"] == "x"
    assert line_of([]) is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", b"a: [1\nb: 2", r"a\.yaml:2: this is not YAML"),
        (
            "a.yaml",
            b"a: !!python/object:os.system x",
            r"a\.yaml:1: this is not YAML \(could not determine a constructor",
        ),
        ("a.yaml", b"a: \x00", r"a\.yaml is not YAML"),
        ("a.json", b'{"a": 1,\n"b" 2}', r"a\.json:2: this is not JSON"),
        ("a.yaml", b"\xff\xfe", r"a\.yaml is not UTF-8 text: save it as UTF-8"),
        ("b/c.yaml", None, r"cannot read .*c\.yaml \(No such file or directory\)"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_yaml(path)


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfa")
    assert read_text(path) == "a"
