"""CSV in all its forms: what is taken, what is refused by which line, and that no half value ever enters."""

import gzip

import numpy as np
import pytest

from ingest.deliveries import ReadOptions, formats, parse
from ingest.files.csv import FORMAT
from ingest.quantities import Word, quantity
from ingest.records import Channel, Flag

LONG = "LCLid,tstp,energy(kWh/hh)\n"


def read(text: str | bytes, **options: str | int):
    data = text.encode() if isinstance(text, str) else text
    return FORMAT.parse(data, ReadOptions(**options))


def ends(delivery) -> list[str]:
    return [str(value)[:16] for value in delivery.end]


def reasons(delivery) -> list[tuple[int, str]]:
    return [(item.line, item.reason) for item in delivery.refused]


def table(delivery) -> dict[tuple[str, str], int]:
    meters = [delivery.meters[number] for number in delivery.meter]
    return dict(zip(zip(meters, ends(delivery), strict=True), delivery.energy_wh.tolist(), strict=True))


def test_the_loader_finds_the_three_formats():
    assert list(formats()) == ["csv", "greenbutton", "nem12"]


def test_long_form_stamps_are_starts_and_values_are_padded():
    got = read(LONG + "A,2013-01-01 00:00:00, 0.047 \nA,2013-01-01 00:30:00, 0.2 \nB,2013-01-01 00:00:00,1\n")
    assert got.meters == ("A", "B")
    assert ends(got) == ["2013-01-01T00:30", "2013-01-01T01:00", "2013-01-01T00:30"]
    assert got.energy_wh.tolist() == [47, 200, 1000]
    assert got.minutes.tolist() == [30, 30, 30]
    assert set(got.flags.tolist()) == {int(Flag.IMPORTED)}


def test_wide_form_gives_one_meter_per_column_and_counts_empty_cells():
    got = read("Datetime,81,82\n2013-01-01 00:00:00,0.1,\n2013-01-01 00:30:00,0.2,0.4\n")
    assert got.meters == ("81", "82")
    assert (got.rows, got.missing, got.end.size) == (4, 1, 3)


def test_the_steel_plant_has_two_channels_and_a_midnight_under_the_old_date():
    text = "date,Usage_kWh,Lagging_Current_Reactive.Power_kVarh,Leading_Current_Reactive_Power_kVarh,CO2(tCO2)\r\n"
    stamps = ["1/1/2018 23:30", "1/1/2018 23:45", "1/1/2018 0:00", "2/1/2018 0:15", "2/1/2018 0:30"]
    got = read(text + "".join(f"{stamp},3.17,2.95,0,0\r\n" for stamp in stamps), meter="S")
    assert set(got.channel.tolist()) == {Channel.IMPORT, Channel.REACTIVE}
    mine = [end for end, channel in zip(ends(got), got.channel, strict=True) if channel == Channel.IMPORT]
    assert mine == ["2018-01-01T23:30", "2018-01-01T23:45", "2018-01-02T00:00", "2018-01-02T00:15", "2018-01-02T00:30"]


def test_solar_columns_go_to_import_and_export():
    got = read(",GC,GG\n2011-07-01 00:00:00,0.392,0.1\n2011-07-01 00:30:00,0.45399999999999996,0\n", meter="H")
    assert [(int(c), int(e)) for c, e in zip(got.channel, got.energy_wh, strict=True)] == [
        (1, 392),
        (2, 100),
        (1, 454),
        (2, 0),
    ]
    assert got.rounded == 1


def test_explicit_offsets_carry_a_clock_change():
    rows = [
        "2016-11-06T00:00:00-05:00",
        "2016-11-06T01:00:00-05:00",
        "2016-11-06T01:00:00-06:00",
        "2016-11-06T02:00:00-06:00",
    ]
    got = read("start,value\r\n" + "".join(f"{row},1\r\n" for row in rows), meter="I")
    assert ends(got) == ["2016-11-06T06:00", "2016-11-06T07:00", "2016-11-06T08:00", "2016-11-06T09:00"]


