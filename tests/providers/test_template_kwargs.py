"""Variables for chat templates, of local rungs and endpoints alike."""

from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import Request, Rung


def test_an_endpoint_gets_the_variables_of_rung_and_request() -> None:
    options = {"base_url": "http://localhost:1/v1", "chat_template_kwargs": {"enable_thinking": False, "a": 1}}
    provider = OpenAI(Rung(name="r", provider="openai", model="m", options=options))
    messages = ({"role": "user", "content": "?"},)
    body = provider._body(Request(messages=messages, extra={"chat_template_kwargs": {"a": 2}}))
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "a": 2}
    identity = provider.identity(lambda _: "")
    assert identity.content["chat_template_kwargs"] == {"enable_thinking": False, "a": 1}


def test_an_endpoint_without_variables_is_sent_none() -> None:
    """And keeps the identity that its answers were recorded under before there were any."""
    provider = OpenAI(Rung(name="r", provider="openai", model="m", options={"base_url": "http://localhost:1/v1"}))
    assert "chat_template_kwargs" not in provider._body(Request(messages=({"role": "user", "content": "?"},)))
    assert "chat_template_kwargs" not in provider.identity(lambda _: "").content
