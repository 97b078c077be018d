"""Parses pytest's options and ini keys into Settings; nothing else reads their texts.

A wrong value is a ConfigError that names the option.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import pytest

from pytest_rightsize.config.options import OPTIONS, option_source, option_text
from pytest_rightsize.config.table_checks import LARGEST
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.judging.conclusions import OBJECTIVES, Objective
from pytest_rightsize.judging.gates import GATES, PROVISIONAL
from pytest_rightsize.judging.savings_sample import SAVINGS_MODES, SavingsMode
from pytest_rightsize.records import BUDGET_UNITS, WITHHOLDABLE, CacheMode, Json, Stopping, Strategy
from pytest_rightsize.shards import Shard, ShardCollects

__all__ = ["Settings", "gates_of"]


_KEPT_RUNS = 20
# Endings of files that say which report stands in them.
_REPORTS_BY_ENDING = {
    ".html": "html",
    ".htm": "html",
    ".md": "markdown",
    ".markdown": "markdown",
    ".csv": "csv",
    ".json": "json",
    ".svg": "badge",
}
Hosting = Literal["shared", "own"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The user's settings for this session; `ladder` is None where no ladder is climbed.

    With `strength_of`, a results file, the tests are only played wrong answers, and no model is asked.
    `hosts` is None where it depends on the rung and on xdist, `savings` where it does on what the chosen rung costs.
    `sources` says where `pass_rate`, `confidence` and `samples` were set, for the tasks that take them from here.
    """

    rootdir: Path
    ladder: tuple[str, ...] | None = None
    config: Path | None = None
    strategy: Strategy = "climb"
    samples: int = 1
    pass_rate: float = 1.0
    confidence: float | None = None
    stopping: Stopping = "early"
    concurrency: int | None = None
    results: Path | None = None
    runs: int = 0
    baseline: Path | None = None
    calibration: Path | None = None
    reports: tuple[tuple[str, Path], ...] = ()
    gate: tuple[str, ...] = tuple(GATES)
    objective: Objective = "size"
    savings: SavingsMode | None = None
    energy_budget_s: float = 0.0
    download: bool = False
    serve: bool = False
    strength: bool = False
    strength_of: Path | None = None
    hosts: Hosting | None = None
    cache: CacheMode = "auto"
    cache_dir: Path = Path(".rightsize")
    cache_is_given: bool = False
    offline: bool = False
    redact: tuple[str, ...] = ()
    budget: Mapping[str, float] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    shard: Shard | None = None
    shard_collects: ShardCollects = "auto"

    @classmethod
    def from_config(cls, config: pytest.Config) -> "Settings":
        """Parse all options, once; raises ConfigError with the option's name and its text."""
        texts = {name: option_text(config, name) for name in OPTIONS}
        ladder = texts["ladder"]
        shard = _shard(texts)
        strength = bool(config.getoption("rightsize_strength") or config.getini("rightsize_strength"))
        if strength and not _judges(shard):
            raise ConfigError(
                "--rightsize-strength would play to a part of a task's cases under --rightsize-shard-by=case: leave it "
                "out, and run `rightsize strength` with the merged file"
            )
        return cls(
            rootdir=config.rootpath,
            ladder=None if ladder is None else tuple(name.strip() for name in ladder.split(",") if name.strip()),
            config=_path(texts["config"], config),
            strategy=_strategy(texts["strategy"]),
            samples=_whole_number("samples", texts["samples"]) or 1,
            pass_rate=_pass_rate(texts["pass-rate"]),
            confidence=_confidence(texts["confidence"]),
            stopping=_stopping(texts["stopping"]),
            concurrency=_whole_number("concurrency", texts["concurrency"]),
            results=_path(texts["results"], config),
            runs=_runs(texts["runs"], texts["cache"]),
            baseline=_path(texts["baseline"], config),
            calibration=_path(texts["calibration"], config),
            reports=tuple(_reports(texts, config)),
            gate=gates_of(texts["gate"], has_baseline=texts["baseline"] is not None) if _judges(shard) else (),
            shard=shard,
            shard_collects=_shard_collects(texts["shard-collects"], shard),
            objective=_objective(texts["objective"]),
            savings=_savings(texts["savings"]),
            energy_budget_s=_seconds("energy-budget", texts["energy-budget"]),
            download=bool(config.getoption("rightsize_download") or config.getini("rightsize_download")),
            serve=bool(config.getoption("rightsize_serve") or config.getini("rightsize_serve")),
            strength=strength,
            strength_of=_path(config.getoption("rightsize_strength_of"), config),
            offline=bool(config.getoption("rightsize_offline") or config.getini("rightsize_offline")),
            hosts=_hosts(texts["hosts"]),
            budget=_budget(texts["budget"]),
            redact=_redact(texts["redact"]),
            cache=_cache_mode(texts["cache"]),
            cache_dir=_path(texts["cache-dir"], config) or config.rootpath / ".rightsize",
            sources={
                name.replace("-", "_"): option_source(config, name) for name in ("pass-rate", "confidence", "samples")
            },
            cache_is_given=any(texts[name] is not None for name in ("cache", "cache-dir")),
        )

    def to_dict(self) -> dict[str, Json]:
        """The settings for the results file: those that can change a verdict, without paths of files."""
        return {
            "strategy": self.strategy,
            "samples": self.samples,
            "pass_rate": self.pass_rate,
            "confidence": self.confidence,
            "stopping": self.stopping,
            "gate": list(self.gate),
            **({"budget": dict(self.budget)} if self.budget else {}),
            **({"redact": list(self.redact)} if self.redact else {}),
            **({"shard": self.shard.to_dict()} if self.shard else {}),
            "objective": self.objective,
            **({} if self.savings is None else {"savings": self.savings}),
        }


