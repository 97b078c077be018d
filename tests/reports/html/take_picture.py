"""Pictures of a report for README and documentation: `python -m tests.reports.html.take_picture REPORT.html docs`."""

import shutil
import sys
from pathlib import Path
from typing import Literal

__all__ = ["main"]

_PICTURES: tuple[tuple[str, int, int, Literal["light", "dark"]], ...] = (
    ("report", 1240, 900, "light"),
    ("report-tablet", 768, 900, "dark"),
    ("report-phone", 360, 780, "light"),
)


def main() -> int:
    """Take them, each of the top of the page, and write them into the folder."""
    from playwright.sync_api import sync_playwright

    report, folder = (Path(argument).resolve() for argument in sys.argv[1:])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, width, height, scheme in _PICTURES:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(f"file://{report}")
            page.wait_for_selector("html[data-ready=true]")
            page.screenshot(path=folder / f"{name}.png")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
