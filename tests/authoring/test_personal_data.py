"""What is taken for personal data or a key, and what is not."""

import pytest

from pytest_rightsize.authoring.personal_data import hints


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to anna.berg+x@mail.example.org please", "e-mail addresses"),
        ("call +47 22 33 44 55", "phone numbers"),
        ("call (030) 123 4567", "phone numbers"),
        ("call 555-123-4567 now", "phone numbers"),
        ("call 0170/1234567", "phone numbers"),
        ("key sk-proj-abcdefghijklmnop1234", "keys or passwords"),
        ("AKIAIOSFODNN7EXAMPLE", "keys or passwords"),
        ("password: hunter22", "keys or passwords"),
        ("DE89 3704 0044 0532 0130 00", "bank or card numbers"),
        ("4111 1111 1111 1111", "bank or card numbers"),
    ],
)
def test_found(text: str, kind: str) -> None:
    assert hints(["nothing", text]) == {kind: [2]}


@pytest.mark.parametrize(
    "text",
    [
        *("2024-01-03", "12:30 on 3.4.2024", "order 12345", "A-1234567", "1,234,567.89", "3.14159265", "v1.2.3"),
        *("user@localhost", "sk-short", "10.0.0.1", "2 + 3 = 5", "pass the word", "1234567890123"),
    ],
)
def test_not_found(text: str) -> None:
    assert hints([text]) == {}


def test_pictures_are_not_looked_through() -> None:
    picture = "data:image/png;base64," + "call+47223344555/a_-b" * 50_000
    assert hints([picture, picture + " a@b.org", "a_" * 500_000]) == {"e-mail addresses": [2]}


def test_lines_are_counted_from_one() -> None:
    assert hints(["a@b.org", "x", "c@d.org"]) == {"e-mail addresses": [1, 3]}
