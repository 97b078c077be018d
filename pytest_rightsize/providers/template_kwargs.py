"""Variables for a model's chat template, such as `enable_thinking`, from the rung and from the request; pure."""

from collections.abc import Mapping

from pytest_rightsize.records import Json, Rung

__all__ = ["template_kwargs", "with_template_kwargs"]

_NAME = "chat_template_kwargs"


def template_kwargs(extra: Mapping[str, Json], rung: Rung) -> dict[str, Json]:
    """The variables of the rung and of `extra`, of which the latter count where both are set."""
    return {**rung.options.get(_NAME, {}), **(extra.get(_NAME) or {})}


def with_template_kwargs(body: Mapping[str, Json], rung: Rung) -> dict[str, Json]:
    """A request's body with the rung's `chat_template_kwargs`; those of the request itself come first."""
    kwargs = template_kwargs(body, rung)
    return {**body, **({_NAME: kwargs} if kwargs else {})}
