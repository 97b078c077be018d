"""Variables as the user set them, while some are replaced for the application."""

import os

import pytest

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers.environment import is_own_endpoint, replace_variables, user_variable
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import Request, Rung

PORT = 4711
OURS = f"http://127.0.0.1:{PORT}/v1"


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The user has a URL, and no key."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gpu.example/v1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return monkeypatch


@pytest.mark.usefixtures("user")
def test_what_was_replaced_is_still_known_and_comes_back() -> None:
    undo = replace_variables({"OPENAI_BASE_URL": OURS, "OPENAI_API_KEY": "dummy"}, port=PORT)
    try:
        assert (os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]) == (OURS, "dummy")
        assert user_variable("OPENAI_BASE_URL") == "http://gpu.example/v1"
        assert user_variable("OPENAI_API_KEY") is None
        assert user_variable("PATH") == os.environ["PATH"]
    finally:
        undo()
    undo()  # once more does nothing
    assert os.environ["OPENAI_BASE_URL"] == user_variable("OPENAI_BASE_URL") == "http://gpu.example/v1"
    assert "OPENAI_API_KEY" not in os.environ


def test_what_is_set_later_is_the_users_and_stays(user: pytest.MonkeyPatch) -> None:
    undo = replace_variables({"OPENAI_API_KEY": "dummy"}, port=PORT)
    user.setenv("OPENAI_API_KEY", "sk-real")
    assert user_variable("OPENAI_API_KEY") == "sk-real"
    undo()
    assert os.environ["OPENAI_API_KEY"] == "sk-real"


@pytest.mark.usefixtures("user")
def test_a_session_within_a_session_has_the_users_values_too() -> None:
    outer = replace_variables({"OPENAI_BASE_URL": OURS}, port=PORT)
    inner = replace_variables({"OPENAI_BASE_URL": "http://127.0.0.1:4712/v1"}, port=4712)
    assert user_variable("OPENAI_BASE_URL") == "http://gpu.example/v1"
    assert is_own_endpoint(OURS)
    inner()
    assert (os.environ["OPENAI_BASE_URL"], user_variable("OPENAI_BASE_URL")) == (OURS, "http://gpu.example/v1")
    outer()
    assert os.environ["OPENAI_BASE_URL"] == "http://gpu.example/v1"


@pytest.mark.parametrize(
    ("url", "own"),
    [
        (OURS, True),
        (f"http://localhost:{PORT}/t/x/v1", True),
        (f"http://[::1]:{PORT}/v1", True),
        ("http://127.0.0.1:4712/v1", False),
        (f"http://192.0.2.1:{PORT}/v1", False),
        ("http://127.0.0.1/v1", False),
        ("no url", False),
    ],
)
def test_an_endpoint_is_known_as_our_own(url: str, own: bool) -> None:
    undo = replace_variables({}, port=PORT)
    try:
        assert is_own_endpoint(url) is own
    finally:
        undo()
    assert not is_own_endpoint(url)


def test_a_rung_that_would_ask_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rung = Rung(name="near", provider="openai", model="m", options={"base_url_env": "WHERE"})
    monkeypatch.setenv("WHERE", "http://127.0.0.1:1/v1")
    before = OpenAI(rung)
    undo = replace_variables({}, port=PORT)
    try:
        monkeypatch.setenv("WHERE", OURS)
        with pytest.raises(ConfigError, match=r"'near': its base_url is the endpoint that this session serves"):
            OpenAI(rung)
        with pytest.raises(RungError, match="it would ask itself; set it to the endpoint of a model"):
            before.submit(Request(messages=({"role": "user", "content": "x"},))).result()
    finally:
        undo()


@pytest.mark.usefixtures("user")
def test_a_rung_that_shares_the_applications_variable_keeps_the_users_url_and_key() -> None:
    undo = replace_variables({"OPENAI_BASE_URL": OURS, "OPENAI_API_KEY": "dummy"}, port=PORT)
    try:
        shared = OpenAI(Rung(name="far", provider="openai", model="m", options={"base_url_env": "OPENAI_BASE_URL"}))
        assert shared.identity(str).content["endpoint"] == "http://gpu.example/v1"
        problem = OpenAI(Rung(name="vendor", provider="openai", model="m")).check()
        assert problem is not None
        assert problem.what == "the variable OPENAI_API_KEY with its key is not set"
    finally:
        undo()
