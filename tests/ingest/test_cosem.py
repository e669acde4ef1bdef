"""Date-times, scalers, columns and selective access, against captured frames and known zones."""

from datetime import datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import WireRefusal
from ingest.wire.axdr import Data, Tag, decode, encode
from ingest.wire.cosem import (
    Column,
    When,
    by_entry,
    by_range,
    column_of,
    entries_of,
    local_of,
    obis_bytes,
    obis_text,
    pack_time,
    range_of,
    scaler_data,
    scaler_of,
    time_of,
    unpack_time,
)


@pytest.mark.parametrize(
    ("raw", "zone", "utc"),
    [
        ("07e40115021000 00ffffc400", "UTC", "2020-01-21T15:00:00"),  # deviation -60: central European winter time
        ("07e3020401173416ff800000", "Europe/Oslo", "2019-02-04T22:52:22"),  # not specified: the zone counts
        ("07e3020401173416ff800000", "UTC", "2019-02-04T23:52:22"),
        ("07e30707 07020000ffff8880", "UTC", "2019-07-07T00:00:00"),  # -120
        ("07ea0a1907021e0000800080", "Europe/Oslo", "2026-10-25T00:30:00"),  # repeated hour, still summer time
        ("07ea0a1907021e0000800000", "Europe/Oslo", "2026-10-25T01:30:00"),  # repeated hour, winter time
        ("07ea0a1907021e00008000ff", "Europe/Oslo", "2026-10-25T00:30:00"),  # status unknown: the first pass
        ("07e401150210ffffff800000", "UTC", None),  # minute undefined
        ("ffff0115021000000080 0000", "UTC", None),  # year undefined
        ("07e4021e021000000080 0000", "UTC", None),  # 30 February
        ("07e401150210000000 7fff00", "UTC", None),  # deviation out of range
        ("07e4011502100000", "UTC", None),  # too short
    ],
)
def test_date_times(raw: str, zone: str, utc: str | None) -> None:
    data = bytes.fromhex(raw)
    if utc is None:
        with pytest.raises(WireRefusal) as refused:
            unpack_time(data)
        assert refused.value.reason == "no_time"
    else:
        assert unpack_time(data).utc(zone).isoformat() == utc


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(
        lambda at: at.replace(microsecond=at.microsecond // 10_000 * 10_000)
    ),
    st.one_of(st.none(), st.integers(-840, 840)),
    st.integers(0, 255),
)
def test_date_times_round_trip(local: datetime, deviation: int | None, status: int) -> None:
    when = When(local, deviation, status)
    assert unpack_time(pack_time(when)) == when


@given(st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1)).map(lambda at: at.replace(microsecond=0)))
def test_local_times_lead_back_to_utc_even_in_the_repeated_hour(at: datetime) -> None:
    for zone in ("Europe/London", "Asia/Shanghai", "Australia/Sydney"):
        assert unpack_time(pack_time(local_of(at, zone))).utc(zone) == at


def test_a_doubtful_clock_is_seen() -> None:
    now = datetime(2026, 1, 1)
    assert When(now, 0, 1).doubtful and When(now, 0, 2).doubtful
    assert not When(now, 0, 0x80).doubtful and not When(now, 0, 0xFF).doubtful


def test_names() -> None:
    assert obis_text(obis_bytes("1.0.99.1.0.255")) == "1.0.99.1.0.255"
    with pytest.raises(ValueError, match="six numbers"):
        obis_bytes("1.0.1.8.0")
    with pytest.raises(WireRefusal):
        obis_text(b"\x01")


@pytest.mark.parametrize(
    ("raw", "scale", "unit"), [("02020f00161b", Fraction(1), 27), ("02020fff1623", Fraction(1, 10), 35)]
)
def test_scalers(raw: str, scale: Fraction, unit: int) -> None:
    assert scaler_of(decode(bytes.fromhex(raw))) == (scale, unit)
    assert scaler_of(scaler_data(-3, 30)) == (Fraction(1, 1000), 30)


@pytest.mark.parametrize("raw", ["00", "0200", "02020f7f161b", "020209010016 1b"])
def test_bad_scalers_are_refused(raw: str) -> None:
    with pytest.raises(WireRefusal, match="bad_scaler"):
        scaler_of(decode(bytes.fromhex(raw)))


def test_a_captured_object_of_the_green_book() -> None:
    data = decode(bytes.fromhex("020412000809060000010000ff0f02120000"))
    assert column_of(data) == Column(8, "0.0.1.0.0.255", 2)
    assert column_of(data).data() == data
    for wrong in ("00", "0204120008090500000100000f02120000", "020312000809060000010000ff0f02"):
        with pytest.raises(WireRefusal):
            column_of(decode(bytes.fromhex(wrong)))


def test_selective_access_reads_back() -> None:
    start, end = When(datetime(2026, 1, 1), 0), When(datetime(2026, 2, 1), -60)
    assert range_of(by_range(start, end)) == (Column(8, "0.0.1.0.0.255", 2), start, end)
    assert entries_of(by_entry(3, 9)) == (3, 9)
    assert encode(by_entry(1, 0).parameters).hex() == "0204" + "0600000001" + "0600000000" + "120001" + "120000"
    with pytest.raises(WireRefusal):
        range_of(by_entry(1, 2))
    with pytest.raises(WireRefusal):
        entries_of(by_range(start, end))


def test_a_time_must_be_a_time() -> None:
    with pytest.raises(WireRefusal, match="no_time"):
        time_of(Data(Tag.UNSIGNED, 5))
