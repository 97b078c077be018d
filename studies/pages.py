"""Fills the template of a study's page with its figures."""

from collections.abc import Mapping
from typing import Any

from studies.sessions import FOLDER

__all__ = ["DOCS", "rendered"]

DOCS = FOLDER.parent / "docs" / "studies"


def rendered(name: str, figures: Mapping[str, Any]) -> str:
    """The page as Markdown; a figure that the template names and that is not there raises jinja2.UndefinedError."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # Markdown needs no escaping
        loader=FileSystemLoader(FOLDER / name),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    return environment.get_template("page.md.jinja").render(figures)
