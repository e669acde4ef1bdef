"""Each story of the field ends well here, and its file says both what happened there and why it does not here."""

from pathlib import Path

import pytest

from tests.ablations.guards import removal
from tests.stories.replay import Stage, stories

STORIES = stories()


@pytest.mark.parametrize("name", STORIES)
def test_what_went_wrong_in_the_field_goes_right_here(tmp_path: Path, name: str) -> None:
    story = STORIES[name]
    assert story["name"] == name and story["happened"] and story["here"]
    stage = Stage(tmp_path, story)
    found = stage.found()
    assert {key: found[key] for key in story["expect"]} == story["expect"], found


def test_every_story_of_the_field_is_there() -> None:
    assert len(STORIES) == 9


@pytest.mark.parametrize("name", [name for name, story in STORIES.items() if "held_by" in story["expect"]])
def test_without_the_guard_it_goes_wrong_again(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    removal(STORIES[name]["expect"]["held_by"])(monkeypatch)
    assert Stage(tmp_path, {**STORIES[name], "accounts": 1}).found()["drives"] == ["disconnect"]
