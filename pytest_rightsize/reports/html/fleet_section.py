"""The page's section on what a choice means at scale: each rung of a choice, and what many requests take on it."""

from pytest_rightsize.judging.fleet import fleet
from pytest_rightsize.records import Json
from pytest_rightsize.reports.facts import Facts
from pytest_rightsize.reports.fleet_words import amount_words, provenance, told_rows

__all__ = ["fleet_section"]

_UNKNOWN = {"energy": "energy not known", "cost": "money not known"}


def fleet_section(facts: Facts) -> dict[str, Json] | None:
    """The scales as columns, and a row for each rung that a choice is between; None where nothing is known of any."""
    rows = told_rows(fleet(facts.run, facts.verdicts, facts.conclusions))
    if not rows:
        return None
    scales = list(dict.fromkeys(scale for row in rows for scale in row.scales))
    return {
        "scales": scales,
        "rows": [
            {
                "task": row.task,
                "rung": row.rung,
                "roles": ", ".join(row.roles),
                "cells": [
                    [
                        *(amount_words(amount.times(row.scales[scale])) for amount in row.amounts.values()),
                        *(words for name, words in _UNKNOWN.items() if name in row.unknown),
                    ]
                    if scale in row.scales
                    else []
                    for scale in scales
                ],
                "known": provenance(row),
                "cases": f"{row.cases:,}",
            }
            for row in rows
        ],
    }
