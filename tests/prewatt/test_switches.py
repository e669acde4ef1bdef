"""``prewatt breaker``: the kill switch from the command line, by name, with its words for what cannot be."""

from pathlib import Path

import pytest

from tests.prewatt.conftest import Run

pytestmark = pytest.mark.usefixtures("home")


def test_one_pulls_and_two_reset_at_the_command_line(run: Run, home: Path) -> None:
    assert home.is_dir()
    assert run("breaker", "status", "-o", "json").json["kill_switch"] == "reset"
    assert run("breaker", "pull", "--reason", " ").code != 0
    pulled = run("breaker", "pull", "--reason", "festival", "--by", "ann", "-o", "json").json
    assert (pulled["kill_switch"], pulled["pulled_by"]) == ("pulled", "ann")
    assert run("breaker", "reset", "--by", "ann", "-o", "json").json["resets"] == ["ann"]
    assert run("breaker", "reset", "--by", "cli:ann", "-o", "json").json["kill_switch"] == "pulled"
    assert run("breaker", "reset", "--by", "bob", "-o", "json").json["kill_switch"] == "reset"
    again = run("breaker", "reset", "--by", "bob")
    assert again.code == 1 and "not pulled" in again.err and "breaker status" in again.err


def test_what_has_not_tripped_is_neither_released_nor_dropped(run: Run) -> None:
    for verb in ("release", "drop"):
        refused = run("breaker", verb, "--by", "ann")
        assert refused.code == 1 and f"nothing to {verb}" in refused.err
