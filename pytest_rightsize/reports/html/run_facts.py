"""The page's facts about the run: session, machine, versions, and a row for each model of the ladder."""

from collections import Counter
from collections.abc import Iterator, Mapping

from pytest_rightsize.plain_data import without_header_values
from pytest_rightsize.records import Json, Price, Rung
from pytest_rightsize.reports.facts import Facts
from pytest_rightsize.reports.units import parameters

__all__ = ["fact_groups", "model_row"]


def fact_groups(facts: Facts) -> Iterator[dict[str, Json]]:
    """The groups `Session`, `Machine` and `Versions`, each with rows of a name and a value."""
    about = facts.run.about
    yield {"title": "Session", "rows": [*_session_rows(facts)]}
    yield {
        "title": "Machine",
        "rows": [(name, _plain(value)) for name, value in dict(about.get("machine") or {}).items()],
    }
    yield {
        "title": "Versions",
        "rows": [(name, _plain(value)) for name, value in dict(about.get("versions") or {}).items()],
    }


def _session_rows(facts: Facts) -> Iterator[tuple[str, Json]]:
    about = facts.run.about
    outcomes = Counter(trial.outcome for trial in facts.run.trials)
    cached = sum(answer.cached for trial in facts.run.trials for answer in trial.answers)
    yield "started", about.get("started")
    yield "commit", about.get("commit") or "outside git, or not known"
    yield (
        "trials",
        f"{outcomes['passed']:,} passed, {outcomes['failed']:,} too small, {outcomes['error']:,} errors, "
        f"{outcomes['not_run']:,} not run",
    )
    yield "recorded answers", f"{cached:,} of {facts.run_usage.total.answers:,}"
    for name, value in dict(about.get("settings") or {}).items():
        yield name.replace("_", " "), _plain(value) or "none"


def _plain(value: Json) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def model_row(rung: Rung, about: Mapping[str, Json]) -> dict[str, Json]:
    """One model of the ladder: its size, fingerprint, price and settings."""
    active = f" ({parameters(rung.active_b)} active)" if rung.active_b else ""
    settings = {
        "max_in_flight": rung.max_in_flight,
        "temperature": rung.temperature,
        "top_p": rung.top_p,
        "seed": rung.seed,
        "max_tokens": rung.max_tokens,
        "trusted": rung.trusted,
        "images": rung.images,
        **without_header_values(rung.options),
    }
    return {
        "name": rung.name,
        "model": rung.model,
        "provider": rung.provider,
        "size": f"{parameters(rung.params_b)}{active}" if rung.params_b else None,
        "identity": _fingerprint_text(dict(about.get("identities") or {}).get(rung.name)),
        "price": _price_text(rung.price),
        "settings": ", ".join(f"{name}={value}" for name, value in settings.items() if value is not None),
    }


def _price_text(price: Price | None) -> str | None:
    """USD per million tokens, and where that was looked up."""
    if price is None:
        return None
    source = f" ({price.source})" if price.source else ""
    return f"{price.prompt:g} prompt, {price.completion:g} completion{source}"


def _fingerprint_text(content: Mapping[str, Json] | None) -> str | None:
    """The hashes of the model's files, where it has any: they tell it from other models of its name."""
    if content is None:
        return None
    sha256 = content.get("sha256")
    if not sha256:
        return "known by name only"
    hashes = sha256 if isinstance(sha256, list) else [sha256]
    engine = f"; {content['engine']}" if content.get("engine") else ""
    return f"sha256 {', '.join(map(str, hashes))}{engine}"
