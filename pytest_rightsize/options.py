"""From pytest's options, ini keys and markers to Settings and TaskSettings: the only reader of `config`.

Every `--rightsize-x` has an ini twin `rightsize_x`; the command line wins. What is wrong is a ConfigError.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import get_args

import pytest

from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.records import CacheMode, ChosenSource, Json, Strategy, TaskSettings
from pytest_rightsize.redaction import WITHHOLDABLE
from pytest_rightsize.verdict import GATES

__all__ = ["MARKER_HELP", "Settings", "add_options", "marked_settings", "merged", "settings_are_given"]

MARKER_HELP = (
    "rightsize(task=, pass_rate=, samples=, chosen=, private=, max_tokens=, concurrent=): "
    "say which task a test belongs to, its bar, and the model the application uses (see the README of pytest-rightsize)"
)

_OPTIONS: Mapping[str, tuple[str, str]] = {
    "ladder": ("RUNGS", "rung names, smallest first, such as 1b,4b,30b,frontier; turns the ladder on"),
    "config": (
        "FILE",
        "the ladder file (default: rightsize.toml at the rootdir, else [tool.rightsize] in pyproject.toml)",
    ),
    "strategy": (
        "NAME",
        "climb (default): a task stops at the first rung that passes; full: every task runs on every rung",
    ),
    "samples": ("N", "trials of each case on each rung, for tasks that do not say (default 1)"),
    "pass-rate": ("R", "the bar for tasks that do not say, from 0 to 1 (default 1.0)"),
    "concurrency": (
        "N",
        "requests in flight to a rung; 1 starts every test once (default: the rung's max_in_flight, else 8 for "
        "an endpoint and twice the slots of a local model)",
    ),
    "cache": (
        "MODE",
        "auto (default): answers are recorded, and not asked for twice; off; replay: recorded answers only, and no "
        "model is touched; refresh: ask again, and record",
    ),
    "cache-dir": ("DIR", "where answers are recorded (default: .rightsize at the rootdir)"),
    "redact": ("WORDS", "prompts, answers or both: records and reports have hashes in their place"),
    "results": ("FILE", "write every trial and verdict to FILE as JSON Lines, while the session runs"),
    "gate": ("NAMES", f"which verdicts fail the session: some of {','.join(GATES)}, or none (default: all)"),
}
_OFFLINE_HELP = "refuse every rung that leaves this machine"
_DOWNLOAD_HELP = "let rungs with an hf: model fetch it if it is not on this machine"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user asked of this session; `ladder` is None where no ladder is climbed."""

    rootdir: Path
    ladder: tuple[str, ...] | None = None
    config: Path | None = None
    strategy: Strategy = "climb"
    samples: int = 1
    pass_rate: float = 1.0
    concurrency: int | None = None
    results: Path | None = None
    gate: tuple[str, ...] = tuple(GATES)
    download: bool = False
    cache: CacheMode = "auto"
    cache_dir: Path = Path(".rightsize")
    cache_is_given: bool = False
    offline: bool = False
    redact: tuple[str, ...] = ()

    @classmethod
    def from_config(cls, config: pytest.Config) -> "Settings":
        """Read them all, once; raises ConfigError with the option's name and what it was given."""
        given = {name: _given(config, name) for name in _OPTIONS}
        ladder = given["ladder"]
        return cls(
            rootdir=config.rootpath,
            ladder=None if ladder is None else tuple(name.strip() for name in ladder.split(",") if name.strip()),
            config=_path(given["config"], config),
            strategy=_strategy(given["strategy"]),
            samples=_whole_number("samples", given["samples"]) or 1,
            pass_rate=_pass_rate(given["pass-rate"]),
            concurrency=_whole_number("concurrency", given["concurrency"]),
            results=_path(given["results"], config),
            gate=_gates(given["gate"]),
            download=bool(config.getoption("rightsize_download") or config.getini("rightsize_download")),
            offline=bool(config.getoption("rightsize_offline") or config.getini("rightsize_offline")),
            redact=_redact(given["redact"]),
            cache=_cache_mode(given["cache"]),
            cache_dir=_path(given["cache-dir"], config) or config.rootpath / ".rightsize",
            cache_is_given=any(given[name] is not None for name in ("cache", "cache-dir")),
        )

    def to_dict(self) -> dict[str, Json]:
        """The settings as the results file shows them: what changes a verdict, not where files lie."""
        return {
            "strategy": self.strategy,
            "samples": self.samples,
            "pass_rate": self.pass_rate,
            "gate": list(self.gate),
            **({"redact": list(self.redact)} if self.redact else {}),
        }


def add_options(parser: pytest.Parser) -> None:
    """Register the options and their ini twins."""
    group = parser.getgroup("rightsize", "right-sizing: the smallest language model that passes your tests")
    for name, (metavar, text) in _OPTIONS.items():
        group.addoption(f"--rightsize-{name}", dest=_dest(name), metavar=metavar, default=None, help=text)
        parser.addini(_dest(name), text, type="string", default="")
    group.addoption("--rightsize-download", action="store_true", default=False, help=_DOWNLOAD_HELP)
    parser.addini("rightsize_download", _DOWNLOAD_HELP, type="bool", default=False)
    group.addoption("--rightsize-offline", action="store_true", default=False, help=_OFFLINE_HELP)
    parser.addini("rightsize_offline", _OFFLINE_HELP, type="bool", default=False)


