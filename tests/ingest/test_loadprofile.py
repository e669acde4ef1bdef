"""Load profiles as arrays: the fast view and the item-by-item way give the same, or say why not."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import WireRefusal
from ingest.wire import loadprofile
from ingest.wire.axdr import Data, Tag, decode, encode
from ingest.wire.cosem import Column, When, pack_time
from ingest.wire.loadprofile import Layout, Rows, layout_of, rows_of

START = datetime(2026, 3, 28)
LAYOUT = Layout(0, 2, 3600)
CLOCK, ENERGY = Column(8, "0.0.1.0.0.255", 2), Column(3, "1.0.1.8.0.255", 2)


def buffer(count: int, *, deviation: int | None = 0, tag: Tag = Tag.DOUBLE_LONG_UNSIGNED) -> bytes:
    rows = []
    for index in range(count):
        at = START + timedelta(hours=index) - timedelta(minutes=deviation or 0)
        stamp = Data(Tag.OCTET_STRING, pack_time(When(at, deviation)))
        rows.append(Data(Tag.STRUCTURE, (stamp, Data(Tag.UNSIGNED, index % 256), Data(tag, 1000 + 7 * index))))
    return encode(Data(Tag.ARRAY, tuple(rows)))


def same(first: Rows, second: Rows) -> bool:
    return bool((first.ends == second.ends).all() and (first.values == second.values).all())


@pytest.mark.parametrize("tag", [Tag.DOUBLE_LONG_UNSIGNED, Tag.LONG64_UNSIGNED, Tag.DOUBLE_LONG, Tag.LONG64])
@pytest.mark.parametrize("deviation", [0, -60, 330, None])
def test_the_view_reads_what_the_items_say(tag: Tag, deviation: int | None) -> None:
    raw = buffer(720, deviation=deviation, tag=tag)
    rows = rows_of(raw, LAYOUT)
    assert rows.fast
    assert same(rows, loadprofile._item_by_item(decode(raw), LAYOUT))
    assert rows.ends[0] == np.datetime64(START) and rows.ends[719] == np.datetime64(START + timedelta(hours=719))
    assert rows.values[719] == 1000 + 7 * 719


def test_times_without_deviation_in_a_zone_with_summer_time_go_item_by_item() -> None:
    rows = rows_of(buffer(48, deviation=None), Layout(0, 2, 3600, zone="Europe/London"))
    assert not rows.fast
    assert rows.ends[23] == np.datetime64("2026-03-28T23:00") and rows.ends[26] == np.datetime64("2026-03-29T01:00")


def test_a_deviation_that_is_not_trusted_is_ignored() -> None:
    raw = buffer(3, deviation=-60)
    rows = rows_of(raw, Layout(0, 2, zone="UTC", trust_deviation=False))
    assert rows.ends[0] == np.datetime64(START + timedelta(hours=1))
    assert same(rows, loadprofile._item_by_item(decode(raw), Layout(0, 2, zone="UTC", trust_deviation=False)))


def test_a_row_without_a_time_follows_the_one_before() -> None:
    stamp = Data(Tag.OCTET_STRING, pack_time(When(START, 0)))
    rows = tuple(
        Data(Tag.STRUCTURE, (time, Data(Tag.UNSIGNED, 0), Data(Tag.DOUBLE_LONG_UNSIGNED, value)))
        for time, value in ((stamp, 1), (Data(Tag.NULL), 2), (Data(Tag.NULL), 3))
    )
    found = rows_of(encode(Data(Tag.ARRAY, rows)), LAYOUT)
    assert found.ends.tolist() == [START + timedelta(hours=hours) for hours in range(3)]
    with pytest.raises(WireRefusal, match="no_time"):
        rows_of(encode(Data(Tag.ARRAY, rows[1:])), LAYOUT)


def test_an_empty_profile_has_no_rows() -> None:
    assert len(rows_of(b"\x01\x00", LAYOUT).ends) == 0


@pytest.mark.parametrize("raw", ["", "00", "0101 0200", "0101 0203 00 00 00", "0101 020309010000 11 05"])
def test_what_is_no_profile_is_refused(raw: str) -> None:
    with pytest.raises(WireRefusal):
        rows_of(bytes.fromhex(raw), LAYOUT)


@settings(max_examples=300, deadline=None)
@given(st.integers(2, 6), st.data())
def test_a_damaged_buffer_gives_the_same_either_way(count: int, draw: st.DataObject) -> None:
    """Whatever byte is wrong, the view never sees another value than the items do."""
    raw = bytearray(buffer(count, deviation=draw.draw(st.sampled_from([0, -60, None]))))
    raw[draw.draw(st.integers(0, len(raw) - 1))] = draw.draw(st.integers(0, 255))

    def slow() -> Rows | str:
        try:
            return loadprofile._item_by_item(decode(bytes(raw)), LAYOUT)
        except WireRefusal as refusal:
            return refusal.reason

    expected = slow()
    try:
        found = rows_of(bytes(raw), LAYOUT)
    except WireRefusal as refusal:
        assert refusal.reason == expected
    else:
        assert isinstance(expected, Rows) and same(found, expected)


def test_the_captured_objects_say_which_column_is_which() -> None:
    status = Column(1, "0.0.96.10.1.255", 2)
    assert layout_of((CLOCK, status, ENERGY), ENERGY, CLOCK) == (0, 2)
    for columns in ((CLOCK, status), (ENERGY,), (CLOCK, ENERGY, ENERGY)):
        with pytest.raises(WireRefusal, match="unknown_profile"):
            layout_of(columns, ENERGY, CLOCK)
