"""Writes the JavaScript of Vega-Lite into the package when it is built: it is neither in git nor needed at run time.

Hatch runs this for wheels, source distributions and editable installs. In a source tree that was not installed:
`python hatch_build.py`.
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

BUNDLE = Path(__file__).parent / "pytest_rightsize" / "reports" / "html" / "page" / "vega.js"
SOURCE = "vl-convert-python"
# vega-embed brings Vega's expression interpreter along, so that a page with it needs no `unsafe-eval`.
SNIPPET = "window.rightsizeEmbed = vegaEmbed;"


def write_bundle(path: Path = BUNDLE) -> Path:
    """Write Vega, Vega-Lite and vega-embed to `path` as one script, unless those of this version are there."""
    stamp = f"/* Vega, Vega-Lite and vega-embed (BSD-3-Clause), from {SOURCE} {version(SOURCE)} */\n"
    if not path.is_file() or not path.read_text(encoding="utf-8").startswith(stamp):
        import vl_convert

        # Inside a page, `</script` in a string would end the script.
        script = vl_convert.javascript_bundle(SNIPPET).replace("</script", "<\\/script").replace("<!--", "<\\!--")
        path.write_text(stamp + script, encoding="utf-8")
    return path


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, by who has no hatchling
    pass
else:

    class VegaBuildHook(BuildHookInterface[Any]):
        """Writes the bundle before hatch collects the package's files."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatch names them
            """Write it, whichever kind of distribution is built."""
            write_bundle()


if __name__ == "__main__":
    sys.stdout.write(f"{write_bundle()}\n")
