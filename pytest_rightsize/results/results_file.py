"""The results file: a run as JSON Lines, written line by line while it goes, and read back.

The run comes first, then trials as they end, verdicts, and an end; a file without its end was cut off. Each prompt
stands once, in a line of its own before the first trial that used it; answers refer to it by its hash.
"""

import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pytest_rightsize.bounded_files import LONGEST_LINE_BYTES
from pytest_rightsize.calibration_records import Calibration
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.part_data import PartData, with_references
from pytest_rightsize.records import Json, Policy, Price, Run, Rung, Trial, TrialKey
from pytest_rightsize.results.append_only import DurableFile
from pytest_rightsize.results.earlier_run import EarlierRun
from pytest_rightsize.results.kept_media import media_beside
from pytest_rightsize.results.line_formats import check_line
from pytest_rightsize.results.packed_trials import PackedTrials
from pytest_rightsize.results.placed_lines import line_content, placed_lines
from pytest_rightsize.results.redaction import redacted, text_digest
from pytest_rightsize.results.stored_texts import Place, StoredTexts, place_of, prompt_key
from pytest_rightsize.results.texts_in_file import TextsInFile
from pytest_rightsize.strength_records import Strength
from pytest_rightsize.verdict_records import Verdict

__all__ = [
    "SCHEMA",
    "ResultsFile",
    "no_trial",
    "read_run",
    "read_strengths",
    "rung_of_line",
    "strength_line",
    "withheld_in",
]

SCHEMA = 1


class ResultsFile:
    """The only writer of a results file. Each line is passed to the system before the next thing happens."""

    def __init__(
        self,
        path: Path,
        *,
        rungs: Sequence[Rung],
        about: Mapping[str, Json],
        private: bool = False,
        on_trouble: Callable[[str], None] = lambda _: None,
        is_read_again: bool = False,
        asked_by: str = "--rightsize-results",
    ) -> None:
        """Open `path` and write its first line; raises ConfigError if it cannot be opened.

        Only the owner may read a `private` file. `on_trouble` is called if the disk is full; no line is lost then. With
        `is_read_again`, `texts` reads trials again; it is None otherwise, and for what cannot be read, such as a pipe.
        `asked_by` is the option that names the file.
        """
        self.path = path
        self.texts: StoredTexts | None = None
        self._prompts: dict[bytes, Place] = {}
        self._on_trouble = on_trouble
        self._media = media_beside(path)
        self._earlier = EarlierRun(path, private=private, asked_by=asked_by)
        try:
            self._file = DurableFile(
                path, private=private, on_trouble=on_trouble, before_emptying=self._earlier.set_aside
            )
        except OSError as error:
            raise ConfigError(f"{asked_by} cannot write {path}: {error.strerror}. Give another file.") from None
        if is_read_again:
            with suppress(OSError):
                self.texts = StoredTexts(path, self._prompts, self._file.waiting)
        self._write({"kind": "run", "schema": SCHEMA, **about, "ladder": [rung.to_dict() for rung in rungs]})

    def trial(self, trial: Trial) -> None:
        """Add one trial, preceded by its prompts that are new; hashes stand for answers too long for any reader."""
        prompts: dict[bytes, str] = {}
        text = self._text(trial, prompts)
        if len(text) > LONGEST_LINE_BYTES:
            self._on_trouble(
                f"{trial.key.case} on {trial.key.rung} was answered with more than {LONGEST_LINE_BYTES // 1_000_000} "
                f"MB: {self.path} has hashes in the place of these answers"
            )
            text = self._text(redacted(trial, ["answers"]), prompts)
        start = self._file.size_bytes
        self._file.write("".join([*prompts.values(), text]))  # in one call of the system
        for key, line in prompts.items():
            self._prompts[key] = place_of(start, len(line)) if self.texts is not None else 0  # nobody reads it then
            start += len(line)
        if self.texts is not None:
            self.texts.add(trial.key, place_of(start, len(text)))

    def _text(self, trial: Trial, prompts: dict[bytes, str]) -> str:
        """The line of a trial; adds to `prompts` the lines of those that are not in the file yet."""
        line = trial.to_dict()
        for answer in line["answers"]:
            messages = answer.pop("messages")
            answer["prompt"] = self._prompt(messages, prompts) if messages else None
        return _json(line)

    def _prompt(self, messages: Sequence[Mapping[str, Json]], prompts: dict[bytes, str]) -> str:
        """The hash of a prompt; with hashes in its line where it is too long for any reader."""
        messages = with_references(messages, self._keep_data)
        key = hashlib.sha256(_SORTED_JSON.encode(messages).encode()).digest()[:16]
        known = prompt_key(key)
        if known not in self._prompts and known not in prompts:
            text = _json({"kind": "prompt", "id": key.hex(), "messages": messages})
            if len(text) > LONGEST_LINE_BYTES:
                text = _json({"kind": "prompt", "id": key.hex(), "messages": text_digest(messages)})
            prompts[known] = text
        return key.hex()

    def _keep_data(self, data: PartData) -> None:
        """Keep the data of an image or the like beside the file; where that fails its hash stands there alone."""
        if not self.path.is_file():  # a pipe
            return
        try:
            self._media.keep(data)
        except OSError as error:
            self._on_trouble(f"an image or sound of a prompt cannot be kept in {self._media.folder}: {error}")

    def metering(self, metering: Metering) -> None:
        """Add the readings of a rung's meter."""
        self._write(metering.to_dict())

    def strength(self, strength: Strength) -> None:
        """Add how many wrong answers the tests of a task let pass."""
        self._file.write(strength_line(strength))

    def end(
        self,
        verdicts: Iterable[Verdict],
        *,
        exitstatus: int,
        failed: Iterable[str],
        totals: Mapping[str, Json],
        waived: Iterable[str] = (),
        warned: Iterable[str] = (),
        interrupted: bool = False,
    ) -> None:
        """Add the verdicts and the last line, and close the file."""
        self._file.write("".join(_json(verdict.to_dict()) for verdict in verdicts))
        self._write(
            {
                "kind": "end",
                "exitstatus": exitstatus,
                "gate": {"failed": list(failed), "warned": list(warned), "waived": list(waived)},
                "totals": dict(totals),
            }
        )
        self._file.close()
        if not interrupted:
            self._earlier.drop()
        elif self._earlier.is_kept:
            self._on_trouble(f"this run was cut short: the one before it is kept in {self._earlier.kept_in}")

    def plan(self, policies: Iterable[Policy], planned: Mapping[tuple[str, str], int]) -> None:
        """Add what the session plans to do, so that a file that was cut off still shows what is missing."""
        by_task: dict[str, dict[str, int]] = defaultdict(dict)
        for (task, rung), count in planned.items():
            by_task[task][rung] = count
        lines = ({"kind": "plan", **policy.to_dict(), "planned": by_task[policy.task]} for policy in policies)
        self._file.write("".join(map(_json, lines)))

    def suite(self, plan: Iterable[Mapping[str, Json]]) -> None:
        """Add, to the file of a shard, what the whole suite plans: a line for each task."""
        for of_task in plan:
            self._write({"kind": "suite", **of_task})

    def copy(self, line: str) -> None:
        """Add a line of another results file as it is, with its newline."""
        self._file.write(line)

    def _write(self, line: Mapping[str, Json]) -> None:
        self._file.write(_json(line))


