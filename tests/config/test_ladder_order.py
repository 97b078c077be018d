"""The order of a ladder: what it may go by, and which orders contradict what is known."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.config.ladder import parse_ladder
from pytest_rightsize.config.ladder_order import Amount, Order, check_order
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Price, Rung

ORDERS: tuple[Order, ...] = ("params", "active", "bytes", "price", "energy")


def rung(name: str, **values: object) -> Rung:
    return Rung(**{"name": name, "provider": "llama_cpp", **values})  # type: ignore[arg-type]  # a table of tests


def local(name: str, quant: str, params_b: float | None = 4.0) -> Rung:
    return rung(name, model=f"hf:o/m:{quant}", params_b=params_b)


def priced(name: str, prompt: float, completion: float) -> Rung:
    return rung(name, price=Price(prompt=prompt, completion=completion))


MOE, DENSE = rung("moe", params_b=30, active_b=3), rung("dense", params_b=8)


@pytest.mark.parametrize(
    ("order", "rungs", "known", "words"),
    [
        ("active", [DENSE, MOE], {}, "names dense (8 B active) before moe (3 B active): name rungs fewest active"),
        ("active", [MOE, DENSE], {}, None),
        ("params", [DENSE, MOE], {}, None),
        ("bytes", [local("b", "Q8_0"), local("a", "Q4_K_M")], {}, "names b (4.25 GB) before a (2.44 GB)"),
        ("bytes", [local("b", "Q8_0"), local("u", "Q4_0", None), local("a", "Q2_K")], {}, "--rightsize-ladder=a,u,b"),
        ("bytes", [local("b", "Q4_K_M"), local("a", "Q4_K_S")], {}, None),  # an estimate does not tell them apart
        # What lies on disk counts, whatever the name says.
        ("bytes", [local("b", "Q2_K"), local("a", "Q8_0")], {"b": Amount.about(9e9)}, "names b (9 GB) before a"),
        ("bytes", [rung("b", model="m.gguf"), rung("a")], {"b": Amount.about(2), "a": Amount.about(1)}, "name rungs"),
        ("price", [priced("b", 1, 4), priced("a", 1, 2)], {}, "names b (1 and 4 USD/M tokens) before a (1 and 2"),
        ("price", [priced("b", 1, 4), priced("a", 2, 2)], {}, None),  # depends on the tokens
        ("price", [priced("b", 1, 4), rung("local"), priced("a", 1, 4)], {}, None),
        ("energy", [rung("b"), rung("a")], {}, None),
        ("energy", [rung("b"), rung("a")], {"b": Amount(low=5, high=6), "a": Amount(low=1, high=2)}, "5.5 J a case"),
        ("energy", [rung("b"), rung("a")], {"b": Amount(low=2, high=6), "a": Amount(low=1, high=3)}, None),
        (
            "energy",
            [rung("b"), rung("a")],
            {"b": Amount(low=5, high=6, kind="cpu"), "a": Amount(low=1, high=2, kind="gpu")},
            None,
        ),
    ],
)
def test_an_order_is_refused_where_it_contradicts_what_is_known(
    order: Order, rungs: list[Rung], known: Mapping[str, Amount], words: str | None
) -> None:
    if words is None:
        check_order(rungs, "--rightsize-ladder", order=order, known=known)
        return
    with pytest.raises(ConfigError) as caught:
        check_order(rungs, "--rightsize-ladder", order=order, known=known)
    assert words in str(caught.value)


AMOUNTS = st.one_of(st.none(), st.tuples(st.integers(1, 9), st.integers(0, 3)))


@given(st.sampled_from(ORDERS), st.lists(AMOUNTS, min_size=1, max_size=6))
def test_the_order_that_is_shown_is_accepted(order: Order, amounts: list[tuple[int, int] | None]) -> None:
    rungs = [
        rung(
            f"r{place}",
            params_b=None if each is None else float(each[0]),
            price=None if each is None else Price(prompt=each[0], completion=each[1]),
        )
        for place, each in enumerate(amounts)
    ]
    known = {one.name: Amount(low=each[0], high=sum(each)) for one, each in zip(rungs, amounts, strict=True) if each}
    try:
        check_order(rungs, "--o", order=order, known=known)
    except ConfigError as error:
        by_name = {one.name: one for one in rungs}
        meant = str(error).rpartition("--o=")[2].split(",")
        check_order([by_name[name] for name in meant], "--o", order=order, known=known)
        assert sorted(meant) == sorted(by_name)


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"order: unknown order 'cost'.* Known: params, active, bytes, price"):
        parse_ladder({"order": "cost"}, {}, where="r.toml", base_dir=Path())
