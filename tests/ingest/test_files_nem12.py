"""NEM12 by record: units, qualities, registers, and a refusal by line for everything that is not as it should be."""

from pathlib import Path

import pytest

from ingest.deliveries import ReadOptions, parse
from ingest.records import Channel, Flag

HEAD = "100,NEM12,200405011135,MDA1,Ret1\n"


def register(suffix: str = "E1", unit: str = "kWh", minutes: int = 30, nmi: str = "NMI1") -> str:
    return f"200,{nmi},E1Q1,1,{suffix},N1,METSER123,{unit},{minutes},\n"


def day(values: list[str] | None = None, quality: str = "A", date: str = "20040201", count: int = 48) -> str:
    return f"300,{date},{','.join(values or ['1.111'] * count)},{quality},,,20040202120025,\n"


def reasons(delivery) -> list[tuple[int, str]]:
    return [(item.line, item.reason) for item in delivery.refused]


def test_a_day_in_market_time_ends_at_fourteen_utc():
    got = parse((HEAD + register() + day() + "900\n").encode())
    assert (got.format, got.meters, got.rows, got.end.size) == ("nem12", ("NMI1",), 48, 48)
    assert (str(got.end[0])[:16], str(got.end[-1])[:16]) == ("2004-01-31T14:30", "2004-02-01T14:00")
    assert int(got.energy_wh.sum()) == 48 * 1111
    assert set(got.flags.tolist()) == {int(Flag.IMPORTED)}


def test_registers_go_to_their_channels_and_second_ones_to_meters_of_their_own():
    text = HEAD + "".join(register(s) + day() for s in ("E1", "B1", "Q1", "E2", "K1")) + "900\n"
    got = parse(text.encode())
    assert got.meters == ("NMI1", "NMI1.E2")
    pairs = set(zip(got.meter.tolist(), got.channel.tolist(), strict=True))
    assert pairs == {(0, Channel.IMPORT), (0, Channel.EXPORT), (0, Channel.REACTIVE), (1, Channel.IMPORT)}
    assert reasons(got) == [(10, "no_channel")]


def test_qualities_by_slot_replace_the_days_own():
    text = (
        HEAD + register() + day(quality="V") + "400,1,20,F14,76,\n400,21,24,A,,\n400,25,46,S14,1,\n400,47,48,N,,\n900\n"
    )
    got = parse(text.encode())
    estimated = [bool(flags & Flag.ESTIMATED) for flags in got.flags.tolist()]
    assert estimated == [True] * 20 + [False] * 4 + [True] * 22
    assert (got.missing, got.rows) == (2, 48)


def test_units_and_slot_lengths():
    got = parse((HEAD + register(unit="Wh", minutes=15) + day(["10"] * 96, count=96) + "900\n").encode())
    assert int(got.energy_wh.sum()) == 960
    five = parse((HEAD + register(minutes=5) + day([".005"] * 288) + "900\n").encode())
    assert (five.end.size, set(five.energy_wh.tolist()), set(five.minutes.tolist())) == (288, {5}, {5})


@pytest.mark.parametrize(
    "text, expected",
    [
        (HEAD + register() + day(["1"] * 40) + "900\n", [(3, "field_count")]),
        (HEAD + register() + day(date="20041332") + "900\n", [(3, "bad_stamp")]),
        (HEAD + register() + day(["x"] + ["1"] * 47) + "900\n", [(3, "bad_value")]),
        (HEAD + register() + day(["-1"] + ["1"] * 47) + "900\n", [(3, "negative")]),
        (HEAD + register() + day(quality="Z") + "900\n", [(3, "bad_quality")] * 48),
        (HEAD + register(unit="kW") + day() + "900\n", [(2, "bad_unit")]),
        (HEAD + register(minutes=7) + day() + "900\n", [(2, "bad_length")]),
        (HEAD + "200,NMI\n900\n", [(2, "field_count")]),
        (HEAD + "777,what\n900\n", [(2, "bad_record")]),
        (HEAD + register() + day() + "400,9,99,A,,\n900\n", [(4, "bad_record")]),
        (HEAD + register() + day() + day(date="20040202")[:60], [(4, "cut_line")]),
        ("100,NEM13,200401101030,MDA1,Ret1\n250,X\n900\n", [(1, "nem13")]),
    ],
)
def test_what_is_wrong_is_refused_by_its_line(text: str, expected: list[tuple[int, str]]):
    assert reasons(parse(text.encode())) == expected


def test_every_prefix_of_a_file_is_read_without_an_exception_and_without_a_half_value():
    text = HEAD + register() + day(quality="V") + "400,1,48,A,,\n" + register("B1") + day(["2.5"] * 48) + "900\n"
    data = text.encode()
    for cut in range(len(data)):
        got = parse(data[:cut], ReadOptions(), format="nem12")
        assert set(got.energy_wh.tolist()) <= {1111, 2500}, cut


@pytest.mark.shared
def test_the_published_examples(shared: Path):
    sums = {}
    for path in sorted((shared / "data" / "nem12" / "unzipped").glob("*.csv")):
        got = parse(path.read_bytes())
        sums[path.stem.removeprefix("Example_")] = (got.end.size, int(got.energy_wh.sum()), got.refused_count)
    assert sums == {
        "NEM12_actual_interval": (96, 53328 + 106656, 0),
        "NEM12_month_solar": (17856, 270738 + 589172, 0),
        "NEM12_multiple_meters": (960, 1920 + 1920 + 9600 + 19200 + 3840, 1),
        "NEM12_multiple_quality": (48, 896990, 0),
        "NEM12_substituted_interval": (96, 110976 + 47053848, 0),
        "NEM13_consumption_data": (0, 0, 1),
    }
