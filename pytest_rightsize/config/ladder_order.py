"""The order of a ladder: by parameters, active ones, bytes, price or measured joules; pure.

Rungs in the user's order come in. An order that contradicts what is known of them is a ConfigError that shows the order
meant; a rung of which nothing is known may stand anywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

from pytest_rightsize.config.spreads import quant_bits
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Rung

__all__ = ["ORDERS", "ORDER_WORDS", "Amount", "Order", "check_order", "order_note"]

Order = Literal["params", "active", "bytes", "price", "energy"]
ORDERS: tuple[Order, ...] = get_args(Order)
"""What the order of a ladder may go by."""
ORDER_WORDS: Mapping[str, str] = {
    "params": "smallest first",
    "active": "fewest active parameters first",
    "bytes": "fewest bytes first",
    "price": "cheapest first",
    "energy": "least joules first",
}
"""How each order begins, in words."""
# The bits of a quantisation come to the bytes of a file but for about a tenth.
_ESTIMATE_OFF = 0.1


@dataclass(frozen=True, kw_only=True)
class Amount:
    """What is known of a rung, from `low` to `high`: bytes, or joules of a case. Only one `kind` is comparable."""

    low: float
    high: float
    kind: str = ""

    @classmethod
    def about(cls, value: float, off: float = 0.0, *, kind: str = "") -> "Amount":
        """A value that may be off by the part `off` of it."""
        return cls(low=value * (1 - off), high=value * (1 + off), kind=kind)


Amounts = Sequence[Amount]
"""Of one rung; it is larger than another where none of its amounts is smaller, and one surely larger."""


def check_order(
    rungs: Sequence[Rung],
    option: str,
    *,
    order: Order = "params",
    known: Mapping[str, Amount] | None = None,
    spreads: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Raises ConfigError, with the order meant, where a rung stands before one that is known to be smaller.

    By `params`, a larger rung has more parameters *and* more of them active: of two equal sizes, and of a mixture of
    experts (MoE) and a dense rung between its two sizes, either may come first. `known` has the bytes or the joules
    that were measured. The rungs of a spread keep its order, unless the ladder goes by price or energy.
    """
    amounts = {rung.name: _amounts(rung, order, known or {}) for rung in rungs}
    wrong = next((pair for pair in combinations(rungs, 2) if _is_larger(*_of(pair, amounts), order)), None)
    if wrong is not None:
        by_size = iter(
            sorted((rung for rung in rungs if amounts[rung.name]), key=lambda rung: _place(amounts[rung.name], order))
        )
        meant = ",".join(next(by_size).name if amounts[rung.name] else rung.name for rung in rungs)
        words = [_WORDS[order](rung, amounts[rung.name]) for rung in wrong]
        raise ConfigError(
            f"{option} names {wrong[0].name} ({words[0]}{' parameters' if order == 'params' else ''}) before "
            f"{wrong[1].name} ({words[1]}): name rungs {ORDER_WORDS[order]}: {option}={meant}"
        )
    if order in ("params", "active", "bytes"):
        _check_spreads([rung.name for rung in rungs], spreads or {}, option)


def _of(pair: tuple[Rung, Rung], amounts: Mapping[str, Amounts]) -> tuple[Amounts, Amounts]:
    return amounts[pair[0].name], amounts[pair[1].name]


def _amounts(rung: Rung, order: Order, known: Mapping[str, Amount]) -> Amounts:
    """What is known of a rung that the order goes by; empty where that is nothing."""
    active = rung.params_b if rung.active_b is None else rung.active_b
    match order:
        case "params":
            return [] if rung.params_b is None else [Amount.about(rung.params_b), Amount.about(active or 0.0)]
        case "active":
            return [] if active is None else [Amount.about(active)]
        case "price":
            price = rung.price
            return [] if price is None else [Amount.about(price.prompt), Amount.about(price.completion)]
        case "bytes" if rung.name not in known and (estimate := _estimated_bytes(rung)) is not None:
            return [Amount.about(estimate, _ESTIMATE_OFF)]
    return [known[rung.name]] if rung.name in known else []


def _estimated_bytes(rung: Rung) -> float | None:
    """The bytes of a local model whose size and quantisation the ladder file tells."""
    if rung.provider != "llama_cpp" or rung.params_b is None or rung.model is None:
        return None
    bits = next((bits for part in _words(rung.model) if (bits := quant_bits(part)) is not None), None)
    return None if bits is None else rung.params_b * 1e9 * bits / 8


def _words(model: str) -> list[str]:
    """The parts of a model's name that may be a quantisation, the last first."""
    name = model.removesuffix(".gguf").replace("/", ":").replace("-", ":").replace(".", ":")
    return name.split(":")[::-1]


def _is_larger(mine: Amounts, other: Amounts, order: Order) -> bool:
    """Whether it is known to be larger."""
    if not mine or not other:
        return False
    pairs = [*zip(mine, other, strict=True)]
    if any(one.kind != two.kind for one, two in pairs):
        return False
    surely = [one.low > two.high for one, two in pairs]
    if order == "params":
        return all(surely)
    return any(surely) and all(one.low >= two.high for one, two in pairs)


def _place(mine: Amounts, order: Order) -> float:
    """What the order meant is sorted by: parameters alone, or the sum of the two prices."""
    return mine[0].low if order == "params" else sum(one.low + one.high for one in mine)


def _check_spreads(names: Sequence[str], spreads: Mapping[str, Sequence[str]], option: str) -> None:
    for spread, members in spreads.items():
        named = [name for name in names if name in members]
        meant = sorted(named, key=members.index)
        if named != meant:
            inside = iter(meant)
            whole = ",".join(next(inside) if name in members else name for name in names)
            raise ConfigError(
                f"{option} names the rungs of {spread} as {', '.join(named)}: name them smallest first: "
                f"{option}={whole}"
            )


_WORDS: Mapping[Order, Callable[[Rung, Amounts], str]] = {
    "params": lambda rung, _: f"{rung.params_b:g} B",
    "active": lambda _, mine: f"{mine[0].low:g} B active",
    "bytes": lambda _, mine: f"{(mine[0].low + mine[0].high) / 2e9:.3g} GB",
    "price": lambda _, mine: f"{mine[0].low:g} and {mine[1].low:g} USD/M tokens",
    "energy": lambda _, mine: f"{(mine[0].low + mine[0].high) / 2:.3g} J a case",
}


def order_note(rungs: Sequence[Rung], order: Order = "params") -> str | None:
    """A note for the user where a mixture of experts stands before a smaller dense rung; None if there is none."""
    for first, second in combinations(rungs, 2) if order == "params" else ():
        if first.params_b is not None and second.params_b is not None and first.params_b > second.params_b:
            active = "" if first.active_b is None else f", {first.active_b:g} B active"
            return (
                f"note: {first.name} ({first.params_b:g} B parameters{active}) stands before {second.name} "
                f"({second.params_b:g} B), and is treated as the smaller one"
            )
    return None
