"""Write the verdicts of a run as a routing table: of each task the model that may answer it, as JSON or for LiteLLM.

A task is routed to its recommended rung where its verdict is `likely` or `shown` (--evidence); else to its chosen one,
and where there is none it is left out. The table says why.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_rightsize.commands._output import say, write_output
from pytest_rightsize.commands._runs import add_run_argument, read_summary
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.output_paths import refuse_other
from pytest_rightsize.providers.secret_texts import holds_secret, without_likely_secrets
from pytest_rightsize.records import Json, Rung
from pytest_rightsize.verdict_records import Verdict

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = (
    "rightsize route last",
    "rightsize route run.jsonl --format litellm --output litellm.yaml",
    "rightsize route 12 --format litellm --base-url 4b=http://localhost:8080/v1",
)
_WRITTEN_BY = "Written by `rightsize route`"
_GRADES = ("provisional", "likely", "shown")


@dataclass(frozen=True, kw_only=True)
class _Route:
    """A task with its rung, None where it is left out, and the reason."""

    task: str
    rung: Rung | None
    because: str
    evidence: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize route`."""
    add_run_argument(parser)
    parser.add_argument("--format", choices=("json", "litellm"), default="json", help="of the table (default json)")
    parser.add_argument("--evidence", choices=_GRADES, default="likely", help="what a verdict needs (default likely)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it there (default: print it)")
    parser.add_argument(
        "--base-url",
        action="append",
        default=[],
        metavar="RUNG=URL",
        help="where a rung of this machine's own process is served, for LiteLLM",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the table; returns 1 where a task is left out. Raises ConfigError for a wrong file, rung or URL."""
    results = read_summary(arguments.run_file)
    if results.interrupted:
        raise ConfigError(f"{arguments.run_file} was cut off: route by the results of a session that ran to its end")
    rungs = {rung.name: rung for rung in results.rungs}
    urls = _urls(arguments.base_url, rungs)
    routes = [_route(verdict, rungs, arguments.evidence) for verdict in judge(results)]
    if arguments.format == "json":
        lines = json.dumps(_plain(routes, urls, arguments.evidence, rungs), indent=1, ensure_ascii=False).splitlines()
    else:
        lines = [*_litellm(routes, urls)]
    if arguments.output is None:
        say("\n".join(lines))
    else:
        refuse_other(arguments.output, "routing table", is_own=_is_own)
        write_output(arguments.output, [f"{line}\n" for line in lines])
        left_out = [route.task for route in routes if route.rung is None]
        without = f", without {', '.join(left_out)}" if left_out else ""
        say(f"{arguments.output}: {len(routes) - len(left_out)} tasks{without}")
    return 1 if any(route.rung is None for route in routes) else 0


def _is_own(head: str) -> bool:
    return head.startswith(f"# {_WRITTEN_BY}") or (head.startswith("{") and '"routes": {' in head)


def _urls(options: Sequence[str], rungs: Mapping[str, Rung]) -> Mapping[str, str]:
    urls = {}
    for option in options:
        name, is_named, url = option.partition("=")
        if not is_named or not url:
            raise ConfigError(
                f"--base-url was given {without_likely_secrets(option)!r}: give RUNG=URL, as in 4b=http://localhost:8080/v1"
            )
        if name not in rungs:
            raise unknown_name("--base-url", without_likely_secrets(name), rungs, noun="rung")
        if holds_secret(url):
            raise ConfigError(f"--base-url of {name} holds a name, a password or a key: set base_url_env of the rung")
        urls[name] = url
    return urls


def _route(verdict: Verdict, rungs: Mapping[str, Rung], needed: str) -> _Route:
    """The recommended rung where that is sure enough, else the chosen one."""
    best, chosen = verdict.recommended or verdict.smallest, verdict.chosen
    is_sure = verdict.evidence is not None and _GRADES.index(verdict.evidence) >= _GRADES.index(needed)
    # Of a verdict that rests on another rung, as on the chosen one that fails, that is not how sure it is of this one.
    is_of_best = best is not None and verdict.evidence_rung == best
    if best is not None and is_sure:
        because = f"{verdict.verdict} ({verdict.evidence}): {best} passes"
        if is_of_best:
            because = f"{verdict.verdict}: {best} passes ({verdict.evidence})"
        return _Route(task=verdict.task, rung=rungs[best], because=because, evidence=verdict.evidence)
    doubt = f"{verdict.verdict}"
    if best is not None:
        what = "which" if is_of_best or verdict.evidence is None else f"but that the task is {verdict.verdict}"
        doubt = f"{best} passes, {what} is only {verdict.evidence or 'undecided'}"
    if chosen in rungs and chosen is not None:
        because = f"{doubt}: the chosen one stays"
        return _Route(task=verdict.task, rung=rungs[chosen], because=because, evidence=verdict.evidence)
    because = f"{doubt}, and no rung of the ladder is chosen"
    return _Route(task=verdict.task, rung=None, because=because, evidence=verdict.evidence)


def _plain(routes: Sequence[_Route], urls: Mapping[str, str], needed: str, rungs: Mapping[str, Rung]) -> Json:
    return {
        "schema": 1,
        "evidence": needed,
        "routes": {
            route.task: {"because": route.because, "evidence": route.evidence, **_target(route.rung, urls, rungs)}
            for route in routes
        },
    }


def _target(rung: Rung | None, urls: Mapping[str, str], rungs: Mapping[str, Rung]) -> dict[str, Json]:
    if rung is None:
        return {"rung": None}
    if rung.provider == "cascade":
        members = [
            _target(rungs[name], urls, rungs) if name in rungs else {"rung": name} for name in rung.options["rungs"]
        ]
        return {"rung": rung.name, "provider": "cascade", "accept": rung.options["accept"], "rungs": members}
    options = {key: rung.options[key] for key in ("base_url_env", "api_key_env") if key in rung.options}
    url = urls.get(rung.name) or rung.options.get("base_url")
    return {
        "rung": rung.name,
        "provider": rung.provider,
        "model": rung.model,
        **({"base_url": url} if url else {}),
        **options,
    }


def _litellm(routes: Sequence[_Route], urls: Mapping[str, str]) -> Iterator[str]:
    """A configuration of LiteLLM's proxy and router: the application asks for a task by its name as the model."""
    yield f'# {_WRITTEN_BY}. The application asks for the task as its model: model="TASK".'
    are_some = any(route.rung is not None and _problem(route.rung, urls) is None for route in routes)
    yield "model_list:" if are_some else "model_list: [] # no task can be routed:"
    for route in routes:
        problem = route.because if route.rung is None else _problem(route.rung, urls)
        if problem is not None or route.rung is None:
            yield f"  # {json.dumps(route.task, ensure_ascii=False)} is left out: {problem}"
            continue
        rung = route.rung
        yield f"  - model_name: {json.dumps(route.task, ensure_ascii=False)} # {route.because}"
        yield "    litellm_params:"
        yield f"      model: {json.dumps(f'openai/{rung.model}', ensure_ascii=False)}"
        url = urls.get(rung.name) or rung.options.get("base_url")
        if url:
            yield f"      api_base: {json.dumps(url)}"
        elif "base_url_env" in rung.options:
            yield f"      api_base: os.environ/{rung.options['base_url_env']}"
        key = rung.options.get("api_key_env")
        yield f"      api_key: {f'os.environ/{key}' if key else json.dumps('none')}"


def _problem(rung: Rung, urls: Mapping[str, str]) -> str | None:
    """Why a proxy cannot ask the rung."""
    if rung.provider == "openai" or rung.name in urls:
        return None
    if rung.provider == "cascade":
        return (
            f"{rung.name} is a cascade, whose check a proxy does not run: --format json has its rungs, or serve it and "
            f"give --base-url {rung.name}=URL"
        )
    return f"{rung.name} is no endpoint ({rung.provider}): serve it, and give --base-url {rung.name}=URL"
