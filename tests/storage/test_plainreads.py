"""The arrays of plain reads against the read by read conversion: the same in every field, on anything."""

import itertools
from datetime import datetime, timedelta
from typing import Any, cast

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.intervals import Key, Place
from ingest.records import Flag, MeterPoint, MeterRead
from storage import plainreads, schemas
from storage.conversion import Fresh, by_reads, convert, kept, reads_of
from storage.records import RegisterPlace
from storage.store import Store
from storage.usage import Master

T0 = datetime(2026, 1, 1)
POINTS = [MeterPoint(n, f"M{n}", f"S{n}", "sdm630", "modbus", "g", "h", 502, n) for n in (1, 2, 3)]
MASTER = Master([], [*POINTS[:2], MeterPoint(3, "M3", "S3", "sdm630", "modbus", "g", "h", 502, 3, slot_min=30)])


class Nothing:
    """A store without reads: what comes late has no neighbours."""

    def reads(self, *_: object) -> pa.Table:
        return schemas.empty("reads")


EMPTY = cast(Store, Nothing())
odd = st.sampled_from([0] * 12 + [int(flag) for flag in (Flag.SWAP, Flag.SUSPECT, Flag.ESTIMATED, Flag.CONFIRMED)])
moves = st.lists(
    st.tuples(
        st.integers(1, 5),  # meter: two of them are known by their reads alone
        st.sampled_from([1, 1, 1, 2]),  # channel
        st.sampled_from([1, 1, 1, 1, 1, 1, 0.5, 2, 0, -1]),
        st.sampled_from([0, 120, 450, 450, 450, 99_999, 102_000, -5, 1 << 61]),
        st.one_of(odd, st.just(int(Flag.MANUAL | Flag.BACKFILL))),
        st.sampled_from([0, 0, 0, -500, 120]),
    ),
    max_size=40,
)


def table(reads: list[MeterRead]) -> pa.Table:
    return schemas.reads_table(reads)


def told(fresh: Fresh) -> tuple[Any, ...]:
    return fresh.intervals.to_pylist(), sorted(map(str, fresh.findings)), fresh.places, fresh.corrections


@settings(max_examples=250, deadline=None)
@given(moves, st.lists(st.integers(0, 40), max_size=4))
def test_batch_after_batch_the_arrays_give_what_the_slow_way_gives(made: list[Any], cuts: list[int]) -> None:
    hour, register, reads = dict[Key, float](), dict[Key, int](), list[MeterRead]()
    for meter, channel, hours, step, flags, offset in made:
        key = (meter, channel)
        hour[key] = hour.get(key, 0.0) + hours
        register[key] = max(0, register.get(key, 1000) + step) % (1 << 62)
        reads.append(MeterRead(meter, channel, T0 + hour[key] * timedelta(hours=1), register[key], flags, offset))
    quick, slow, bounds = dict[Key, Place](), dict[Key, Place](), sorted({0, len(reads), *cuts})
    for low, high in itertools.pairwise(bounds):
        part = reads[low:high]
        if part:
            one, other = convert(EMPTY, MASTER, [table(part)], quick), by_reads(EMPTY, MASTER, part, slow)
            assert told(one) == told(other)
            assert [RegisterPlace(*_loaded(row)) for row in one.stored()] == _records(other)
            quick |= one.places
            slow |= other.places
    assert quick == slow


def _loaded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    meter, channel, end, wh, estimated, since, suspect = row
    ms = timedelta(milliseconds=1)
    epoch = datetime(1970, 1, 1)
    at = None if since is None else epoch + since * ms
    return meter, channel, epoch + end * ms, wh, bool(estimated), at, suspect


def _records(fresh: Fresh) -> list[RegisterPlace]:
    found = [RegisterPlace(*key, p.end, p.register_wh, p.estimated, p.suspect_end, p.suspect_wh)
             for key, p in sorted(fresh.places.items())]  # fmt: skip
    assert [kept(place) for place in found] == [fresh.places[key] for key in sorted(fresh.places)]
    return found


def test_a_first_import_of_plain_hours_takes_no_slow_step() -> None:
    hours = [MeterRead(m, 1, T0 + h * timedelta(hours=1), 100 * h * m) for m in (1, 2, 5) for h in range(50)]
    taken = plainreads.take(table(hours), MASTER, {})
    assert taken.rest.size == 0
    assert taken.intervals.num_rows == 3 * 49
    assert taken.places[5, 1] == Place(T0 + timedelta(hours=49), 24_500)
    spoilt = [*hours, MeterRead(2, 1, T0 + timedelta(hours=50), 1)]
    rest = plainreads.take(table(spoilt), MASTER, {}).rest
    assert {read.meter_id for read in reads_of([table(spoilt).take(pa.array(rest))])} == {2}
