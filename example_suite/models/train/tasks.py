"""Seeded generators of user-like tasks: a random generator and a vocabulary go in, a case comes out.

A case is a text, to be put after its task's instruction, and the answer expected. `draw` is the only
door: it gives cases of one side of the split, which never meet. A held-out case uses names, words and frames that
training never uses; the phrase of its ticket or the pair of its opinion and sentence hashes to the held-out fifth of
combinations, and its prompt to the held-out tenth of prompts, and training refuses both.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random
from typing import Literal

from .words import ENDINGS, HELD_OUT, SHARED, SYLLABLE_PARTS, TRAIN, Words

Split = Literal["train", "held_out"]

_VOCABULARY: dict[Split, Words] = {"train": TRAIN, "held_out": HELD_OUT}
_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DIAL_CODES = {
    "Germany": "49", "France": "33", "Spain": "34", "Italy": "39", "UK": "44", "USA": "1", "India": "91",
    "Japan": "81", "Brazil": "55", "Kenya": "254", "Ireland": "353", "Poland": "48",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """One question of a task; `prompt` is what a model is asked."""

    task: str
    prompt: str
    text: str
    expected: str
    combination: str | None = None


@dataclass(frozen=True)
class Made:
    """A text, its answer, and the combination of known phrases that must not be met on both sides of the split."""

    text: str
    expected: str
    combination: str | None = None


Make = Callable[[Random, Words], Made]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A kind of question: its instruction, how to make (text, answer), and how much of the training it gets."""

    name: str
    instruction: str
    make: Make
    weight: float


def split_of(text: str, one_in: int = 10) -> Split:
    """The only side of the split on which this text may occur; one text in so many is held out."""
    return "held_out" if zlib.crc32(text.encode()) % one_in == 0 else "train"


def draw(task: Task, split: Split, rng: Random) -> Case:
    """The next case of `task` on one side of the split."""
    while True:
        made = task.make(rng, _VOCABULARY[split])
        if made.combination is not None and split_of(made.combination, one_in=5) != split:
            continue
        prompt = task.instruction + made.text
        if split_of(prompt) == split:
            return Case(task=task.name, prompt=prompt, **asdict(made))


def held_out_cases(task: Task, count: int, seed: int = 2026) -> list[Case]:
    """`count` different held-out cases, the same ones for the same seed."""
    rng = Random(f"{seed} {task.name}")
    cases: dict[str, Case] = {}
    while len(cases) < count:
        case = draw(task, "held_out", rng)
        cases.setdefault(case.prompt, case)
    return list(cases.values())


# --- words and noise


def _choose(rng: Random, template: str) -> str:
    return re.sub(r"\[([^\[\]]*)\]", lambda match: rng.choice(match[1].split("|")), template)


def _phrase(rng: Random, words: Words, template: str, **given: str) -> str:
    """The template with one alternative of each `[a|b]` and a word in each `{field}`."""
    text = _choose(rng, template)
    if "{" not in text:
        return text
    return text.format_map(
        {
            "name": _word(rng, words, "names"),
            "surname": _word(rng, words, "surnames"),
            "city": _word(rng, words, "cities"),
            "product": _word(rng, words, "products"),
            "service": _word(rng, words, "services"),
            "number": str(rng.randint(100, 99999)),
        }
        | given
    )


def _word(rng: Random, words: Words, field: str) -> str:
    """A word of the field; in training often a made-up one, so that words are copied, not recalled."""
    listed: tuple[str, ...] = getattr(words, field)
    if rng.random() >= words.made_up.get(field, 0.0):
        return rng.choice(listed)
    made_up = _made_up(rng)
    if field == "domains":
        made_up += rng.choice(ENDINGS)
    elif field not in ("products", "services"):
        made_up = made_up.title()
    return rng.choice(listed) if made_up in getattr(HELD_OUT, field) else made_up


