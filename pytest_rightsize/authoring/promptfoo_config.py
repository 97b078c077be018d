"""Reads a promptfoo configuration: a task for each prompt, and a case of it for each test.

Prompts are filled in here, in the way of Nunjucks as far as Jinja agrees with it; what promptfoo would run as code is
refused or kept by name.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from pytest_rightsize.authoring.exchanges import Case, Task
from pytest_rightsize.authoring.grouping import slug
from pytest_rightsize.authoring.promptfoo_checks import checks_of
from pytest_rightsize.authoring.promptfoo_files import FILE, Template, prompts_in, referred, tests_in
from pytest_rightsize.authoring.yaml_files import line_of, read_yaml
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers.template_rendering import TemplateRefusalError, rendered
from pytest_rightsize.records import Json
from pytest_rightsize.strict_json import loads

__all__ = ["Imported", "read_promptfoo"]

_TEMPLATES = "#/assertionTemplates/"
# Settings by which a test may pass though one of its assertions fails.
_SCORING = ("threshold", "assertScoringFunction")
_KEYS_OF_A_TEST = ("vars", "assert", "options", "description", "metadata", *_SCORING)
# Settings by which assertions look at another text, or at the answer to another prompt.
_CHANGING = ("transform", "postprocess", "transformVars", "prefix", "suffix")


@dataclass(kw_only=True)
class Imported:
    """Tasks of a configuration, and how often each kind of assertion or setting had no counterpart."""

    tasks: list[Task] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class _Test:
    """One test with one value for each variable; `where` is its file and line."""

    variables: Mapping[str, Json]
    assertions: Sequence[Mapping[str, Json]]
    where: str
    description: str | None = None
    transformed: bool = False
    open_checks: Sequence[str] = ()


def read_promptfoo(path: Path) -> Imported:
    """The tasks of the configuration at `path`; raises ConfigError for one that cannot be read."""
    config = read_yaml(path)
    if not isinstance(config, Mapping) or not {"prompts", "tests", "scenarios"} & set(config):
        raise ConfigError(f"{path} has neither prompts nor tests, and so is no promptfoo configuration")
    imported = Imported()
    tests = list(_all_tests(path, config, imported))
    if not tests:
        raise ConfigError(f"{path} has no tests")
    templates = prompts_in(path, config.get("prompts"))
    if not templates:
        raise ConfigError(f"{path} has no prompts")
    names: set[str] = set()
    for template in templates:
        cases = tuple(_case(template, test, imported) for test in tests)
        imported.tasks.append(Task(name=_name(template, path, names), cases=cases))
    return imported


# --- tests ------------------------------------------------------------------------------------------------------------


def _all_tests(path: Path, config: Mapping[str, Json], imported: Imported) -> Iterator[_Test]:
    """Every test, with what `defaultTest` gives to all, and those of each scenario."""
    default = _mapping(path, referred(path, config.get("defaultTest")), "defaultTest")
    of_all = ({"options": {"transform": _are_transformed(config)}}, default)
    templates = _mapping(path, config.get("assertionTemplates"), "assertionTemplates")
    for test in tests_in(path, config.get("tests")):
        yield from _expanded(path, (*of_all, test), templates, imported)
    for scenario in tests_in(path, config.get("scenarios")):
        for given in tests_in(path, scenario.get("config")):
            for test in tests_in(path, scenario.get("tests")) or [{}]:
                yield from _expanded(path, (*of_all, given, test), templates, imported)


def _are_transformed(config: Mapping[str, Json]) -> bool:
    """Whether a provider of the configuration changes answers before they are checked."""
    providers = config.get("providers") or config.get("targets")
    entries = providers if isinstance(providers, list) else [providers]
    settings = [entry for entry in entries if isinstance(entry, Mapping)]
    settings += [value for entry in settings for value in entry.values() if isinstance(value, Mapping)]  # by its name
    return any(each.get("transform") for each in settings)


def _expanded(
    path: Path, layers: Sequence[Mapping[str, Json]], templates: Mapping[str, Json], imported: Imported
) -> Iterator[_Test]:
    """The test that the layers make together: one for each combination of variables that are lists."""
    line = next((line_of(layer) for layer in reversed(layers) if line_of(layer)), None)
    where = f"{path}:{line}" if line else str(path)
    variables: dict[str, Json] = {}
    assertions: list[Mapping[str, Json]] = []
    options: dict[str, Json] = {}
    for layer in layers:
        given = layer.get("vars")
        variables |= _mapping(path, referred(path, given), "vars", where)
        options |= _mapping(path, layer.get("options"), "options", where)
        assertions += _assertions(layer.get("assert"), templates, where)
        imported.left_out.update(f"{name} of a test" for name in layer if name not in _KEYS_OF_A_TEST)
    scoring = {name: layer[name] for layer in layers for name in _SCORING if layer.get(name) is not None}
    values = {name: referred(path, value, is_variable=True) for name, value in variables.items()}
    expands = {name: value for name, value in values.items() if isinstance(value, list)}
    if options.get("disableVarExpansion"):
        expands = {}
    description = layers[-1].get("description")
    for combination in product(*expands.values()):
        yield _Test(
            variables=values | dict(zip(expands, combination, strict=True)),
            assertions=assertions,
            where=where,
            description=description if isinstance(description, str) else None,
            transformed=any(options.get(name) for name in _CHANGING),
            # with a threshold of 1 all assertions must hold, as they must here
            open_checks=[name for name, value in scoring.items() if (name, value) != ("threshold", 1)],
        )


def _assertions(assertions: Json, templates: Mapping[str, Json], where: str) -> Iterator[Mapping[str, Json]]:
    if assertions is None:
        return
    if not isinstance(assertions, list) or not all(isinstance(each, Mapping) for each in assertions):
        raise ConfigError(f"{where}: assert must be a list of mappings with a type")
    for assertion in assertions:
        reference = assertion.get("$ref")
        if isinstance(reference, str):
            name = reference.removeprefix(_TEMPLATES)
            if name not in templates:
                raise ConfigError(f"{where}: assertionTemplates has no {name!r}")
            assertion = templates[name]
            if not isinstance(assertion, Mapping):
                raise ConfigError(f"{where}: {name!r} in assertionTemplates must be a mapping with a type")
        yield assertion


def _mapping(path: Path, value: Json, name: str, where: str | None = None) -> Mapping[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where or path}: {name} must be a mapping, and not {value!r}")
    return value


# --- cases ------------------------------------------------------------------------------------------------------------


def _case(template: Template, test: _Test, imported: Imported) -> Case:
    """The prompt filled in, and the checks of the test."""
    ask = _question(template, test)
    try:
        found = checks_of(_filled(assertion, test) for assertion in test.assertions)
    except ValueError as error:
        raise ConfigError(f"{test.where}: this test {error}") from None
    if test.transformed:
        found.open_checks = [*(f"{name} after a transform" for name in found.checks), *found.open_checks]
        found.checks = {}
    found.open_checks += test.open_checks
    imported.left_out.update(found.open_checks)
    about = {"description": test.description} if test.description else {}
    return Case(ask=ask, checks=found.checks, open_checks=tuple(dict.fromkeys(found.open_checks)), about=about)


def _question(template: Template, test: _Test) -> Mapping[str, Json]:
    """The messages of a prompt that is a list of them, as JSON or YAML; any other prompt is the user's text."""
    messages = _messages(template)
    if messages is None:
        return {"prompt": _fill(template, test.variables, template.where)}
    filled = [
        {**message, "content": _fill(message["content"], test.variables, template.where)}
        if isinstance(message.get("content"), str)
        else message
        for message in messages
    ]
    return {"messages": filled}


