"""The page's list of what was measured, and what was not and why, as sentences."""

from collections.abc import Iterator, Sequence

from pytest_rightsize.judging.replica_sums import replica_sums
from pytest_rightsize.judging.usage import Subtotal, Usage
from pytest_rightsize.meter_records import Metering, Phases
from pytest_rightsize.records import Rung
from pytest_rightsize.reports.facts import Facts
from pytest_rightsize.reports.html.bodies import CaseIndex
from pytest_rightsize.reports.html.measures import judged_rungs
from pytest_rightsize.reports.units import bounded_joules, joules, seconds

__all__ = ["measured_lines", "metering_lines", "replica_lines", "shortened_lines"]


def measured_lines(facts: Facts) -> Iterator[str]:
    """The joules of each rung and the totals of its meter, then what is unknown: one line a gap."""
    rungs_by_gap: dict[str, list[str]] = {}
    for rung in judged_rungs(facts):
        usage = facts.run_usage.by_rung[rung.name]
        for part in usage.energies:
            yield f"{rung.name}: {_subtotal_text(part)}"
        for gap in _gaps(rung, usage):
            rungs_by_gap.setdefault(gap, []).append(rung.name)
    for metering in facts.run.meters:
        yield from metering_lines(metering)
    for name in dict.fromkeys(metering.rung for metering in facts.run.meters):
        yield from replica_lines(name, [metering for metering in facts.run.meters if metering.rung == name])
    for gap, rungs in rungs_by_gap.items():
        yield f"{', '.join(rungs)}: {gap}"


def _subtotal_text(part: Subtotal) -> str:
    """Joules without bounds: errors of shares of one device offset each other. The meter's own line has bounds."""
    when = "; spent when it was recorded" if part.replayed else ""
    meter = f"; meter {part.energy.meter}" if part.energy.meter else ""
    return f"{joules(part.energy.joules)} for {part.answers:,} answers ({part.kind}{meter}{when})"


def _gaps(rung: Rung, usage: Usage) -> Iterator[str]:
    """A clause for each amount that is not known of every answer."""
    reasons = "; ".join(usage.reasons) or "no reason was given"
    if usage.energy_unknown:
        yield f"the energy of {_share(usage.energy_unknown, usage.answers)} is unknown ({reasons})"
    for name, amount in (("tokens", usage.completion), ("time", usage.seconds), ("cost", usage.cost_usd)):
        if amount.unknown:
            verb = "are" if name == "tokens" else "is"
            reason = " (no price is set)" if name == "cost" and rung.price is None else ""
            yield f"the {name} of {_share(amount.unknown, usage.answers)} {verb} unknown{reason}"


def _share(number: int, total: int) -> str:
    return "every answer" if number == total else f"{number:,} of {total:,} answers"


def metering_lines(metering: Metering) -> Iterator[str]:
    """The totals of a rung's meter, its idle power, and the shares of reading and writing."""
    least = "" if metering.is_whole else " at least"
    # Another rung may have a model on the machine of a replica.
    any_model = "any model" if metering.replica is None else "its model"
    parts = [
        f"{label} {text}"
        for label, text in (
            ("all answers together", bounded_joules(metering.served)),
            (f"loading{least}", bounded_joules(metering.load)),
            (f"idle between answers{least}", bounded_joules(metering.idle)),
            (f"other processes{least}", bounded_joules(metering.others)),
            # A counter without ticks has no period.
            ("counter period", seconds(metering.tick_s or None)),
            (f"idle power before {any_model}", _idle_power(metering, "cold", metering.cold_w)),
            ("idle power with the model", _idle_power(metering, "resident", metering.idle_w)),
        )
        if text is not None
    ]
    parts += [_phases(phases) for phases in metering.phases]
    whose = "" if metering.shard is None else f", shard {metering.shard}"
    whose += "" if metering.replica is None else f", replica {metering.replica} on {metering.node}"
    yield f"{metering.rung}{whose}: meter {metering.meter}: {'; '.join([*parts, *metering.notes]) or 'saw nothing'}"


def replica_lines(rung: str, meterings: Sequence[Metering]) -> Iterator[str]:
    """What a rung's replicas took together while they loaded and waited; nothing for fewer than two."""
    sums = replica_sums(meterings)
    if sums is None:
        return
    head = f"{rung}, {sums.replicas} replicas together"
    if sums.shared is not None:
        yield (
            f"{head}: loading and idle joules are not added, as several replicas read {sums.shared}, each all that it "
            f"took"
        )
        return
    least = "at least " if sums.unknown else ""
    parts = [
        f"{label} {least}{bounded_joules(energy)}{f' ({energy.kind})' if len(energies) > 1 else ''}"
        for label, energies in (("loading", sums.load), ("idle between answers", sums.idle))
        for energy in energies
    ]
    if sums.idle_w is not None:
        known = f" of {sums.with_idle_w} of {sums.replicas} replicas" if sums.with_idle_w < sums.replicas else ""
        parts.append(f"idle power with the model {sums.idle_w:.3g} W{known}")
    yield f"{head}: {'; '.join(parts) or 'loading and idle joules are not known'}{_unknown_clause(sums.unknown)}"


def _unknown_clause(reasons: Sequence[str]) -> str:
    return f" ({'; '.join(reasons)})" if reasons else ""


def _idle_power(metering: Metering, state: str, watts: float | None) -> str | None:
    """`61.2 W (60.8 to 61.9)`, and how often it was measured where that is more than once."""
    measured = [power for power in metering.idle_powers if power.state == state]
    if watts is None or not measured:
        return None if watts is None else f"{watts:.3g} W"
    low, high = min(power.low for power in measured), max(power.high for power in measured)
    times = f"; found {len(measured)} times" if len(measured) > 1 else ""
    return f"{watts:.3g} W ({low:.3g} to {high:.3g}{times})"


def _phases(phases: Phases) -> str:
    """`of nvml:GPU-1 21 % for reading prompts, 70 % for writing, 9 % for each answer alike (fitted to ...)`."""
    shares = (phases.prompt_share, phases.completion_share, phases.answer_share)
    prompt, completion, answer = (f"{100 * share:.0f} %" for share in shares)
    weight, error = phases.prompt_weight, phases.prompt_weight_error
    weight_text = (
        "" if weight is None or error is None else f"; a token read weighs {weight:.2g} ± {error:.2g} of one written"
    )
    return (
        f"of {phases.device} {prompt} for reading prompts, {completion} for writing, {answer} for each answer alike "
        f"(fitted to {phases.answers:.0f} answers{weight_text})"
    )


def shortened_lines(cases: CaseIndex) -> Sequence[str]:
    """A sentence where long texts are shortened in the page; else nothing."""
    if cases.limit is None:
        return ()
    return [
        f"{cases.shortened:,} texts of more than {cases.limit:,} characters are shortened in this page, "
        "so that it opens quickly; the results file has them whole."
    ]
