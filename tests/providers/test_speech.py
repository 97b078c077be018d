"""Speech: sentences that espeak-ng speaks are understood by PocketSphinx, as a rung that is a Python function."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REQUIRED = os.environ.get("RIGHTSIZE_ENGINES") == "required"
COMMANDS = [
    *(f"turn {state} the {room} light" for state in ("on", "off") for room in ("kitchen", "bedroom", "garage")),
    *("open the window", "close the door", "stop the music", "set an alarm for seven"),
]
GRAMMAR = """#JSGF V1.0;
grammar house;
public <command> = turn (on | off) the (kitchen | bedroom | garage) light | (open | close) the (window | door) |
    (play | stop) the music | set an alarm for (six | seven | eight);
"""
EARS = """
import io
import wave
from pathlib import Path

from pocketsphinx import Decoder

from pytest_rightsize import NoAnswerError

decoder = Decoder(samprate=16000, loglevel="FATAL", lm=None, jsgf=str(Path(__file__).with_name("house.gram")))


def transcribe(audio):
    with wave.open(io.BytesIO(audio)) as sound:
        samples = sound.readframes(sound.getnframes())
    decoder.start_utt()
    decoder.process_raw(samples, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    if found is None:
        raise NoAnswerError("it heard nothing")
    return found.hypstr


def nothing(audio):
    return "turn on the light"
"""
LADDER = """
[ladder.guess]
provider = "callable"
model = "ears:nothing"
params_b = 1e-9

[ladder.sphinx]
provider = "callable"
model = "ears:transcribe"
params_b = 0.005
"""
SUITE = """
import pytest
from pytest_rightsize import audio_part, fuzzy


@pytest.mark.rightsize(task="house-command", pass_rate=0.8)
@pytest.mark.parametrize("said", {said})
def test_a_command_is_understood(model, said):
    heard = model.ask(messages=[{{"role": "user", "content": [audio_part(said.replace(" ", "-") + ".wav")]}}])
    assert heard == fuzzy(said, at_least=90)
"""


@pytest.mark.skipif(not REQUIRED and shutil.which("espeak-ng") is None, reason="there is no espeak-ng")
def test_a_ladder_of_ears_climbs_to_the_one_that_understands(pytester: pytest.Pytester) -> None:
    if not REQUIRED:
        pytest.importorskip("pocketsphinx")
    for said in COMMANDS:
        speak(said, pytester.path / f"{said.replace(' ', '-')}.wav")
    pytester.makepyfile(ears=EARS, test_suite=SUITE.format(said=COMMANDS))
    (pytester.path / "house.gram").write_text(GRAMMAR, encoding="utf-8")
    pytester.makefile(".toml", rightsize=LADDER)
    result = pytester.runpytest_subprocess("--rightsize-ladder=guess,sphinx", "-p", "no:randomly")
    result.stdout.fnmatch_lines(["house-command *<8/10 *10/10[*] *sphinx *"])
    assert result.ret == 0


def speak(said: str, path: Path) -> None:
    """Write a sentence as a WAV file of 16,000 samples a second, which is what the model was trained on."""
    spoken = path.with_suffix(".espeak.wav")
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "130", "-w", str(spoken), said], check=True)
    resample(spoken, path)


def resample(source: Path, target: Path, rate: int = 16_000) -> None:
    """Resample a WAV file of one channel by linear interpolation."""
    import wave

    import numpy as np

    with wave.open(str(source)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")
        seconds = len(samples) / sound.getframerate()
        at = np.arange(round(seconds * rate)) / rate * sound.getframerate()
    with wave.open(str(target), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(np.interp(at, np.arange(len(samples)), samples).astype("<i2").tobytes())
