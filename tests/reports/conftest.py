"""Fixtures that open the page of a rich run in a real browser without a network."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.reports.html.report import HtmlReport
from tests.reports.rich_run import rich_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Screenshots stay here, for people to look at.
ARTIFACTS = Path(os.environ.get("RIGHTSIZE_ARTIFACTS", Path(__file__).parents[2] / ".rightsize" / "screenshots"))

Open = Callable[..., Any]
_BAD = ("error", "warning")


@pytest.fixture(scope="session", autouse=True)
def _charts() -> None:
    """A source tree that was not installed has no JavaScript of Vega-Lite yet."""
    if HtmlReport().check() is not None:
        pytest.importorskip("vl_convert", reason="the page's charts are missing: run `python -m pip install -e .`")
        from hatch_build import write_bundle

        write_bundle()


@pytest.fixture(autouse=True)
def _characters_are_one_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden texts hold a character without width, and are the same where tabulate finds no wcwidth."""
    monkeypatch.setattr("tabulate.WIDE_CHARS_MODE", False)


@pytest.fixture
def wide_characters(_characters_are_one_wide: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is for users."""
    monkeypatch.setattr("tabulate.WIDE_CHARS_MODE", True)


@pytest.fixture(scope="session")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the rich run."""
    run = rich_run()
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(HtmlReport().render(run, judge(run)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium, driven by Playwright; CI must have it.

    While Playwright is open, its event loop counts as running in this thread, and tests would not be suspended: so it
    is closed at the end of the module, before other tests.
    """
    if CHROMIUM is None:
        if os.environ.get("CI") or os.environ.get("RIGHTSIZE_BROWSER") == "required":
            pytest.fail("nobody looked at the page, and here somebody must: install chromium", pytrace=False)
        pytest.skip("no chromium on the PATH: nobody looked at the page (apt-get install chromium)")
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: nobody looked at the page")
    with sync.sync_playwright() as playwright:
        # In a container chromium runs as root, where its sandbox cannot; the page's own policy is what is tested.
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any, page_path: Path) -> Iterator[Open]:
    """Open the page offline; whatever it complains of, asks for, or violates is in `page.complaints`."""
    contexts = []

    def open_at(fragment: str = "", *, path: Path | None = None, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "offline": True, **options})
        contexts.append(context)
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation', (event) => "
            "console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))"
        )
        page = context.new_page()
        page.complaints = []
        page.on(
            "console", lambda said: page.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: _asked(page, request.url))
        page.goto(f"file://{path or page_path}{fragment}")
        page.wait_for_selector("html[data-ready=true]")
        return page

    yield open_at
    for context in contexts:
        context.close()


def _asked(page: Any, url: str) -> None:
    if not url.startswith(("file:", "data:", "blob:")):
        page.complaints.append(f"asked for {url}")


@pytest.fixture
def keep_screenshot() -> Callable[[Any, str], None]:
    """Keep a picture of what a test saw."""

    def keep(page: Any, name: str) -> None:
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{name}.png")

    return keep


@pytest.fixture(autouse=True)
def _columns_as_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tabulate counts the columns of wide letters where wcwidth happens to be installed, and no golden text may."""
    monkeypatch.setattr("tabulate.WIDE_CHARS_MODE", False)
