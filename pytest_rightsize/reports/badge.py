"""The badge for a README, as SVG: how many of the tasks with a chosen model run on the smallest that passes.

It also says how sure that is: the weakest evidence of those tasks, and whether a judge that is not calibrated decides.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pytest_rightsize.records import Evidence, Run
from pytest_rightsize.reports import Report
from pytest_rightsize.verdict_records import Verdict

__all__ = ["BadgeReport", "pytest_rightsize_reports"]

_LABEL = "right-sized"
_WEAKEST_FIRST: Sequence[Evidence] = ("provisional", "likely", "shown")
# Widths of characters of 11 px Verdana; `textLength` fits any other font to them.
_CHAR_PX = {"i": 3.0, "l": 3.0, " ": 3.9, "r": 4.7, "t": 4.3, "f": 3.9, "(": 5.0, ")": 5.0, "-": 5.0, "/": 5.0}
_OTHER_PX = 6.6
_COLOURS = {"all": "#2a7d4f", "most": "#7a6a00", "few": "#b53a17", "none": "#5f6873"}


class BadgeReport:
    """The badge as SVG."""

    texts: ClassVar[str] = "none"
    own_mark: ClassVar[str] = f'aria-label="{_LABEL}'

    def check(self) -> str | None:
        """See `Report`."""
        return None

    def render(self, run: Run, verdicts: Sequence[Verdict]) -> str:
        """See `Report`."""
        judged = [verdict for verdict in verdicts if verdict.chosen is not None]
        right = sum(verdict.verdict == "right-sized" for verdict in judged)
        weakest = [word for word in _WEAKEST_FIRST if any(verdict.evidence == word for verdict in judged)][:1]
        judges = {verdict.judge.state for verdict in judged if verdict.judge is not None}
        doubt = ["judge not calibrated"] if judges - {"calibrated"} else []
        text = ", ".join([f"{right}/{len(judged)}", *weakest, *doubt]) if judged else "no chosen models"
        return _svg(text, _COLOURS[_share(right, len(judged))], interrupted=run.interrupted)


def _share(right: int, judged: int) -> str:
    if not judged:
        return "none"
    return "all" if right == judged else "most" if 2 * right >= judged else "few"


def _svg(text: str, colour: str, *, interrupted: bool) -> str:
    """A flat badge, 20 px high; no text in it comes from outside, so none is escaped."""
    text = f"{text} (cut off)" if interrupted else text
    left, right = (round(sum(_CHAR_PX.get(char, _OTHER_PX) for char in part) + 12) for part in (_LABEL, text))
    width = left + right
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{_LABEL}: {text}">'
        f"<title>{_LABEL}: {text}</title>"
        f'<clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath><g clip-path="url(#r)">'
        f'<rect width="{left}" height="20" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14" textLength="{left - 12}" lengthAdjust="spacingAndGlyphs">{_LABEL}</text>'
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - 12}" lengthAdjust="spacingAndGlyphs">{text}</text>'
        "</g></svg>\n"
    )


def pytest_rightsize_reports() -> Mapping[str, type[Report]]:
    """The report of this file."""
    return {"badge": BadgeReport}
