"""Images at endpoints: sent as the test gave them, counted as the endpoint says, refused without a wrong answer."""

import pytest

from pytest_rightsize.content_parts import image_part
from pytest_rightsize.errors import NoAnswerError, RungError
from pytest_rightsize.providers.openai.faults import Fault
from pytest_rightsize.providers.openai.image_faults import about_images
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import Json, Request, Rung
from tests.providers.openai.endpoint import Answering, completion, serve

HINT = "set images = false in the ladder file"
TEXT = {"type": "text", "text": "What is it?"}


def asking(*parts: Json) -> Request:
    return Request(messages=({"role": "system", "content": "Look."}, {"role": "user", "content": [*parts]}))


SEEN = asking(TEXT, image_part(b"GIF89a"))


@pytest.mark.parametrize(
    ("fault", "request_", "kind", "hinted"),
    [
        (Fault(kind="too_long", words="Request exceeds the maximum size", status=413), SEEN, "request", True),
        (Fault(kind="too_long", words="Request exceeds the maximum size", status=413), asking(TEXT), "too_long", False),
        (Fault(kind="too_long", words="Invalid 'image_url.url': string too long", status=400), SEEN, "request", True),
        (Fault(kind="too_long", words="request too large: image", status=400), SEEN, "request", True),
        (Fault(kind="too_long", words="request_too_large", status=400), asking(TEXT), "too_long", False),
        (Fault(kind="too_long", words="the context is 4096", status=400), SEEN, "too_long", False),
        (Fault(kind="request", words="content must be a string", status=400), SEEN, "request", True),
        (Fault(kind="request", words="content must be a string", status=400), asking(TEXT, "?"), "request", False),
        (Fault(kind="refusal", words="the image was refused", status=400), SEEN, "refusal", False),
        (Fault(kind="server", words="oh", status=500), SEEN, "server", False),
    ],
)
def test_what_an_endpoint_says_of_an_image(fault: Fault, request_: Request, kind: str, *, hinted: bool) -> None:
    told = about_images(fault, request_)
    assert (told.kind, HINT in told.words) == (kind, hinted)
    assert told.words.startswith(fault.words)


def test_an_image_is_sent_as_it_is_and_its_tokens_are_those_that_the_endpoint_counted() -> None:
    usage = {"prompt_tokens": 1105, "completion_tokens": 2, "total_tokens": 1107}
    with serve(lambda _: Answering(body=completion("a cat", usage=usage))) as endpoint:
        rung = OpenAI(Rung(name="a", provider="openai", model="m", options={"base_url": endpoint.url}))
        reply = rung.submit(SEEN).result()
        rung.close()
    assert (reply.text, reply.tokens.prompt) == ("a cat", 1105)
    assert endpoint.requests[0]["messages"] == [*map(dict, SEEN.messages)]
    assert getattr(rung, "takes_images", None) is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Invalid content type. image_url is only supported by certain models."),
        (413, "Request exceeds the maximum size (request_too_large)"),
        (422, "unknown variant `image_url`, expected `text`"),
        (500, "this model is missing data required for image input"),
    ],
)
def test_a_refusal_of_an_image_is_a_fault_of_the_rung_and_is_not_asked_again(status: int, words: str) -> None:
    with serve(lambda _: Answering(status=status, body={"error": {"message": words}})) as endpoint:
        rung = OpenAI(Rung(name="a", provider="openai", model="m", options={"base_url": endpoint.url}))
        with pytest.raises(RungError) as told:
            rung.submit(SEEN).result()
        rung.close()
    assert not isinstance(told.value, NoAnswerError)
    assert (told.value.reason, told.value.permanent) == ("request", False)
    assert words in str(told.value)
    assert HINT in str(told.value)
    assert len(endpoint.requests) == 1
