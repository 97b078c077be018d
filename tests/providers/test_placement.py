"""Whose room a rung takes and who sees private prompts, by providers that say so and by older ones."""

from typing import Any

import pytest

from pytest_rightsize.errors import RungError
from pytest_rightsize.meters import site_of
from pytest_rightsize.meters.choice import choose
from pytest_rightsize.providers.placement import is_trusted, keeps_private, room_of
from pytest_rightsize.records import Request, Rung
from pytest_rightsize.running.engine import Engine
from pytest_rightsize.running.ticket import Ticket
from tests.running.test_engine import Echo

ASK = Request(messages=({"role": "user", "content": "a"},))


def provider(leaves: bool, **says: Any) -> Any:
    """A provider that answers as `Echo` does, and says of itself what is given."""
    return type("Said", (Echo,), {"leaves_machine": leaves, **says})()


@pytest.mark.parametrize(
    ("says", "of_the_rung", "private", "room"),
    [
        ({"leaves": False}, None, True, "machine"),  # as providers of before said it
        ({"leaves": True}, None, False, None),
        ({"leaves": True}, True, True, None),
        ({"leaves": True}, False, False, None),
        ({"leaves": True, "trusted": True}, None, True, None),
        ({"leaves": True, "takes_room_of": "cluster"}, None, False, "cluster"),
        ({"leaves": False, "takes_room_of": None}, None, True, None),
        ({"leaves": True, "trusted": False, "takes_room_of": "cluster"}, True, True, "cluster"),
    ],
)
def test_a_place_is_what_provider_and_ladder_file_say(
    says: dict[str, Any], of_the_rung: bool | None, private: bool, room: str | None
) -> None:
    one, rung = provider(**says), Rung(name="r", provider="said", trusted=of_the_rung)
    assert keeps_private(one, rung) is private
    assert room_of(one) == room
    assert is_trusted(one, rung) is (bool(of_the_rung) or bool(says.get("trusted")))


def engine(providers: dict[str, Any], *, trusted: str = "", offline: bool = False) -> Engine:
    rungs = {name: Rung(name=name, provider="said", trusted=name == trusted) for name in providers}
    return Engine(providers, one_at_a_time=True, rungs=rungs, offline=offline)


@pytest.mark.parametrize(
    ("trusted", "private", "offline", "reason"),
    [
        ("", False, False, None),
        ("", True, False, "private"),
        ("far", True, False, None),
        ("far", True, True, "offline"),  # what is offline is offline, whom the user trusts or not
        ("far", False, True, "offline"),
    ],
)
def test_private_tasks_go_to_a_trusted_place_and_offline_sessions_nowhere(
    trusted: str, private: bool, offline: bool, reason: str | None
) -> None:
    asking = engine({"far": provider(True)}, trusted=trusted, offline=offline)
    ticket = Ticket(case="c", private=private)
    if reason is None:
        assert asking.ask("far", ASK, ticket).text == "a#1"
        return
    with pytest.raises(RungError) as refused:
        asking.ask("far", ASK, ticket)
    assert refused.value.reason == reason


def test_a_rung_makes_room_where_it_takes_room() -> None:
    """Three rungs of a cluster with a place for one are climbed one after the other, beside what stands elsewhere."""
    small, large = (provider(True, takes_room_of="cluster") for _ in range(2))
    asking = engine({"small": small, "large": large, "here": provider(False), "endpoint": provider(True)})
    for rung in ("endpoint", "here", "small"):
        asking.ask(rung, ASK, Ticket(case=rung))
    assert asking.must_close_for("large") == ["small"]
    assert asking.must_close_for("endpoint") == []
    asking.ask("large", ASK, Ticket(case="large"))
    assert (small.closed, large.closed) == (1, 0)
    assert asking.must_close_for("small") == ["large"]


def test_what_a_provider_measures_itself_needs_no_meter_of_this_session() -> None:
    one = provider(True, site="cluster")
    choice = choose(Rung(name="r", provider="said", meter="nvml"), site_of(one), {})
    assert (choice.meters, str(choice)) == ({}, "none (its provider measures where the model runs)")
