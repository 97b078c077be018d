"""Registers the plugins of one session, in the order of its life.

They are collecting, trying, playing, distributing, explaining and finishing; for `rightsize strength` only the first
three.

The same plugins work in one process and under pytest-xdist, where workers run trials and the controller collects them,
writes the results file, judges and sets the exit status.
"""

from types import ModuleType

import pytest

from pytest_rightsize.running.current_test import CurrentTest
from pytest_rightsize.session.application import SERVING, Application
from pytest_rightsize.session.collecting import Collecting
from pytest_rightsize.session.distributing import Distributing
from pytest_rightsize.session.distribution import check_version
from pytest_rightsize.session.explaining import Explaining
from pytest_rightsize.session.finishing import Finishing
from pytest_rightsize.session.masking import Masking
from pytest_rightsize.session.opening import open_endpoint
from pytest_rightsize.session.signals import Signals
from pytest_rightsize.session.stand_ins import StandIns
from pytest_rightsize.session.state import SessionState
from pytest_rightsize.session.trials import SessionTrials
from pytest_rightsize.session.trying import Trying
from pytest_rightsize.session.watching import Watching

__all__ = ["register_session"]


def register_session(config: pytest.Config) -> None:
    """Make a session of what the user asked for; raises ConfigError before any model is called."""
    check_version(config)
    state = SessionState(config)
    trials = SessionTrials(state)
    shard = state.settings.shard
    stand_ins = None
    if shard is not None and shard.by == "task" and state.settings.shard_collects != "suite":
        stand_ins = StandIns(shard, state.policies, config, always=state.settings.shard_collects == "own")
    plugins: dict[str, object] = {
        "masking": Masking(),
        **({} if stand_ins is None else {"stand-ins": stand_ins}),
        "collecting": Collecting(state, stand_ins),
        "current-test": CurrentTest(),
        "trying": Trying(state, trials),
    }
    plugins["watching"] = trials.watching = Watching(state)
    trials.open_late = lambda: Application.opened_late(state, trials)
    if state.resources.serves and SERVING not in config.stash:  # this plugin was loaded by a conftest.py
        open_endpoint(config)
    if SERVING in config.stash:
        trials.application = Application(state, trials, config.stash[SERVING])
        plugins["application"] = trials.application
    if state.settings.strength_of is not None:
        plugins["playing"] = _playing().PlayingOnly(state, trials)
    else:
        explaining = Explaining(state)
        plugins = {
            "live-progress": state.live_progress,
            "live-progress-hooks": state.live_progress.hooks(),
            **plugins,
            **({"playing": _playing().Playing(state, trials)} if state.settings.strength else {}),
            "distributing": Distributing(state),
            "explaining": explaining,
            "finishing": Finishing(state, explaining),
        }
    if not state.resources.is_worker:
        plugins["signals"] = Signals(state.write_down)
    for name, plugin in plugins.items():
        config.pluginmanager.register(plugin, f"rightsize-{name}")


def _playing() -> ModuleType:
    """The plugins that play wrong answers, which few sessions do."""
    from pytest_rightsize.session import playing

    return playing
