"""How long endpoints ask to wait, in every form of header that they are known for."""

import pytest

from pytest_rightsize.providers.openai.waits import asked_wait_s

NOW_S = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "20s"}, 20),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:25 GMT"}, 5),
        ({"Retry-After": "2023-11-14T22:13:25Z"}, 5),
        ({"retry-after-ms": "700", "retry-after": "3"}, 0.7),
        ({"x-ratelimit-reset-requests": "1.5s", "x-ratelimit-remaining-requests": "0"}, 1.5),
        (
            {
                "x-ratelimit-reset-requests": "24h0m0s",
                "x-ratelimit-remaining-requests": "100",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "0",
            },
            360,
        ),
        ({"x-ratelimit-reset-tokens": "17ms"}, 0.017),
        ({"x-ratelimit-reset-tokens": "2m59.56s"}, 179.56),
        (
            {
                "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:30Z",
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2023-11-14T22:14:30Z",
                "anthropic-ratelimit-tokens-remaining": "9000",
            },
            10,
        ),
        ({"X-RateLimit-Reset": "1700000007"}, 7),
        ({"X-RateLimit-Reset": "1700000007000"}, 7),
        ({"ratelimit-reset": "12"}, 12),
        ({"RateLimit": '"default";r=0;t=30'}, 30),
        ({"RateLimit": "limit=100, remaining=0, reset=5"}, 5),
    ],
)
def test_the_wait_that_headers_ask_for(headers: dict[str, str], seconds: float | None) -> None:
    wait = asked_wait_s(headers, now_s=NOW_S)
    assert wait == (None if seconds is None else pytest.approx(seconds))
