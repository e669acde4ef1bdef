"""An attribute of a calendar, push, security or limiter object goes in, a record with named fields comes out, and back.

Activity calendar (class 20), push setup (40), security setup (64) and limiter (71) of the Blue Book, the attributes
that ``FIELDS`` lists. Times stay the bytes that the meter keeps, because theirs may hold wildcards (every year, every
day). What does not have its attribute's form raises ``WireRefusal("wrong_form")``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from ingest.errors import WireRefusal
from ingest.wire.axdr import Compact, Data, Tag
from ingest.wire.cosem import ClassId, Name

Typed: TypeAlias = "int | bool | bytes | dict[str, Typed] | list[Typed] | Data"


@dataclass(frozen=True, slots=True)
class Rows:
    """An array of ``item``."""

    item: "Form"


@dataclass(frozen=True, slots=True)
class Fields:
    """A structure of named parts, in this order; the last ``optional`` may be missing in older versions."""

    parts: "tuple[tuple[str, Form], ...]"
    optional: int = 0


@dataclass(frozen=True, slots=True)
class Anything:
    """A value whose type another object decides (a threshold)."""


Form: TypeAlias = "Tag | Rows | Fields | Anything"
TEXT, BYTE, WORD, LONG = Tag.OCTET_STRING, Tag.UNSIGNED, Tag.LONG_UNSIGNED, Tag.DOUBLE_LONG_UNSIGNED
ANY: Final = Anything()
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SEASONS: Final = Rows(Fields((("name", TEXT), ("start", TEXT), ("week", TEXT))))
WEEKS: Final = Rows(Fields((("name", TEXT), *((day, BYTE) for day in DAYS))))
SCRIPT: Final = (("script", TEXT), ("selector", WORD))
DAY_TABLE: Final = Rows(Fields((("day", BYTE), ("schedule", Rows(Fields((("start", TEXT), *SCRIPT)))))))
_OBJECT: Final = (("class_id", WORD), ("name", TEXT), ("attribute", Tag.INTEGER))

FIELDS: Final[Mapping[int, Mapping[int, tuple[str, Form]]]] = {
    ClassId.ACTIVITY_CALENDAR: {
        2: ("active_name", TEXT),
        3: ("active_seasons", SEASONS),
        4: ("active_weeks", WEEKS),
        5: ("active_days", DAY_TABLE),
        6: ("passive_name", TEXT),
        7: ("passive_seasons", SEASONS),
        8: ("passive_weeks", WEEKS),
        9: ("passive_days", DAY_TABLE),
        10: ("passive_from", TEXT),
    },
    ClassId.PUSH_SETUP: {
        2: ("objects", Rows(Fields((*_OBJECT, ("part", WORD), ("restriction", ANY)), optional=1))),
        3: ("destination", Fields((("service", Tag.ENUM), ("address", TEXT), ("message", Tag.ENUM)))),
        4: ("windows", Rows(Fields((("start", TEXT), ("end", TEXT))))),
        5: ("random_start_s", WORD),
        6: ("retries", BYTE),
        7: ("retry_delay_s", WORD),
    },
    ClassId.SECURITY_SETUP: {
        2: ("policy", Tag.ENUM),
        3: ("suite", Tag.ENUM),
        4: ("client_title", TEXT),
        5: ("server_title", TEXT),
    },
    ClassId.LIMITER: {
        2: ("monitored", Fields(_OBJECT)),
        3: ("active_threshold", ANY),
        4: ("normal_threshold", ANY),
        5: ("emergency_threshold", ANY),
        6: ("over_for_s", LONG),
        7: ("under_for_s", LONG),
        8: ("emergency", Fields((("profile", WORD), ("start", TEXT), ("duration_s", LONG)))),
        9: ("emergency_groups", Rows(WORD)),
        10: ("emergency_now", Tag.BOOLEAN),
        11: ("actions", Fields((("over", Fields(SCRIPT)), ("under", Fields(SCRIPT))))),
    },
}
"""What each attribute is called and how it is built, by class and number."""


def word_of(name: Name) -> str:
    """The word of an attribute that has one, "" for any other."""
    return FIELDS.get(name.class_id, {}).get(name.number, ("", ANY))[0]


def typed(class_id: int, attribute: int, data: Data) -> tuple[str, Typed]:
    """The attribute's word and its value: structures as dicts, arrays as lists; "" and the data where none is known.

    >>> typed(64, 3, Data(Tag.ENUM, 0))
    ('suite', 0)
    """
    known = FIELDS.get(class_id, {}).get(attribute)
    return ("", data) if known is None else (known[0], _read(known[1], data, known[0]))


def untyped(class_id: int, attribute: int, value: Typed) -> Data:
    """The way back, to be SET; KeyError for an attribute that ``FIELDS`` lacks, ValueError for a wrong value."""
    word, form = FIELDS[class_id][attribute]
    return _write(form, value, word)


def _read(form: Form, data: Data, where: str) -> Typed:
    if isinstance(form, Anything):
        return data
    if isinstance(form, Tag):
        if data.tag is not form or not isinstance(data.value, int | bytes):
            raise WireRefusal("wrong_form", f"{where}: {data.tag.name}, {form.name} expected")
        return data.value
    rows = isinstance(form, Rows)
    items = data.value.items if isinstance(data.value, Compact) else data.value
    if not isinstance(items, tuple) or (data.tag is Tag.STRUCTURE) is rows:
        raise WireRefusal("wrong_form", f"{where}: {data.tag.name}, {'an array' if rows else 'a structure'} expected")
    if isinstance(form, Rows):
        return [_read(form.item, item, f"{where}[{number}]") for number, item in enumerate(items)]
    if not len(form.parts) - form.optional <= len(items) <= len(form.parts):
        raise WireRefusal("wrong_form", f"{where}: {len(items)} parts, {len(form.parts)} expected")
    named = zip(form.parts, items, strict=False)
    return {name: _read(part, item, f"{where}.{name}") for (name, part), item in named}


def _write(form: Form, value: Typed, where: str) -> Data:
    if isinstance(form, Anything) and isinstance(value, Data):
        return value
    if isinstance(form, Tag) and isinstance(value, bytes if form is TEXT else int):
        return Data(form, value)
    if isinstance(form, Rows) and isinstance(value, list):
        return Data(Tag.ARRAY, tuple(_write(form.item, item, f"{where}[{n}]") for n, item in enumerate(value)))
    if isinstance(form, Fields) and isinstance(value, dict):
        parts = form.parts[: len(value)]
        if len(value) >= len(form.parts) - form.optional and {name for name, _ in parts} == set(value):
            return Data(Tag.STRUCTURE, tuple(_write(part, value[name], f"{where}.{name}") for name, part in parts))
    raise ValueError(f"{where}: {value!r} does not have its form; see FIELDS")
