"""One table of what plugins contribute: nothing is imported before it is asked for, and names clash by class."""

import subprocess
import sys
from collections.abc import Mapping

import pytest

from pytest_rightsize.contributions import Contributions, ModuleClasses
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.session.builtin import BuiltIn


class _Sealed(Mapping[str, type]):
    """Names that may be listed; to ask for a class is a mistake."""

    def __getitem__(self, name: str) -> type:
        raise AssertionError(f"{name} was loaded")

    def __iter__(self):  # type: ignore[no-untyped-def]  # as Mapping says
        return iter(("a", "b"))

    def __len__(self) -> int:
        return 2


def _clash(name: str, first: type, second: type) -> str:
    return f"{name}: {first.__name__} and {second.__name__}"


def test_names_are_known_before_classes_are_loaded() -> None:
    table = Contributions([_Sealed(), {"c": int}], _clash)
    assert (list(table), len(table), "a" in table, "d" in table) == (["a", "b", "c"], 3, True, False)
    assert table["c"] is int
    with pytest.raises(KeyError):
        table["d"]


def test_a_name_for_two_classes_is_refused_and_the_same_class_twice_is_not() -> None:
    assert dict(Contributions([{"a": int}, {"a": int}], _clash)) == {"a": int}
    with pytest.raises(ConfigError, match="a: int and str"):
        Contributions([{"a": int}, {"b": int}, {"a": str}], _clash)


@pytest.mark.parametrize("hook", [name for name in vars(BuiltIn) if name.startswith("pytest_rightsize_")])
def test_each_module_gives_the_names_it_is_listed_under(hook: str) -> None:
    classes = getattr(BuiltIn(), hook)()
    assert isinstance(classes, ModuleClasses)
    given: dict[str, type] = {}
    for kind in classes.values():
        given |= getattr(sys.modules[kind.__module__], hook)()
    assert given == dict(classes)
    assert len(given) >= 3


def test_the_names_of_this_package_load_no_module_of_theirs() -> None:
    code = (
        "import sys; from pytest_rightsize.session.builtin import BuiltIn; it = BuiltIn();"
        "names = [*it.pytest_rightsize_providers(), *it.pytest_rightsize_meters(), *it.pytest_rightsize_reports()];"
        "print(len(names), [n for n in sys.modules if n.startswith(('pytest_rightsize.pro', 'pytest_rightsize.met'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "21 []\n"
