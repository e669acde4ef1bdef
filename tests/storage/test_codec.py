"""Records survive the round trip through rows, whatever their fields hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from hypothesis import given
from hypothesis import strategies as st

from storage.codec import Codec, Kind, canonical, from_ms, to_ms


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True, slots=True)
class Leaf:
    name: str
    at: datetime | None
    colour: Colour


@dataclass(frozen=True, slots=True)
class Tree:
    key: str
    count: int
    at: datetime
    colour: Colour
    level: Level
    leaves: tuple[Leaf, ...]
    ok: bool
    until: datetime | None = None
    leaf: Leaf | None = None
    words: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    share: float | None = None


TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(
    lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)
)
LEAVES = st.builds(Leaf, st.text(), st.none() | TIMES, st.sampled_from(Colour))
TREES = st.builds(
    Tree,
    key=st.text(),
    count=st.integers(-(2**63), 2**63 - 1),
    at=TIMES,
    colour=st.sampled_from(Colour),
    level=st.sampled_from(Level),
    leaves=st.lists(LEAVES, max_size=3).map(tuple),
    ok=st.booleans(),
    until=st.none() | TIMES,
    leaf=st.none() | LEAVES,
    words=st.lists(st.text(), max_size=3).map(tuple),
    params=st.dictionaries(st.text(), st.text(), max_size=3),
    share=st.none() | st.floats(allow_nan=False),
)


@given(TREES)
def test_a_record_comes_back_as_it_went(tree: Tree) -> None:
    codec = Codec(Tree)
    back = codec.load(codec.row(tree))
    assert back == tree
    assert isinstance(back.colour, Colour)
    assert isinstance(back.level, Level)
    assert back.leaf is None or isinstance(back.leaf.colour, Colour)


def test_columns_say_how_they_are_stored() -> None:
    kinds = {c.name: (c.kind, c.optional) for c in Codec(Tree).columns}
    assert kinds["at"] == (Kind.TIME, False)
    assert kinds["until"] == (Kind.TIME, True)
    assert kinds["ok"] == (Kind.BOOL, False)
    assert kinds["leaf"] == (Kind.JSON, True)
    assert kinds["level"] == (Kind.INTEGER, False)


@given(TIMES)
def test_times_are_milliseconds(at: datetime) -> None:
    assert from_ms(to_ms(at)) == at


def test_parts_below_a_millisecond_are_dropped() -> None:
    assert from_ms(to_ms(datetime(2025, 1, 1, 0, 0, 0, 1999))) == datetime(2025, 1, 1, 0, 0, 0, 1000)


def test_canonical_json_is_the_same_for_equal_values() -> None:
    one = canonical({"b": (Colour.RED, datetime(2025, 1, 2)), "a": "电"})
    assert one == '{"a":"电","b":["red","2025-01-02T00:00:00.000Z"]}'
    assert one == canonical({"a": "电", "b": ["red", datetime(2025, 1, 2)]})
