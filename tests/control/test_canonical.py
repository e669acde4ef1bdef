"""Canonical JSON: exact there and back, and refused when it is not what it should be."""

from dataclasses import dataclass
from datetime import UTC

import pytest

from control import tables
from control.canonical import content_id, dumps, loads
from control.errors import CanonicalError
from control.records import Case, Decision, Evidence, Guard
from ingest.records import RelayState
from tests.control.scenes import NOW, hold, lock, ready_to_cut

EVIDENCE = Evidence("M1", RelayState.OPEN, NOW, "read_back", power_w=0)


def test_the_form_is_fixed() -> None:
    assert dumps(EVIDENCE) == (
        '{"at":"2026-03-10T02:00:00","meter":"M1","power_w":0,"source":"read_back","state":"open"}'
    )
    assert dumps({"b": (1, 2), "a": "电"}) == '{"a":"电","b":[1,2]}'


def test_there_and_back_with_exact_types() -> None:
    case = ready_to_cut(holds=(hold("dispute"),), locks=(lock(),), hours_left=0.1 + 0.2, extras={"b": "1", "a": "2"})
    back = loads(Case, dumps(case))
    assert back == case
    assert isinstance(back.holds, tuple)
    assert back.relay is RelayState.CLOSED
    assert type(back.hours_left) is float
    assert dumps(back) == dumps(case)
    assert loads(Evidence, dumps(EVIDENCE)) == EVIDENCE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "another type"),
        ('{"name":"G1","value":1,"because":""}', "Guard.value: 1 is of another type"),
        ('{"name":"G1","value":true}', "because"),
        ('{"name":"G1","value":true,"because":"","more":1}', "unknown field 'more'"),
    ],
)
def test_what_is_not_the_record_is_refused(text: str, words: str) -> None:
    with pytest.raises(CanonicalError, match=words):
        loads(Guard, text)


def test_wrong_values_inside() -> None:
    text = dumps(EVIDENCE)
    for old, new in (('"open"', '"ajar"'), ("2026-03-10T", "tomorrow"), ('"M1"', "7"), (":0,", ":0.5,")):
        with pytest.raises(CanonicalError):
            loads(Evidence, text.replace(old, new))


def test_what_has_no_canonical_form() -> None:
    for value in ({1, 2}, object(), NOW.replace(tzinfo=UTC)):
        with pytest.raises(CanonicalError):
            dumps(value)
    with pytest.raises(ValueError, match="Out of range"):
        dumps(float("nan"))


def test_ids_are_of_the_content() -> None:
    assert content_id("d", "A1", 7) == content_id("d", "A1", 7) != content_id("d", "A1", "7")
    assert content_id("d", "ab", "c") != content_id("d", "a", "bc")


def test_fields_at_their_default_are_left_out_and_come_back() -> None:
    case = ready_to_cut()
    assert "overdue_micro" not in dumps(case)
    assert '"batch":21' in dumps(ready_to_cut(batch=21))
    assert loads(Case, dumps(case)) == case


def test_a_field_added_later_takes_its_default() -> None:
    @dataclass(frozen=True)
    class Old:
        a: int
        b: str = "new"

    assert loads(Old, '{"a":1}') == Old(1)


def test_every_table_describes_every_column() -> None:
    from dataclasses import fields

    records = [spec.record for spec in tables.TABLES]
    assert len(records) == len(set(records))
    assert len({spec.name for spec in tables.TABLES}) == len(records)
    assert Decision in records
    for spec in tables.TABLES:
        names = {item.name for item in fields(spec.record)}
        assert set(spec.key) <= names
        assert {column for index in spec.indexes for column in index} <= names
        if spec.record.__module__ == "control.records":
            assert spec.comment
            assert set(spec.columns) == names
