"""The tree is what CONTRIBUTING.md says it is: who imports whom, what is exported, which words go with which."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_rightsize
from pytest_rightsize import errors

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_rightsize"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

# Which of our own modules, and which others beyond the standard library, each file may import.
MAY_IMPORT: dict[str, set[str]] = {
    "__init__.py": {"errors", "matchers", "model"},
    "energy.py": {"errors"},
    "records.py": {"energy"},
    "errors.py": set(),
    "catalogue.py": {"records"},
    "ladder.py": {"catalogue", "records", "errors", "meters", "providers", "yaml"},
    "places.py": {"records"},
    "matchers.py": {"rapidfuzz", "jsonschema"},
    "statistics/__init__.py": {"statistics"},
    "statistics/rates.py": {"records", "scipy"},
    "statistics/pairs.py": {"records", "scipy"},
    "statistics/ratios.py": {"records", "scipy"},
    "statistics/planning.py": {"statistics", "scipy"},
    "statistics/unpaired.py": {"scipy"},
    "schedule.py": {"records", "statistics"},
    "comparison.py": {"differences", "economy", "records", "statistics"},
    "differences.py": {"records", "redaction"},
    "lockfile.py": {"places", "records", "errors"},
    "baseline.py": {"differences", "lockfile", "records", "errors", "statistics", "store", "verdict"},
    "economy.py": {"energy", "errors", "records", "statistics"},
    "verdict.py": {"records", "statistics"},
    "spending.py": {"energy", "records"},
    "conclusions.py": {"energy", "records", "spending", "statistics"},
    "model.py": {"energy", "records", "errors", "matchers", "jsonschema"},
    "grading.py": {"records", "errors", "model"},
    "flight.py": set(),
    "policies.py": {"ladder", "settings", "records", "errors", "pytest", "places"},
    "distribution.py": {"records", "pytest", "xdist"},
    "outcomes.py": {"grading", "records", "pytest"},
    "cache.py": {"energy", "records", "errors", "recorded_lines"},
    "recorded_lines.py": {"cache", "energy", "records", "errors"},
    "recording.py": {"cache", "records", "errors", "providers", "rapidfuzz"},
    "identities.py": {"cache", "records", "errors", "providers"},
    "notices.py": {"errors", "pytest"},
    "budget.py": {"records"},
    "engine.py": {"budget", "records", "errors", "providers", "recording", "_pytest"},
    "opening.py": {"model", "pytest", "_pytest"},
    "loop.py": {"engine", "model", "opening", "options", "pytest", "_pytest", "pluggy"},
    "savings.py": {"records"},
    "redaction.py": {"records"},
    "durable.py": set(),
    "results_lines.py": {"records"},
    "store.py": {"durable", "energy", "results_lines", "records", "redaction", "errors"},
    "hookspecs.py": {"meters", "providers", "reports", "pluggy"},
    "options.py": {"pytest"},
    "settings.py": {"budget", "conclusions", "options", "records", "errors", "redaction", "verdict", "pytest"},
    "live.py": {"records", "reports", "pytest"},
    "publishing.py": {"records", "errors", "reports"},
    "ended.py": {"baseline", "conclusions", "records", "spending", "verdict"},
    "presenting.py": {"conclusions", "ended", "records", "publishing", "reports", "settings", "pytest"},
    "equipment.py": {
        "budget",
        "catalogue",
        "engine",
        "errors",
        "ladder",
        "metering",
        "notices",
        "options",
        "providers",
        "recording",
        "records",
        "settings",
        "pytest",
    },
    "reports/__init__.py": {"records", "errors"},
    "reports/amounts.py": {"energy"},
    "reports/badge.py": {"records", "reports"},
    "reports/bodies.py": {"records"},
    "reports/facts.py": {"conclusions", "records", "reports", "spending", "statistics"},
    "reports/github.py": {"records", "reports"},
    "reports/html.py": {"records", "reports", "jinja2", "markupsafe"},
    "reports/junit.py": {"energy", "errors", "records", "reports"},
    "reports/markdown.py": {"records", "reports"},
    "reports/page_view.py": {"energy", "records", "reports", "spending"},
    "reports/progress.py": {"reports"},
    "reports/tables.py": {"energy", "errors", "records", "reports"},
    "reports/visible.py": set(),
    "reports/spending.py": {"conclusions", "energy", "records", "reports", "spending", "tabulate"},
    "reports/comparison.py": {"comparison", "economy", "records", "tabulate"},
    "reports/terminal.py": {"records", "reports", "savings", "tabulate", "verdict"},
    "providers/__init__.py": {"records", "errors"},
    "providers/amx.py": set(),
    "providers/batching.py": {"providers", "numpy", "llama_cpp"},
    "providers/chat.py": {"records", "errors", "providers", "llama_cpp"},
    "providers/completions.py": set(),
    "providers/gguf.py": set(),
    "providers/hub.py": {"errors", "providers", "huggingface_hub"},
    "providers/layout.py": {"llama_cpp"},
    "providers/llama_cpp.py": {"records", "errors", "providers", "pluggy", "llama_cpp"},
    "providers/native.py": {"providers", "llama_cpp"},
    "providers/sampling.py": {"providers", "numpy", "llama_cpp"},
    "providers/worker.py": {"records", "errors", "providers"},
    "providers/event_loop.py": {"flight"},
    "providers/locality.py": set(),
    "providers/http.py": {"records", "flight", "providers", "aiohttp"},
    "providers/probing.py": {"providers"},
    "providers/thoughts.py": set(),
    "providers/tokenizing.py": {"records", "providers"},
    "providers/openai.py": {"records", "errors", "providers", "pluggy"},
    "providers/replay.py": {"energy", "records", "errors", "providers", "pluggy", "rapidfuzz"},
    "builtin.py": {"meters", "providers", "reports"},
    "meters/period.py": {"meters"},
    "metering.py": {"energy", "meters", "providers", "records"},
    "meters/__init__.py": {"energy", "records", "errors"},
    "meters/timeline.py": set(),
    "meters/idling.py": {"energy", "meters"},
    "meters/phases.py": {"energy", "meters", "numpy", "scipy"},
    "meters/processes.py": {"energy"},
    "meters/sharing.py": {"meters"},
    "meters/repetition.py": {"energy", "meters"},
    "meters/amounts.py": {"energy", "meters"},
    "meters/sampler.py": {"meters"},
    "meters/exclusive.py": set(),
    "meters/choice.py": {"energy", "records", "errors", "meters"},
    "meters/windows.py": {"energy", "records", "meters", "providers"},
    "meters/counted.py": {"energy", "records", "errors", "meters"},
    "meters/metered.py": {"energy", "records", "meters", "providers"},
    **{
        f"meters/{name}.py": {"energy", "records", "errors", "meters", "pluggy"}
        for name in ("cpu_time", "declared", "nvml", "prometheus", "rapl", "served_model")
    },
}
# The plugin and the commands join what the others do; the commands start from a results file or a ladder.
MAY_IMPORT_ALL = {"plugin.py", "session.py", "cli.py", *(file for file in FILES if file.startswith("commands/"))}
PURE = [
    "energy.py",
    "records.py",
    "errors.py",
    *(file for file in FILES if file.startswith("statistics/")),
    "meters/timeline.py",
    "meters/idling.py",
    "meters/phases.py",
    "meters/processes.py",
    "meters/sharing.py",
    "meters/repetition.py",
    "meters/amounts.py",
    "verdict.py",
    "spending.py",
    "conclusions.py",
    "schedule.py",
    "comparison.py",
    "differences.py",
    "economy.py",
    "savings.py",
    "matchers.py",
    "places.py",
    "grading.py",
    "redaction.py",
    "results_lines.py",
    "flight.py",
    "providers/completions.py",
]
HEAVY = {
    "aiohttp",
    "llama_cpp",
    "scipy",
    "pynvml",
    "jinja2",
    "markupsafe",
    "huggingface_hub",
    "jsonschema",
    "rapidfuzz",
    "yaml",
}
IMPURE = {"os", "time", "datetime", "random", "socket", "subprocess", "pathlib", "tempfile", "urllib", "io", "secrets"}


def _imports(tree: ast.AST) -> Iterator[str]:
    """Our own modules by their first name below the package, others by their top name, without the standard library."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "pytest_rightsize" else [module]
        for name in names:
            top, _, rest = name.partition(".")
            if top == "pytest_rightsize":
                yield rest.partition(".")[0]
            elif top not in sys.stdlib_module_names:
                yield top


