"""The clocks of this process, bound when the plugin loads: time that a test freezes or patches is not read here.

No other file calls `time`, `datetime.now` or `date.today`. The functions are kept in a tuple, as freezegun replaces
whatever it finds by name in any module; the date is told from a clock that time-machine leaves alone.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import NamedTuple

__all__ = ["monotonic", "now", "own_thread_clock", "perf_counter", "process_time", "processor_time", "sleep", "today"]


class _Bound(NamedTuple):
    monotonic: Callable[[], float]
    perf_counter: Callable[[], float]
    process_time: Callable[[], float]
    sleep: Callable[[float], None]
    # Windows has none.
    clock_gettime: Callable[[int], float] | None
    pthread_getcpuclockid: Callable[[int], int] | None
    date_time: type[datetime]


_BOUND = _Bound(
    # time-machine 2.13 moves `time.monotonic`, wherever it is kept. This clock is as steady, and nobody moves it.
    monotonic=time.perf_counter,
    perf_counter=time.perf_counter,
    process_time=time.process_time,
    sleep=time.sleep,
    clock_gettime=getattr(time, "clock_gettime", None),
    pthread_getcpuclockid=getattr(time, "pthread_getcpuclockid", None),
    date_time=datetime,
)
# A clock that goes on while the machine sleeps.
_STEADY = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def monotonic() -> float:
    """Seconds since some moment; only differences mean something."""
    return _BOUND.monotonic()


def perf_counter() -> float:
    """Seconds as `monotonic`, at the highest resolution; not to be mixed with it."""
    return _BOUND.perf_counter()


def process_time() -> float:
    """Processor seconds of this process."""
    return _BOUND.process_time()


def processor_time(clock: int) -> float:
    """Seconds of a processor clock by its POSIX number; raises OSError where there is no such clock."""
    if _BOUND.clock_gettime is None:
        raise OSError("this system has no such clocks")
    return _BOUND.clock_gettime(clock)


def own_thread_clock() -> int | None:
    """The number of the clock of this thread's processor time, for `processor_time`; None where there is none."""
    return None if _BOUND.pthread_getcpuclockid is None else _BOUND.pthread_getcpuclockid(threading.get_ident())


def sleep(seconds: float) -> None:
    """Let this thread sleep."""
    _BOUND.sleep(seconds)


def _steady() -> float:
    if _BOUND.clock_gettime is None or _STEADY is None:
        return _BOUND.monotonic()
    return _BOUND.clock_gettime(_STEADY)


_BEGAN = time.time() - _steady()


def now() -> datetime:
    """The present date and time, in UTC; a clock that is set meanwhile is not followed."""
    return _BOUND.date_time.fromtimestamp(_BEGAN + _steady(), UTC)


def today() -> date:
    """The present day where this machine is."""
    return now().astimezone().date()
