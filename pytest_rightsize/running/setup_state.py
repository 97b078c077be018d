"""Keeps fixtures wider than a function set up until no suspended or later item needs them."""

from collections.abc import Callable, Iterator
from typing import cast

import pytest
from _pytest.nodes import Node
from _pytest.runner import SetupState
from _pytest.scope import Scope

__all__ = ["KeepingSetupState", "end_own_quietly", "shared_params"]


class KeepingSetupState(SetupState):
    """pytest's stack of what is set up, which asks how far to tear down."""

    def __init__(self, kept_nodes: Callable[[], list[Node] | None]) -> None:
        """`kept_nodes` tells which nodes above the current item stay set up; None if no item runs."""
        super().__init__()
        self._kept_nodes = kept_nodes

    def teardown_exact(self, nextitem: pytest.Item | None) -> None:
        """Tear down the item that runs, and the nodes that nobody needs any more."""
        kept = self._kept_nodes()
        super().teardown_exact(nextitem if kept is None else cast(pytest.Item, _Chain(kept)) if kept else None)

    def leave(self, chain: list[Node]) -> None:
        """Tear down what is not in `chain`."""
        super().teardown_exact(cast(pytest.Item, _Chain(chain)))

    def has_state(self, node: Node) -> bool:
        """Whether setting the node up again would show: fixtures, a setup of its own, or a setup that failed."""
        finalizers, failure = self.stack[node]
        return len(finalizers) > 1 or failure is not None or type(node).setup is not Node.setup


class _Chain:
    """Stands for an item below these nodes, where SetupState asks for no more than that."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes

    def listchain(self) -> list[Node]:
        return self._nodes


def end_own_quietly(item: pytest.Item) -> None:
    """Tear down what is the item's own, and drop its errors; wider fixtures stay as they are."""
    state = item.session._setupstate
    if item in state.stack:
        above = cast(pytest.Item, _Chain(item.listchain()[:-1]))
        pytest.CallInfo.from_call(
            lambda: SetupState.teardown_exact(state, above),
            when="teardown",
            reraise=(KeyboardInterrupt, pytest.exit.Exception),
        )


def shared_params(item: pytest.Item) -> Iterator[tuple[str, int]]:
    """The parameters of the item that a fixture wider than a function depends on."""
    callspec = getattr(item, "callspec", None)
    for name, scope in getattr(callspec, "_arg2scope", {}).items():
        if scope is not Scope.Function and name in callspec.indices:  # type: ignore[union-attr]  # there is one here
            yield name, callspec.indices[name]  # type: ignore[union-attr]
