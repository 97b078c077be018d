"""A chat template of a GGUF file reaches nothing of Python, changes nothing, and builds nothing without end."""

import json
import resource
import sys
from pathlib import Path

import pytest

from pytest_rightsize.authoring.promptfoo_config import read_promptfoo
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers import template_bounds, template_rendering
from pytest_rightsize.providers.llama_cpp.chat_template import ChatTemplate, TemplateRefusalError
from pytest_rightsize.providers.template_bounds import EndlessTemplateError, bounded_value

USER = [{"role": "user", "content": "x"}]
DOUBLED = "{% set ns = namespace(x=['a']) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"


def outcome(template: str) -> str:
    try:
        return ChatTemplate({"default": template}).render(USER)
    except TemplateRefusalError as error:
        return f"refused: {error}"


REACHING = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.system('touch PWNED') }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ lipsum.__globals__ }}",
    "{{ strftime_now.__globals__ }}",
    "{{ raise_exception.__code__ }}",
    "{{ dict.__class__ }}",
    "{{ dict.fromkeys.__func__ }}",
    "{{ range.__class__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ self.__init__.__globals__ }}",
    "{% for m in messages %}{{ loop.__class__ }}{{ loop._iterator }}{% endfor %}",
    "{{ ''|attr('__class__') }}",
    "{{ ''['__class__'] }}",
    "{{ messages|map(attribute='__class__')|list }}",
    "{{ messages|map('attr', '__class__')|list }}",
    "{{ '{0.__class__.__mro__}'.format('') }}",
    "{{ ('{0.__cl' + 'ass__}').format_map({'0': ''}) }}",
    "{% set f = '{0.__class__}'.format %}{{ f('') }}",
    "{{ ['{0.__class__}']|map('format', '')|list }}",
    "{{ (messages|tojson).__class__ }}",
    "{{ namespace(a=1)._Namespace__attrs }}",
    "{% set ns = namespace(__class__=1) %}",
    "{% set ns = namespace() %}{% set ns._x = 1 %}",
    "{% macro f() %}{{ caller.__class__ }}{{ f._func }}{% endmacro %}{% call f() %}{% endcall %}",
    "{{ nothing.__class__ }}{{ nothing._undefined_exception }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.system('touch PWNED') }}",
    "{% extends '/etc/passwd' %}",
]


