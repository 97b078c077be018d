"""One table of what an endpoint may say instead of an answer: whose fault it is, and whether to ask again; pure.

In come finish reasons and error reports of any vendor, out go an outcome and its treatment. Each row names the public
source of its words. What no row knows is sorted by its status, or left to the test as an answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_rightsize.providers.openai.error_bodies import ErrorReport
from pytest_rightsize.providers.openai.faults import Fault, Kind
from pytest_rightsize.records import Json

__all__ = ["ERRORS", "FINISHES", "fault_of", "finish_of"]

# --- why a model stopped ----------------------------------------------------------------------------------------------

Finish = Literal["stop", "length", "content_filter", "tool_calls", "malformed"] | Kind


@dataclass(frozen=True, kw_only=True)
class FinishRow:
    """Finish reasons without their capitals and marks, and what they mean: a word of the OpenAI API, or a fault."""

    words: str
    means: Finish
    source: str


FINISHES: Sequence[FinishRow] = (
    FinishRow(words="stop stopsequence endturn", means="stop", source="platform.claude.com/docs handling-stop-reasons"),
    FinishRow(words="complete", means="stop", source="docs.cohere.com/reference/chat"),
    FinishRow(words="eostoken eos", means="stop", source="huggingface/text-generation-inference FinishReason"),
    FinishRow(words="eosfound stopstringfound", means="stop", source="lmstudio.ai/docs LLMPredictionStopReason"),
    FinishRow(words="finishreasonunspecified", means="stop", source="ai.google.dev/api Candidate.FinishReason"),
    FinishRow(words="length maxtokens", means="length", source="platform.claude.com/docs handling-stop-reasons"),
    FinishRow(words="modellength", means="length", source="camel-ai/camel#4266, laravel/ai#955 (Mistral)"),
    FinishRow(
        words="modelcontextwindowexceeded", means="length", source="platform.claude.com/docs handling-stop-reasons"
    ),
    FinishRow(words="pauseturn compaction", means="length", source="BerriAI/litellm core_helpers.py (Anthropic)"),
    FinishRow(words="errorlimit", means="length", source="docs.cohere.com (the context is full)"),
    FinishRow(words="tokenlimit", means="length", source="ibm.github.io/watsonx-ai-node-sdk StopReason"),
    FinishRow(
        words="maxpredictedtokensreached contextlengthreached",
        means="length",
        source="lmstudio.ai/docs LLMPredictionStopReason",
    ),
    FinishRow(words="contentfilter", means="content_filter", source="platform.openai.com/docs/api-reference/chat"),
    FinishRow(words="refusal", means="content_filter", source="platform.claude.com/docs handling-stop-reasons"),
    FinishRow(
        words="safety recitation language blocklist prohibitedcontent spii imagesafety imageprohibitedcontent "
        "imagerecitation modelarmor other escalation",
        means="content_filter",
        source="ai.google.dev/api Candidate.FinishReason; HKUDS/Vibe-Trading#308",
    ),
    FinishRow(words="sensitive", means="content_filter", source="BerriAI/litellm core_helpers.py (Zhipu GLM)"),
    FinishRow(words="errortoxic", means="content_filter", source="docs.oracle.com CohereChatResponse.FinishReason"),
    FinishRow(
        words="guardrailintervened contentfiltered",
        means="content_filter",
        source="docs.aws.amazon.com/bedrock MessageStopEvent",
    ),
    FinishRow(words="toolcalls toolcall tooluse", means="tool_calls", source="platform.openai.com, docs.cohere.com"),
    FinishRow(words="functioncall", means="tool_calls", source="platform.openai.com (deprecated)"),
    FinishRow(
        words="malformedfunctioncall malformedresponse unexpectedtoolcall toomanytoolcalls missingthoughtsignature",
        means="malformed",
        source="ai.google.dev/api Candidate.FinishReason",
    ),
    FinishRow(
        words="malformedmodeloutput malformedtooluse",
        means="malformed",
        source="docs.aws.amazon.com/bedrock MessageStopEvent",
    ),
    FinishRow(words="error", means="server", source="maximhq/bifrost#5425, nodetool-ai/nodetool#5755 (OpenRouter)"),
    FinishRow(
        words="insufficientsystemresource", means="server", source="api-docs.deepseek.com create-chat-completion"
    ),
    FinishRow(words="networkerror", means="server", source="BerriAI/litellm core_helpers.py (Zhipu GLM)"),
    FinishRow(words="abort aborted", means="server", source="sgl-project/sglang#2956, vllm-project/vllm FinishReason"),
    FinishRow(
        words="cancelled canceled notfinished", means="server", source="ibm.github.io/watsonx-ai-node-sdk StopReason"
    ),
    FinishRow(words="usercancel", means="server", source="docs.oracle.com CohereChatResponse.FinishReason"),
    FinishRow(words="timelimit timeout", means="timeout", source="ibm.github.io/watsonx-ai-node-sdk, docs.cohere.com"),
    FinishRow(words="load unload", means="loading", source="can1357/oh-my-pi#7465 (Ollama)"),
    FinishRow(words="failed modelunloaded userstopped", means="server", source="lmstudio.ai LLMPredictionStopReason"),
    FinishRow(words="ratelimitexceeded", means="rate_limit", source="platform.openai.com Responses status"),
)
_FINISH_BY_WORD = {word: row.means for row in FINISHES for word in row.words.split()}
# Siblings that no source lists yet, by their stems.
_FINISH_STEMS: Sequence[tuple[str, Finish]] = (
    (r"^contentfilter|safety|moderat|prohibit|guardrail|refus|policy|sensitive|toxic|censor|blocked", "content_filter"),
    (r"^malformed|invalid(tool|function|json|format)", "malformed"),
    (r"^max\w*(token|length|output)|tokenlimit|context(length|window|limit|size)|truncat|lengthlimit", "length"),
    (r"throttl|ratelimit|overload|capacity|busy", "rate_limit"),
    (r"timeout|timedout|timelimit|deadline", "timeout"),
    (
        r"abort|cancel|error|fail|unavailable|insufficient|resource|interrupt|disconnect|shutdown|preempt|evict|"
        r"exhaust|unload|outofmemory|^oom$|killed|crash|incomplete|connection",
        "server",
    ),
)


def finish_of(reason: Json) -> Finish | str | None:
    """A finish reason in the words of the OpenAI API, or as a kind of fault; an unknown word is returned as it is.

    SGLang's are objects with a `type`. None means that none was given.
    """
    if isinstance(reason, dict):
        reason = reason.get("type")
    if not isinstance(reason, str) or not reason:
        return None
    if reason in _FINISH_BY_WORD:  # as most are
        return _FINISH_BY_WORD[reason]
    word = re.sub(r"[^a-z]", "", reason.lower().rpartition(".")[2])
    known = _FINISH_BY_WORD.get(word)
    if known is not None:
        return known
    return next((means for stem, means in _FINISH_STEMS if re.search(stem, word)), reason)


# --- errors -----------------------------------------------------------------------------------------------------------

_OK = range(200, 300)
_ANY = range(1000)
_SERVER = range(500, 600)


@dataclass(frozen=True, kw_only=True)
class ErrorRow:
    """Errors of one kind: those with one of the `statuses` whose code, type or message the `pattern` finds."""

    kind: Kind
    pattern: str = ""
    statuses: Sequence[range | int] = (_ANY,)
    source: str

    def fits(self, report: ErrorReport) -> bool:
        """Whether the report is one of these."""
        if not any(report.status in one if isinstance(one, range) else report.status == one for one in self.statuses):
            return False
        return re.search(self.pattern, report.signals, re.IGNORECASE) is not None


# 2xx with an error in it, and the 4xx that may be about one prompt.
_ONE_PROMPT = (_OK, 400, 403, 406, 413, 422, range(444, 460))
# In this order: the first row that fits decides.
ERRORS: Sequence[ErrorRow] = (
    ErrorRow(
        kind="request",
        pattern=r"request too large.{0,200}(tokens|requests) per (min|day|hour)",
        source="assafelovic/gpt-researcher#985 (Groq), vanna-ai/vanna-flask#11: one request above the limit of "
        "a minute",
    ),
    ErrorRow(
        kind="rate_limit",
        pattern=r"resource_exhausted|quota exceeded for (metric|quota)|openrouter_in_flight_budget",
        source="ai.google.dev/gemini-api/docs/troubleshooting; openrouter.ai/docs/api/errors",
    ),
    ErrorRow(
        kind="credit",
        pattern=r"insufficient[_ ]quota|exceeded[_ ](your[_ ])?current[_ ]quota"
        r"|insufficient\W+(account )?(balance|credit|funds)"
        r"|credit balance is too low|out of credits|requires more credits|billing[_ ](hard[_ ])?(limit|not)|arrearage"
        r"|account.{0,30}(deactivated|suspended|in arrears)|budget has been exceeded|余额不足|欠费",
        source="platform.openai.com/docs/guides/error-codes; docs.z.ai 1113; BerriAI/litellm ExceededBudget",
    ),
    ErrorRow(kind="credit", statuses=(402,), source="api-docs.deepseek.com error codes; openrouter.ai/docs/errors"),
    ErrorRow(
        kind="refusal",
        pattern=r"content_filter|responsibleaipolicyviolation|content management policy|content_policy_violation",
        statuses=_ONE_PROMPT,
        source="tatsu-lab/alpaca_eval#227, stanford-crfm/helm#3327 (Azure)",
    ),
    ErrorRow(
        kind="refusal",
        pattern=r"requires moderation|input was flagged|content[_ ]?moderation|moderation_blocked|guardrail",
        statuses=_ONE_PROMPT,
        source="openrouter.ai/docs/errors; docs.litellm.ai guardrails; portkey.ai 446",
    ),
    ErrorRow(
        kind="refusal",
        pattern=r"content exists risk|data_?inspection_?failed|inappropriate content|new_sensitive|contentfilter"
        r"|敏感|违规|high risk",
        statuses=_ONE_PROMPT,
        source="deepseek-ai/DeepSeek-V2#30; DashScope error codes; MiniMax 1026; docs.z.ai 1301; Moonshot",
    ),
    ErrorRow(
        kind="refusal",
        pattern=r"violates? (our |the )?(usage|content|safety)[ _](guidelines|polic|rules)|safety_check_type",
        statuses=_ONE_PROMPT,
        source="UKGovernmentBEIS/inspect_ai#2267 (xAI 403)",
    ),
    ErrorRow(
        kind="refusal",
        pattern=r"violating our usage policy|usage polic(y|ies)|safety system|safety (filter|reasons)"
        r"|content filter(ing|s)?\b"
        r"|prohibited_content|contentpolicyviolation|prompt (is |was )?blocked|cyber_policy",
        statuses=_ONE_PROMPT,
        source="BerriAI/litellm exception_mapping_utils.py (OpenAI, Anthropic, Gemini); Cloudflare AI Gateway 2016",
    ),
    ErrorRow(
        kind="format",
        pattern=r"json_validate_failed|failed to (generate|validate) json",
        source="langchain-ai/langchain#31459 (Groq)",
    ),
    ErrorRow(
        kind="format",
        pattern=r"tool_use_failed|failed to call a function|tool call validation failed",
        source="groq/groq-typescript#28, HunorLaczko/ha-groq-cloud-api#20",
    ),
    ErrorRow(
        kind="format",
        pattern=r"error parsing tool call|failed to parse (input at pos|tool call)"
        r"|model (produced|returned) invalid content"
        r"|malformed_function_call|tool call.{0,20}pars(e|ing) (error|failed)",
        source="ollama/ollama#12064, vxcontrol/pentagi#313 (llama-server); platform.openai.com model_error",
    ),
    ErrorRow(
        kind="truncated",
        pattern=r"could not finish the message because max_tokens|(max_tokens|model output limit) was reached",
        source="community.openai.com (o-series: the limit went into reasoning)",
    ),
    ErrorRow(
        kind="crowded",
        pattern=r"context size has been exceeded",
        source="lemonade-sdk/lemonade#3276, ggml-org/llama.cpp#23652, lmstudio-ai/lmstudio-bug-tracker#1757",
    ),
    ErrorRow(
        kind="crowded",
        pattern=r"kv[ _]?(cache|slot).{0,30}(full|exhausted|exceeded|insufficient|no space)|kv cache pool"
        r"|(no|find|enough)\b.{0,20}(free|available|memory|kv)\b.{0,20}(kv|slot|cache|block)|cuda.{0,10}out of memory"
        r"|\bout of memory",
        statuses=(_OK, 400, _SERVER),
        source="ggml-org/llama.cpp llama-context.cpp; sgl-project/sglang scheduler.py; pytorch OutOfMemoryError",
    ),
    ErrorRow(kind="rate_limit", statuses=(429, 529), source="RFC 6585; platform.claude.com/docs/en/api/errors"),
    ErrorRow(kind="rate_limit", statuses=(498,), source="console.groq.com/docs/errors: flex tier capacity exceeded"),
    ErrorRow(
        kind="rate_limit",
        pattern=r"rate[\W_]?limit(ed|_exceeded|_error| (reached|exceeded|hit))?\b|too[_ ]many[_ ]requests"
        r"|throttl(ed|ing)"
        r"|requests? per (second|minute|hour|day)|qps|slow down|tier[_ ]capacity[_ ]exceeded|concurrency limit"
        r"|速率限制|过于频繁",
        statuses=(_OK, 400, 403, 408, 409, 413, 424, _SERVER),
        source="BerriAI/litellm exception_mapping_utils.py; docs.aws.amazon.com ThrottlingException",
    ),
    ErrorRow(
        kind="rate_limit",
        pattern=r"overloaded|server[_ ]busy|is busy|(high|excessive) (demand|load|traffic)|at capacity|no capacity"
        r"|maximum pending requests|queue.{0,20}(is )?full|capacity[_ ](exceeded|error)|over ?capacity",
        statuses=(_OK, 400, 408, 424, _SERVER),
        source="platform.claude.com errors; api-docs.deepseek.com 503; ollama ErrMaxQueue; sglang; TGI overloaded",
    ),
    ErrorRow(
        kind="request",
        pattern=r"missing data required for image input|image input is not supported|failed to load image"
        r"|unsupported image|no vision (tower|encoder)",
        statuses=(_OK, 400, _SERVER),
        source="ollama/ollama (errors of models without vision), ggml-org/llama.cpp tools/server (500)",
    ),
    ErrorRow(
        kind="request",
        pattern=r"\bimages?\b[^.]{0,50}\b(too (large|big|many)|exceeds? (max|\d))",
        statuses=(_OK, 400, 413, 422, _SERVER),
        source="platform.claude.com/docs/en/build-with-claude/vision (image exceeds 5 MB maximum)",
    ),
    ErrorRow(
        kind="too_long",
        pattern=r"context_length_exceeded|exceed_context_size|model_context_window_exceeded|contextwindowexceeded"
        r"|request_too_large|context[ _]?(length|window|size|limit|overflow)|maximum (model|context) length"
        r"|tokens_limit_reached",
        statuses=(_OK, 400, 413, 422, 500),
        source="platform.openai.com error codes; ggml-org/llama.cpp; continuedev/continue#6080 (Anthropic); "
        "vllm; lmstudio",
    ),
    ErrorRow(
        kind="too_long",
        pattern=r"(prompt|input|request|messages?|text) (is |are |was )?too (long|large)"
        r"|longer than the (maximum )?(model|context)"
        r"|reduce (the length|your prompt|the number of tokens)|exceeded model token limit|too many (input )?tokens"
        r"|token limit exceeded|input token count.{0,60}exceeds|input tokens exceed",
        statuses=(_OK, 400, 413, 422, 500),
        source="OpenHands/OpenHands#1902 (Groq), earendil-works/pi overflow.ts (Gemini, Bedrock, Moonshot, Cohere)",
    ),
    ErrorRow(
        kind="too_long",
        pattern=r"maximum (allowed )?(prompt|input|content) (length|tokens?)|max_(num_tokens|input_len|seq_len)"
        r"|(prompt|input) (token )?(length|count).{0,60}exceeds?|`?inputs`? (must have less than|tokens \+)"
        r"|range of input length|while limit is|too large for model with|prompt exceeds"
        r"|maximum number of tokens allowed|only supports up to \d|tokens.{0,60}cannot exceed",
        statuses=(_OK, 400, 413, 422, 500),
        source="cline/cline#3120 (xAI), huggingface/llm-vscode#94 (TGI), DashScope, Cerebras, Mistral, docs.z.ai 1261",
    ),
    ErrorRow(
        kind="too_long",
        pattern=r"messages?\W{1,3}\d*\W{0,3}content.{0,80}string too long",
        statuses=(400,),
        source="platform.openai.com string_above_max_length",
    ),
    ErrorRow(
        kind="too_long", pattern=r"^$", statuses=(413,), source="earendil-works/pi overflow.ts (Cerebras: no body)"
    ),
    ErrorRow(
        kind="missing",
        pattern=r"no models? (are |is )?(currently )?loaded",
        source="lmstudio.ai: no models loaded",
    ),
    ErrorRow(
        kind="loading",
        pattern=r"loading|warming up|cold.?start|starting up|is starting|initiali[sz]ing"
        r"|not (yet )?(been )?(ready|loaded)"
        r"|unloaded",
        statuses=(_OK, 409, 424, 425, _SERVER),
        source="ggml-org/llama.cpp tools/server README (503 Loading model); huggingface.co (currently loading)",
    ),
    ErrorRow(
        kind="request",
        pattern=r"input should be|response_format",
        statuses=(400, 422, 500),
        source="abetlen/llama-cpp-python server types: a response_format that it does not know is a 500",
    ),
    ErrorRow(
        kind="request",
        pattern=r"no endpoints found that (can )?(support|handle)|does(n.t| not) support|(is|are) not supported"
        r"|not supported"
        r"|unsupported (parameter|value|content|image)|unsupported_(parameter|value)|jinja|chat template"
        r"|only one system",
        statuses=(_OK, 400, 404, 405, 415, 422, 500, 501),
        source="evalstate/fast-agent#122 (OpenRouter 404), ggml-org/llama.cpp (500 Jinja), platform.openai.com",
    ),
    ErrorRow(kind="auth", statuses=(401,), source="RFC 9110"),
    ErrorRow(
        kind="auth",
        pattern=r"(invalid|incorrect|missing|expired|wrong|no)[ _](\w+ )?(api[ _]?key|(access|auth)[ _]token"
        r"|credential|authentication)"
        r"|api[ _]?key.{0,40}(not valid|invalid|expired|missing|required|disabled|not found)|api_key_invalid"
        r"|unauthenticated"
        r"|authentication_error|unauthori[sz]ed|invalid subscription key|user not found",
        statuses=(_OK, 400, 403, 404),
        source="ai.google.dev troubleshooting (400 API_KEY_INVALID), docs.x.ai (400), learn.microsoft.com (401)",
    ),
    ErrorRow(
        kind="missing",
        pattern=r"model[_ ]not[_ ](found|exist|available)|no such model|(unknown|invalid|unsupported)[_ ]model"
        r"|not a valid model"
        r"|model.{0,80}(does ?n.?t|not) exist|model.{0,80}(not found|decommissioned)|deploymentnotfound"
        r"|no available channel"
        r"|(unable|not have) access.{0,20}model|unable to access",
        statuses=(_OK, 400, 403, 404, 410, 422, 503),
        source="ollama/ollama, openrouter.ai, api-docs.deepseek.com (Model Not Exist), docs.mistral.ai 1500, "
        "Groq, Together",
    ),
    ErrorRow(kind="missing", statuses=(404, 405, 410), source="RFC 9110"),
    ErrorRow(kind="redirect", statuses=(range(300, 400),), source="RFC 9110"),
    ErrorRow(
        kind="timeout",
        statuses=(408, 504, 522, 524, 598, 599),
        source="RFC 9110; developers.cloudflare.com 5xx errors",
    ),
    ErrorRow(kind="timeout", pattern=r"timed?[_ -]?out|deadline", statuses=(_OK, _SERVER), source="docs.litellm.ai"),
    ErrorRow(kind="forbidden", statuses=(403, 407, 451), source="RFC 9110; developers.cloudflare.com 1020"),
    ErrorRow(
        kind="request",
        pattern=r"invalid_request|invalid[_ ]param|bad[_ ]request|validation|extra_forbidden|unknown (field|parameter)",
        statuses=(_OK, 501),
        source="platform.openai.com error codes",
    ),
    # Some endpoints answer 409 while their model is still loading.
    ErrorRow(kind="server", statuses=(_OK, 409, 425, _SERVER), source="openai/openai-python _base_client.py"),
    ErrorRow(kind="request", source="whatever else: the status says that asking again would not help"),
)


def fault_of(report: ErrorReport) -> Fault:
    """Sort an error report."""
    kind = next(row.kind for row in ERRORS if row.fits(report))
    return Fault(kind=kind, words=report.words, status=report.status, wait_s=report.wait_s)
