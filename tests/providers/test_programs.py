"""The provider `command`: programs that answer once or stay, and whose faults are no wrong answers."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.content_parts import audio_part
from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers.programs import Program
from pytest_rightsize.records import Reply, Request, Rung

ONCE = "import sys; sys.stdout.write(sys.stdin.read().upper() + chr(10))"
LINES = """
import json, os, sys
for line in sys.stdin:
    prompt = json.loads(line)["prompt"]
    if prompt == "die":
        sys.stderr.write("out of memory" + chr(10)); sys.exit(3)
    if prompt == "sleep":
        import time; time.sleep(3600)
    answer = {"error": "no model"} if prompt == "decline" else {"text": f"{prompt.upper()} {os.getpid()}"}
    print("nonsense" if prompt == "nonsense" else json.dumps(answer), flush=True)
"""


@pytest.fixture
def rungs() -> Iterator[list[Program]]:
    """All that a test makes, so that no process of it is left."""
    made: list[Program] = []
    yield made
    for one in made:
        one.close()


def program(rungs: list[Program], *words: str, folder: Path | None = None, **options: Any) -> Program:
    rung = Rung(
        name="tool",
        provider="command",
        options={"command": [sys.executable, *words], **options},
        base_dir=str(folder or Path.cwd()),
    )
    rungs.append(Program(rung))
    return rungs[-1]


def ask(one: Program, prompt: str) -> Reply:
    return one.submit(Request(messages=({"role": "user", "content": prompt},))).result(60)


def test_a_program_reads_the_prompt_and_writes_the_answer(rungs: list[Program]) -> None:
    one = program(rungs, "-c", ONCE)
    reply = ask(one, "größe\nzwei")
    assert reply.text == "GRÖSSE\nZWEI"
    assert reply.seconds is not None
    assert one.check() is None
    assert (one.site, one.leaves_machine) == ("machine", False)


def test_a_prompt_may_be_an_argument(rungs: list[Program]) -> None:
    one = program(rungs, "-c", "import sys; print(sys.argv[1:])", "--text={prompt}")
    assert ask(one, "a 'b' $HOME").text == str(["--text=a 'b' $HOME"])
    with pytest.raises(RungError, match="null character"):
        ask(one, "a\0b")


@pytest.mark.parametrize(
    ("source", "options", "reason", "words"),
    [
        ("import sys; sys.exit('no licence')", {}, "crash", "ended with status 1: no licence"),
        ("import os; os.kill(os.getpid(), 9)", {}, "crash", "ended with SIGKILL"),
        ("import time; time.sleep(3600)", {"timeout_s": 0.2}, "timeout", r"gave no answer within 0\.2 s"),
        ("import sys; sys.stdout.buffer.write(bytes([255]))", {}, "bad_reply", "wrote what is not UTF-8 text"),
        ("while True: print('a' * 1000000)", {}, "too_large", "wrote more than the 32 MB that are read"),
    ],
)
def test_what_goes_wrong_is_a_fault_of_the_rung(
    rungs: list[Program], source: str, options: dict[str, Any], reason: str, words: str
) -> None:
    with pytest.raises(RungError, match=words) as told:
        ask(program(rungs, "-c", source, **options), "a")
    assert (told.value.reason, told.value.alone) == (reason, True)


def test_a_program_that_reads_nothing_may_still_answer(rungs: list[Program]) -> None:
    assert ask(program(rungs, "-c", "print('always')"), "x" * 1_000_000).text == "always"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups of this kind")
def test_what_a_program_leaves_behind_ends_with_it(rungs: list[Program], tmp_path: Path) -> None:
    """It would hold the output open, and the answer would never end."""
    source = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)']); "
        "print(child.pid)"
    )
    pid = int(ask(program(rungs, "-c", source), "a").text)
    with pytest.raises(ProcessLookupError):
        _wait_until_gone(pid)


def _wait_until_gone(pid: int) -> None:
    """Raises ProcessLookupError as soon as there is no such process; one that nobody waits for is gone too."""
    while True:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z":
            raise ProcessLookupError


def test_a_program_that_stays_is_started_once(rungs: list[Program]) -> None:
    one = program(rungs, "-c", LINES, protocol="lines")
    (first, pid), (second, again) = (ask(one, word).text.split() for word in ("a", "b"))
    assert (first, second) == ("A", "B")
    assert pid == again
    one.close()
    assert ask(one, "c").text.split()[1] != pid


@pytest.mark.parametrize(
    ("prompt", "reason", "words"),
    [
        ("die", "crash", "ended with status 3 before it answered: out of memory"),
        ("decline", "server", "says that it cannot answer: no model"),
        ("nonsense", "bad_reply", "wrote a line that is no JSON"),
        ("sleep", "timeout", "gave no answer within 2 s"),
    ],
)
def test_a_program_that_stays_is_started_again_after_a_fault(
    rungs: list[Program], prompt: str, reason: str, words: str
) -> None:
    one = program(rungs, "-c", LINES, protocol="lines", timeout_s=2)
    with pytest.raises(RungError, match=words) as told:
        ask(one, prompt)
    assert told.value.reason == reason
    one.close()
    one = program(rungs, "-c", LINES, protocol="lines")
    assert ask(one, "a").text.startswith("A ")


def test_several_run_side_by_side(rungs: list[Program]) -> None:
    rung = Rung(name="tool", provider="command", options={"command": [sys.executable, "-c", ONCE]}, max_in_flight=2)
    rungs.append(Program(rung))
    assert rungs[-1].in_flight == 2
    requests = [Request(messages=({"role": "user", "content": word},)) for word in "abcd"]
    assert [future.result(60).text for future in map(rungs[-1].submit, requests)] == [*"ABCD"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"command": []}, "give a list, as in"),
        ({"command": ["a", 3]}, "give a list, as in"),
        ({"command": ["a", "b\0"]}, "give a list, as in"),
        ({"command": ["a"], "protocol": "stream"}, 'write "once" or "lines"'),
        ({"command": ["a", "{prompt}"], "protocol": "lines"}, "take {prompt} out of command"),
    ],
)
def test_a_wrong_command_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Program(Rung(name="tool", provider="command", options=options))


def test_a_program_that_is_not_there_is_a_problem() -> None:
    one = Program(Rung(name="tool", provider="command", options={"command": ["./no-such-program"]}))
    problem = one.check()
    assert problem is not None
    assert problem.what == "the program ./no-such-program is not there, or may not be run"


def test_answers_are_recorded_under_the_content_of_the_program_and_its_files(
    rungs: list[Program], tmp_path: Path
) -> None:
    (tmp_path / "tool.py").write_text("print(1)", encoding="utf-8")

    def digest(path: Path) -> str:
        return path.name

    content = program(rungs, "tool.py", "--fast", folder=tmp_path, version="2").identity(digest).content
    assert content["command"][1:] == ["tool.py", "--fast"]
    assert content["files"] == ["tool.py"]
    assert content["version"] == "2"
    assert content["program"].startswith("python")


WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
HEARD = Request(messages=({"role": "user", "content": [{"type": "text", "text": "Who?"}, audio_part(WAV)]},))
# Writes the end of the file's name, its size, and the arguments that follow.
SIZES = "import os, sys; print(sys.argv[1][-9:], os.path.getsize(sys.argv[1]), *sys.argv[2:])"
MESSAGES = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"text": f"{asked['prompt']} {asked['messages'][0]['content'][1]['type']}"}), flush=True)
"""


