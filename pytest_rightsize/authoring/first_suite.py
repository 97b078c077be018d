"""The files of a project's first session: a ladder file, a test that passes, and a workflow for its CI.

In comes what the user chose; out go texts by the names of files. The templates and the recorded answers of the demo are
files in `first/`; those answers are real ones of the models of this project's example suite.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

__all__ = ["DEMO", "FirstLadder", "first_suite"]

_CI_FILES = {"github": ".github/workflows/rightsize.yml", "gitlab": "rightsize.gitlab-ci.yml"}


@dataclass(frozen=True, kw_only=True)
class FirstLadder:
    """The rungs of a ladder file: their names, smallest first, and their tables as text.

    `package` is what to install for them, and `key_variable` the variable that holds the key of their endpoint.
    """

    names: Sequence[str]
    tables: str
    package: str = "pytest-rightsize"
    key_variable: str | None = None
    is_local: bool = False


_DEMO_SIZES = {"25k": 0.000025, "60k": 0.000061, "160k": 0.00016, "820k": 0.00082}
DEMO = FirstLadder(
    names=tuple(_DEMO_SIZES),
    tables="# Recorded answers of four tiny models: no download, no key, no network; they know this test only.\n"
    + "\n".join(
        f'[ladder.{name}]\nprovider = "replay"\nfile = "demo-answers/{name}.jsonl"\nparams_b = {size:f}\n'
        for name, size in _DEMO_SIZES.items()
    ),
)
"""A ladder that answers anywhere."""
_DEMO_CHOSEN = "160k"


def first_suite(ladder: FirstLadder, *, ci: str | None, schema: str) -> Mapping[str, str]:
    """The files by their paths; `ci` is `github`, `gitlab` or None, `schema` the text of the ladder file's schema."""
    is_demo = ladder is DEMO
    chosen = _DEMO_CHOSEN if is_demo else ladder.names[-1]
    test, task = ("test_dates.py", "iso-date") if is_demo else ("test_tickets.py", "route-ticket")
    written = {
        "rightsize.toml": _filled("rightsize.toml", rungs=ladder.tables, chosen=chosen, task=task),
        "rightsize.schema.json": schema,
        test: _read(f"{test}.txt") if is_demo else _filled(f"{test}.txt", chosen=chosen),
    }
    if is_demo:
        written |= {f"demo-answers/{name}.jsonl": _read(f"{name}.jsonl") for name in ladder.names}
    if ci is not None:
        written[_CI_FILES[ci]] = _workflow(ladder, ci)
    return written


def _workflow(ladder: FirstLadder, ci: str) -> str:
    options = f"--rightsize-ladder={','.join(ladder.names)}"
    before, env = "", ""
    if ladder.is_local:
        # A runner has no model: it replays the answers that were recorded on the developer's machine.
        options += " --rightsize-cache=replay"
        step = "rightsize cache import rightsize-answers.jsonl"
        note = (
            "# Written by `rightsize cache export rightsize-answers.jsonl` after a session with the models; commit it."
        )
        before = f"      {note}\n      - run: {step}\n" if ci == "github" else f"    {note}\n    - {step}\n"
    if ladder.key_variable is not None and ci == "github":
        name = ladder.key_variable
        env = f"        env:\n          {name}: ${{{{ secrets.{name} }}}}\n"
    return _filled(f"{ci}.yml", package=ladder.package, options=options, before=before, env=env)


def _read(name: str) -> str:
    return files("pytest_rightsize.authoring").joinpath("first", name).read_text(encoding="utf-8")


def _filled(name: str, **values: str) -> str:
    return Template(_read(name)).substitute(values)
