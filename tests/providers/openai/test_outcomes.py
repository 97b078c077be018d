"""What endpoints say instead of an answer, each as it was publicly reported, and whose fault that is."""

import json
from typing import Any, get_args

import pytest

from pytest_rightsize.providers.openai.error_bodies import error_in, report_of
from pytest_rightsize.providers.openai.faults import TREATMENTS, Kind
from pytest_rightsize.providers.openai.outcomes import ERRORS, FINISHES, fault_of, finish_of

PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body><center><h1>{0}</h1></center><hr><center>nginx</center></body>"
)


def said(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


# Reference, status, body, kind.
SAMPLES: list[tuple[str, int, Any, str]] = [
    # The limit of a minute is below this one request: waiting is no use.
    (
        "assafelovic/gpt-researcher#985 (Groq)",
        413,
        said(
            "Request too large for model `llama-3.1-70b-versatile` on tokens per minute (TPM): Limit 6000, Requested "
            "14368, please reduce your message size and try again.",
            type="tokens",
            code="rate_limit_exceeded",
        ),
        "request",
    ),
    (
        "vanna-ai/vanna-flask#11 (OpenAI)",
        429,
        said("Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 342389."),
        "request",
    ),
    # Limits
    (
        "ai.google.dev troubleshooting",
        429,
        [said("You exceeded your current quota, please check your plan.", code=429, status="RESOURCE_EXHAUSTED")],
        "rate_limit",
    ),
    ("openai.com error codes", 429, said("Rate limit reached for gpt-4o", code="rate_limit_exceeded"), "rate_limit"),
    ("RFC 6585", 429, "", "rate_limit"),
    ("cloudflare", 429, PAGE.format("429 Too Many Requests"), "rate_limit"),
    ("console.groq.com/docs/errors", 498, said("Flex tier capacity exceeded", type="capacity_exceeded"), "rate_limit"),
    (
        "docs.anthropic.com errors",
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        "rate_limit",
    ),
    ("api-docs.deepseek.com", 503, said("The server is overloaded due to high traffic."), "rate_limit"),
    (
        "aws ThrottlingException",
        400,
        {"__type": "ThrottlingException", "message": "Too many tokens, please wait before trying again."},
        "rate_limit",
    ),
    (
        "ollama ErrMaxQueue",
        503,
        {"error": "server busy, please try again.  maximum pending requests exceeded"},
        "rate_limit",
    ),
    ("TGI", 429, {"error": "Model is overloaded", "error_type": "overloaded"}, "rate_limit"),
    ("github.com rate limits", 403, {"message": "API rate limit exceeded for user ID 1."}, "rate_limit"),
    ("openrouter.ai/docs/errors", 200, said("Provider returned error", code=429), "rate_limit"),
    (
        "baidu error codes",
        200,
        {"error_code": 18, "error_msg": "Open api qps request limit reached"},
        "rate_limit",
    ),
    # Nothing left to spend
    ("RFC 9110", 402, {}, "credit"),
    ("openai.com error codes", 429, said("You exceeded your current quota", code="insufficient_quota"), "credit"),
    ("api-docs.deepseek.com", 402, said("Insufficient Balance", code="invalid_request_error"), "credit"),
    (
        "docs.z.ai 1113",
        429,
        said("Insufficient balance or no resource package. Please recharge.", code="1113"),
        "credit",
    ),
    ("docs.anthropic.com", 400, said("Your credit balance is too low to access the Anthropic API."), "credit"),
    # A filter
    (
        "tatsu-lab/alpaca_eval#227 (Azure)",
        400,
        said("The response was filtered due to the prompt.", code="content_filter"),
        "refusal",
    ),
    (
        "vibrantlabsai/ragas#649 (Azure)",
        400,
        said("filtered", innererror={"code": "ResponsibleAIPolicyViolation"}),
        "refusal",
    ),
    ("openrouter.ai/docs/errors", 403, said('requires moderation. Your input was flagged for "violence"'), "refusal"),
    ("deepseek-ai/DeepSeek-V2#30", 400, {"detail": "Content Exists Risk"}, "refusal"),
    ("DashScope", 400, said("Input data may contain inappropriate content.", code="data_inspection_failed"), "refusal"),
    (
        "UKGovernmentBEIS/inspect_ai#2267 (xAI)",
        403,
        {
            "code": "The caller does not have permission to execute the specified operation",
            "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO",
        },
        "refusal",
    ),
    (
        "litellm mapping (OpenAI)",
        400,
        said("Invalid prompt: violating our usage policy.", code="invalid_prompt"),
        "refusal",
    ),
    ("litellm mapping (Anthropic)", 400, said("Output blocked by content filtering policy"), "refusal"),
    ("Gemini", 200, {"choices": [], "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, "refusal"),
    # The model wrote nothing of the form
    (
        "langchain-ai/langchain#31459 (Groq)",
        400,
        said("Failed to generate JSON.", code="json_validate_failed"),
        "format",
    ),
    ("groq/groq-typescript#28", 400, said("Failed to call a function.", code="tool_use_failed"), "format"),
    ("ollama/ollama#12064", 500, {"error": "error parsing tool call: raw='{\"a\":' err=unexpected end"}, "format"),
    ("vxcontrol/pentagi#313 (llama-server)", 500, said("Failed to parse tool call arguments as JSON"), "format"),
    (
        "community.openai.com (o-series)",
        400,
        said("Could not finish the message because max_tokens or model output limit was reached."),
        "truncated",
    ),
    # A cache that is shared
    ("lemonade-sdk/lemonade#3276", 500, said("Context size has been exceeded.", code=500), "crowded"),
    ("lmstudio-bug-tracker#1757", 400, {"error": "Context size has been exceeded."}, "crowded"),
    ("llama.cpp", 500, said("failed to find free space in the KV cache, retrying with smaller batch size"), "crowded"),
    ("pytorch", 500, {"detail": "CUDA out of memory. Tried to allocate 2.00 GiB"}, "crowded"),
    # Too long
    ("openai.com error codes", 400, said("no", code="context_length_exceeded"), "too_long"),
    (
        "OpenHands/OpenHands#1902 (Groq)",
        400,
        said("Please reduce the length of the messages or completion."),
        "too_long",
    ),
    (
        "cline/cline#3120 (xAI)",
        400,
        {"error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."},
        "too_long",
    ),
    (
        "continuedev/continue#6080 (Anthropic)",
        400,
        said("input length and `max_tokens` exceed context limit: 199759 + 8192 > 200000"),
        "too_long",
    ),
    ("docs.anthropic.com", 400, said("prompt is too long: 213462 tokens > 200000 maximum"), "too_long"),
    ("docs.anthropic.com", 413, said("Request exceeds the maximum size", type="request_too_large"), "too_long"),
    (
        "huggingface/llm-vscode#94 (TGI)",
        422,
        {"error": "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000"},
        "too_long",
    ),
    ("Moonshot", 400, said("Invalid request: Your request exceeded model token limit: 8192"), "too_long"),
    ("Gemini", 400, said("The input token count (9) exceeds the maximum number of tokens allowed (8)."), "too_long"),
    ("Bedrock", 400, {"message": "Input is too long for requested model."}, "too_long"),
    (
        "Mistral",
        400,
        {"message": "Prompt contains 9 tokens, too large for model with 8 maximum context length"},
        "too_long",
    ),
    ("Cerebras", 400, {"message": "Current length is 9000 while limit is 8192"}, "too_long"),
    ("Cohere", 400, {"message": "too many tokens: size limit exceeded by 12 tokens."}, "too_long"),
    ("DashScope", 400, said("Range of input length should be [1, 30000]"), "too_long"),
    (
        "vLLM",
        400,
        {"object": "error", "message": "This model's maximum context length is 8 tokens.", "code": 400},
        "too_long",
    ),
    ("SGLang", 400, said("The input (9 tokens) is longer than the model's context length (8 tokens)."), "too_long"),
    (
        "llama-server",
        400,
        said("the request exceeds the available context size", type="exceed_context_size_error"),
        "too_long",
    ),
    (
        "GitHub Models",
        413,
        said("Request body too large for gpt-4o. Max size: 8000 tokens.", code="tokens_limit_reached"),
        "too_long",
    ),
    ("Vertex AI", 400, [said("the input token count is 9 but model only supports up to 8.", code=400)], "too_long"),
    ("Cohere", 400, {"message": "total number of tokens (prompt and prediction) cannot exceed 4081"}, "too_long"),
    ("LM Studio", 400, {"error": "the model is loaded with context length of only 4096 tokens"}, "too_long"),
    ("LiteLLM", 400, said("litellm.ContextWindowExceededError: no"), "too_long"),
    (
        "openai.com string_above_max_length",
        400,
        said("Invalid 'messages[1].content': string too long. Expected a string with maximum length 1048576"),
        "too_long",
    ),
    ("earendil-works/pi (Cerebras)", 413, "", "too_long"),
    (
        "openrouter.ai: an upstream's words",
        400,
        said("Provider returned error", metadata={"raw": json.dumps(said("maximum context length is 4096 tokens"))}),
        "too_long",
    ),
    # What is about one number is no prompt that is too long.
    (
        "openai.com",
        400,
        said("max_tokens is too large: 100000. This model supports at most 16384 completion tokens"),
        "request",
    ),
    ("Ollama", 400, said("registry.ollama.ai/library/llama2:latest does not support tools"), "request"),
    ("z.ai 1302", 200, {"code": "1302", "msg": "您的账户已达到速率限制", "choices": None}, "rate_limit"),
    # Loading
    ("llama-server", 503, said("Loading model", type="unavailable_error"), "loading"),
    ("huggingface.co", 503, {"error": "Model x is currently loading", "estimated_time": 20.0}, "loading"),
    ("lmstudio.ai", 400, {"error": "No models loaded. Please load a model in the developer page."}, "missing"),
    # One request's feature
    ("evalstate/fast-agent#122 (OpenRouter)", 404, said("No endpoints found that support tool use."), "request"),
    ("llama-server", 500, said("Jinja Exception: System role not supported", code=500), "request"),
    ("llama-cpp-python", 500, said("Input should be 'text' or 'json_object'"), "request"),
    ("openai.com", 400, said("Unsupported parameter: 'max_tokens'", code="unsupported_parameter"), "request"),
    ("FastAPI", 422, {"detail": [{"loc": ["body", "seed"], "msg": "extra fields not permitted"}]}, "request"),
    ("nginx: the limit of a proxy, not of the model", 413, PAGE.format("413 Request Entity Too Large"), "request"),
    ("openai.com", 200, said("no such thing", type="invalid_request_error"), "request"),
    # Images
    ("ollama", 500, {"error": "this model is missing data required for image input"}, "request"),
    ("llama.cpp", 500, said("image input is not supported - hint: you may need to provide the mmproj"), "request"),
    ("llama.cpp", 500, said("Failed to load image or audio file"), "request"),
    ("openrouter.ai", 404, said("No endpoints found that support image input", code=404), "request"),
    ("vllm", 400, said("At most 0 image(s) may be provided in one request."), "request"),
    ("openai.com", 400, said("Invalid content type. image_url is only supported by certain models."), "request"),
    ("claude.com", 400, said("messages.0.content.0.image.source: image exceeds 5 MB maximum: 5316852"), "request"),
    ("any", 400, said("The image size 6000x6000 is too large for model with max 4096"), "request"),
    ("openai.com", 400, said("Your image was rejected", code="content_policy_violation"), "refusal"),
    ("any", 400, said("image tokens 5000 exceed: the prompt is longer than the maximum model length"), "too_long"),
    ("any", 418, {}, "request"),
    # The key
    ("openai.com", 401, said("Incorrect API key provided"), "auth"),
    (
        "ai.google.dev",
        400,
        [said("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT")],
        "auth",
    ),
    ("openrouter.ai", 200, said("User not found.", code=401), "auth"),
    ("cloudflare 1020", 403, PAGE.format("Attention Required! | Cloudflare"), "forbidden"),
    # The model
    ("ollama", 404, said('model "x" not found, try pulling it first'), "missing"),
    ("openrouter.ai", 400, said("x/y is not a valid model ID"), "missing"),
    ("api-docs.deepseek.com", 400, said("Model Not Exist"), "missing"),
    ("Azure", 404, said("The API deployment for this resource does not exist.", code="DeploymentNotFound"), "missing"),
    ("FastAPI", 404, {"detail": "Not Found"}, "missing"),
    # The server
    ("nginx", 502, PAGE.format("502 Bad Gateway"), "server"),
    ("open-webui/computer#293", 500, {"error": None, "detail": "model worker is gone"}, "server"),
    ("openai-python", 409, {}, "server"),
    ("openrouter.ai", 200, said("Network connection lost.", code=502), "server"),
    ("cloudflare 524", 524, "error code: 524", "timeout"),
    ("docs.litellm.ai", 500, said("litellm.Timeout: Request timed out."), "timeout"),
    ("RFC 9110", 307, "", "redirect"),
]


@pytest.mark.parametrize(("reference", "status", "body", "kind"), SAMPLES)
def test_an_error_is_sorted_by_what_it_says(reference: str, status: int, body: Any, kind: str) -> None:
    report = report_of(status, body if isinstance(body, str) else json.dumps(body))
    assert fault_of(report).kind == kind
    if status == 200:
        found = error_in(body)
        assert found is not None
        assert fault_of(found).kind == kind


def test_every_row_decides_something_and_has_its_source() -> None:
    deciding = set()
    for _, status, body, _ in SAMPLES:
        report = report_of(status, body if isinstance(body, str) else json.dumps(body))
        deciding.add(next(number for number, row in enumerate(ERRORS) if row.fits(report)))
    assert [row for number, row in enumerate(ERRORS) if number not in deciding] == []
    assert all(row.source for row in ERRORS)
    assert all(row.source for row in FINISHES)


def test_every_kind_has_its_treatment() -> None:
    kinds = {name for literal in get_args(Kind) for name in (get_args(literal) or (literal,))}
    assert kinds == set(TREATMENTS)
    # What is the model's own doing is never asked again, and never takes a rung down.
    assert all(TREATMENTS[kind].retry == "never" for kind in ("format", "refusal", "too_long", "truncated"))
    assert all(TREATMENTS[kind].suspect == "no" for kind in ("request", "rate_limit", "loading", "crowded", "refusal"))


@pytest.mark.parametrize(
    ("status", "body"), [(500, said("content_filter service failed")), (503, said("moderation down"))]
)
def test_a_filter_that_is_broken_refuses_nothing(status: int, body: Any) -> None:
    assert fault_of(report_of(status, json.dumps(body))).kind == "server"


def test_a_prompt_that_is_repeated_does_not_sort_its_error() -> None:
    """FastAPI sends back what it was sent, and a prompt may speak of anything."""
    body = {"detail": [{"loc": ["body"], "msg": "no", "input": "the context length was exceeded, content_filter"}]}
    assert fault_of(report_of(422, json.dumps(body))).kind == "request"


@pytest.mark.parametrize("row", FINISHES, ids=lambda row: row.words)
def test_a_finish_reason_means_what_its_source_says(row: Any) -> None:
    for word in row.words.split():
        assert finish_of(word) == row.means
        assert finish_of(word.upper()) == row.means


@pytest.mark.parametrize(
    ("reason", "means"),
    [
        ("content_filter: RECITATION", "content_filter"),  # HKUDS/Vibe-Trading#308
        ("FinishReason.MAX_TOKENS", "length"),
        ({"type": "stop", "matched": 2}, "stop"),  # SGLang
        ({"type": "abort", "message": "aborted"}, "server"),
        ("upstream_error", "server"),
        ("server_shutdown", "server"),
        ("request_timeout", "timeout"),
        ("overloaded", "rate_limit"),
        ("max_output_tokens", "length"),
        ("safety_block", "content_filter"),
        ("a word of its own", "a word of its own"),
        (None, None),
        ("", None),
        (7, None),
        ([], None),
    ],
)
def test_siblings_of_a_finish_reason(reason: Any, means: str | None) -> None:
    assert finish_of(reason) == means


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 20ms.", 0.02),
        ("Please try again in 7m12.5s. Need more?", 432.5),
        ("Please retry in 34.5s", 34.5),
        ("Please retry after 26 seconds.", 26),
        ("Too many tokens, please wait before trying again.", None),
    ],
)
def test_the_wait_is_read_from_the_words(words: str, seconds: float | None) -> None:
    assert report_of(429, json.dumps(said(words))).wait_s == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ([said("no", details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}])], 34),
        ({"error": "Model is currently loading", "estimated_time": 20.5}, 20.5),
    ],
)
def test_the_wait_is_read_from_the_body(body: Any, seconds: float) -> None:
    assert report_of(503, json.dumps(body)).wait_s == seconds


@pytest.mark.parametrize(
    "answer", [{"choices": []}, {"choices": None, "usage": {}}, {"choices": [{"message": {}}]}, {"error": None}, 7, []]
)
def test_an_answer_without_an_error_has_none(answer: Any) -> None:
    assert error_in(answer) is None