def settings_are_given(config: pytest.Config) -> bool:
    """Whether any option or ini key of this plugin is in use."""
    return any(_given(config, name) is not None for name in _OPTIONS)


def _dest(name: str) -> str:
    return "rightsize_" + name.replace("-", "_")


def _given(config: pytest.Config, name: str) -> str | None:
    """The option's text, from the command line or else the ini file; an empty ini key is one that is not set."""
    value: str | None = config.getoption(_dest(name))
    return value if value is not None else (config.getini(_dest(name)) or None)


def _path(text: str | None, config: pytest.Config) -> Path | None:
    """A path as the user meant it: relative to the folder pytest was started in."""
    return None if text is None else config.invocation_params.dir / text


def _strategy(text: str | None) -> Strategy:
    known: tuple[Strategy, ...] = get_args(Strategy)
    for strategy in known:
        if strategy == (text or "climb"):
            return strategy
    raise unknown_name("--rightsize-strategy", str(text), known)


def _cache_mode(text: str | None) -> CacheMode:
    known: tuple[CacheMode, ...] = get_args(CacheMode)
    for mode in known:
        if mode == (text or "auto"):
            return mode
    raise unknown_name("--rightsize-cache", str(text), known)


def _redact(text: str | None) -> tuple[str, ...]:
    words = () if text is None else tuple(word.strip() for word in text.split(",") if word.strip())
    for word in words:
        if word not in WITHHOLDABLE:
            raise unknown_name("--rightsize-redact", word, WITHHOLDABLE)
    if text is not None and not words:
        raise ConfigError("--rightsize-redact was given nothing: give prompts, answers, or both with a comma")
    return words


def _whole_number(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"--rightsize-{name} was given {text!r}: give a whole number, 1 or more")
    return int(text)


def _pass_rate(text: str | None) -> float:
    try:
        rate = 1.0 if text is None else float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ConfigError(f"--rightsize-pass-rate was given {text!r}: give a number from 0 to 1, such as 0.9")
    return rate


def _gates(text: str | None) -> tuple[str, ...]:
    if text is None:
        return tuple(GATES)
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if names == ("none",):
        return ()
    for name in names:
        if name not in GATES:
            raise unknown_name("--rightsize-gate", name, [*GATES, "none"])
    if not names:
        raise ConfigError(f"--rightsize-gate was given nothing: give some of {', '.join(GATES)}, or none")
    return names


def marked_settings(nodeid: str, marker: pytest.Mark) -> tuple[str | None, TaskSettings]:
    """The task name and settings of one `rightsize` marker; raises ConfigError naming the test and the argument."""
    where = f"the marker rightsize of {nodeid}"
    known = ["task", *(field.name for field in fields(TaskSettings))]
    if marker.args:
        raise ConfigError(
            f"{where} was given {marker.args[0]!r} without a name: write rightsize(task={marker.args[0]!r})"
        )
    for name in marker.kwargs:
        if name not in known:
            raise unknown_name(where, name, known, noun="argument")
    values = dict(marker.kwargs)
    task = values.pop("task", None)
    if isinstance(values.get("chosen"), Mapping):
        values["chosen"] = _chosen_source(where, values["chosen"])
    _check_types(where, {"task": task, **values})
    return task, TaskSettings(**values)


def _chosen_source(where: str, given: Mapping[str, str]) -> ChosenSource:
    if set(given) not in ({"file", "key"}, {"env"}):
        raise ConfigError(
            f"{where} was given chosen={dict(given)!r}: give {{'file': ..., 'key': ...}} or {{'env': ...}}"
        )
    return ChosenSource(**given)


_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "task": (str, "a name"),
    "pass_rate": ((int, float), "a number from 0 to 1"),
    "samples": (int, "a whole number, 1 or more"),
    "chosen": ((str, ChosenSource), "a rung's name, a model id, or a dict that says where it is written"),
    "private": (bool, "True or False"),
    "max_tokens": (int, "a whole number, 1 or more"),
    "concurrent": (bool, "True or False"),
}


def _check_types(where: str, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        wanted, words = _TYPES[name]
        if value is None:
            continue
        mistaken_bool = isinstance(value, bool) and wanted is not bool
        out_of_range = (name == "pass_rate" and isinstance(value, int | float) and not 0 <= value <= 1) or (
            name in ("samples", "max_tokens") and isinstance(value, int) and value < 1
        )
        if not isinstance(value, wanted) or mistaken_bool or out_of_range or value == "":
            raise ConfigError(f"{where} was given {name}={value!r}: give {words}")


def merged(*layers: TaskSettings) -> TaskSettings:
    """One TaskSettings from several; an earlier layer wins where it says something."""
    result = TaskSettings()
    for layer in reversed(layers):
        said = {field.name: value for field in fields(layer) if (value := getattr(layer, field.name)) is not None}
        result = replace(result, **said)
    return result