# Made once, and without a check for circles, which end in a RecursionError: takes a third less time than json.dumps.
# Lone surrogates of a hostile answer are escapes such as \\ud800, as UTF-8 could not hold them.
_LINE_JSON = json.JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False)
_SORTED_JSON = json.JSONEncoder(ensure_ascii=True, sort_keys=True, check_circular=False)


def _json(line: Mapping[str, Json]) -> str:
    return _LINE_JSON.encode(line) + "\n"


def strength_line(strength: Strength) -> str:
    """The strength of a task as it stands in a results file."""
    return _json(strength.to_dict())


def read_strengths(path: Path) -> dict[str, Strength]:
    """The strengths of a file that has no other lines, by task; raises ConfigError if it cannot be read."""
    strengths: dict[str, Strength] = {}
    for number, _, line in placed_lines(path):
        try:
            check_line(line)
            strengths[line["task"]] = Strength.from_dict(line)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ConfigError(f"{path}:{number} is not a line this version understands: {error!r}") from None
    return strengths


def withheld_in(run: Run) -> tuple[str, ...]:
    """What has hashes in its place in a run that was read: `prompts`, `answers`."""
    return tuple(run.about.get("settings", {}).get("redact", ()))


def no_trial(_: TrialKey) -> bool:
    """For `words_of` of `read_run`: no trial keeps its texts."""
    return False


def read_run(
    path: Path,
    *,
    words_of: Callable[[TrialKey], bool] | None = None,
    with_prompts: bool = False,
    texts_stay: bool = False,
    is_large: bool = False,
) -> Run:
    """Read a results file into a Run, as a stream; of a trial that was written twice the last line counts.

    With `words_of` only those trials keep their texts: in all others, and in every prompt, hashes take their place, as
    where they are withheld. The memory needed then does not depend on how long the texts are. `with_prompts` keeps
    the prompts all the same, each of them once. With `texts_stay` no trial keeps its texts, and `Run.whole` reads them
    from the file, one trial at a time. With `is_large` neither texts nor prompts are kept at all, and the trials are
    packed, by task: tens of megabytes for a million of them.

    Raises a ConfigError that names the line if it is not a results file of a schema this version reads. A file that was
    cut off gives a Run with `interrupted` set.
    """
    reading = _Reading(path, words_of=words_of, with_prompts=with_prompts, texts_stay=texts_stay, is_large=is_large)
    for number, place, line in placed_lines(path):
        if number == 1 and line.get("kind") != "run":
            raise ConfigError(f'{path}:1 is not the first line of a results file: it has no "kind": "run"')
        try:
            check_line(line)
            reading.add(line, place)
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path}:{number} is not a line this version understands: {error!r}") from None
    return reading.run()