def _tree(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES)
def test_a_file_imports_only_what_stands_on_its_left(file: str) -> None:
    if file not in MAY_IMPORT_ALL:
        assert set(_imports(_tree(file))) <= MAY_IMPORT[file], f"see the rooms in CONTRIBUTING.md for {file}"


@pytest.mark.parametrize("file", FILES)
def test_heavy_libraries_are_imported_where_they_are_needed(file: str) -> None:
    at_import = ast.Module([node for node in _tree(file).body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    assert not set(_imports(at_import)) & HEAVY


@pytest.mark.parametrize("file", PURE)
def test_a_pure_file_sees_no_clock_disk_or_network(file: str) -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }
    assert not imported & IMPURE


@pytest.mark.parametrize("file", FILES)
def test_every_file_says_what_it_is_and_what_it_exports(file: str) -> None:
    tree = _tree(file)
    assert ast.get_docstring(tree)
    if file != "commands/__init__.py":
        assert "__all__" in (PACKAGE / file).read_text(encoding="utf-8")
    assert not re.search(r"(utils|helpers|common|misc)\.py$", file)


def test_exports_are_sorted_and_there() -> None:
    assert sorted(pytest_rightsize.__all__) == pytest_rightsize.__all__
    assert all(hasattr(pytest_rightsize, name) for name in pytest_rightsize.__all__)


def test_every_error_is_in_the_tree_of_its_docstring() -> None:
    assert errors.__doc__
    for name in sorted(set(errors.__all__) - {"unknown_name"}):
        assert name in errors.__doc__
        assert issubclass(getattr(errors, name), errors.RightsizeError)


def test_contributing_names_every_file() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for file in FILES:
        name = file if not file.endswith("/__init__.py") else file.removesuffix("__init__.py")
        assert f"`{name}`" in text, file


def test_the_readme_lists_every_option() -> None:
    from pytest_rightsize.config import options

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"`--rightsize-{name}" in readme for name in [*options.OPTIONS, "download", "offline"])


def test_the_help_names_every_gate() -> None:
    from pytest_rightsize.config.options import OPTIONS
    from pytest_rightsize.judging.verdict import GATES

    assert f"some of {','.join(GATES)}," in OPTIONS["gate"][1]


def test_each_dependency_says_why_it_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for requirement in tomllib.loads(text)["project"]["dependencies"]:
        assert re.search(rf'"{re.escape(requirement)}",\s+# \w', text), requirement


def test_a_bar_without_confidence_loads_no_scipy() -> None:
    program = (
        "import sys; from pytest_rightsize.statistics import settled, stand; "
        "stand({'a': [True]}, pass_rate=0.9, planned=1); settled({'a': [True]}, {'b': 1}, pass_rate=0.9); "
        "assert 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
