"""Turns the `[app]` table of the ladder file into an AppTable: how an application's own calls are answered; pure.

Whatever is wrong is a ConfigError that names the key, what stands there, and the nearest known name.
"""

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pytest_rightsize.config.table_checks import check_keys, check_type, subtable
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.records import Json, Policy

__all__ = ["APP_KEYS", "NO_PARAMETERS", "AppTable", "parse_app", "why_not_private"]

APP_KEYS = ("serve", "stands_for", "models", "ignore")
"""The keys of the table `[app]`."""
# Parameters by their names in the chat API, to know a slip of the pen: a vendor may have any others.
_PARAMETERS = (
    *("temperature", "top_p", "top_k", "min_p", "seed", "max_tokens", "stop", "frequency_penalty", "presence_penalty"),
    *(
        "repetition_penalty",
        "repeat_penalty",
        "logit_bias",
        "reasoning_effort",
        "verbosity",
        "response_format",
        "tools",
        "tool_choice",
    ),
    *("parallel_tool_calls", "prediction", "thinking", "modalities", "web_search_options"),
)
# What a request is about, by the names of all vendors.
NO_PARAMETERS = (
    *("model", "stream", "messages", "system", "prompt", "input", "instructions", "contents"),
    *("systemInstruction", "system_instruction"),
)
_SAME_WORD = 0.85


@dataclass(frozen=True, kw_only=True)
class AppTable:
    """How the calls of the application under test are answered.

    With `serve` they are sent to the rung of the test that runs. `stands_for` has the application's names for the model
    under test; all names count where it is empty. `models` has names that a fixed rung answers, by the rung's name.
    The parameters in `ignore` are left out of each request, by the name of the vendor or that of the chat API.
    """

    serve: bool = False
    stands_for: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()


def parse_app(plain: Mapping[str, Json], *, rungs: Collection[str], where: str) -> AppTable:
    """The table `[app]` of a ladder file; `where` names the table, `rungs` are the names that `models` may hold.

    Raises ConfigError.
    """
    check_keys(plain, APP_KEYS, where=where)
    serve = plain.get("serve", False)
    check_type(serve, bool, where=f"{where}: serve")
    stands_for = _names(plain, "stands_for", where=where, example='"gpt-4o-mini"')
    models = subtable(plain, "models", where)
    for name, rung in models.items():
        check_type(rung, str, where=f"{where}: models.{name}")
        if rung not in rungs:
            raise unknown_name(f"{where}: models.{name}", rung, rungs, noun="rung")
        if name in stands_for:
            raise ConfigError(
                f"{where}: {name!r} is in stands_for and in models: it is either under test, or always answered by "
                f"{rung}; take it out of one"
            )
    ignore = _names(plain, "ignore", where=where, example='"temperature"')
    for name in ignore:
        _check_ignored(name, f"{where}: ignore")
    return AppTable(serve=serve, stands_for=stands_for, models=dict(models), ignore=ignore)


def why_not_private(
    models: Mapping[str, str], policies: Iterable[Policy], *, leaves_machine: Callable[[str], bool]
) -> str | None:
    """Why tasks that are private cannot be run beside a rung in `models` that leaves this machine; None where they can.

    The application would send it what the task must keep to itself.
    """
    private = [policy.task for policy in policies if policy.private]
    leaving = [f"{name} ({rung})" for name, rung in models.items() if leaves_machine(rung)]
    if not private or not leaving:
        return None
    return (
        f"[app] models: the task {private[0]!r} is private, and {', '.join(leaving)} would leave this machine: name a "
        f"rung of this machine there, or run the private tasks with another ladder file (--rightsize-config)"
    )


def _check_ignored(name: str, where: str) -> None:
    """Refuse what is no parameter, and a name that is nearly one."""
    if name in NO_PARAMETERS:
        raise ConfigError(f"{where}: {name!r} is what the application asks, and no parameter of it: take it out")
    is_known = name.replace("_", "").lower() in {known.replace("_", "") for known in _PARAMETERS}
    if not is_known and difflib.get_close_matches(name, _PARAMETERS, n=1, cutoff=_SAME_WORD):
        raise unknown_name(where, name, _PARAMETERS, noun="parameter")


def _names(plain: Mapping[str, Json], key: str, *, where: str, example: str) -> tuple[str, ...]:
    """A list of names that is not empty, or nothing."""
    if key not in plain:
        return ()
    check_type(plain[key], list, where=f"{where}: {key}")
    if not plain[key]:
        raise ConfigError(f"{where}: {key} is empty: name at least one, as in {key} = [{example}], or leave it out")
    for name in plain[key]:
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{where}: {key} holds {name!r}: give names in quotes, as in {key} = [{example}]")
    return tuple(dict.fromkeys(plain[key]))