def _made_up(rng: Random) -> str:
    return "".join(rng.choice(part) for _ in range(rng.choice((1, 2, 2, 3))) for part in SYLLABLE_PARTS)


def _frame(rng: Random, words: Words, field: str, *slots: str) -> str:
    """A sentence around the slots; in training often a made-up one, so that any unknown sentence is looked through."""
    listed: tuple[str, ...] = getattr(words, field)
    if rng.random() >= words.made_up.get("frames", 0.0):
        return rng.choice(listed)
    lead = rng.choice(("", f"{_filler(rng, words).capitalize()}: ", f"{_filler(rng, words)} {_filler(rng, words)} "))
    text = lead if rng.random() < 0.5 else lead[:1].upper() + lead[1:]
    for slot in rng.sample(slots, len(slots)):
        gap = rng.choice((", ", "; ", " - ", ". ", ": ", f" {_filler(rng, words)} ", f", {_filler(rng, words)} "))
        text += ("" if text == lead else gap) + (slot if rng.random() < 0.85 else f"({slot})")
    return text + rng.choice(("", "", ".", "!", f" {_filler(rng, words)}.", f", {_filler(rng, words)}"))


def _filler(rng: Random, words: Words) -> str:
    """One to three words that mean nothing here, known ones and made-up ones."""
    known = words.fillers
    return " ".join(rng.choice(known) if rng.random() < 0.5 else _made_up(rng) for _ in range(rng.choice((1, 1, 2, 3))))


def _typos(rng: Random, text: str) -> str:
    """The text with up to two letters swapped, dropped or doubled."""
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        at = rng.randrange(1, len(text) - 1)
        if text[at].isalpha():
            slip = rng.choice((text[at + 1] + text[at], text[at + 1], text[at] * 2 + text[at + 1]))
            text = text[:at] + slip + text[at + 2 :]
    return text


def _count(rng: Random, number: int) -> str:
    return _NUMBER_WORDS[number] if number <= 12 and rng.random() < 0.6 else str(number)


# --- text to a label


def _route_ticket(rng: Random, words: Words) -> Made:
    queue = rng.choice(list(SHARED.tickets))
    phrase = _choose(rng, rng.choice(SHARED.tickets[queue]))
    text = _phrase(rng, words, phrase)
    if rng.random() < 0.6:
        text = _phrase(rng, words, rng.choice(words.openings)) + " " + text
    if rng.random() < 0.6:
        text += _phrase(rng, words, rng.choice(words.closings))
    return Made(_typos(rng, text), queue, combination=phrase)


def _sentiment(rng: Random, words: Words) -> Made:
    if rng.random() < 0.15:
        phrase = _choose(rng, rng.choice(SHARED.neutral))
        return Made(_phrase(rng, words, phrase), "neutral", combination=phrase)
    opinions = {"positive": SHARED.positive, "negative": SHARED.negative}
    label, other = rng.sample(list(opinions), 2)
    frame = rng.choice(SHARED.negated_frames if rng.random() < 0.35 else SHARED.opinion_frames)
    opinion, contrary = rng.choice(opinions[label]), rng.choice(opinions[other])
    text = _phrase(rng, words, frame, opinion=opinion, contrary=contrary)
    decisive = opinion if "{opinion}" in frame else contrary
    return Made(text if rng.random() < 0.7 else _typos(rng, text), label, combination=f"{frame} | {decisive}")


# --- text to a normal form