def _path(text: str | None, config: pytest.Config) -> Path | None:
    """A path relative to the folder that pytest was started in."""
    return None if text is None else config.invocation_params.dir / text


def _reports(texts: Mapping[str, str | None], config: pytest.Config) -> Iterator[tuple[str, Path]]:
    """The name and file of each requested report."""
    requested = [(name, text) for name in ("html", "markdown") if (text := texts[name]) is not None]
    requested += map(_report, filter(None, map(str.strip, (texts["report"] or "").split(","))))
    for name, text in requested:
        yield name, config.invocation_params.dir / text


def _report(given: str) -> tuple[str, str]:
    """The name and file of one report, as NAME:FILE or as a file whose ending names it."""
    name, colon, file = given.partition(":")
    if not colon or (len(name) == 1 and file[:1] in ("/", "\\")):  # a drive is no name
        name, file = _REPORTS_BY_ENDING.get(Path(given).suffix.lower(), ""), given
    if not (name and file):
        raise ConfigError(
            f"--rightsize-report was given {given!r}: give a file that ends in .html, .md, .csv, .json or .svg, or "
            f"NAME:FILE, such as csv:run.txt"
        )
    return name, file


def _shard(texts: Mapping[str, str | None]) -> Shard | None:
    """The shard that is run; a split task can be judged only when all its cases are together again."""
    text, by = texts["shard"], texts["shard-by"]
    if text is None:
        if by is not None:
            raise ConfigError(f"--rightsize-shard-by={by} splits nothing by itself: give --rightsize-shard=I/N too")
        return None
    shard = Shard.parse(text, by)
    if _judges(shard):
        return shard
    if texts["strategy"] != "full":
        raise ConfigError(
            "--rightsize-shard-by=case splits the cases of a task, and climb and bisect need them together: give "
            "--rightsize-strategy=full, or shard by task"
        )
    if texts["results"] is None:
        raise ConfigError(
            "--rightsize-shard-by=case has no verdict before `rightsize merge`: give --rightsize-results=FILE"
        )
    if texts["gate"] not in (None, "none"):
        raise ConfigError(
            f"--rightsize-gate={texts['gate']} cannot judge a part of a task's cases: leave it out, and give --gate to "
            f"`rightsize merge`"
        )
    return shard


def _shard_collects(text: str | None, shard: Shard | None) -> ShardCollects:
    """What a shard collects; only by task is it known of a function, before it has tests, that they are another's."""
    if text is None:
        return "auto"
    kinds: tuple[ShardCollects, ...] = get_args(ShardCollects)
    kind = next((one for one in kinds if one == text), None)
    if kind is None:
        raise unknown_name("--rightsize-shard-collects", text, kinds)
    if kind == "own" and (shard is None or shard.by != "task"):
        raise ConfigError("--rightsize-shard-collects=own is of a shard by task: give --rightsize-shard=I/N alone too")
    return kind


def _judges(shard: Shard | None) -> bool:
    """Whether the tasks of this session are whole, so that gates can be held against them."""
    return shard is None or shard.by == "task"


def _strategy(text: str | None) -> Strategy:
    strategies: tuple[Strategy, ...] = get_args(Strategy)
    for strategy in strategies:
        if strategy == (text or "climb"):
            return strategy
    raise unknown_name("--rightsize-strategy", str(text), strategies)


