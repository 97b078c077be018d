"""What others wrote is read or refused with the project's own errors, whatever stands in it."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.hostile_sources import ODD, SAMPLES, TARGETS

# The benchmark `fuzz` tries millions.
few = settings(max_examples=15, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("target", TARGETS)
@few
@given(content=st.binary(max_size=200))
@example(content=b"")
@example(content=b"\xff\xfe")
@example(content=b"[" * 600)
@example(content=b'{"a":' * 5000)
@example(content=b"a = " + b"[" * 600)
@example(content=b"1" * 10_000)
@example(content=b"{{ 'a' * 9999999999 }}")
def test_any_bytes_are_read_or_refused(target: str, content: bytes) -> None:
    TARGETS[target](content)


class NeverError(Exception):
    pass


@pytest.mark.parametrize("target", TARGETS)
def test_a_sample_is_read_without_an_error(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is made of it would be refused for that, whatever else is odd in it."""
    monkeypatch.setattr("tests.hostile.RightsizeError", NeverError)
    for name in ("BrokenAnswerError", "TemplateRefusalError"):
        monkeypatch.setattr(f"tests.hostile_sources.{name}", NeverError)
    TARGETS[target](SAMPLES[target])


@pytest.mark.parametrize("target", TARGETS)
@few
@given(data=st.data())
def test_a_sample_with_something_odd_in_it_is_read_or_refused(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(ODD[target]))
