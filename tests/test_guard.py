"""The tree is what CONTRIBUTING.md says it is: who imports whom, what is exported, which words go with which."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pytest_rightsize
from pytest_rightsize import errors

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_rightsize"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

# The line: what each room may import of ours. As guests, `providers` and `meters` stand for their Protocol, which is
# the folder's `__init__.py`, and for what stands beside it and is no provider or meter.
NOUNS = {
    *("portable", "plain_data", "contributions", "escaping", "strict_json", "errors", "energy", "meter_records"),
    *("strength_records", "policy_records", "records", "schemas", "verdict_records", "locations", "output_paths"),
    *(
        "content_parts",
        "part_data",
        "images",
        "bounded_files",
        "calibration_records",
        "judgement_records",
        "judges",
        "matchers",
        "answers",
        "model",
        "shards",
        "token_records",
        "versions",
    ),
}
ROOMS: dict[str, set[str]] = {
    "nouns": set(),
    "clocks": set(),
    "statistics": {"nouns"},
    "providers": {"nouns", "clocks"},
    "meters": {"nouns", "clocks", "providers"},
    "recorded": {"nouns", "clocks", "providers"},
    "results": {"nouns", "clocks"},
    "judging": {"nouns", "statistics", "results"},
    "config": {"nouns", "clocks", "providers", "meters", "judging"},
    "running": {"nouns", "clocks", "recorded", "providers", "statistics"},
    "served": {"nouns", "clocks", "running", "providers"},
    "authoring": {"nouns", "providers", "results", "served"},
    "reports": {"nouns", "judging", "statistics"},
    "hookspecs": {"providers", "meters", "reports"},
    "hosting": {"nouns", "clocks", "providers", "meters", "served"},
    "session": {
        *("nouns", "clocks", "statistics", "providers", "meters", "recorded", "results"),
        *("judging", "config", "running", "served", "hosting", "reports"),
    },
    "commands": {
        *("nouns", "clocks", "statistics", "providers", "meters", "recorded", "results"),
        *("judging", "config", "running", "served", "authoring", "reports", "session", "hookspecs"),
    },
    "plugin": {"nouns", "clocks", "config", "running", "served", "session", "hookspecs"},
}
# What a room may have of others, beyond the standard library.
LIBRARIES: dict[str, set[str]] = {
    "nouns": {"rapidfuzz", "jsonschema", "openai", "referencing"},
    "statistics": {"numpy", "scipy"},
    "providers": {
        "pluggy",
        "aiohttp",
        "numpy",
        "llama_cpp",
        "huggingface_hub",
        "filelock",
        "rapidfuzz",
        "jinja2",
        "jsonschema",
        "llguidance",
        "chess",
        "onnxruntime",
        "tokenizers",
    },
    "meters": {"pluggy", "numpy", "scipy", "pynvml"},
    "recorded": {"rapidfuzz"},
    "config": {"pytest", "yaml", "genai_prices"},
    "running": {"pytest", "_pytest", "pluggy"},
    # multidict and yarl are aiohttp's own words for headers and URLs
    "served": {"pytest", "aiohttp", "multidict", "openai", "yarl"},
    "authoring": {"jinja2", "jsonschema", "rapidfuzz", "yaml"},
    "reports": {"jinja2", "markupsafe", "tabulate"},
    "hookspecs": {"pluggy"},
    "session": {"pytest", "pluggy", "xdist"},
    "hosting": {"pluggy", "ray"},
    "commands": {"pluggy", "rapidfuzz", "shtab", "tabulate"},
    "plugin": {"pytest"},
}
# Folders within a room, and the one file of each that files outside the folder may import.
FACES = {
    "providers/llama_cpp": "provider",
    "providers/openai": "provider",
    "hosting/ray": "provider",
    "meters/attribution": "metered",
    "reports/html": "report",
}
# Of a room that lends only its Protocol and its vocabulary: the modules that others may import.
LENT = {
    "providers": {
        *("providers", "providers.bounded_bodies", "providers.environment", "providers.locality"),
        *(
            "providers.broken_providers",
            "providers.futures",
            "providers.kept_program",
            "providers.late_certificates",
            "providers.own_threads",
            "providers.placement",
            "providers.plain_http",
            "providers.proxies",
            "providers.secret_texts",
        ),
        *("providers.reasoning", "providers.template_rendering", "providers.template_sandbox"),
    },
    "meters": {"meters"},
}
JOINS_ALL = ("hosting", "session", "commands")
MOST_LINES = 400
PURE = [
    *(f"{name}.py" for name in sorted(NOUNS - {"bounded_files", "content_parts", "model", "output_paths", "versions"})),
    *(file for file in FILES if file.startswith("statistics/")),
    *(file for file in FILES if file.startswith("judging/") and file != "judging/baseline.py"),
    *(
        f"meters/attribution/{name}.py"
        for name in (
            *("accounts", "amounts", "bounds", "flight", "idling", "phases", "pieces", "processes"),
            *("repetition", "rung_totals", "shares", "sharing", "splitting", "stretches", "timeline"),
        )
    ),
    "meters/served_formula.py",
    "running/schedule.py",
    "running/grading.py",
    "results/redaction.py",
    "results/line_formats.py",
    *(file for file in FILES if file.startswith(("served/wires/", "served/answers/"))),
    *(
        f"authoring/{name}.py"
        for name in ("checks", "exchanges", "grouping", "heard_calls", "personal_data", "proposals", "rendering")
    ),
    "providers/reasoning.py",
    "providers/template_kwargs.py",
    "providers/vllm_options.py",
    "providers/vllm_parts.py",
    "providers/llama_cpp/request_checks.py",
    "providers/llama_cpp/tool_calls.py",
    "providers/llama_cpp/likely_tokens.py",
    "providers/llama_cpp/tool_call_values.py",
    "providers/llama_cpp/tool_formats.py",
    "providers/llama_cpp/tool_formats_by_argument.py",
    *(
        f"providers/openai/{name}.py"
        for name in (
            *("adaptive_limit", "contents", "counts", "error_bodies", "fault_words", "faults", "outcomes", "replies"),
            "request_forms",
        )
    ),
    "providers/llama_cpp/completions.py",
    *(
        f"hosting/ray/{name}.py"
        for name in (
            "accounts_of_replicas",
            "calls",
            "engines",
            "greetings",
            "replica_faults",
            "replica_notes",
            "replicas",
            "running_totals",
            "terms",
        )
    ),
]
HEAVY = {
    "aiohttp",
    "ray",
    "genai_prices",
    "llama_cpp",
    "scipy",
    "pynvml",
    "referencing",
    "shtab",
    "jinja2",
    "markupsafe",
    "huggingface_hub",
    "jsonschema",
    "llguidance",
    "openai",
    "rapidfuzz",
    "yaml",
}
# Files whose classes derive from a heavy library's, and which are imported where they are needed themselves.
IMPORTED_LATE = {"providers/template_sandbox.py"}
IMPURE = {"os", "time", "datetime", "random", "socket", "subprocess", "pathlib", "tempfile", "urllib", "io", "secrets"}


MODULES = {file.removesuffix(".py").removesuffix("/__init__").replace("/", "."): file for file in FILES}


def _room(module: str) -> str:
    """The room of one of our modules, named from below the package."""
    first = module.partition(".")[0]
    return "nouns" if first in NOUNS else first


@cache
def _ours(file: str) -> list[str]:
    """The modules of ours that a file imports, wherever in it, named from below the package."""
    ours: list[str] = []
    for node in _nodes(file):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from pytest_rightsize.commands import cache` imports a module, `... import Engine` a name of one.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            top, _, module = name.partition(".")
            if top == "pytest_rightsize":
                ours.append(module if module in MODULES else module.rpartition(".")[0])
    return ours


def _others(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The libraries that are imported, without the standard library."""
    for node in nodes:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            if top not in {"pytest_rightsize", *sys.stdlib_module_names}:
                yield top


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