def _iso_date(rng: Random, words: Words) -> Made:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1950, 2049)
    name = _MONTHS[month - 1]
    ordinal = f"{day}{'th' if 10 < day < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"
    written = rng.choice(
        (
            f"{name} {day}, {year}",
            f"{day} {name} {year}",
            f"{rng.choice(_WEEKDAYS)}, {name} {ordinal}, {year}",
            f"the {ordinal} of {name}, {year}",
            f"{ordinal} of {name.lower()} '{year % 100:02d}",
            f"{name[:3]} {day} {year}",
            f"{day:02d}-{name[:3].upper()}-{year % 100:02d}",
            f"{day:02d}.{month:02d}.{year}",
            f"{day}.{month}.{year % 100:02d}",
            f"{month:02d}/{day:02d}/{year}",
            f"{month}/{day}/{year % 100:02d}",
            f"{year}/{month}/{day}",
            f"{year}{month:02d}{day:02d}",
        )
    )
    text = _phrase(rng, words, _frame(rng, words, "date_frames", "{date}"), date=written)
    return Made(text, f"{year}-{month:02d}-{day:02d}")


def _amount(rng: Random, words: Words) -> Made:
    code, sign, noun = rng.choice((("EUR", "€", "euros"), ("USD", "$", "dollars"), ("GBP", "£", "pounds")))
    units, cents = int(10 ** rng.uniform(0.5, 6.5)), rng.choice((0, 50, rng.randint(1, 99)))
    english, plain = f"{units:,}.{cents:02d}", f"{units}.{cents:02d}"
    continental = english.translate(str.maketrans(",.", ".,"))
    short, factor = rng.choice((("k", 1_000), ("M", 1_000_000)))
    tenths = rng.randint(10, 999)
    written, value = rng.choice(
        (
            (f"{sign}{english}", plain),
            (f"{code} {english}", plain),
            (f"{continental} {rng.choice((code, sign, noun))}", plain),
            (f"{code} {continental.replace('.', ' ')}", plain),
            (f"{plain}{sign}", plain),
            (f"{units} {noun} and {cents} cents", plain),
            (f"{sign}{units:,}", f"{units}.00"),
            (f"{sign}{tenths / 10}{short}", f"{tenths * factor // 10}.00"),
            (f"{tenths / 10}{short} {noun}", f"{tenths * factor // 10}.00"),
        )
    )
    text = _phrase(rng, words, _frame(rng, words, "amount_frames", "{amount}"), amount=written)
    return Made(text, f"{value} {code}")


def _phone(rng: Random, words: Words) -> Made:
    country, code = rng.choice(list(_DIAL_CODES.items()))
    area, line = str(rng.randint(20, 9999)), str(rng.randint(10**4, 10**8 - 1))
    cut = rng.randint(2, len(line) - 2)
    gap = rng.choice((" ", "-", ".", "/", ""))
    local = f"{line[:cut]}{gap}{line[cut:]}"
    written = rng.choice(
        (f"0{area}{gap}{local}", f"(0{area}) {local}", f"+{code} {area} {local}", f"00{code}{gap}{area}{gap}{line}",
         f"+{code} (0) {area}{gap}{line}", f"0{area}/{local}")
    )  # fmt: skip
    frame = _frame(rng, words, "phone_frames", "{country}", "{phone}")
    return Made(_phrase(rng, words, frame, country=country, phone=written), f"+{code}{area}{line}")


# --- text to JSON


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _contact(rng: Random, words: Words) -> Made:
    name, surname = _word(rng, words, "names"), _word(rng, words, "surnames")
    city, age = _word(rng, words, "cities"), rng.randint(18, 89)
    user = rng.choice(
        (f"{name}.{surname}", f"{name[0]}{surname}", f"{surname}{rng.randint(1, 99)}", f"{name}_{surname[0]}")
    )
    email = f"{user}@{_word(rng, words, 'domains')}".lower()
    text = _phrase(
        rng, words, rng.choice(words.contact_frames), name=name, surname=surname, city=city, age=str(age), email=email
    )
    return Made(text, _compact({"name": f"{name} {surname}", "age": age, "city": city, "email": email}))


def _plural(noun: str) -> str:
    if noun.endswith(("s", "x", "sh", "ch")):
        return noun + "es"
    return noun[:-3] + "ves" if noun.endswith("ife") else noun + "s"


