"""Takes the pictures of the documentation anew: `python -m tests.docs.take_pictures SITE`, SITE being the built one.

A first session at terminals of three widths becomes an SVG each, by an emulated terminal; the site is photographed by
the Debian package chromium. They are written to docs/pictures/, and somebody looks at them.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Literal

import pyte

from pytest_rightsize.commands.__main__ import main as rightsize
from tests.session.pseudo_terminal import run_pytest

__all__ = ["as_svg", "main"]

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
_SESSION = ["-p", "no:randomly", "--no-header", "--rightsize-ladder=25k,60k,160k,820k"]
_TERMINALS = (60, 80, 120)
_SITE: tuple[tuple[str, str, int, int, Literal["light", "dark"]], ...] = (
    ("site", "index.html", 1280, 800, "light"),
    ("site-tablet", "tutorial/first-verdict.html", 768, 900, "dark"),
    ("site-phone", "reference/api.html", 360, 780, "light"),
)
# Sizes in px: a letter, a line, the room around them.
_WIDTH, _HEIGHT, _ROOM = 8.4, 18, 16
_COLOURS = {"default": "#d6deeb", "red": "#ff7b8a", "green": "#7fdc8a", "brown": "#f2cc60", "blue": "#7cb7ff"}
_COLOURS |= {"cyan": "#6fd8e0", "magenta": "#d7a0ff"}


def as_svg(sent: bytes, *, columns: int, title: str) -> str:
    """What stands at a terminal in the end, with what has scrolled off, as text in an SVG."""
    screen = pyte.HistoryScreen(columns, 24, history=10_000, ratio=0.5)
    pyte.ByteStream(screen).feed(sent)
    lines = [*screen.history.top, *(screen.buffer[row] for row in range(screen.lines))]
    rows = [[line[column] for column in range(columns)] for line in lines]
    while rows and not "".join(letter.data for letter in rows[-1]).strip():
        rows.pop()
    width, height = columns * _WIDTH + 2 * _ROOM, len(rows) * _HEIGHT + 2 * _ROOM
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" width="{width:g}" height="{height}" '
        f'role="img"><title>{escape(title)}</title><rect width="100%" height="100%" rx="8" fill="#101722"/>'
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, DejaVu Sans Mono, monospace" font-size="14">\n'
        + "".join(part for number, row in enumerate(rows) for part in _texts(row, _ROOM + (number + 0.75) * _HEIGHT))
        + "</g></svg>\n"
    )


def _texts(row: list[pyte.screens.Char], y: float) -> Iterator[str]:
    """A line as pieces of one colour; each begins in its column and is as wide as its letters are many."""
    for (colour, bold), run in groupby(enumerate(row), lambda pair: (pair[1].fg, pair[1].bold)):
        letters = [*run]
        text = "".join(letter.data for _, letter in letters)
        begin = letters[0][0] + len(text) - len(text.lstrip())
        if shown := text.strip():
            weight = ' font-weight="bold"' if bold else ""
            fill = _COLOURS.get(colour, _COLOURS["default"])
            yield (
                f'<text x="{_ROOM + begin * _WIDTH:g}" y="{y:g}" textLength="{len(shown) * _WIDTH:g}" '
                f'xml:space="preserve" fill="{fill}"{weight}>{escape(shown)}</text>\n'
            )


def _photograph(site: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, page_name, width, height, scheme in _SITE:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(f"file://{site.resolve() / page_name}")
            page.screenshot(path=PICTURES / f"{name}.png")
        browser.close()


def main() -> int:
    """Take them all."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rightsize(["init", "--models", "demo", "--ci", "none", "--dir", name])
        for columns in _TERMINALS:
            seen = run_pytest(folder, _SESSION, columns=columns, environment={"RIGHTSIZE_CACHE_DIR": f"{name}/cache"})
            title = f"A first session at a terminal of {columns} columns"
            svg = as_svg(seen.sent, columns=columns, title=title)
            (PICTURES / f"terminal-{columns}.svg").write_text(svg, encoding="utf-8")
    if len(sys.argv) > 1:
        _photograph(Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
