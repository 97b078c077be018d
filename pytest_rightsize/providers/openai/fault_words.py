"""Words for the user: a fault of an endpoint becomes the error that says what happened and what to do; pure."""

from pytest_rightsize.errors import NoAnswerError, RightsizeError, RungError, TooLongError
from pytest_rightsize.providers.openai.endpoint_urls import lacks_version
from pytest_rightsize.providers.openai.faults import OWN, TREATMENTS, Fault

__all__ = ["error_for"]

# Kinds whose words are a whole clause already.
_CLAUSES = ("closed", "redirect", "stale", "timeout", "unreachable", "untrusted")


def error_for(
    fault: Fault, *, attempts: int, rung: str, model: str | None, where: str, key_variable: str | None, is_down: bool
) -> RightsizeError:
    """The error to raise for a fault, after so many attempts; `where` is the endpoint as it may be shown.

    A fault that is not known to be the whole rung's says nothing of other requests.
    """
    tries = f"{attempts} attempts" if attempts > 1 else ""
    detail = "; ".join(part for part in (fault.words, tries) if part)
    if fault.kind in OWN:
        return _own(fault, detail, rung=rung, where=where)
    if fault.kind in _CLAUSES and fault.status in (0, *range(300, 400)):
        words = f"{fault.words} ({tries})" if tries else fault.words
    else:
        words = _words(fault, detail or "no words", model=model, where=where, key_variable=key_variable)
    reason = TREATMENTS[fault.kind].reason
    return RungError(f"rung {rung!r}: {where} {words}", reason=reason, permanent=is_down, alone=not is_down)


def _own(fault: Fault, detail: str, *, rung: str, where: str) -> RightsizeError:
    if fault.kind == "too_long":
        return TooLongError(f"rung {rung!r}: the prompt is longer than the context of the model: {detail}")
    what = {
        "format": "the model wrote nothing in the form that was asked for",
        "refusal": "the prompt or the answer was refused by a content filter",
        "truncated": "the limit of tokens was reached before an answer",
    }[fault.kind]
    return NoAnswerError(f"rung {rung!r}: {what}, says {where}: {detail}", reason=fault.kind)


def _words(fault: Fault, detail: str, *, model: str | None, where: str, key_variable: str | None) -> str:
    remedy = f"set {key_variable} to a key that it takes" if key_variable else "name the key's variable in api_key_env"
    version = ": nearly all servers have /v1 in base_url, and this one has not" if lacks_version(where) else ""
    status = f"answered {fault.status} ({detail})" if fault.status else f"gave no whole answer ({detail})"
    match fault.kind:
        case "auth":
            header = ', with api_key_header = "api-key"' if "subscription key" in detail else ""  # Azure's words
            return f"refused the key ({detail}): {remedy}{header}"
        case "forbidden":
            return f"refused the request, status {fault.status} ({detail}): if that is for the key, {remedy}"
        case "missing":
            return f"knows no model {model!r}, or is no such endpoint ({detail}){version}"
        case "credit":
            return f"{status}: the account has nothing left to spend, or the request asks for more than is left"
        case "crowded":
            return (
                f"{status}: its requests share a cache that is full; give it more context, or set max_in_flight lower"
            )
        case "unreadable":
            return f"answered something that is no chat completion ({detail}){version}"
        case _:
            return status