def _order(rng: Random, words: Words) -> Made:
    customer = _word(rng, words, "names")
    lines = [
        (_word(rng, words, "products"), rng.choice((1, rng.randint(2, 12), rng.randint(2, 12), rng.randint(13, 99))))
        for _ in range(rng.choice((1, 2, 2, 3)))
    ]
    listed = [
        f"{rng.choice(('a', 'one', '1'))} {item}" if quantity == 1 else f"{_count(rng, quantity)} {_plural(item)}"
        for item, quantity in lines
    ]
    joined = listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"
    text = _phrase(rng, words, rng.choice(words.order_frames), name=customer, items=joined)
    items = [{"item": item, "qty": quantity} for item, quantity in lines]
    return Made(text, _compact({"customer": customer, "items": items}))


# --- arithmetic and lists


def _sorting(longest: int, largest: int) -> Make:
    def make(rng: Random, words: Words) -> Made:
        numbers = [rng.randint(1, rng.choice((20, 100, largest))) for _ in range(rng.randint(3, longest))]
        numbers += rng.sample(numbers, rng.randint(0, 2))
        rng.shuffle(numbers)
        gap = rng.choice((", ", " ", "; "))
        return Made(gap.join(map(str, numbers)), " ".join(map(str, sorted(set(numbers)))))

    return make


def _adding(digits: int) -> Make:
    def make(rng: Random, words: Words) -> Made:
        left, right = (rng.randint(0, 10 ** rng.randint(2, digits) - 1) for _ in range(2))
        return Made(f"{left} + {right}", str(left + right))

    return make


def _multiply(rng: Random, words: Words) -> Made:
    left, right = rng.randint(1000, 9999), rng.randint(1000, 9999)
    return Made(f"{left} * {right}", str(left * right))


def _word_problem(box: int, largest: int, changes: int) -> Make:
    """A product, then one to `changes` sums; the answer shows the steps in a think block, then the number."""

    def make(rng: Random, words: Words) -> Made:
        name, thing = _word(rng, words, "names"), _plural(_word(rng, words, "products"))
        each, boxes = rng.randint(3, box), rng.randint(2, 9)
        total = each * boxes
        text = f"{name} has {boxes} boxes of {each} {thing}"
        steps = [f"{boxes}*{each}={total}"]
        for _ in range(rng.randint(1, changes)):
            other = rng.randint(2, largest)
            if rng.random() < 0.5 and other < total:
                text += _phrase(rng, words, f"[, gives away {other}|, then loses {other}|, sells {other}]")
                steps.append(f"{total}-{other}={total - other}")
                total -= other
            else:
                text += _phrase(rng, words, f"[, buys {other} more|, then finds {other}|, gets {other} as a gift]")
                steps.append(f"{total}+{other}={total + other}")
                total += other
        return Made(f"{text}. How many now?", f"<think>{'; '.join(steps)}</think>{total}")

    return make


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(name="route-ticket", instruction="Route this ticket: ", make=_route_ticket, weight=1.5),
        Task(name="sentiment", instruction="Sentiment: ", make=_sentiment, weight=1.5),
        Task(name="iso-date", instruction="ISO date: ", make=_iso_date, weight=1.3),
        Task(name="amount", instruction="Amount: ", make=_amount, weight=1.0),
        Task(name="phone", instruction="E.164 phone: ", make=_phone, weight=1.0),
        Task(name="contact-json", instruction="Contact as JSON: ", make=_contact, weight=1.0),
        Task(name="order-json", instruction="Order as JSON: ", make=_order, weight=1.2),
        Task(name="sort-unique", instruction="Sort, drop duplicates: ", make=_sorting(6, 99), weight=1.0),
        Task(name="add", instruction="Add: ", make=_adding(3), weight=2.0),
        Task(name="word-problem", instruction="Solve: ", make=_word_problem(12, 20, 2), weight=1.5),
        Task(name="multiply", instruction="Multiply: ", make=_multiply, weight=0.1),
    )
}