def _stopping(text: str | None) -> Stopping:
    known: tuple[Stopping, ...] = get_args(Stopping)
    for stopping in known:
        if stopping == (text or "early"):
            return stopping
    raise unknown_name("--rightsize-stopping", str(text), known)


def _hosts(text: str | None) -> Hosting | None:
    known: tuple[Hosting, ...] = get_args(Hosting)
    for hosts in known:
        if text == hosts:
            return hosts
    if text is None:
        return None
    raise unknown_name("--rightsize-hosts", text, known)


def _cache_mode(text: str | None) -> CacheMode:
    modes: tuple[CacheMode, ...] = get_args(CacheMode)
    for mode in modes:
        if mode == (text or "auto"):
            return mode
    raise unknown_name("--rightsize-cache", str(text), modes)


def _budget(text: str | None) -> dict[str, float]:
    limits: dict[str, float] = {}
    for part in [] if text is None else text.split(","):
        unit, _, amount = (word.strip() for word in part.partition(":"))
        if unit not in BUDGET_UNITS:
            raise unknown_name("--rightsize-budget", unit, BUDGET_UNITS, noun="unit")
        try:
            limit = float(amount)
        except ValueError:
            limit = 0.0
        if not 0 < limit < float("inf") or unit in limits:
            raise ConfigError(
                f"--rightsize-budget was given {text!r}: give each unit once, and an amount above 0, as in "
                f"usd:2,joules:50000,tokens:1e6,seconds:600"
            )
        limits[unit] = limit
    return limits


def _redact(text: str | None) -> tuple[str, ...]:
    words = () if text is None else tuple(word.strip() for word in text.split(",") if word.strip())
    for word in words:
        if word not in WITHHOLDABLE:
            raise unknown_name("--rightsize-redact", word, WITHHOLDABLE)
    if text is not None and not words:
        raise ConfigError("--rightsize-redact was given nothing: give prompts, answers, or both with a comma")
    return words


def _objective(text: str | None) -> Objective:
    for objective in OBJECTIVES:
        if objective == (text or "size"):
            return objective
    raise unknown_name("--rightsize-objective", str(text), OBJECTIVES)


def _savings(text: str | None) -> SavingsMode | None:
    for mode in SAVINGS_MODES:
        if mode == text:
            return mode
    if text is None:
        return None
    raise unknown_name("--rightsize-savings", text, SAVINGS_MODES)


def _seconds(name: str, text: str | None) -> float:
    try:
        seconds = float(text or 0)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"--rightsize-{name} was given {text!r}: give seconds, such as 10, or 0")
    return seconds


def _whole_number(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    most = LARGEST[name]
    # A number of thousands of digits is not even read.
    if not text.isdecimal() or len(text) > 20 or not 1 <= int(text) <= most:
        raise ConfigError(f"--rightsize-{name} was given {text[:100]!r}: give a whole number, 1 to {most:,}")
    return int(text)


def _runs(text: str | None, cache: str | None) -> int:
    """How many runs are kept: none where no answer is to be recorded, unless the user says so."""
    if text is None:
        return 0 if cache == "off" else _KEPT_RUNS
    return 0 if text == "0" else _whole_number("runs", text) or 0


def _pass_rate(text: str | None) -> float:
    try:
        rate = 1.0 if text is None else float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ConfigError(f"--rightsize-pass-rate was given {text!r}: give a number from 0 to 1, such as 0.9")
    return rate


def _confidence(text: str | None) -> float | None:
    try:
        confidence = None if text is None else float(text)
    except ValueError:
        confidence = 0.0
    if confidence is not None and not 0.5 < confidence < 1:
        raise ConfigError(f"--rightsize-confidence was given {text!r}: give a number between 0.5 and 1, such as 0.95")
    return confidence


def gates_of(text: str | None, *, has_baseline: bool, option: str = "--rightsize-gate") -> tuple[str, ...]:
    """The names of gates in the text of an option; all that can apply for None. Raises ConfigError."""
    all_gates = tuple(gate for gate in GATES if gate != "regressed" or has_baseline)
    if text is None:
        return all_gates
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if names == ("none",):
        return ()
    for name in names:
        if name not in (*GATES, PROVISIONAL):
            raise unknown_name(option, name, [*GATES, PROVISIONAL, "none"])
    if "regressed" in names and not has_baseline:
        needed = option.replace("gate", "baseline")
        raise ConfigError(f"{option}=regressed needs something to compare with: give {needed}=FILE")
    if not names:
        raise ConfigError(f"{option} was given nothing: give some of {', '.join(GATES)}, or none")
    # Alone it says how sure the verdicts must be, and not which ones count.
    return (*all_gates, PROVISIONAL) if set(names) == {PROVISIONAL} else names
