"""Turns whatever a provider raises beside its own errors into a fault of its rung, without the library's error.

A provider raises RungError and NoAnswerError; anything else is a bug of it. Its frames and its error's arguments hold
requests and headers, which a traceback would show.
"""

import sysconfig
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from traceback import extract_tb

from pytest_rightsize.errors import ConfigError, RightsizeError, RungError
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.providers.environment import error_words
from pytest_rightsize.providers.locality import LeavesMachineError
from pytest_rightsize.records import Identity, Reply, Request, Rung

__all__ = ["checked", "fault_of", "identified", "made", "submitted"]

_LONGEST = 300


def submitted(provider: Provider, rung: str, request: Request) -> Future[Reply]:
    """The Future of the reply; raises no error but those of this package."""
    try:
        return provider.submit(request)
    except RightsizeError:
        raise
    except Exception as error:
        broken = fault_of(error, rung)
    raise broken


def made(kind: type[Provider], rung: Rung) -> Provider:
    """The provider of the rung; raises ConfigError or RungError alone."""
    try:
        return kind(rung)
    except RightsizeError:
        raise
    except Exception as error:
        broken = fault_of(error, rung.name)
    raise ConfigError(str(broken))


def checked(provider: Provider, rung: str) -> Problem | None:
    """What is missing for the provider to answer; one that breaks cannot."""
    try:
        return provider.check()
    except RightsizeError:
        raise
    except Exception as error:
        broken = fault_of(error, rung)
    return Problem(what=str(broken).partition(": ")[2], remedy="mend the provider, or take the rung off the ladder")


def identified(provider: Provider, rung: str, sha256: Callable[[Path], str]) -> Identity | None:
    """Under what the provider's answers are recorded; raises RungError alone."""
    try:
        return provider.identity(sha256)
    except (RightsizeError, OSError):
        raise
    except Exception as error:
        broken = fault_of(error, rung)
    raise broken


def fault_of(error: Exception, rung: str) -> RungError:
    """The fault of the rung whose provider raised the error; no secret that this process knows is repeated."""
    if isinstance(error, LeavesMachineError):
        return RungError(f"rung {rung!r} was not asked: {error.strerror}", reason="offline")
    frames = extract_tb(error.__traceback__)
    library = sysconfig.get_path("stdlib")
    own = [frame for frame in frames if not frame.filename.startswith(library)] or frames
    place = f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    return RungError(
        f"rung {rung!r}: its provider is broken{place} ({error_words(error)[:_LONGEST]})",
        reason="crash",
        alone=True,
    )