def test_a_program_is_given_the_sound_of_a_message_as_a_file(rungs: list[Program], tmp_path: Path) -> None:
    one = program(rungs, "-c", SIZES, "{audio}", "{prompt}")
    assert one.submit(HEARD).result(60).text == f"sound.wav {len(WAV)} Who?"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RungError, match="takes one sound in a message, and this one has text alone") as told:
        ask(one, "hello")
    assert told.value.reason == "request"


def test_what_stands_in_a_prompt_is_no_place_for_the_file(rungs: list[Program]) -> None:
    request = Request(messages=({"role": "user", "content": [{"type": "text", "text": "{audio}"}, audio_part(WAV)]},))
    one = program(rungs, "-c", SIZES, "{audio}", "{prompt}")
    assert one.submit(request).result(60).text == f"sound.wav {len(WAV)} {{audio}}"


def test_a_program_that_stays_finds_the_sound_in_the_messages(rungs: list[Program]) -> None:
    one = program(rungs, "-c", MESSAGES, protocol="lines", audio=True)
    assert one.submit(HEARD).result(60).text == "Who? input_audio"


@pytest.mark.parametrize("options", [{}, {"protocol": "lines"}])
def test_a_program_that_takes_no_sound_is_not_asked(rungs: list[Program], options: dict[str, Any]) -> None:
    with pytest.raises(RungError, match="reads text alone, and this message has input_audio") as told:
        program(rungs, "-c", "raise SystemExit(1)", **options).submit(HEARD).result(60)
    assert told.value.reason == "request"


@pytest.mark.parametrize(
    ("words", "options", "said"),
    [(["{audio}"], {"protocol": "lines"}, "take {audio} out of command"), (["x"], {"audio": True}, "write {audio}")],
)
def test_a_sound_has_one_way_in(rungs: list[Program], words: list[str], options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        program(rungs, *words, **options)
