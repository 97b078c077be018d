"""How much a model is to reason, in the words of the OpenAI chat API; pure."""

__all__ = ["effort_of_budget", "effort_of_level"]

# ai.google.dev/gemini-api/docs/openai: Google's own table between efforts and budgets of tokens.
_BUDGETS = ((1024, "low"), (8192, "medium"))


def effort_of_budget(tokens: int) -> str | None:
    """The effort for a budget of tokens; None for a budget that the model chooses (-1)."""
    if tokens < 0:
        return None
    return "none" if tokens == 0 else next((effort for most, effort in _BUDGETS if tokens <= most), "high")


def effort_of_level(level: str) -> str:
    """The effort for a vendor's word; Anthropic's `max` has no other name than the highest of OpenAI's."""
    return {"max": "xhigh"}.get(level.lower(), level.lower())
