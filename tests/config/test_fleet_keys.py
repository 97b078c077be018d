"""Keys of the ladder file that give figures at scale: CO2e of a kilowatt hour, and requests of a month."""

from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.config.ladder import Ladder, parse_ladder
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers.replay import Replay


def ladder(**top: Any) -> Ladder:
    rungs = {"a": {"provider": "replay", "file": "a"}, "b": {"provider": "replay", "file": "b", "gco2_per_kwh": 20}}
    return parse_ladder({"ladder": rungs, **top}, {"replay": Replay}, where="rightsize.toml", base_dir=Path())


def test_a_rung_has_its_own_intensity_or_that_of_the_file() -> None:
    assert [rung.gco2_per_kwh for rung in ladder(gco2_per_kwh=380).rungs.values()] == [380, 20]
    assert [rung.gco2_per_kwh for rung in ladder().rungs.values()] == [None, 20]
    assert ladder(gco2_per_kwh=0).rungs["a"].gco2_per_kwh == 0
    assert "gco2_per_kwh" in ladder(gco2_per_kwh=380).rungs["a"].to_dict()


def test_a_task_says_how_often_it_is_asked() -> None:
    assert ladder(tasks={"t": {"requests_per_month": 200_000}}).tasks["t"].requests_per_month == 200_000


@pytest.mark.parametrize(
    ("top", "words"),
    [
        ({"gco2_per_kwh": -1}, "gco2_per_kwh = -1 cannot be: give grams of CO2e per kilowatt hour, such as 380"),
        ({"gco2_per_kwh": "low"}, "gco2_per_kwh"),
        ({"tasks": {"t": {"requests_per_month": 0}}}, "requests_per_month = 0 cannot be: give how often"),
        ({"tasks": {"t": {"requests_per_month": True}}}, "requests_per_month"),
    ],
)
def test_what_cannot_be_is_refused(top: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ladder(**top)
