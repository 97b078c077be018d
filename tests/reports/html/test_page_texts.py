"""The texts of the page: each once, and every one comes back as it was."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.reports.html import texts as module
from pytest_rightsize.reports.html.texts import TextStore
from tests.reports.packed_texts import unpack_texts

# Of words and spaces more than of anything else: there a space is left out, and must come back.
TEXT = st.text(st.one_of(st.sampled_from("ab  \n,é日_"), st.characters()), min_size=1, max_size=40)


@given(st.lists(TEXT, min_size=1, max_size=12))
def test_every_text_comes_back_by_its_number(texts: list[str]) -> None:
    store = TextStore()
    numbers = [store.number(text) for text in texts]
    table, starts, chunks = store.pack()
    assert starts == [0]
    assert len(store) == len(set(texts))
    assert [unpack_texts(table, chunks)[number] for number in numbers] == texts


def test_many_texts_are_in_chunks_that_know_the_number_of_their_first() -> None:
    store = TextStore()
    for number in range(300):
        store.number(f"{number} " * 2000)
    table, starts, chunks = store.pack()
    assert len(chunks) == len(starts) > 1
    first = unpack_texts(table, chunks[:1])
    assert starts[1] == len(first)
    assert unpack_texts(table, chunks[1:])[0] == f"{starts[1]} " * 2000
    assert max(len(chunk) for chunk in chunks) < 2 * module._CHUNK_WORDS


def test_no_text_is_no_number_and_a_long_one_is_shortened() -> None:
    store = TextStore(limit=5)
    assert store.number("") == store.number(None) == -1
    store.number("abcdefgh")
    table, _, chunks = store.pack()
    assert unpack_texts(table, chunks) == ["abcde\n[3 more characters stand in the results file]"]
    assert store.shortened == 1


def test_long_texts_that_differ_are_told_apart_and_kept_once() -> None:
    store = TextStore(limit=5)
    texts = ["a" * 600, "a" * 601, "\ud800" * 600]
    assert [store.number(text) for text in (*texts, *texts)] == [0, 1, 2, 0, 1, 2]
    assert store.characters < 200