@cache
def _nodes(file: str) -> list[ast.AST]:
    return [*ast.walk(_tree(file))]


def _guests(file: str) -> Iterator[tuple[str, str]]:
    """Room and module of everything that a file imports from another room."""
    mine = _room(MODULE_OF[file])
    for module in _ours(file):
        if module and _room(module) != mine:
            yield _room(module), module


MODULE_OF = {file: module for module, file in MODULES.items()}


def _wrong_imports(file: str) -> Iterator[str]:
    """What a file imports of rooms and libraries that its own room may not have."""
    room = _room(MODULE_OF[file])
    for guest, module in _guests(file):
        if guest not in ROOMS[room]:
            yield f"{file} imports {module}: see the rooms in CONTRIBUTING.md"
        if room not in JOINS_ALL and module not in LENT.get(guest, {module}):
            yield f"{file} imports {module}: only {guest}'s Protocol is lent"
    for library in sorted(set(_others(_nodes(file))) - LIBRARIES.get(room, set())):
        yield f"{file} imports {library}, which the room {room} may not"


# One test for all files, not one for each: 400 tests cost two seconds before they do anything.
def test_a_file_imports_only_rooms_on_its_left() -> None:
    assert [wrong for file in FILES if file != "__init__.py" for wrong in _wrong_imports(file)] == []