@pytest.mark.parametrize("template", REACHING)
def test_nothing_of_python_is_reached(template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    text = outcome(template)

    assert text.startswith("refused: ") or not any(word in text for word in ("<class", "<module", "<function", "root:"))
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("change", ["append(1)", "clear()", "pop()", "extend([1])", "insert(0, 1)"])
def test_nothing_that_it_is_given_is_changed(change: str) -> None:
    assert "SecurityError" in outcome(f"{{{{ messages.{change} }}}}")
    assert "SecurityError" in outcome("{{ messages[0].update({'content': 'y'}) }}")
    assert USER == [{"role": "user", "content": "x"}]


ENDLESS = [
    "{{ 'a' * 3000000000 }}",
    "{{ [0] * 3000000000 }}",
    "{{ 2 ** 100000000 }}",
    "{{ (2 ** 5000) * (2 ** 9000) }}",
    "{{ 'a'|center(3000000000) }}",
    "{{ 'a'.zfill(3000000000) }}",
    "{{ '\t'.expandtabs(3000000000) }}",
    "{{ 'a'|indent(3000000000, first=true) }}",
    "{{ ('a\n' * 1000)|indent('x' * 100000) }}",
    "{{ ('a ' * 1000000)|wordwrap(1, wrapstring='x' * 9000000) }}",
    "{{ [1]|batch(99999999, 'x')|list|length }}",
    "{{ [1]|slice(99999999)|list|length }}",
    "{{ '{:999999999}'.format(1) }}",
    "{{ '{:{}}'.format(1, 999999999) }}",
    "{{ '{0:{1}}'.format_map({'0': 1, '1': 999999999}) }}",
    "{{ ('{0}' * 10000).format('a' * 1000000)|length }}",
    "{{ '%999999999d'|format(1) }}",
    "{{ '%*d' % (999999999, 1) }}",
    "{{ '%.*f' % (999999999, 1.5) }}",
    "{{ ('%(a)s' * 10000) % {'a': 'b' * 1000000} }}",
    "{{ ('a' * 9000).translate({97: 'x' * 90000})|length }}",
    "{{ ('a' * 100000).join(['b'] * 100000)|length }}",
    "{{ 'a'.join('b' * 9000000)|length }}",
    "{{ (['a' * 9000000] * 1000)|join|length }}",
    "{{ (['a' * 9000000] * 1000)|map('upper')|list|length }}",
    "{{ ('a' * 9000000).encode('utf-32') * 100 }}",
    "{{ (1).to_bytes(1000000000, 'big') }}",
    "{{ messages|tojson(indent=999999999) }}",
    "{{ ([messages] * 90000)|tojson }}",
    "{{ ('<' * 9000000)|escape }}",
    "{% set ns = namespace(x='\"') %}{% for i in range(60) %}{% set ns.x = ns.x|tojson %}{% endfor %}",
    "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}",
    "{% set x = 'a' * 9000000 %}{{ x }}{{ x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x=1) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}",
    "{% set ns = namespace(x=1) %}{% for i in range(60) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}",
    "{% set ns = namespace(x=1) %}{% for i in range(60) %}{% set ns.x = dict(a=ns.x, b=ns.x) %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(900) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1, varargs, varargs) }}{% endif %}{% endmacro %}{{ f(60, 1, 1) }}",
    *(
        DOUBLED + end
        for end in ("{{ ns.x }}", "{{ ns.x|tojson }}", "{{ ns.x == [ns.x] }}", "{{ raise_exception(ns.x) }}")
    ),
]


@pytest.mark.parametrize("template", ENDLESS)
def test_nothing_is_built_without_end(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_rendering, "_SECONDS", 0.4)
    if "00000" not in template:  # those that grow get there step by step
        monkeypatch.setattr(template_bounds, "MOST_CHARACTERS", 200_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    text = outcome(template)

    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert text.startswith(("refused: it writes more than", "refused: it was stopped", "refused: it nests lists"))
    assert grown_kb < 250_000 or sys.platform == "darwin"  # where these are bytes


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ 'In the year %d: %s' % (20260101, 'x') }}", "In the year 20260101: x"),
        ("{{ '** {} **'.format(1700000000) }}", "** 1700000000 **"),
        ("{{ '12345678901234567890 %s'|format('x') }}", "12345678901234567890 x"),
        ("{{ '{:>5}|{:<{w}}|'.format('a', 'b', w=3) }}", "    a|b  |"),
        ("{{ '%-5s|%5.1f|%%' % ('a', 1.25) }}", "a    |  1.2|%"),
        ("{{ ['a', 'b']|join('-') }}{{ messages|map(attribute='role')|list }}", "a-b['user']"),
        ("{% set a, b = 'xy', {'k': [1, (2, 3)]} %}{{ a }}{{ b }}", "xy{'k': [1, (2, 3)]}"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "a1"),
        ("{{ [1, 2, 3]|batch(2)|map('list')|list }}{{ [3, 1]|sort }}", "[[1, 2], [3]][1, 3]"),
        ("{{ 'a b'|wordwrap(1) }}{{ 'x\ny'|indent(2) }}", "a\nbx\n  y"),
        ("{{ messages|tojson(indent=1) }}", '[\n {\n  "role": "user",\n  "content": "x"\n }\n]'),
        ("{% macro f(x, y=2) %}{{ x }}{{ y }}{{ varargs }}{% endmacro %}{{ f(1, 3, 4) }}", "13(4,)"),
    ],
)
def test_what_templates_do_is_left_as_it_is(template: str, text: str) -> None:
    assert outcome(template) == text


def test_all_that_is_reachable_counts_each_time() -> None:
    shared = ["x" * 1_000_000]
    assert bounded_value([shared] * 9) == [shared] * 9

    with pytest.raises(EndlessTemplateError, match="more than 10,000,000 characters"):
        bounded_value([shared] * 10)
    with pytest.raises(EndlessTemplateError):
        bounded_value({"a": {"b": [shared] * 10}})


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ 'a' * 3000000000 }}", "writes more than 10,000,000 characters"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "was stopped after 0.1 s"),
        ("{{ word.__class__.__mro__ }}", "SecurityError"),
    ],
)
def test_a_template_in_another_tools_file_is_bounded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str, words: str
) -> None:
    monkeypatch.setattr(template_rendering, "_SECONDS", 0.1)
    path = tmp_path / "promptfooconfig.json"
    path.write_text(json.dumps({"prompts": [template], "tests": [{"vars": {"word": "x"}}]}))

    with pytest.raises(ConfigError, match=words):
        read_promptfoo(path)
