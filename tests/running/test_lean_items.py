"""Items that pytest keeps to the end: equal tables are shared, leftovers are gone, and everything else is as it was."""

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_rightsize.running.lean_items import ItemKeywords, free_leftovers, share_tables

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
        print("NOTES", [item.stash[NOTE] == item.name for item in session.items])
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


def test_only_equal_tables_of_one_kind_are_shared() -> None:
    def item(**tables: object) -> Any:
        return SimpleNamespace(callspec=SimpleNamespace(**tables))

    ones = [item(_arg2scope={"a": 0}, indices={"a": index}, params={"a": 0}) for index in (0, 1, 0)]
    without: Any = SimpleNamespace()  # an item of no parametrized test
    share_tables([*ones, without, item(indices=None)])

    assert [one.callspec.indices for one in ones] == [{"a": 0}, {"a": 1}, {"a": 0}]
    assert ones[0].callspec.indices is ones[2].callspec.indices
    assert ones[0].callspec._arg2scope is ones[1].callspec._arg2scope
    assert ones[0].callspec._arg2scope is not ones[0].callspec.indices
    assert ones[0].callspec.params is not ones[2].callspec.params


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
