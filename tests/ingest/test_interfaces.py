"""Attributes of calendar, push, security and limiter objects by name, and back to the same bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.drivers.dlms_generic import DRIVER
from ingest.errors import WireRefusal
from ingest.links.dlms_visit import DlmsVisit
from ingest.links.wports import Concentrator
from ingest.wire.axdr import Compact, Data, Shape, Tag, decode, encode
from ingest.wire.cosem import Name
from ingest.wire.interfaces import FIELDS, Anything, Fields, Form, Rows, Typed, typed, untyped
from sim.concentrator import SECRET
from tests.ingest.dlms_rig import DlmsRig


def values(form: Form) -> st.SearchStrategy[Typed]:
    """Values of ``form``."""
    if isinstance(form, Anything):
        return st.integers(0, 2**32 - 1).map(lambda n: Data(Tag.DOUBLE_LONG_UNSIGNED, n))
    if isinstance(form, Rows):
        return st.lists(values(form.item), max_size=3)
    if isinstance(form, Fields):
        return st.fixed_dictionaries({name: values(part) for name, part in form.parts})
    if form is Tag.BOOLEAN:
        return st.booleans()
    return st.binary(max_size=12) if form is Tag.OCTET_STRING else st.integers(0, 100)


ATTRIBUTES = [(class_id, number) for class_id, known in FIELDS.items() for number in known]


@pytest.mark.parametrize(("class_id", "number"), ATTRIBUTES)
@settings(max_examples=15)
@given(data=st.data())
def test_every_attribute_survives_the_wire(class_id: int, number: int, data: st.DataObject) -> None:
    word, form = FIELDS[class_id][number]
    value = data.draw(values(form))
    assert typed(class_id, number, decode(encode(untyped(class_id, number, value)))) == (word, value)


def test_a_limiter_s_actions_as_a_meter_sends_them() -> None:
    """Over the threshold: script 0.0.10.0.106.255, selector 1 (disconnect); under it: selector 2 (reconnect)."""
    raw = bytes.fromhex("0202 0202 0906 00000a006aff 120001 0202 0906 00000a006aff 120002")
    script = bytes.fromhex("00000a006aff")
    over, under = ({"script": script, "selector": number} for number in (1, 2))
    assert typed(71, 11, decode(raw)) == ("actions", {"over": over, "under": under})


def test_push_objects_of_both_versions_and_in_a_compact_array() -> None:
    plain = bytes.fromhex("0101 0204 120003 0906 0100010800ff 0f02 120000")
    row: dict[str, Typed] = {"class_id": 3, "name": bytes.fromhex("0100010800ff"), "attribute": 2, "part": 0}
    assert typed(40, 2, decode(plain)) == ("objects", [row])
    restricted = bytes.fromhex("0101 0205 120003 0906 0100010800ff 0f02 120000 00")
    assert typed(40, 2, decode(restricted)) == ("objects", [{**row, "restriction": Data(Tag.NULL)}])
    groups = Data(Tag.COMPACT_ARRAY, Compact(Shape(Tag.LONG_UNSIGNED), (Data(Tag.LONG_UNSIGNED, 7),)))
    assert typed(71, 9, decode(encode(groups))) == ("emergency_groups", [7])


def test_a_wrong_form_is_refused_by_the_place_and_unknown_attributes_stay_data() -> None:
    with pytest.raises(WireRefusal, match=r"active_weeks\[0\].monday: BOOLEAN, UNSIGNED expected"):
        week = (Data(Tag.OCTET_STRING, b"w"), *[Data(Tag.BOOLEAN, True)] * 7)
        typed(20, 4, Data(Tag.ARRAY, (Data(Tag.STRUCTURE, week),)))
    with pytest.raises(WireRefusal, match="2 parts, 3 expected"):
        typed(71, 2, Data(Tag.STRUCTURE, (Data(Tag.NULL), Data(Tag.NULL))))
    with pytest.raises(ValueError, match="retries: 'x'"):
        untyped(40, 6, "x")  # type: ignore[arg-type]
    assert typed(3, 2, Data(Tag.NULL)) == ("", Data(Tag.NULL))


@given(st.sampled_from(ATTRIBUTES), st.binary(max_size=60))
def test_bytes_raise_nothing_but_refusals(which: tuple[int, int], junk: bytes) -> None:
    try:
        typed(*which, decode(junk))
    except WireRefusal as refusal:
        assert refusal.reason


def test_a_visit_reads_attributes_by_name_and_hears_the_meter_s_no() -> None:
    rig = DlmsRig()

    async def main() -> tuple[object, object]:
        line = Concentrator(rig.network, "c1", 4059)
        visit = DlmsVisit(line, rig.clock, "c1", rig.point(), DRIVER, 5.0)
        await visit.open(lambda _: SECRET)
        policy = await visit.attribute(Name(64, "0.0.43.0.0.255", 2))
        suite = await visit.attribute(Name(64, "0.0.43.0.0.255", 3))
        with pytest.raises(WireRefusal, match="object_undefined"):
            await visit.attribute(Name(71, "0.0.17.0.0.255", 3))
        with pytest.raises(WireRefusal, match="read_write_denied"):
            await visit.set_attribute(Name(71, "0.0.17.0.0.255", 6), 60)
        await line.close()
        return policy, suite

    assert rig.run(main) == (("policy", 0), ("suite", 0))
