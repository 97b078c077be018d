"""Builds the documentation: `tox run -e docs`. Pages are Markdown; the reference is written anew from the code."""

import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import generate_reference

project = "pytest-rightsize"
author = "The pytest-rightsize developers"
copyright = "the pytest-rightsize developers"  # noqa: A001  # Sphinx's name
version = release = installed("pytest-rightsize")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
]
html_theme = "furo"
smartquotes = False  # quotes are mostly of values
html_title = "pytest-rightsize"
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path: list[str] = []
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# What a reader copies has no prompt and no output.
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_exclude = ".linenos, .go"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "exclude-members": "__init__, __new__"}


def setup(_app: Any) -> None:
    """Write the generated pages before anything is read."""
    generate_reference.write(Path(__file__).parent / "reference" / "generated")
