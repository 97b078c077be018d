"""Renders the HTML page: one file with verdicts, charts and every answer, which loads nothing from the network.

The template, the style and the scripts are files in `page/`; `vega.js` is written there when the package is built.
Text from a model is escaped or packed as data, and the page's Content-Security-Policy runs only our scripts, by hash.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import ClassVar

from pytest_rightsize.escaping import visible
from pytest_rightsize.records import Json, Run
from pytest_rightsize.reports import Report
from pytest_rightsize.reports.facts import gather
from pytest_rightsize.reports.html.bodies import index_cases
from pytest_rightsize.reports.html.changes import Earlier, change_view, earlier_trials
from pytest_rightsize.reports.html.chart_data import chart_data
from pytest_rightsize.reports.html.page_view import page_view
from pytest_rightsize.reports.html.texts import packed
from pytest_rightsize.reports.html.trend import PastRuns, trend_section
from pytest_rightsize.verdict_records import Verdict

__all__ = ["Earlier", "HtmlReport", "PastRuns", "pytest_rightsize_reports"]

_CHARTS = "vega.js"
_SCRIPTS = ("data.js", "charts.js", "diff.js", "cases.js", "app.js")
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><g fill="#2152c8"><path d="M2 10h3v5H2z"/>'
    '<path opacity=".6" d="M6.500 6h3v9h-3z"/><path opacity=".3" d="M11 1h3v14h-3z"/></g></svg>'
)


class HtmlReport:
    """The page as one file; `against` is an earlier run whose changes it shows first, `past` has runs to list."""

    texts: ClassVar[str] = "single"
    own_mark: ClassVar[str] = '<meta name="generator" content="pytest-rightsize">'

    def __init__(self, *, against: Earlier | None = None, past: PastRuns | None = None) -> None:
        self._against = against
        self._past = past

    def check(self) -> str | None:
        """See `Report`."""
        if not _page(_CHARTS).is_file():
            return (
                "the charts' JavaScript is missing from this source tree: it is written when the package is built. "
                "Install it with `python -m pip install -e .`, or run `python hatch_build.py`, beside vl-convert-python"
            )
        try:
            import markupsafe  # noqa: F401  # the page is made with both, after everything has been paid for
            from jinja2 import Environment

            Environment(autoescape=True).parse(_text("report.html.jinja"))
            for name in ("report.css", _CHARTS, *_SCRIPTS):
                _text(name)
        except Exception as error:
            return f"a part of it cannot be read ({error}): install pytest-rightsize again"
        return None

    def render(self, run: Run, verdicts: Sequence[Verdict]) -> str:
        """See `Report`."""
        from jinja2 import Environment, FunctionLoader
        from markupsafe import Markup

        facts = gather(run, verdicts)
        changes = None if self._against is None else self._against.changes(run, verdicts)
        earlier = earlier_trials(self._against, changes.cases) if self._against and changes else None
        cases = index_cases(run, [verdict.task for verdict in verdicts], earlier=earlier)
        name = self._against.name if self._against else None
        page = page_view(facts, cases) | {"changes": change_view(name, changes) if name and changes else None}
        page["trend"] = trend_section(self._past, [verdict.task for verdict in verdicts])
        style = _text("report.css")
        script = "(() => {\n'use strict';\n" + "\n".join(_text(name) for name in _SCRIPTS) + "\n})();"
        vega = _text(_CHARTS) if _page(_CHARTS).is_file() else ""
        environment = Environment(
            autoescape=True, finalize=_finalize, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_text)
        )
        return environment.get_template("report.html.jinja").render(
            page=page,
            policy=_policy(script, vega, style),
            icon=Markup(base64.b64encode(_ICON.encode()).decode()),  # our own
            style=Markup(style),  # our own file
            script=Markup(script),  # our own files
            data=Markup(packed({**cases.index, **chart_data(facts), "earlier": name})),  # base64
            vega=Markup(packed(vega)),  # base64
            words=Markup(cases.words),  # base64
            pictures=Markup(cases.pictures),  # base64
            chunks=[Markup(chunk) for chunk in cases.chunks],  # base64
        )


def _finalize(value: Json) -> Json:
    """Make text from outside visible before the template prints it; our own `Markup` is left as it is."""
    return visible(value) if type(value) is str else value


def _policy(script: str, vega: str, style: str) -> str:
    """The Content-Security-Policy: nothing is fetched, and no script runs but our own."""
    scripts = " ".join(_hash(text) for text in (script, vega))
    return (
        f"default-src 'none'; script-src {scripts}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _page(name: str) -> Traversable:
    return files("pytest_rightsize.reports.html") / "page" / name


def _text(name: str) -> str:
    return _page(name).read_text(encoding="utf-8")


def pytest_rightsize_reports() -> Mapping[str, type[Report]]:
    """The report of this file."""
    return {"html": HtmlReport}
