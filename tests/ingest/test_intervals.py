"""Registers to intervals: each rule by example, and the array form equal to the scalar reference on anything."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.intervals import Limits, Place, spread, to_intervals, walk
from ingest.records import Flag, MeterRead

T0 = datetime(2026, 1, 1)
H = timedelta(hours=1)
LIMITS = {1: Limits(minutes=60, digits=9, max_power_w=10_000)}


def read(hour: float, register: int, flags: int = 0, meter: int = 1, offset: int = 0) -> MeterRead:
    return MeterRead(meter, 1, T0 + hour * H, register, flags, offset)


def run(*reads: MeterRead, previous=None):
    result = walk(reads, limits=LIMITS, previous=previous or {})
    assert to_intervals(reads, limits=LIMITS, previous=previous or {}) == result
    return result


def energies(result) -> list[tuple[int, int]]:
    return [(row.energy_wh, row.flags) for row in result.intervals]


def codes(result) -> list[str]:
    return [finding.code for finding in result.findings]


def test_the_first_read_sets_the_place_and_the_next_ones_are_energy():
    result = run(read(0, 500), read(1, 800), read(2, 800))
    assert energies(result) == [(300, 0), (0, 0)]
    assert result.places[1, 1] == Place(T0 + 2 * H, 800)


def test_a_gap_is_a_block_with_exact_energy_and_uncertain_hours():
    result = run(read(0, 0), read(4, 1001))
    assert [row.energy_wh for row in result.intervals] == [250, 250, 250, 251]
    assert {row.flags for row in result.intervals} == {Flag.UNCERTAIN}
    assert [row.end for row in result.intervals] == [T0 + n * H for n in (1, 2, 3, 4)]


def test_a_read_between_slots_is_cut_at_the_grid():
    result = run(read(0, 0), read(1.5, 900), read(2, 1000))
    assert [(row.end - T0, row.minutes, row.energy_wh) for row in result.intervals] == [
        (1 * H, 60, 600),
        (1.5 * H, 30, 300),
        (2 * H, 30, 100),
    ]


def test_repeats_are_counted_and_a_second_value_never_replaces_the_first():
    result = run(read(0, 0), read(1, 100), read(1, 100), read(1, 150))
    assert energies(result) == [(100, 0)]
    assert result.duplicates == 1
    assert codes(result) == ["conflict"]


def test_a_rollover_is_energy_not_a_fall():
    result = run(read(0, 999_999_800), read(1, 300))
    assert energies(result) == [(500, Flag.ROLLOVER)]
    assert codes(result) == []


def test_a_fall_without_notice_is_not_billed_and_the_register_goes_on_after_it():
    result = run(read(0, 50_000), read(1, 0), read(2, 400))
    assert energies(result) == [(0, Flag.SUSPECT), (400, 0)]
    assert codes(result) == ["falling_register", "register_reset"]
    assert result.places[1, 1] == Place(T0 + 2 * H, 400)


def test_a_glitch_is_cleared_by_the_next_read_and_no_energy_is_lost():
    for wrong in (0, 90_000_000):
        result = run(read(0, 50_000), read(1, wrong), read(2, 51_000))
        clean = [row for row in result.intervals if not row.flags & Flag.SUSPECT]
        assert sum(row.energy_wh for row in clean) == 1000
        assert codes(result)[1] == "suspect_cleared"


def test_a_spike_is_suspect_until_a_person_confirms_it():
    result = run(read(0, 0), read(1, 11_001))
    assert energies(result) == [(11_001, Flag.SUSPECT)]
    confirmed = run(replace(read(1, 11_001), flags=Flag.CONFIRMED), previous={(1, 1): Place(T0, 0)})
    assert energies(confirmed) == [(11_001, Flag.CONFIRMED)]
    assert energies(run(read(0, 0), read(1, 11_000))) == [(11_000, 0)]


def test_a_swap_starts_again_and_counts_nothing():
    result = run(read(0, 70_000), read(1, 71_000), read(2, 5, Flag.SWAP), read(3, 105))
    assert energies(result) == [(1000, 0), (100, 0)]
    assert codes(result) == ["swap"]


def test_a_late_read_is_handed_back():
    result = run(read(0, 0), read(2, 200), read(1, 90), previous={(1, 1): Place(T0 + 1 * H / 2, 50)})
    assert [r.end for r in result.late] == [T0]


def test_a_wrong_clock_is_flagged():
    assert energies(run(read(0, 0), read(1, 100, offset=3600))) == [(100, Flag.CLOCK)]


def test_an_estimated_read_marks_its_slot_and_the_one_after_it():
    result = run(read(0, 0), read(1, 100, Flag.ESTIMATED), read(2, 300))
    assert energies(result) == [(100, Flag.ESTIMATED), (200, Flag.UNCERTAIN)]


@given(st.integers(0, 10**6), st.integers(1, 10_000), st.integers(0, 5000))
def test_a_block_is_exact_in_energy_and_in_time(energy: int, minutes: int, offset: int):
    start = T0 + timedelta(minutes=offset)
    parts = spread(start, start + timedelta(minutes=minutes), energy, 30)
    assert sum(part for _, _, part in parts) == energy
    assert sum(length for _, length, _ in parts) == minutes
    assert all(part >= 0 for _, _, part in parts)


steps = st.lists(
    st.tuples(
        st.integers(1, 4),  # meter
        st.sampled_from([0.5, 1, 1, 1, 1, 2, 3]),
        st.sampled_from([0, 120, 450, 450, 9000, 40_000, -5, -40_000, 1_000_000_000]),
        st.sampled_from([0, 0, 0, 0, 0, 0, Flag.SWAP, Flag.SUSPECT, Flag.ESTIMATED, Flag.CONFIRMED, Flag.MANUAL]),
        st.sampled_from([0, 0, 0, 500]),
    ),
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(steps, st.integers(0, 29))
def test_arrays_agree_with_the_reference_whole_and_in_two_pieces(moves, cut: int):
    hour, register = dict.fromkeys(range(1, 5), 0.0), dict.fromkeys(range(1, 5), 1000)
    reads = []
    for meter, hours, step, flags, offset in moves:
        hour[meter] += hours
        register[meter] = max(0, register[meter] + step)
        reads.append(read(hour[meter], register[meter], flags, meter, offset))
    limits = {1: LIMITS[1], 2: Limits(30), 3: Limits(60, 6, 5000)}
    whole = walk(reads, limits=limits, previous={})
    assert to_intervals(reads, limits=limits, previous={}) == whole
    first = to_intervals(reads[:cut], limits=limits, previous={})
    second = to_intervals(reads[cut:], limits=limits, previous=first.places)
    assert second.places == whole.places
    key = lambda row: (row.meter_id, row.channel)  # noqa: E731
    assert sorted([*first.intervals, *second.intervals], key=key) == sorted(whole.intervals, key=key)