def _messages(template: str) -> list[Mapping[str, Json]] | None:
    try:
        value = loads(template)
    except ValueError:
        return None
    is_chat = isinstance(value, list) and value and all(isinstance(each, dict) and "role" in each for each in value)
    return value if is_chat else None


def _filled(assertion: Mapping[str, Json], test: _Test) -> Mapping[str, Json]:
    """The assertion with its value filled in, and the content of its file in place of the file."""
    value = assertion.get("value")
    if isinstance(value, str) and value.startswith(FILE):
        try:
            value = referred(Path(test.where.partition(":")[0]), value)
        except ConfigError as error:
            if "is code" not in str(error):
                raise
            return {"type": f"{assertion.get('type')} by code"}
    return {**assertion, "value": _fill_all(value, test)}


def _fill_all(value: Json, test: _Test) -> Json:
    if isinstance(value, str):
        return _fill(value, test.variables, test.where)
    if isinstance(value, list):
        return [_fill_all(each, test) for each in value]
    return {name: _fill_all(each, test) for name, each in value.items()} if isinstance(value, Mapping) else value


def _fill(text: str, variables: Mapping[str, Json], where: str) -> str:
    """The text with its variables filled in; one that is missing is empty, as in promptfoo."""
    from jinja2 import TemplateError

    if "{" not in text:
        return text
    try:
        return rendered(_environment().from_string(text), variables)
    except (TemplateError, TemplateRefusalError, TypeError, ValueError) as error:
        raise ConfigError(f"{where}: this template cannot be filled in ({error}): {text[:100]!r}") from None


@cache
def _environment() -> Any:
    from pytest_rightsize.providers.template_sandbox import Sandbox

    def plain(value: Any) -> Any:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value

    environment = Sandbox(finalize=plain, keep_trailing_newline=True, trim_blocks=False, lstrip_blocks=False)
    environment.filters["dump"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment


def _name(template: Template, path: Path, taken: set[str]) -> str:
    """The label of the prompt, else its first words, else the name of the file; never one that is taken."""
    messages = _messages(template)
    text = str(messages[0].get("content")) if messages else template
    words = " ".join(part.partition("}}")[2] for part in f"}}}}{text}".split("{{"))
    name = next(filter(None, map(slug, (template.label, words, path.stem))), "task")
    free, number = name, 2
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    taken.add(free)
    return free
