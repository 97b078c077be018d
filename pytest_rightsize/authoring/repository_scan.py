"""The model calls of a whole repository: where they are, which tests reach them, and where the model's name is written.

A folder comes in; out go the calls of its Python files, each with the tests that import its file, directly or through
other files, and a proposal for `chosen`. Files are read, and none is imported or run.
"""

import json
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_rightsize.authoring.model_calls import ModelCall, imports_of, model_calls
from pytest_rightsize.records import Json

__all__ = ["FoundCall", "Scan", "project_files", "scan", "touched_tests"]

_SKIPPED = ("node_modules", "site-packages", "__pycache__", "build", "dist")
_LARGEST_SETTINGS_BYTES = 200_000
_TEST_FILE = re.compile(r"test_.*\.py|.*_test\.py|conftest\.py")
# A test that asks a rung: it takes the fixture, or has the marker.
_ASKS = re.compile(r"mark\.rightsize|def test\w*\([^)]*\b(rightsize_)?model\b", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class FoundCall:
    """A call, its file from the root, the tests with a model that import that file, and what to write for `chosen`."""

    file: str
    call: ModelCall
    tests: tuple[str, ...] = ()
    chosen: str | None = None


@dataclass(frozen=True, kw_only=True)
class Scan:
    """The calls of a repository, the number of Python files read, and those that could not be."""

    calls: Sequence[FoundCall]
    files: int
    unread: Sequence[str] = ()


def scan(root: Path) -> Scan:
    """Read the Python files below `root`; test files count as tests, and their own calls are left out."""
    sources, unread = _sources(root)
    imports = _imports(sources, unread)
    calls: dict[str, list[ModelCall]] = {}
    for name in imports:
        try:
            calls[name] = [] if _TEST_FILE.fullmatch(Path(name).name) else model_calls(sources[name])
        except RecursionError:
            unread.append(name)
    settings = [*_model_settings(root)] if any(calls.values()) else []
    reached = _reached_by(sources, imports)
    return Scan(
        calls=[
            FoundCall(file=name, call=call, tests=tuple(reached.get(name, ())), chosen=_chosen(call, settings))
            for name, of_file in sorted(calls.items())
            for call in of_file
        ],
        files=len(sources),
        unread=sorted(unread),
    )


def touched_tests(root: Path, changed: Collection[str]) -> list[str] | None:
    """The test files with a model that a change touches; None where it may touch all of them.

    Of a Python file these are the ones that import it, directly or through others, of a conftest.py those below its
    folder, and of any other file those that have its name in their text.
    """
    sources, unread = _sources(root)
    imports = _imports(sources, unread)
    reached = _reached_by(sources, imports)
    asking = [name for name in imports if _is_asking(name, sources[name])]
    touched: set[str] = set()
    for name in changed:
        base, folder = Path(name).name, Path(name).parent.as_posix()
        if base == "conftest.py":
            touched |= {test for test in asking if folder == "." or test.startswith(f"{folder}/")}
        elif name.endswith(".py"):
            touched |= {test for test in asking if test == name} | set(reached.get(name, ()))
        else:
            naming = {test for test in asking if base in sources[test]}
            if not naming:
                return None
            touched |= naming
    return sorted(touched)


def _sources(root: Path) -> tuple[dict[str, str], list[str]]:
    """The texts of the Python files, and the names of those that cannot be read."""
    sources: dict[str, str] = {}
    unread: list[str] = []
    for path in project_files(root, (".py",)):
        name = path.relative_to(root).as_posix()
        try:
            sources[name] = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            unread.append(name)
    return sources, unread


def _imports(sources: Mapping[str, str], unread: list[str]) -> dict[str, set[str]]:
    """The modules that each file imports; what is no Python is added to `unread`."""
    imports: dict[str, set[str]] = {}
    for name, source in sources.items():
        try:
            imports[name] = imports_of(source, _package(name))
        except (SyntaxError, ValueError, RecursionError):
            unread.append(name)
    return imports


def _is_asking(name: str, source: str) -> bool:
    return _TEST_FILE.fullmatch(Path(name).name) is not None and _ASKS.search(source) is not None


def project_files(root: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """The files of a project, without hidden folders, environments and what was built."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in _SKIPPED and not (Path(folder) / name / "pyvenv.cfg").exists()
        )
        yield from (Path(folder) / name for name in sorted(files) if name.endswith(tuple(suffixes)))


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _package(file: str) -> str:
    """The package that a file's relative imports start from."""
    module = _module(file)
    return module if file.endswith("/__init__.py") else module.rpartition(".")[0]


def _reached_by(sources: Mapping[str, str], imports: Mapping[str, set[str]]) -> Mapping[str, list[str]]:
    """The tests that ask a model, by each file that they import, directly or through others."""
    by_module: dict[str, str] = {}
    for name in imports:
        module = _module(name)
        by_module.setdefault(module, name)
        # A project may keep its packages in src/, or start its tests within a folder.
        while "." in module:
            module = module.partition(".")[2]
            by_module.setdefault(module, name)
    reached: dict[str, list[str]] = {}
    for test, source in sources.items():
        if test not in imports or not _is_asking(test, source):
            continue
        seen, waiting = {test}, [test]
        while waiting:
            for module in imports[waiting.pop()]:
                file = by_module.get(module)
                if file is not None and file not in seen:
                    seen.add(file)
                    waiting.append(file)
        for file in seen - {test}:
            reached.setdefault(file, []).append(test)
    return reached


def _chosen(call: ModelCall, settings: Sequence[tuple[str, str, str]]) -> str | None:
    """What to write for `chosen`: the variable, the settings file's key, or the model's name."""
    if call.variable is not None:
        return f'{{ env = "{call.variable}" }}'
    if call.model is not None:
        return json.dumps(call.model, ensure_ascii=False)
    words = set(_words(call.expression or ""))
    fitting = [(file, key) for file, key, _ in settings if set(_words(key)[-2:]) <= words]
    if len(fitting) != 1:
        return None
    file, key = fitting[0]
    return f'{{ file = "{file}", key = "{key}" }}'


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", text).lower())


def _model_settings(root: Path) -> Iterator[tuple[str, str, str]]:
    """File, key and value of each text in a settings file whose key speaks of a model."""
    for path in project_files(root, (".toml", ".json", ".yaml", ".yml")):
        name = path.relative_to(root).as_posix()
        if path.name in ("rightsize.toml", "rightsize.schema.json", "package-lock.json"):
            continue
        with suppress(OSError, ValueError, RecursionError, ImportError):
            if path.stat().st_size <= _LARGEST_SETTINGS_BYTES:
                yield from ((name, key, value) for key, value in _texts(_parsed(path), ()) if "model" in key.lower())


def _parsed(path: Path) -> Json:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        return tomllib.loads(text)
    if path.suffix == ".json":
        return json.loads(text)
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _texts(value: Json, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*above, str(key)))
    elif isinstance(value, str) and above:
        yield ".".join(above), value