def test_a_wire_knows_nouns_and_other_wires_alone() -> None:
    wires = [file for file in FILES if file.startswith("served/wires/")]
    assert len(wires) > 5
    others = {(file, module) for file in wires for module in _ours(file) if _room(module) != "nouns"}
    assert {(file, module) for file, module in others if not module.startswith("served.wires")} == set()


def test_rooms_import_each_other_one_way() -> None:
    """Each room stands after all that it may import: the table is a line, and not a net."""
    placed: set[str] = set()
    for room, guests in ROOMS.items():
        assert guests <= placed, room
        placed.add(room)


@pytest.mark.parametrize("folder", FACES)
def test_a_folder_within_a_room_has_one_face(folder: str) -> None:
    inside = f"{folder.replace('/', '.')}."
    outside = [file for file in FILES if not file.startswith(f"{folder}/")]
    imported = {(file, module) for file in outside for module in _ours(file) if module.startswith(inside)}
    assert {(file, module) for file, module in imported if module != inside + FACES[folder]} == set()


def test_no_file_imports_itself_by_way_of_others() -> None:
    """TopologicalSorter raises CycleError, which names the circle."""
    graph = {module: set(_ours(file)) - {module, ""} for module, file in MODULES.items() if module}
    assert [*TopologicalSorter(graph).static_order()]