class _Reading:
    """What was read of a results file so far."""

    def __init__(
        self,
        path: Path,
        *,
        words_of: Callable[[TrialKey], bool] | None,
        with_prompts: bool,
        texts_stay: bool,
        is_large: bool,
    ) -> None:
        self._path = path
        self._packed = PackedTrials() if is_large else None
        if is_large:
            words_of = no_trial
        self._texts: TextsInFile | None = None
        if texts_stay and path.is_file():  # a pipe is read once
            self._texts = TextsInFile(path, line_content, lambda line, prompts: _trial(line, prompts, None))
            words_of = no_trial
        self._words_of = words_of
        self._keeps_prompts = words_of is None or with_prompts
        self._rungs: list[Rung] = []
        self._strategy: Json = "climb"
        self._about: dict[str, Json] = {}
        self._calibrations: tuple[Calibration, ...] = ()
        self._policies: dict[str, Policy] = {}
        self._planned: dict[tuple[str, str], int] = {}
        self._prompts: dict[str, tuple[Mapping[str, Json], ...]] = {}
        self._trials: dict[Json, Trial] = {}
        self._meters: list[Metering] = []
        self._strengths: dict[str, Strength] = {}
        self._ended = False

    def add(self, line: dict[str, Json], place: Place) -> None:
        """Take a line; one of a kind that this version does not know is left out."""
        kind = line.get("kind")
        match kind:
            case "run":
                self._begin(line)
            case "plan":
                counts = line.pop("planned")
                self._policies[line["task"]] = Policy.from_dict(line)
                self._planned.update({(line["task"], rung): count for rung, count in counts.items()})
            case "prompt":
                if self._packed is None:
                    messages = line["messages"]
                    self._prompts[line["id"]] = tuple(messages) if self._keeps_prompts else text_digest(messages)
                if self._texts is not None:
                    self._texts.add_prompt(line["id"], place)
            case "trial":
                trial = _trial(line, self._prompts, self._words_of)
                if self._packed is not None:
                    self._packed.add(trial)
                else:
                    self._trials[trial.key] = trial
                if self._texts is not None:
                    self._texts.add_trial(trial.key, place)
            case "metering":
                self._meters.append(Metering.from_dict(line))
            case "strength":
                self._strengths[line["task"]] = Strength.from_dict(line)
            case "end":
                self._about["identities"] = dict((line.get("totals") or {}).get("identities") or {})
        self._ended = kind == "end"

    def _begin(self, line: dict[str, Json]) -> None:
        if line["schema"] != SCHEMA:
            raise ConfigError(
                f"{self._path} has schema {line['schema']}; this version reads {SCHEMA}: update pytest-rightsize"
            )
        self._rungs = [rung_of_line(plain) for plain in line["ladder"]]
        self._strategy = line["settings"].get("strategy", "climb")
        self._calibrations = tuple(map(Calibration.from_dict, line["settings"].get("calibrations", ())))
        self._about = {key: value for key, value in line.items() if key not in ("kind", "schema", "ladder")}

    def run(self) -> Run:
        """The run; interrupted unless its end came last."""
        return Run(
            rungs=tuple(self._rungs),
            trials=tuple(self._trials.values()) if self._packed is None else self._packed,
            policies=self._policies,
            planned=self._planned,
            strategy=self._strategy,
            interrupted=not self._ended,
            meters=tuple(self._meters),
            strengths=self._strengths,
            calibrations=self._calibrations,
            about=self._about,
            read_texts=None if self._texts is None else self._texts.whole,
            read_data=media_beside(self._path).read,
        )


def _trial(
    line: dict[str, Json],
    prompts: Mapping[str, tuple[Mapping[str, Json], ...]],
    words_of: Callable[[TrialKey], bool] | None,
) -> Trial:
    """A trial with its prompts; a prompt that was withheld stays empty."""
    _share(line, "task", "rung", "outcome", "reason")
    for answer in line.get("answers", ()):
        _share(answer, "finish_reason")
        _share(answer["tokens"], "source")
        inline_messages = tuple(answer.get("messages", ()))
        answer["messages"] = prompts.get(
            answer.get("prompt") or "", inline_messages if words_of is None else text_digest(inline_messages)
        )
    trial = Trial.from_dict(line)
    return trial if words_of is None or words_of(trial.key) else redacted(trial, ["answers"])


def _share(plain: dict[str, Json], *names: str) -> None:
    """Share words that are the same in every line: such strings are a sixth of a run's memory."""
    for name in names:
        if isinstance(plain.get(name), str):
            plain[name] = sys.intern(plain[name])


def rung_of_line(plain: Mapping[str, Json]) -> Rung:
    """The inverse of `Rung.to_dict`: keys that only the provider understands go into `options`."""
    own = {name: value for name, value in plain.items() if name in Rung.__dataclass_fields__}
    options = {name: value for name, value in plain.items() if name not in own}
    price = Price(**own.pop("price")) if own.get("price") else None
    return Rung(**{**own, "price": price, "options": options})
