"""The picture of a report for the README: `python -m tests.reports.html.take_picture REPORT.html PICTURE.png`."""

import shutil
import sys
from pathlib import Path

__all__ = ["main"]


def main() -> int:
    """Take it, of the top of the page."""
    from playwright.sync_api import sync_playwright

    report, picture = (Path(argument).resolve() for argument in sys.argv[1:])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1240, "height": 900}, color_scheme="light")
        page.goto(f"file://{report}")
        page.wait_for_selector("html[data-ready=true]")
        page.screenshot(path=picture)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