def test_no_file_is_long() -> None:
    lengths = {file: len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {file: length for file, length in lengths.items() if length > MOST_LINES} == {}


def test_no_two_files_have_one_name() -> None:
    """But for what Python and the house name: a folder's `provider.py`, and a command, which its user types.

    There are two tables of outcomes: how a test ended (`running/`), and what an endpoint said (`providers/openai/`).
    """
    names = Counter(
        Path(file).name
        for file in FILES
        if not file.startswith("commands/") and Path(file).name not in ("__init__.py", "outcomes.py", "provider.py")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_heavy_libraries_are_imported_where_they_are_needed() -> None:
    at_import = {
        (file, library)
        for file in set(FILES) - IMPORTED_LATE
        for library in _others(node for node in _tree(file).body if isinstance(node, ast.Import | ast.ImportFrom))
    }
    assert {(file, library) for file, library in at_import if library in HEAVY} == set()


def test_a_pure_file_sees_no_clock_disk_or_network() -> None:
    imported = {
        (file, name.partition(".")[0])
        for file in PURE
        for node in _nodes(file)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }
    assert {(file, name) for file, name in imported if name in IMPURE} == set()
    assert [file for file in PURE if "clocks" in _ours(file)] == []


def test_nobody_waits_for_scipy_stats() -> None:
    """It takes a second to import, and `scipy.special` has what is needed."""
    assert [file for file in FILES for node in _nodes(file) if getattr(node, "module", None) == "scipy.stats"] == []


def _tells_the_time(node: ast.AST) -> bool:
    """Whether it asks the modules `time`, `datetime` or `asyncio`."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "time" in [alias.name for alias in node.names] + [getattr(node, "module", None)]
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    attribute = node.func.attr
    if attribute not in ("utcnow", "today", "now", "sleep", "time"):
        return False
    call = ast.unparse(node.func)
    if attribute in ("sleep", "time"):
        return call in ("asyncio.sleep", "loop.time")
    return call != f"clocks.{'today' if attribute == 'utcnow' else attribute}"


@pytest.mark.parametrize(
    ("code", "tells"),
    [
        *(
            (code, True)
            for code in ("import time", "from time import monotonic", "from x import time", "import a, time")
        ),
        *((code, True) for code in ("datetime.now()", "x.utcnow()", "date.today()", "asyncio.sleep(1)", "loop.time()")),
        *((code, False) for code in ("clocks.now()", "clocks.today()", "clocks.sleep(1)", "x.y()", "import datetime")),
    ],
)
def test_what_tells_the_time_is_seen(code: str, *, tells: bool) -> None:
    assert any(map(_tells_the_time, ast.walk(ast.parse(code)))) == tells


def test_no_file_but_one_tells_the_time() -> None:
    """What a test freezes or patches is looked up in `time`, `datetime` and `asyncio` when it is called."""
    telling = [(file, node) for file in FILES if file != "clocks.py" for node in _nodes(file) if _tells_the_time(node)]
    assert [f"{file}:{getattr(node, 'lineno', 0)}: {ast.unparse(node)}" for file, node in telling] == []


def test_every_file_says_what_it_is_and_what_it_exports() -> None:
    assert [file for file in FILES if not ast.get_docstring(_tree(file))] == []
    longer = [file for file in FILES if len(_tree(file).body) > 1]  # a room's face is its docstring alone
    assert [file for file in longer if "__all__" not in (PACKAGE / file).read_text(encoding="utf-8")] == []
    assert [file for file in FILES if re.search(r"(utils|helpers|common|misc)\.py$", file)] == []


def test_exports_are_sorted_and_there() -> None:
    assert sorted(pytest_rightsize.__all__) == pytest_rightsize.__all__
    assert all(hasattr(pytest_rightsize, name) for name in pytest_rightsize.__all__)


def test_every_error_is_in_the_tree_of_its_docstring() -> None:
    assert errors.__doc__
    for name in sorted(set(errors.__all__) - {"unknown_name"}):
        assert name in errors.__doc__
        assert issubclass(getattr(errors, name), errors.RightsizeError)


def test_contributing_has_a_row_for_each_room() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    rooms = {room for row in rows for room in re.findall(r"`(\w+)(?:/|\.py)?`", row)}
    assert rooms >= (set(ROOMS) - {"nouns"}) | NOUNS


def test_the_life_of_an_answer_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    life = text.partition("## The life of one answer")[2].partition("\n## ")[0]
    files = re.findall(r"`([\w/]+\.(?:py|js|jinja))`", life)
    assert len(files) > 15
    assert [file for file in files if not (PACKAGE / file).is_file()] == []


def test_links_of_the_readme_and_of_the_docs_lead_to_files() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    links = [
        (page.relative_to(ROOT).as_posix(), link)
        for page in pages
        if "generated" not in page.parts
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in link and "generated/" not in link
    ]
    assert len(links) > 30
    assert [(page, link) for page, link in links if not ((ROOT / page).parent / link).exists()] == []


def test_the_help_names_every_gate() -> None:
    from pytest_rightsize.config.options import OPTIONS
    from pytest_rightsize.judging.gates import GATES

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
