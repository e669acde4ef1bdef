"""Quarantine: three failures hold a device back, one probe a spell lets it return, neighbours never notice."""

from datetime import datetime, timedelta

from ingest.quarantine import FIRST, LIMIT, LONGEST, Quarantine

NOW = datetime(2026, 7, 1)
SECOND = timedelta(seconds=1)


def broken(now: datetime = NOW) -> Quarantine:
    held = Quarantine()
    assert [held.failed("a", now) for _ in range(LIMIT)] == [False] * (LIMIT - 1) + [True]
    return held


def test_opens_at_the_limit_and_not_one_before() -> None:
    held = Quarantine()
    for _ in range(LIMIT - 1):
        held.failed("a", NOW)
        assert held.allows("a", NOW)
    held.failed("a", NOW)
    assert not held.allows("a", NOW)
    assert held.allows("b", NOW)
    assert held.held(NOW) == ("a",)


def test_a_success_in_between_starts_the_count_again() -> None:
    held = Quarantine()
    for _ in range(5):
        for _ in range(LIMIT - 1):
            held.failed("a", NOW)
        assert not held.succeeded("a")
    assert held.allows("a", NOW)


def test_half_open_passes_one_probe_a_spell() -> None:
    held = broken()
    assert not held.allows("a", NOW + FIRST - SECOND)
    assert held.allows("a", NOW + FIRST)
    assert not held.allows("a", NOW + FIRST)
    assert held.allows("a", NOW + 2 * FIRST)  # the probe that was never answered for does not lock it out


def test_a_failed_probe_waits_twice_as_long_up_to_the_longest() -> None:
    held, now, spell = broken(), NOW, FIRST
    for _ in range(10):
        now += spell
        assert held.allows("a", now)
        assert not held.failed("a", now)
        spell = min(2 * spell, LONGEST)
        assert not held.allows("a", now + spell - SECOND)
    assert spell == LONGEST


def test_a_good_probe_closes() -> None:
    held = broken()
    assert held.allows("a", NOW + FIRST)
    assert held.succeeded("a")
    assert held.allows("a", NOW + FIRST)
    assert held.held(NOW) == ()
