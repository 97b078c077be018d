"""The calibration file: how often judges agree with people, as JSON; a calibration of each judge and criterion."""

import json
from collections.abc import Iterable
from pathlib import Path

from pytest_rightsize.bounded_files import whole_text
from pytest_rightsize.calibration_records import Calibration
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.strict_json import loads

__all__ = ["is_calibration_file", "read_calibrations", "render_calibrations", "with_calibration"]

_SCHEMA = 1
_REMEDY = "write it with rightsize judge calibrate"
_HEAD = '{\n  "rightsize calibrations": '


def read_calibrations(path: Path, *, asked_by: str) -> tuple[Calibration, ...]:
    """The calibrations of a file; raises a ConfigError that names it, and `asked_by`, which names the file."""
    try:
        plain = loads(whole_text(path))
    except OSError as error:
        raise ConfigError(f"{asked_by}: {path} cannot be read ({error.strerror}): {_REMEDY}") from None
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError
        raise ConfigError(
            f"{asked_by}: {path} is not JSON ({error}): write it with rightsize judge calibrate"
        ) from None
    schema = plain.get("rightsize calibrations") if isinstance(plain, dict) else None
    if schema != _SCHEMA:
        raise ConfigError(f"{asked_by}: {path} is no calibration file that this version reads: {_REMEDY}")
    try:
        return tuple(Calibration.from_dict(each) for each in plain["judges"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(f"{asked_by}: {path} is no calibration file ({error!r}): {_REMEDY}") from None


def with_calibration(calibrations: Iterable[Calibration], new: Calibration) -> tuple[Calibration, ...]:
    """The calibrations with a new one, in place of an earlier one of the same judge and criterion."""
    key = new.judge, new.criterion.fingerprint
    return (*(one for one in calibrations if (one.judge, one.criterion.fingerprint) != key), new)


def render_calibrations(calibrations: Iterable[Calibration]) -> str:
    """The file's text."""
    content = {"rightsize calibrations": _SCHEMA, "judges": [one.to_dict() for one in calibrations]}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def is_calibration_file(head: str) -> bool:
    """Whether a file that begins so is a calibration file."""
    return head.startswith(_HEAD)
