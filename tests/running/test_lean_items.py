"""Items that pytest keeps to the end: equal tables are shared, leftovers are gone, and everything else is as it was."""

from types import SimpleNamespace
from typing import Any

import pytest
from _pytest import skipping

from pytest_rightsize.running.lean_items import (
    ItemKeywords,
    SharedParts,
    free_leftovers,
    free_made_text,
    pack_attributes,
)

SUITE = """
    import pytest

    pytestmark = pytest.mark.filterwarnings

    @pytest.mark.parametrize("text", ["x", "z"])
    @pytest.mark.parametrize("times", [1, 2], scope="module")
    def test_upper(model, tmp_path, text, times):
        (tmp_path / "file").write_text("kept")
        assert [model.ask(text)] * times == ["y"] * times

    @pytest.mark.parametrize("text", ["x"])
    def test_plain(text):
        assert text == "x"
    """
CONFTEST = """
    import copy
    import json

    import pytest

    NOTE = pytest.StashKey()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(item):
        item.stash[NOTE] = item.name

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(session):
        reports = [
            report for kept in session.config.pluginmanager.get_plugin("terminalreporter").stats.values()
            for report in kept if getattr(report, "when", None) == "call"
        ]
        items = {item.nodeid: item for item in session.items}
        for report in reports:
            assert type(copy.deepcopy(report).keywords) is dict
            assert report.keywords == copy.deepcopy(report).keywords == dict.fromkeys(items[report.nodeid].keywords, 1)
            data = session.config.hook.pytest_report_to_serializable(config=session.config, report=report)
            assert json.loads(json.dumps(data))["keywords"] == report.keywords
        print("KEYWORDS", len(reports), sum("filterwarnings" in report.keywords for report in reports))
        trials = [item for item in session.items if item.originalname == "test_upper"]
        for item in session.items:
            _, line, name = item.reportinfo()
            assert item.location == ("test_it.py", line, name)
        print("NOTES", [item.stash[NOTE] == item.name for item in session.items])
        for item in session.items:
            assert item.nodeid == f"test_it.py::{item.name}" == str(getattr(item, "id", item.nodeid))
            assert item.name == f"{item.originalname}[{item.callspec.id}]"
            assert item.keywords[item.callspec.id] is True
            assert (item.callspec.marks, type(item.callspec.params)) == ([], dict)
            assert [mark.name for mark in item.own_markers][:1] == ["parametrize"]
            assert vars(item)["keywords"] is item.keywords
        for item in trials:
            call = item.callspec
            scopes = (f"{name}={scope.value}" for name, scope in sorted(call._arg2scope.items()))
            print("CALL", item.name, call.params["text"], call.params["times"], *sorted(call.indices), *scopes)
        print("SCOPES", len({id(item.callspec._arg2scope) for item in trials}))
        print("FOLDERS", *sorted(path.name for path in session.config.rootpath.glob("base/test_*[0-9]")))
    """