def test_wall_time_with_a_zone_knows_the_repeated_and_the_skipped_hour():
    autumn = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    got = read(LONG + "".join(f"A,2013-10-27 {at}:00,1\n" for at in autumn), zone="Europe/London")
    assert ends(got) == [
        f"2013-10-2{d}T{t}"
        for d, t in ((7, "00:00"), (7, "00:30"), (7, "01:00"), (7, "01:30"), (7, "02:00"), (7, "02:30"))
    ]
    spring = read(
        LONG + "A,2013-03-31 00:30:00,1\nA,2013-03-31 01:30:00,1\nA,2013-03-31 02:00:00,1\n", zone="Europe/London"
    )
    assert reasons(spring) == [(3, "no_such_hour")]
    assert ends(spring) == ["2013-03-31T01:00", "2013-03-31T01:30"]


def test_what_is_wrong_is_refused_by_its_line_and_the_rest_goes_on():
    body = [
        "A,2013-01-01 00:00:00,0.1",
        "A,not a time,0.1",
        "A,2013-01-01 00:30:00,abc",
        "A,2013-01-01 01:00:00,-0.1",
        "A,2013-01-01 01:30:00,0,5",
        "A,1970-01-01 02:00:00,0.5",
        "A,2013-01-01 02:11:00,0.5",
        "A,2013-01-01 02:30:00,Null",
        'A,2013-01-01 03:00:00,"0,25"',
        "A,2013-01-01 03:30:00,1e12",
    ]
    got = read(LONG + "\n".join(body) + "\n")
    assert reasons(got) == [
        (3, "bad_stamp"),
        (4, "bad_value"),
        (5, "negative"),
        (6, "field_count"),
        (7, "clock_lost"),
        (8, "off_grid"),
        (11, "too_large"),
    ]
    assert got.energy_wh.tolist() == [100, 250]
    assert (got.rows, got.missing) == (10, 1)
    assert got.rows == got.end.size + got.missing + got.refused_count


def test_negative_energy_becomes_export_beside_a_zero_import_when_told():
    got = read(LONG + "A,2013-01-01 00:00:00,-0.1\nA,2013-01-01 00:30:00,0.1\n", negative="export")
    rows = sorted(zip(got.channel.tolist(), ends(got), got.energy_wh.tolist(), strict=True))
    assert rows == [(1, "2013-01-01T00:30", 0), (1, "2013-01-01T01:00", 100), (2, "2013-01-01T00:30", 100)]
    assert got.exported == 1


def test_a_drifting_clock_is_snapped_flagged_and_named_once():
    day = 86_400
    base = np.datetime64("2013-01-01T00:00:00")
    rows = [
        f"A,{str(base + np.timedelta64(i * 1800 + i * 1800 // day * 60, 's')).replace('T', ' ')},0.1\n"
        for i in range(48 * 5)
    ]
    got = read(LONG + "".join(rows))
    assert not got.refused
    assert len(np.unique(got.end)) == 48 * 5
    assert [finding.code for finding in got.findings] == ["clock_drift"]
    assert np.count_nonzero(got.flags & int(Flag.CLOCK)) == 48 * 3


@pytest.mark.parametrize("unit, expected", [("", 1), ("kWh", 1000), ("MWh", 1_000_000)])
def test_units_come_from_the_header_or_an_option(unit: str, expected: int):
    got = read("meter,stamp,energy (Wh)\nA,2026-01-01T00:00Z,1\nA,2026-01-01T00:15Z,1\n", unit=unit)
    assert got.energy_wh.tolist() == [expected] * 2
    assert got.minutes.tolist() == [15, 15]


