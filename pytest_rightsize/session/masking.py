"""Puts `***` in the place of secrets in what pytest shows of a test: its traceback, its variables, its logs.

In come the reports of tests before anybody reads them, and the records of live logs. Nothing is graded by their texts.
What a test writes to the terminal itself, with `-s`, does not pass here.
"""

import logging
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from pytest_rightsize.providers.environment import known_secrets
from pytest_rightsize.providers.secret_texts import Mask

__all__ = ["Masking", "mask_report"]

# Handlers of pytest's logging plugin that write at once; what a test reads, `caplog`, stays as it is.
_LIVE_HANDLERS = ("log_cli_handler", "log_file_handler")


class Masking:
    """The hooks in which reports are made; those that read them stand around."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Mask the report of a test."""
        report = yield
        mask_report(report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Mask the report of a file that could not be collected."""
        report = yield
        mask_report(report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Mask what is logged to the terminal and to a file."""
        plugin = session.config.pluginmanager.get_plugin("logging-plugin")
        for name in _LIVE_HANDLERS:
            handler = getattr(plugin, name, None)
            formatter = getattr(handler, "formatter", None)
            if handler is not None and formatter is not None:
                handler.setFormatter(_MaskingFormatter(formatter))


class _MaskingFormatter(logging.Formatter):
    """Formats as another does, and masks the line."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        return known_secrets()(self._formatter.format(record))


def mask_report(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Mask what the report shows."""
    if report.longrepr is None and not report.sections:
        return
    mask = known_secrets()
    if not mask:
        return
    text = "\n".join([*_texts(report.longrepr, set()), *(text for _, text in report.sections)])
    if mask(text) != text:
        report.longrepr = _masked(report.longrepr, mask, set())
        report.sections = [(name, mask(text)) for name, text in report.sections]


def _is_pytests(value: object) -> bool:
    return type(value).__module__.startswith("_pytest.")


def _texts(shown: Any, seen: set[int]) -> Iterator[str]:
    """All texts in a representation of pytest's, at any depth."""
    if isinstance(shown, str):
        yield shown
    elif isinstance(shown, list | tuple):
        for each in shown:
            yield from _texts(each, seen)
    elif _is_pytests(shown) and id(shown) not in seen:
        seen.add(id(shown))
        for value in vars(shown).values():
            yield from _texts(value, seen)


def _masked(shown: Any, mask: Mask, seen: set[int]) -> Any:
    """The same with all texts in it masked: of pytest's objects in place."""
    if isinstance(shown, str):
        return mask(shown)
    if isinstance(shown, list | tuple):
        return type(shown)(_masked(each, mask, seen) for each in shown)
    if _is_pytests(shown) and id(shown) not in seen:
        seen.add(id(shown))
        for name, value in vars(shown).items():
            setattr(shown, name, _masked(value, mask, seen))
    return shown
