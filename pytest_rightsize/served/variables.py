"""Environment variables that send the SDKs of a process to an endpoint; pure: nothing is read or set here.

Each name was read in the source of the SDK that honours it. No variable helps an application with a `base_url` in its
code.
"""

from collections.abc import Mapping

__all__ = ["DUMMY_KEY", "variables", "with_keys"]

DUMMY_KEY = "rightsize-no-key"
"""The value of a key's variable where the user has set none: SDKs insist on one, and the endpoint ignores it."""

# Of each SDK the variables that may hold its key, and the one to set where none is.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "OPENAI_API_KEY": ("OPENAI_API_KEY",),
    "ANTHROPIC_API_KEY": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    "GOOGLE_API_KEY": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "AZURE_OPENAI_API_KEY": ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"),
    "AZURE_API_KEY": ("AZURE_API_KEY",),
    "GROQ_API_KEY": ("GROQ_API_KEY",),
}
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_LOOPBACK = ("127.0.0.1", "localhost")


def variables(root: str) -> dict[str, str]:
    """The variables that name the endpoint at `root`, which is a URL without a slash at its end."""
    v1 = f"{root}/v1"
    return {
        "OPENAI_BASE_URL": v1,  # openai, langchain-openai, pydantic-ai, litellm
        "OPENAI_API_BASE": v1,  # litellm, langchain-openai
        "VLLM_BASE_URL": v1,  # pydantic-ai
        "AZURE_OPENAI_ENDPOINT": root,  # openai's AzureOpenAI, pydantic-ai
        "AZURE_API_BASE": root,  # litellm
        "ANTHROPIC_BASE_URL": root,  # anthropic, litellm
        "ANTHROPIC_API_BASE": root,  # litellm
        "OLLAMA_HOST": root,  # ollama
        "OLLAMA_API_BASE": root,  # litellm
        "OLLAMA_BASE_URL": v1,  # pydantic-ai, which speaks chat completions with it
        "GOOGLE_GEMINI_BASE_URL": root,  # google-genai
        "GOOGLE_VERTEX_BASE_URL": root,  # google-genai with Vertex AI
        "GEMINI_API_BASE": root,  # litellm
        "GROQ_BASE_URL": root,  # groq, pydantic-ai
    }


def with_keys(root: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of `variables`, a dummy key for each SDK that has none in `environment`, and no proxy for loopback.

    A proxy would otherwise get the application's calls to this machine, with the user's own key.
    """
    keys = {name: DUMMY_KEY for name, known in _KEYS.items() if not any(environment.get(one) for one in known)}
    return {**variables(root), **keys, **_without_proxy(environment)}


def _without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Both spellings of NO_PROXY with this machine's names added, where the environment names a proxy at all.

    Not elsewhere: with any such variable, Python no longer looks up the proxies of macOS and Windows.
    """
    if not any(environment.get(one) for name in _PROXIES for one in (name, name.upper())):
        return {}
    excluded = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if excluded.strip() == "*":  # everything is excluded, and `*` in a list excludes nothing
        return {}
    names = [name.strip() for name in excluded.split(",") if name.strip()]
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(dict.fromkeys([*names, *_LOOPBACK])))
