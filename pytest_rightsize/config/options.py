"""The options and their ini twins, and whether any is in use.

Every `--rightsize-x` has an ini twin `rightsize_x`; the command line wins. The texts are parsed in settings.py: this
file is all of the room that is loaded in a project without a ladder.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import pytest

__all__ = [
    "CASES",
    "MARKER_HELPS",
    "OPTIONS",
    "PARAMETRIZING_MARKERS",
    "PROMPTS",
    "TASK_HELP",
    "VARIANT",
    "add_options",
    "find_ladder_file",
    "offline_is_asked",
    "option_source",
    "option_text",
    "serving_is_asked",
    "settings_are_given",
]

_MARKER_HELP = (
    "rightsize(task=, pass_rate=, confidence=, samples=, chosen=, private=, max_tokens=, concurrent=): "
    "say which task a test belongs to, its bar, and the model the application uses (see the README of pytest-rightsize)"
)

TASK_HELP = (
    "The name of what the application asks of a model: all tests of one task are judged together (default: each test "
    "function is a task of its own, under the name that pytest gives it)."
)
"""The marker's argument `task`, which the ladder file has as the name of a table."""

MARKER_HELPS = (
    _MARKER_HELP,
    "rightsize_cases(FILE, ..): a case for each row of a file (.jsonl, .csv, .yaml); its columns are the arguments",
    'rightsize_prompts(v1="..", v2=".."): run the test with each `prompt` up the ladder, and compare them',
    "rightsize_variant(name, count): set by rightsize_prompts",
)
CASES, PROMPTS = PARAMETRIZING_MARKERS = ("rightsize_cases", "rightsize_prompts")
VARIANT = "rightsize_variant"
"""On each test of a prompt: `(name, number of variants)`. `rightsize_prompts` sets it."""

OPTIONS: Mapping[str, tuple[str, str]] = {
    "ladder": ("RUNGS", "run the tests on these models (rungs), smallest first, such as 1b,4b,30b,frontier"),
    "config": (
        "FILE",
        "the ladder file (default: rightsize.toml at the rootdir, else [tool.rightsize] in pyproject.toml)",
    ),
    "strategy": (
        "NAME",
        "climb (default): a task stops at the first rung that passes; bisect: the same, from the middle of the ladder; "
        "full: every task runs on every rung",
    ),
    "samples": ("N", "trials of each case on each rung, for tasks that do not say (default 1)"),
    "pass-rate": ("R", "the bar for tasks that do not say, from 0 to 1 (default 1.0)"),
    "confidence": (
        "C",
        "how surely a rung must reach its bar or miss it, from 0.5 to 1 as in 0.95 (default: the observed rate)",
    ),
    "stopping": (
        "HOW",
        "early (default): a task with a confidence stops at a boundary that keeps its error; settled: only when "
        "nothing that is left could change how it stands; none: every case of a rung is asked",
    ),
    "concurrency": (
        "N",
        "requests in flight to a rung; with 1, each test function runs once (default: the rung's max_in_flight, else 8 "
        "for an endpoint and twice the slots of a local model)",
    ),
    "hosts": (
        "HOW",
        "shared: a local model answers in a process of its own, which all workers of pytest-xdist ask; own: each "
        "process loads the model itself (default: shared under -n for llama_cpp, else own)",
    ),
    "cache": (
        "MODE",
        "auto (default): answers are recorded, and not asked for twice; off; replay: recorded answers only, and no "
        "model is touched; refresh: ask again, and record",
    ),
    "cache-dir": ("DIR", "where answers are recorded (default: .rightsize at the rootdir)"),
    "budget": (
        "LIMITS",
        "what the session may spend, as in usd:2,joules:50000,tokens:1e6,seconds:600; when it is spent, the rest is "
        "not run, and undecided",
    ),
    "redact": ("WORDS", "prompts, answers or both: records and reports have hashes in their place"),
    "calibration": (
        "FILE",
        "how often judges agree with people, as rightsize judge calibrate wrote it (default: `calibration` in the "
        "ladder file); pass rates that rest on these judges are corrected",
    ),
    "results": ("FILE", "write every trial and verdict to FILE as JSON Lines, while the session runs"),
    "runs": (
        "N",
        "how many runs are kept in .rightsize/runs, numbered, for `rightsize history` (default 20; 0 keeps none, as "
        "does --rightsize-cache=off unless this is set)",
    ),
    "baseline": ("FILE", "an earlier results file, or a rightsize.lock, that no task may be worse than"),
    "shard": (
        "I/N",
        "run the tasks of shard I of N only, as in 3/16; `rightsize merge` makes one run of all shards' results files",
    ),
    "shard-by": (
        "WHAT",
        "task (default): each task is run whole by one shard; case: the cases of a task are split, which needs "
        "--rightsize-strategy=full",
    ),
    "shard-collects": (
        "WHAT",
        "own: a shard collects its own tests, and one for each function of other shards, which takes the memory of its "
        "own only; suite: it collects the tests of all shards, and leaves out the others'; auto (default): own, unless "
        "something may choose among the tests, such as -k or a plugin",
    ),
    "html": ("FILE", "write a page with everything, in one file that needs no network"),
    "markdown": ("FILE", "write a summary for a pull request; a GitHub job's own summary gets it too"),
    "report": (
        "[NAME:]FILE,..",
        "write further reports: html, markdown, csv, json, badge, or those of other plugins; without a name by the "
        "ending of the file: .html, .md, .csv, .json, .svg",
    ),
    "objective": (
        "NAME",
        "what the recommended rung is: size (default) names the smallest that passes; energy, cost or latency the one "
        "of those that pass that takes least for a passed case",
    ),
    "savings": (
        "HOW",
        "how it is told what a smaller rung saves against the chosen one: sample asks that one some cases more, full "
        "all of them, none no case (default: sample where it takes no money and no budget is set, else an estimate)",
    ),
    "energy-budget": (
        "SECONDS",
        "how long a short request to a free local rung may be repeated until its energy can be resolved (default: not)",
    ),
    "gate": (
        "NAMES",
        "which verdicts fail the session: some of oversized,undersized,unsolved,undecided,regressed, or none "
        "(default: all that can apply); verdicts whose evidence is provisional only warn, unless provisional is named "
        "too (by itself: all that can apply, and provisional)",
    ),
}
_OFFLINE_HELP = "let nothing leave this machine: refuse rungs elsewhere, and every connection of this process"
_STRENGTH_HELP = (
    "start the tests that passed again, with wrong answers and without any model, and say how many of them pass"
)
_SERVE_HELP = "answer the calls of the application under test: its SDKs are sent to the rung of the test that runs"
_DOWNLOAD_HELP = "let rungs with an hf: model fetch it if it is not on this machine"


