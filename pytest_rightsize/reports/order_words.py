"""The order of a run's ladder in words: smallest first, unless the ladder file asks for another; pure."""

from pytest_rightsize.records import Run

__all__ = ["order_lines", "order_words"]

_WORDS = {
    "active": "fewest active parameters first",
    "bytes": "fewest bytes first",
    "price": "cheapest first",
    "energy": "least joules first, as earlier runs measured them",
}


def order_words(run: Run) -> str:
    """`smallest first`, or what else the ladder goes by."""
    return _WORDS.get(_order(run), "smallest first")


def order_lines(run: Run) -> list[str]:
    """The line of the summary, where the ladder goes by anything but parameters."""
    order = _order(run)
    return [f'order of the ladder: {_WORDS[order]}, by order = "{order}"'] if order in _WORDS else []


def _order(run: Run) -> str:
    settings = run.about.get("settings")
    return str(dict(settings or {}).get("order", "params"))