@pytest.mark.parametrize("at_once", ["1", "8"])
def test_others_see_what_they_saw(pytester: pytest.Pytester, at_once: str) -> None:
    """`tmp_path` too: with `failed` it keeps the folders of tests whose answer was wrong."""
    pytester.makefile(".toml", rightsize='[ladder.a]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    pytester.makefile(".jsonl", answers='{"prompt": "x", "text": "y"}\n{"prompt": "z", "text": "wrong"}')
    pytester.makeini("[pytest]\ntmp_path_retention_policy = failed\n")
    pytester.makepyfile(test_it=SUITE)
    pytester.makeconftest(CONFTEST)

    options = ("-s", "--basetemp=base", "--rightsize-ladder=a", "--rightsize-strategy=full", "--rightsize-gate=none")
    result = pytester.runpytest(*options, f"--rightsize-concurrency={at_once}")

    result.stdout.fnmatch_lines(["*KEYWORDS 5 5", "NOTES [[]True, True, True, True, True[]]", "SCOPES 1"])
    tables = "_rightsize_trial text times _rightsize_trial=function text=function times=module"
    assert sorted(line for line in result.outlines if line.startswith("CALL")) == [
        f"CALL test_upper[a-{times}-{text}] {text} {times} {tables}" for times in (1, 2) for text in ("x", "z")
    ]
    assert "FOLDERS test_upper_a_1_z_0 test_upper_a_2_z_0" in result.outlines


@pytest.mark.parametrize("names", [set(), {"smoke"}])
def test_names_for_k_are_kept(names: set[str]) -> None:
    item: Any = SimpleNamespace(stash=pytest.Stash(), extra_keyword_matches=names)

    free_leftovers(item)

    assert item.extra_keyword_matches == names
    assert isinstance(item.extra_keyword_matches, set) == bool(names)


def test_keywords_of_an_item_are_a_table_of_ones() -> None:
    item: Any = SimpleNamespace(keywords={"test_it[a]": 5, "slow": None})
    keywords = ItemKeywords(item)

    assert dict(keywords) == keywords == {"test_it[a]": 1, "slow": 1}
    assert len(keywords) == 2
    assert "fast" not in keywords
    assert keywords.get("fast") is None
    with pytest.raises(KeyError, match="fast"):
        keywords["fast"]
    assert repr(keywords) == "{'test_it[a]': 1, 'slow': 1}"


def made(**parts: object) -> Any:
    """An item of a test with these parameters."""
    return SimpleNamespace(callspec=SimpleNamespace(**parts), keywords={})


def test_only_equal_tables_of_one_kind_are_shared() -> None:
    ones = [made(_arg2scope={"a": 0}, indices={"a": index}) for index in (0, 1, 0)]
    without: Any = SimpleNamespace()  # an item of no parametrized test
    shared = SharedParts()
    shared.share(ones[:1])  # of one function after the other
    shared.share([*ones[1:], without, made(indices=None)])

    assert [one.callspec.indices for one in ones] == [{"a": 0}, {"a": 1}, {"a": 0}]
    assert ones[0].callspec.indices is ones[2].callspec.indices
    assert ones[0].callspec._arg2scope is ones[1].callspec._arg2scope
    assert ones[0].callspec._arg2scope is not ones[0].callspec.indices


def test_the_parameters_of_a_test_stay_its_own() -> None:
    ones = [made(params={"a": 0, "b": [number]}) for number in range(40)]
    lists = [one.callspec.params["b"] for one in ones]
    SharedParts().share(ones)

    ones[0].callspec.params["c"] = 1
    del ones[1].callspec.params["a"]

    assert [type(one.callspec.params) for one in ones] == [dict] * 40
    assert ones[0].callspec.params == {"a": 0, "b": [0], "c": 1}
    assert ones[1].callspec.params == {"b": [1]}
    assert [list(one.callspec.params.items()) for one in ones[2:]] == [
        [("a", 0), ("b", [number])] for number in range(2, 40)
    ]
    assert all(one.callspec.params["b"] is mine for one, mine in zip(ones, lists, strict=True))


def test_marks_of_parameters_stay_with_theirs() -> None:
    slow = pytest.mark.timeout(1).mark
    ones = [made(marks=marks, _idlist=[str(number)]) for number, marks in enumerate(([], [slow], []))]
    SharedParts().share(ones)

    assert [one.callspec.marks for one in ones] == [[], [slow], []]
    assert ones[0].callspec.marks is ones[2].callspec.marks
    assert [one.callspec._idlist for one in ones] == [("0",), ("1",), ("2",)]


def test_parts_of_equal_ids_are_shared() -> None:
    """As pytest 9.2 has them; the parameters are one text with the keyword that they are too."""
    names = [("".join(["test", "_it"]),) for _ in range(2)]
    ones = [
        SimpleNamespace(
            _id=SimpleNamespace(names=of_one, params="".join(["a", "-", str(number)])),
            keywords=SimpleNamespace(_markers={"test_it": True, "".join(["a-", str(number)]): True}),
        )
        for number, of_one in enumerate(names)
    ]
    SharedParts().share(ones)  # type: ignore[arg-type]  # items by what they have

    assert [(one._id.names, one._id.params) for one in ones] == [(("test_it",), "a-0"), (("test_it",), "a-1")]
    assert ones[0]._id.names is ones[1]._id.names
    assert all(one._id.params is list(one.keywords._markers)[1] for one in ones)


def test_the_text_of_an_id_is_made_anew(pytester: pytest.Pytester) -> None:
    item = pytester.getitem("def test_it(): pass", "test_it")
    before = item.nodeid

    free_made_text(item)

    assert item.nodeid == before == "test_the_text_of_an_id_is_made_anew.py::test_it"


def test_an_id_that_another_plugin_wrote_stays_as_it_is() -> None:
    """Such as `test_it.py::test_it[a]@group`, of which the parts make another text."""

    class Id:
        def __init__(self, text: str) -> None:
            self._str_cache: str | None = text

        def __str__(self) -> str:
            return "made" if self._str_cache is None else self._str_cache

    ids = [Id("made"), Id("test_it.py::test_it[a]@group")]
    for one in ids:
        free_made_text(SimpleNamespace(_id=one))  # type: ignore[arg-type]  # an item by what it has
    assert [str(one) for one in ids] == ["made", "test_it.py::test_it[a]@group"]
    assert [one._str_cache for one in ids] == [None, "test_it.py::test_it[a]@group"]


def test_attributes_stay_as_they_were(pytester: pytest.Pytester) -> None:
    item = pytester.getitem("def test_it(): pass", "test_it")
    item.own = [1]  # type: ignore[attr-defined]  # as plugins do
    before = dict(vars(item))

    pack_attributes(item)

    assert list(vars(item).items()) == list(before.items())
    item.own = 2  # type: ignore[attr-defined]
    assert vars(item)["own"] == 2
    assert not hasattr(pytester.getitem("def test_it(): pass", "test_it"), "own")


def test_only_the_note_of_no_xfail_is_freed() -> None:
    excused: Any = object()
    for noted, left in ((None, 0), (excused, 1)):
        item: Any = SimpleNamespace(stash=pytest.Stash(), extra_keyword_matches=set())
        item.stash[skipping.xfailed_key] = noted
        free_leftovers(item)
        assert len(item.stash) == left
        assert item.stash.get(skipping.xfailed_key, None) is noted


def test_a_stash_keeps_what_others_put_there() -> None:
    keys = [pytest.StashKey[int]() for _ in range(20)]
    item: Any = SimpleNamespace(stash=pytest.Stash(), extra_keyword_matches=set())
    for number, key in enumerate(keys):
        item.stash[key] = number
    for key in keys[1:]:
        del item.stash[key]
    stash, before = item.stash, item.stash._storage.__sizeof__()

    free_leftovers(item)

    assert item.stash is stash
    assert stash[keys[0]] == 0
    assert len(stash) == 1
    assert stash._storage.__sizeof__() == {keys[0]: 0}.__sizeof__() < before
    stash[keys[1]] = 1
    assert keys[1] in stash
