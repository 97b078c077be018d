"""An item between its first attempt and the moment its reports are passed on, with what dropped attempts leave."""

from collections.abc import Callable
from functools import partial

import pytest
from _pytest.nodes import Node

from pytest_rightsize.running.held_reports import HeldWarning
from pytest_rightsize.running.item_state import ItemState
from pytest_rightsize.running.setup_state import shared_params
from pytest_rightsize.running.ticket import Ticket
from pytest_rightsize.running.wide_output import Section, add_sections

__all__ = ["Started"]


class Started:
    """An item between its first attempt and the moment its reports are passed on."""

    def __init__(self, item: pytest.Item, group: tuple[str, str] | None, ticket: Ticket, chain: list[Node]) -> None:
        self.item = item
        self.group = group
        self.ticket = ticket
        self.held: list[Callable[[], object]] = []
        # Of the starts that were dropped, and set up a fixture that the next one finds.
        self.warnings: list[list[HeldWarning]] = []
        self.sections: list[Section] = []
        self.sets_up = False
        self.written: list[Section] = []
        self._added: set[str] = set()
        self.done = False
        self.chain = chain
        self.shared = list(shared_params(item))
        self._state = ItemState(item)
        self._failed_subtests = 0

    def hold(self, tell: Callable[[], object]) -> None:
        """Keep what is to be told, with the number of failed subtests that pytest knew of by then."""
        number = self._state.failed_subtests
        if number != self._failed_subtests:
            self._failed_subtests = number
            self.held.append(partial(self._state.set_failed_subtests, number))
        self.held.append(tell)

    def add_sections(self, phase: str) -> None:
        """Give the item's reports what fixtures wrote that a dropped start has set up."""
        if phase not in self._added:
            self._added.add(phase)
            add_sections(self.item, self.sections, phase)

    def tell(self) -> None:
        """Tell what was kept."""
        self._state.set_failed_subtests(0)
        for one in self.held:
            one()

    def forget_attempt(self) -> None:
        """Make the item as if it had not been run; what stays set up has warned nowhere else."""
        if self.sets_up:
            self.warnings.append([tell for tell in self.held if isinstance(tell, HeldWarning)])
            self.sections += self.written
        self.sets_up = False
        self.written.clear()
        self._added.clear()
        self._failed_subtests = 0
        self.held.clear()
        self._state.restore()
