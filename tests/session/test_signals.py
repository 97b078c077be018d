"""An interrupt is shown wherever it comes."""

import pytest

from pytest_rightsize.session.signals import with_lines

# As where a signal's handler is called at an instruction that belongs to no line.
SUITE = """
def interrupted():
    raise KeyboardInterrupt

interrupted.__code__ = interrupted.__code__.replace(co_linetable=b"")

def test_it(model):
    assert model.ask("one") == "yes"
    interrupted()
"""


def test_frames_without_a_line_are_left_out() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    interrupted.__code__ = interrupted.__code__.replace(co_linetable=b"")
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted()
    before = caught.value.__traceback__
    assert before is not None
    assert before.tb_next is not None
    assert before.tb_next.tb_lineno in (None, -1)

    after = with_lines(before)

    assert after is not None
    assert (after.tb_lineno, after.tb_next) == (before.tb_lineno, None)
    assert with_lines(None) is None


def test_a_session_that_is_interrupted_there_ends_with_its_summary_and_reports(pytester: pytest.Pytester) -> None:
    pytester.makefile(".jsonl", answers='{"prompt": "one", "text": "yes"}')
    pytester.makefile(".toml", rightsize='[ladder.a]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    pytester.makepyfile(SUITE)

    done = pytester.runpytest_subprocess(
        "--rightsize-ladder=a", "--rightsize-html=r.html", "--rightsize-results=r.jsonl"
    )

    assert done.ret == pytest.ExitCode.INTERRUPTED
    done.stdout.fnmatch_lines(["*smallest model that passes each task*", "*KeyboardInterrupt*"])
    assert "Traceback" not in done.stdout.str() + done.stderr.str()
    assert (pytester.path / "r.html").is_file()
    assert '"kind": "end"' in (pytester.path / "r.jsonl").read_text("utf-8")