def test_mark_line_ends_spaces_blanks_packing_and_order_change_nothing():
    plain = read(LONG + "A,2013-01-01 00:00:00,0.1\nA,2013-01-01 00:30:00,0.2\n")
    odd = "\ufeff" + (LONG + "\nA,2013-01-01 00:00:00,0.1  \n\nA,2013-01-01 00:30:00,0.2  \n").replace("\n", "\r\n")
    for data in (odd.encode(), gzip.compress(odd.encode()), odd.encode("utf-8-sig").replace(b"\xef\xbb\xbf", b"", 1)):
        got = parse(data)
        assert got.energy_wh.tolist() == plain.energy_wh.tolist()
        assert got.end.tolist() == plain.end.tolist()
        assert not got.refused
    semicolons = read("meter;stamp;kWh\nA;2013-01-01 00:00;0,1\nA;2013-01-01 00:30;0,2\n")
    assert semicolons.energy_wh.tolist() == [100, 200]


def test_a_file_cut_anywhere_stores_no_half_value_and_its_pieces_make_the_whole():
    """Cut at every byte: the first piece's values are all whole, and both pieces together give every row."""
    times = ("00:00:00, 0.125", "00:30:00, 0.25", "01:00:00, 0.5", "01:30:00, 0.75")
    data = (LONG + "".join(f"MAC7,2013-01-01 {row} \n" for row in times)).encode()
    want = table(read(data))
    last = data.rindex(b"MAC7")
    for cut in range(len(LONG), last):
        first = read(data[:cut])
        assert table(first).items() <= want.items(), cut
        rest = data[data.rindex(b"\n", 0, cut) + 1 :]
        again = read(LONG.encode() + rest, head=first.tail)
        assert table(first) | table(again) == want, cut
        if not data[cut:].split(b"\n")[0].strip():
            continue  # nothing tells that the line was whole: its slot is a gap, never a guess
        second = read(LONG.encode() + data[cut:], head=first.tail)
        assert table(first) | table(second) == want, cut
        assert not second.refused


def test_a_cut_line_that_comes_again_whole_counts_once():
    first = read(LONG + "A,2013-01-01 00:00:00, 0.125 \nA,2013-01-01 00:30:00, 0.2")
    assert reasons(first) == [(3, "cut_line")]
    second = read(LONG + "A,2013-01-01 00:30:00, 0.25 \n", head=first.tail)
    assert second.energy_wh.tolist() == [250]


def test_a_table_without_energy_is_refused_with_what_to_do():
    got = read("Date,Time,Global_active_power,Voltage\n16/12/2006,17:24:00,4.216,234.8\n")
    assert reasons(got) == [(1, "no_columns")]
    assert read("").refused[0].reason == "empty"
    assert parse(b"\x1f\x8bbroken").refused[0].reason == "bad_gzip"


@pytest.mark.parametrize(
    "text, wh, word",
    [
        ("0.0640001", 64, Word.ROUNDED),
        ("0.0005", 0, Word.ROUNDED),
        ("0.0015", 2, Word.ROUNDED),
        ("1e-05", 0, Word.ROUNDED),
        (".5", 500, Word.WHOLE),
        ("5.", 5000, Word.WHOLE),
        ("1.234,5", 0, Word.BAD),
        ("1 2", 0, Word.BAD),
        ("0x10", 0, Word.BAD),
        ("9" * 39, 0, Word.TOO_LARGE),
        ("1e999", 0, Word.TOO_LARGE),
        ("1e-999", 0, Word.ROUNDED),
    ],
)
def test_decimal_text_is_exact_and_rounds_once_half_to_even(text: str, wh: int, word: Word):
    assert quantity(text, 3) == (wh, word)


def test_any_bytes_at_all_never_raise():
    rng = np.random.default_rng(7)
    seed = (LONG + "A,2013-01-01 00:00:00,0.1\nA,2013-01-01 00:30:00,0.2\n").encode()
    for _ in range(300):
        data = bytearray(seed)
        for at in rng.integers(0, len(data), 4):
            data[at] = int(rng.integers(0, 256))
        for name in formats():
            formats()[name].parse(bytes(data), ReadOptions())
