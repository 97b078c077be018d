"""Puts exchanges into tasks: those that ask for the same thing in other words, and names the tasks. Pure.

The same schema and the same tools make a task, and the same system message, or one that differs in a few words. Where
prompts share a beginning or an end that reads like a template, each template is a task of its own.
"""

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, pairwise

from pytest_rightsize.authoring.exchanges import Exchange
from pytest_rightsize.records import Json

__all__ = ["grouped", "slug"]

# Two system messages as near as this differ in a date or a name.
_NEARLY_THE_SAME = 90
# Of long ones the ends are compared, and with no more than so many others: a recording may have thousands.
_COMPARED_CHARACTERS = 1000
_MOST_SYSTEMS = 50
# With more of them than this, and one for most of the calls, there is data in them, as documents to answer from.
_FEW_SYSTEMS = 5
# What two prompts share counts as their template from so many characters on, or fewer up to a mark that ends one.
_LONG_TEMPLATE = 25
_SHORT_TEMPLATE = 4
_MARKS = ":\n"
# With more of them than this, prompts begin alike by chance.
_MOST_TEMPLATES = 20
_LONGEST_NAME = 40
_WORDS = 4
_FILLERS = """
    a an and are as assistant be by for from given helpful i in into is it its me my of on or please should that the
    their then there this to user will with you your
"""


def grouped(exchanges: Sequence[Exchange]) -> Mapping[str, list[Exchange]]:
    """The exchanges by the names of their tasks, in the order in which these were first asked."""
    groups: list[list[Exchange]] = []
    for group in _by_form(exchanges):
        for alike in _by_system(group):
            groups += _by_template(alike)
    places = {id(exchange): place for place, exchange in enumerate(exchanges)}
    groups.sort(key=lambda group: places[id(group[0])])
    tasks: dict[str, list[Exchange]] = {}
    names: Counter[str] = Counter()
    for group in groups:
        name = free = _name(group)
        while free in tasks:
            names[name] += 1
            free = f"{name}-{names[name] + 1}"
        tasks[free] = group
    return tasks


def _by_form(exchanges: Iterable[Exchange]) -> list[list[Exchange]]:
    groups: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        form = json.dumps([exchange.ask.get("schema"), _tool_names(exchange)], sort_keys=True, default=str)
        groups.setdefault(form, []).append(exchange)
    return list(groups.values())


def _by_system(exchanges: Sequence[Exchange]) -> list[list[Exchange]]:
    """The exchanges by their system messages: by what these begin with where most calls have one of their own."""
    distinct = {exchange.system for exchange in exchanges}
    holds_data = len(distinct) > max(_FEW_SYSTEMS, len(exchanges) // 2)
    templates = _templates([*distinct]) if holds_data else {}
    groups: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        system = templates.get(exchange.system, exchange.system)
        if system not in groups and not holds_data:
            others = islice(filter(None, groups), _MOST_SYSTEMS) if system else ()
            system = next((other for other in others if _nearly_agree(other, system)), system)
        groups.setdefault(system, []).append(exchange)
    return list(groups.values())


def _nearly_agree(one: str, other: str) -> bool:
    from rapidfuzz import fuzz

    ends = (slice(_COMPARED_CHARACTERS), slice(-_COMPARED_CHARACTERS, None))
    return all(fuzz.ratio(one[end], other[end], score_cutoff=_NEARLY_THE_SAME) for end in ends)


def _by_template(exchanges: list[Exchange]) -> list[list[Exchange]]:
    """The exchanges by the template of their prompts, if half of them have one of a few; the rest stays together."""
    templates = _templates([exchange.prompt for exchange in exchanges])
    if 2 * len(templates) < len(exchanges) or len({*templates.values()}) > _MOST_TEMPLATES:
        return [exchanges]
    groups: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        groups.setdefault(templates.get(exchange.prompt, ""), []).append(exchange)
    return list(groups.values())


def _templates(prompts: Sequence[str]) -> dict[str, str]:
    """The template of each prompt that shares one with another: its beginning, else its end."""
    distinct = sorted(set(prompts))
    found: dict[str, str] = {}
    for one, other in pairwise(distinct):
        _note_shared(found, one, other, _beginning(one, other))
    backwards = sorted((prompt for prompt in distinct if prompt not in found), key=lambda prompt: prompt[::-1])
    for one, other in pairwise(backwards):
        _note_shared(found, one, other, _beginning(one[::-1], other[::-1])[::-1])
    return found


def _note_shared(found: dict[str, str], one: str, other: str, shared: str) -> None:
    """Both have this template, unless one has another already: then it joins that, if it shares any."""
    if shared:
        found[other] = found.setdefault(one, shared)


def _beginning(one: str, other: str) -> str:
    """What two texts begin with alike, up to the last mark in it, or to the last word if it is long."""
    shared = one[: bisect_left(range(min(len(one), len(other))), True, key=lambda at: one[: at + 1] != other[: at + 1])]
    mark = max(shared.rfind(mark) for mark in _MARKS) + 1
    if mark >= _SHORT_TEMPLATE:
        return shared[:mark]
    words = shared[: shared.rfind(" ") + 1]
    return words if len(words) >= _LONG_TEMPLATE else ""


def _tool_names(exchange: Exchange) -> list[str]:
    return [str((tool.get("function") or {}).get("name")) for tool in exchange.ask.get("tools") or ()]


def _name(exchanges: Sequence[Exchange]) -> str:
    """A name from what is asked for: the schema's title, the template, the system message, or the tools."""
    first = exchanges[0]
    schema: Mapping[str, Json] = first.ask.get("schema") or {}
    templates = _templates([exchange.prompt for exchange in exchanges])
    of_all = {templates.get(exchange.prompt, "") for exchange in exchanges}
    candidates = [
        str(schema.get("title") or ""),
        of_all.pop() if len(of_all) == 1 else "",
        first.system,
        " ".join(_tool_names(first)),
    ]
    return next(filter(None, map(slug, candidates)), "task")


def slug(text: str) -> str:
    """A name of a few telling words, as in `route-ticket`; empty where the text has none in Latin letters."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    words = [word for word in re.findall(r"[a-z0-9]+", spaced.lower()) if word not in _FILLERS.split()]
    name = ""
    for word in words[:_WORDS]:
        longer = f"{name}-{word}" if name else word
        if len(longer) > _LONGEST_NAME:
            break
        name = longer
    return name if name[:1].isalpha() else f"task-{name}" if name else ""