def add_options(parser: pytest.Parser) -> None:
    """Register the options and their ini twins."""
    group = parser.getgroup("rightsize", "right-sizing: the smallest language model that passes your tests")
    for name, (metavar, text) in OPTIONS.items():
        group.addoption(f"--rightsize-{name}", dest=_dest(name), metavar=metavar, default=None, help=text)
        parser.addini(_dest(name), text, type="string", default="")
    group.addoption("--rightsize-download", action="store_true", default=False, help=_DOWNLOAD_HELP)
    parser.addini("rightsize_download", _DOWNLOAD_HELP, type="bool", default=False)
    group.addoption("--rightsize-serve", action="store_true", default=False, help=_SERVE_HELP)
    parser.addini("rightsize_serve", _SERVE_HELP, type="bool", default=False)
    group.addoption("--rightsize-strength", action="store_true", default=False, help=_STRENGTH_HELP)
    parser.addini("rightsize_strength", _STRENGTH_HELP, type="bool", default=False)
    # By which `rightsize strength` starts pytest; of no use to people.
    group.addoption("--rightsize-strength-of", metavar="FILE", default=None, help=argparse.SUPPRESS)
    group.addoption("--rightsize-offline", action="store_true", default=False, help=_OFFLINE_HELP)
    parser.addini("rightsize_offline", _OFFLINE_HELP, type="bool", default=False)


def settings_are_given(config: pytest.Config) -> bool:
    """Whether any option or ini key of this plugin is in use."""
    return any(option_text(config, name) is not None for name in OPTIONS if name != "runs")


def _dest(name: str) -> str:
    return "rightsize_" + name.replace("-", "_")


def option_text(config: pytest.Config, name: str) -> str | None:
    """The option's text, from the command line or else the ini file; an empty ini key counts as not set."""
    value: str | None = config.getoption(_dest(name))
    return value if value is not None else (config.getini(_dest(name)) or None)


def option_source(config: pytest.Config, name: str) -> str:
    """The place where `option_text` finds the option: `--rightsize-x`, `ini rightsize_x`, or `default`."""
    if config.getoption(_dest(name)) is not None:
        return f"--rightsize-{name}"
    return f"ini {_dest(name)}" if config.getini(_dest(name)) else "default"


def find_ladder_file(rootdir: Path) -> Path | None:
    """`rightsize.toml` at the rootdir, else a pyproject.toml with a [tool.rightsize] table, else None."""
    own = rootdir / "rightsize.toml"
    if own.is_file():
        return own
    project = rootdir / "pyproject.toml"
    try:
        # Most projects have no such table, and a broken pyproject.toml is not for this plugin to report.
        has_table = "tool.rightsize" in project.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return project if has_table else None


def offline_is_asked(early_config: pytest.Config) -> bool:
    """Whether nothing may leave this machine, while options are still being parsed."""
    given = getattr(early_config.known_args_namespace, "rightsize_offline", False)
    return bool(given or early_config.getini("rightsize_offline"))


def serving_is_asked(early_config: pytest.Config) -> bool:
    """Whether the application's calls are to be served, while options are still being parsed.

    What is wrong in the ladder file is told when the session is configured.
    """
    given = early_config.known_args_namespace

    def text(name: str) -> str | None:
        return getattr(given, _dest(name), None) or early_config.getini(_dest(name)) or None

    named = text("config")
    path = early_config.invocation_params.dir / named if named else find_ladder_file(early_config.rootpath)
    if getattr(given, "rightsize_serve", False) or early_config.getini("rightsize_serve"):
        return path is not None or text("ladder") is not None
    return path is not None and _app_is_served(path)


def _app_is_served(path: Path) -> bool:
    try:
        content = path.read_text(encoding="utf-8")
        if "serve" not in content:
            return False
        import tomllib

        plain = tomllib.loads(content)
        table = plain["tool"]["rightsize"] if path.name == "pyproject.toml" else plain
        return table["app"]["serve"] is True
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return False
