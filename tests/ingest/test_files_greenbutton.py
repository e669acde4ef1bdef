"""Green Button: units and powers of ten, quality, long periods, and the independent parser's own results."""

import gzip
import re
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from ingest.deliveries import ReadOptions, parse
from ingest.records import Channel, Flag

JULY = 1_625_097_600  # 2021-07-01 00:00 UTC


def reading(start: int, value: str, seconds: int = 3600, quality: str = "") -> str:
    mark = f"<ReadingQuality><quality>{quality}</quality></ReadingQuality>" if quality else ""
    period = f"<timePeriod><duration>{seconds}</duration><start>{start}</start></timePeriod>"
    return f"<IntervalReading>{mark}{period}<value>{value}</value></IntervalReading>"


def feed(readings: str, kind: str = "<powerOfTenMultiplier>0</powerOfTenMultiplier><uom>72</uom>") -> bytes:
    def entry(link: str, related: str, content: str) -> str:
        links = f'<link rel="self" href="{link}"/>' + (f'<link rel="related" href="{related}"/>' if related else "")
        return f"<entry>{links}<title>House 1</title><content>{content}</content></entry>"

    return (
        '<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" xmlns:e="http://naesb.org/espi">'
        + entry("/U/1", "/U/1/M", '<UsagePoint xmlns="http://naesb.org/espi"/>')
        + entry("/U/1/M/1", "/R/7", '<MeterReading xmlns="http://naesb.org/espi"/>')
        + entry("/R/7", "", f'<ReadingType xmlns="http://naesb.org/espi">{kind}</ReadingType>')
        + entry("/U/1/M/1/I/1", "", f'<IntervalBlock xmlns="http://naesb.org/espi">{readings}</IntervalBlock>')
        + "</feed>"
    ).encode()


def test_hours_become_intervals_named_by_their_end():
    got = parse(feed(reading(JULY, "450") + reading(JULY + 3600, "430")))
    assert (got.format, got.meters) == ("greenbutton", ("House 1",))
    assert [str(end)[:16] for end in got.end] == ["2021-07-01T01:00", "2021-07-01T02:00"]
    assert got.energy_wh.tolist() == [450, 430]
    assert parse(feed(reading(JULY, "1")), ReadOptions(meter="M7")).meters == ("M7",)


@pytest.mark.parametrize(
    "kind, channel, expected",
    [
        ("<powerOfTenMultiplier>3</powerOfTenMultiplier><uom>72</uom>", Channel.IMPORT, 12_000_000),
        ("<powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>72</uom>", Channel.IMPORT, 12),
        ("<powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>169</uom>", Channel.IMPORT, 351_685),
        ("<powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>42</uom>", Channel.GAS, 12_000),
        ("<flowDirection>19</flowDirection><uom>72</uom>", Channel.EXPORT, 12_000),
        ("<uom>73</uom>", Channel.REACTIVE, 12_000),
    ],
)
def test_units_powers_and_directions(kind: str, channel: Channel, expected: int):
    got = parse(feed(reading(JULY, "12000"), kind))
    assert (got.channel.tolist(), got.energy_wh.tolist()) == ([channel], [expected])


def test_estimates_are_flagged_and_questionable_values_are_suspect():
    got = parse(feed("".join(reading(JULY + 3600 * n, "5", quality=q) for n, q in enumerate(("17", "8", "10")))))
    assert [flags & (Flag.ESTIMATED | Flag.SUSPECT) for flags in got.flags.tolist()] == [
        0,
        Flag.ESTIMATED,
        Flag.SUSPECT,
    ]


def test_a_billing_total_is_spread_over_its_hours_each_uncertain_and_exact():
    got = parse(feed(reading(JULY, "1000003", seconds=35 * 86_400)))
    assert (got.rows, got.end.size, int(got.energy_wh.sum())) == (1, 35 * 24, 1_000_003)
    assert all(flags & Flag.UNCERTAIN for flags in got.flags.tolist())


@pytest.mark.parametrize(
    "data, reason",
    [
        (feed(reading(JULY, "-5")), "negative"),
        (feed(reading(JULY, "x")), "bad_value"),
        (feed(reading(0, "5")), "bad_stamp"),
        (feed(reading(JULY + 17, "5")), "off_grid"),
        (feed(reading(JULY, "5", seconds=90)), "bad_length"),
        (feed(reading(JULY, "9" * 15)), "too_large"),
        (feed(reading(JULY, "5"), "<uom>38</uom>"), "bad_unit"),
        (feed(reading(JULY, "5"))[:-9], "not_well_formed"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><feed/>', "doctype"),
        (b"<a>" * 100, "too_deep"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_reason(data: bytes, reason: str):
    got = parse(data)
    assert got.refused[0].reason == reason
    assert got.end.size == 0


def test_no_prefix_raises_or_stores_anything():
    data = feed(reading(JULY, "450") + reading(JULY + 3600, "430"))
    for cut in range(len(data) - 1):
        assert parse(data[:cut], format="greenbutton").end.size == 0


WH = {"Wh": Decimal(1), "therm": Decimal("29307.107")}


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "Coastal_Multi_Family_12hr_Jan_1_2011_to_Jan_1_2012_RetailCustomer_3",
        "Desert_Multi_Family_Jan_1_2011_to_Jan_1_2012_RetailCustomer_6",
        "TestGBDataHourlyNineDaysBinnedDaily",
        "electric_containerized",
        "gas_direct",
        "ngma_natural_gas_billing_billing_data_Service_1_1_2021-05-26_to_2024-04-25",
    ],
)
def test_the_published_files_equal_the_results_of_an_independent_parser(shared: Path, name: str):
    folder = shared / "data" / "greenbutton"
    got = parse((folder / f"{name}.xml.gz").read_bytes())
    text = gzip.decompress((folder / f"{name}.expected.txt.gz").read_bytes()).decode()
    found = re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\+00:00, .*?: (-?[\d.]+) (\w+)", text)
    assert got.rows == len(found) and not got.refused
    by_line: dict[int, list[int]] = defaultdict(list)
    for row, line in enumerate(got.line.tolist()):
        by_line[line].append(row)
    assert len(by_line) == len(found)
    for rows, (start, value, unit) in zip(by_line.values(), found, strict=True):
        begin = got.end[rows[0]].item() - (got.end[rows[0]] - got.end[rows[0]]).item()
        assert int(got.energy_wh[rows].sum()) == int((Decimal(value) * WH[unit]).to_integral_value())
        minutes = int(got.minutes[rows[0]])
        assert (begin - datetime.fromisoformat(start)).total_seconds() == minutes * 60
