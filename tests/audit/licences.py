"""Decides whether licences, as packages state them, are allowed; pure."""

import re
from collections.abc import Collection, Mapping

__all__ = ["is_allowed", "refused"]


def is_allowed(stated: str, allowed: Collection[str]) -> bool:
    """Whether a licence is allowed: one of those joined by OR, or all that are joined by AND or a semicolon."""
    choices = re.split(r"\s+OR\s+", stated.replace("(", " ").replace(")", " ") if " OR " in stated else stated)
    return any(
        all(part.strip() in allowed for part in re.split(r"\s+AND\s+|\s*;\s*", choice.strip())) for choice in choices
    )


def refused(packages: Mapping[str, str], allowed: Collection[str], by_hand: Mapping[str, str]) -> list[str]:
    """A line for each package whose licence is not allowed; `by_hand` has licences of packages that state none."""
    return [
        f"{name}: {by_hand.get(name, stated)}"
        for name, stated in sorted(packages.items())
        if not is_allowed(by_hand.get(name, stated), allowed)
    ]
