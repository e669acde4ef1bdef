"""Nothing goes in, the JSON schema of a tariff book comes out: which keys each table may have and what they hold.

The schema checks form; ``tariff.book`` also checks sense (limits that rise, periods that have prices, bases above).
Kinds of third parties may have any keys.
"""

from collections.abc import Mapping
from typing import Any

from tariff import banks
from tariff.components.demand import LIMIT_UNITS, MAX_MONTHS
from tariff.components.energy import ALLOCATIONS, LIMIT_ROUNDINGS, MODES, RESETS, UNITS
from tariff.components.net_metering import BY
from tariff.model import PRICE_CHANGES
from tariff.money import ROUNDINGS
from tariff.supply import PARTIAL

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "description": "decimal number in quotes"}
FLAG: Schema = {"type": "boolean"}
NAMES: Schema = {"type": "array", "items": TEXT}
NUMBERS: Schema = {"type": "array", "items": NUMBER}
CLOCK: Schema = {"type": "string", "pattern": r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"}
DAY: Schema = {"type": "string", "pattern": r"^[0-9]{2}-[0-9]{2}$"}
PERIODS: Schema = {**NAMES, "description": "periods that the version's windows give"}
OF: Schema = {**NAMES, "description": "ids of components above; left out: all of them"}


def _whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def _one_of(choices: Any) -> Schema:
    return {"enum": list(choices)}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _table(properties: Mapping[str, Schema], *required: str) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


PRICES: Schema = {
    "description": "one price per tier, or a table from period (* for every other) to a price or a list",
    "anyOf": [NUMBERS, {"type": "object", "additionalProperties": {"anyOf": [NUMBER, NUMBERS]}}],
}
SOURCE = _table({"title": TEXT, "address": TEXT, "date": TEXT, "note": TEXT})
WINDOW = _table(
    {
        "period": TEXT,
        "from": CLOCK,
        "to": CLOCK,
        "months": _list(_whole(1, 12)),
        "days": _list(_whole(1, 7)),
        "dates": NAMES,
        "holidays": FLAG,
    },
    "period",
)
WHEN = _table({"attribute": TEXT, "equals": TEXT, "differs": TEXT, "at_least": NUMBER, "at_most": NUMBER}, "attribute")
GAS = _table({"correction": NUMBER, "calorific_mj": NUMBER}, "calorific_mj")
LATE_FEE = _table(
    {
        "daily": NUMBER,
        "daily_next_year": NUMBER,
        "minimum": NUMBER,
        "grace_days": _whole(0, 366),
        "due_days": _whole(0, 366),
    },
    "daily",
)
ADDER = _table(
    {
        "attribute": TEXT,
        "kwh": {"anyOf": [NUMBER, NUMBERS]},
        "at_least": TEXT,
        "at_most": TEXT,
        "equals": TEXT,
        "per": _one_of(("once", "above")),
    },
    "attribute",
    "kwh",
)
PART = _one_of(PARTIAL)
CLASS = _table({"up_to": NUMBER, "limits": NUMBERS, "prices": PRICES, "price": NUMBER, "volume": FLAG})
LADDER = _table(
    {
        "mode": _one_of(MODES),
        "reset": _one_of(RESETS),
        "allocate": _one_of(ALLOCATIONS),
        "limits": {"anyOf": [NUMBERS, {"type": "object", "additionalProperties": NUMBERS}]},
        "limits_by_months": _list(_table({"months": _list(_whole(1, 12)), "limits": NUMBERS}, "months", "limits")),
        "limit_unit": _one_of(UNITS),
        "kw": TEXT,
        "round_limits": _one_of(LIMIT_ROUNDINGS),
        "adders": _list(ADDER),
        "times": TEXT,
        "classes": _list(CLASS),
        "partial": _one_of(("days", "full")),
    },
    "reset",
)
BY_TOTAL = _list(_table({"up_to": NUMBER, "amount": NUMBER}, "amount"))
EXPIRES: Mapping[str, Schema] = {"expires_months": _whole(1, banks.MAX_MONTHS), "expires_on": DAY}

COMPONENT: Mapping[str, Schema] = {"id": TEXT, "kind": TEXT, "when": WHEN}
# Keys of each kind beside id, kind and when.
KINDS: Mapping[str, tuple[Mapping[str, Schema], tuple[str, ...]]] = {
    "energy": (
        {
            "quantity": _one_of(("import", "export", "net")),
            "credit": FLAG,
            "prices": PRICES,
            "price": NUMBER,
            "ladder": LADDER,
            "series": TEXT,
            "series_stamp": TEXT,
            "series_zone": TEXT,
            "series_minutes": _whole(1, 1440),
            "bands": {"type": "object", "additionalProperties": NUMBER},
        },
        (),
    ),
    "fixed": ({"amount": NUMBER, "per": TEXT, "by_total": BY_TOTAL, "class_by": TEXT, "partial": PART}, ()),
    "percent": ({"percent": NUMBER, "of": OF, "included": FLAG}, ("percent",)),
    "minimum": ({"amount": NUMBER, "per": TEXT, "of": OF, "partial": PART}, ("amount",)),
    "demand": (
        {
            "price": NUMBER,
            "prices": NUMBERS,
            "limits": NUMBERS,
            "limit_unit": _one_of(LIMIT_UNITS),
            "periods": PERIODS,
            "window_min": _whole(0, 1440),
            "sliding": FLAG,
            "minimum_kw": NUMBER,
            "contract": TEXT,
            "contract_percent": NUMBER,
            "round_kw": _whole(0, 6),
            "rounding_kw": _one_of(ROUNDINGS),
            "ratchet_percent": NUMBER,
            "ratchet_months": _whole(0, MAX_MONTHS),
            "ratchet_season": _list(_whole(1, 12)),
            "history": TEXT,
            "register": TEXT,
            "partial": PART,
        },
        (),
    ),
    "pf_adjust": ({"standard": _one_of(("0.90", "0.85", "0.80")), "of": OF}, ("standard",)),
    "free_kwh": (
        {"kwh": NUMBER, "of": TEXT, "price": NUMBER, "attribute": TEXT, "equals": TEXT, "partial": PART},
        ("kwh", "of"),
    ),
    "kvarh": ({"price": NUMBER, "free_percent": NUMBER, "periods": PERIODS}, ("price", "free_percent")),
    "credit_bank": ({"of": OF, "payout_percent": NUMBER, **EXPIRES}, ("of",)),
    "net_metering": ({"of": TEXT, "by": _one_of(BY), "payout": NUMBER, **EXPIRES}, ("of", "by")),
}


def book_schema() -> Schema:
    """The schema as JSON Schema, draft 2020-12."""
    version = _table(
        {
            "from": TEXT,
            "label": TEXT,
            "default_period": TEXT,
            "holidays": {"type": "array", "items": {"type": "string", "format": "date"}},
            "holiday_as": {"anyOf": [_whole(1, 7), TEXT]},
            "window": _list(WINDOW),
            "component": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/component"}},
            "source": SOURCE,
            "gas": GAS,
            "late_fee": LATE_FEE,
        },
        "from",
        "component",
    )
    root = _table(
        {
            "schema": {"const": "prewatt.book/1"},
            "name": TEXT,
            "title": TEXT,
            "currency": TEXT,
            "zone": TEXT,
            "decimals": _whole(0, 6),
            "rounding": _one_of(ROUNDINGS),
            "round_lines": _one_of(("line", "component", "total")),
            "total_decimals": _whole(0, 6),
            "cycle_day": _whole(1, 28),
            "cycle_months": {"enum": [1, 2, 3, 4, 6, 12]},
            "cycle_first": _whole(1, 12),
            "price_change": _one_of(PRICE_CHANGES),
            "source": SOURCE,
            "attributes": {"type": "object"},
            "version": {"type": "array", "minItems": 1, "items": version},
        },
        "currency",
        "zone",
        "version",
    )
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "prewatt tariff book"}
    return {**head, **root, "$defs": {"component": _component()}}


def component_schema(kind: str) -> Schema:
    """The table of one kind; with no kind a table of every kind's keys; {} for a kind that is not ours."""
    if not kind:
        return _table({**COMPONENT, **{key: one for own, _ in KINDS.values() for key, one in own.items()}})
    if kind not in KINDS:
        return {}
    properties, required = KINDS[kind]
    return _table({**COMPONENT, **properties}, "id", "kind", *required)


def _component() -> Schema:
    """A component of one of the kinds that are shipped; another kind may have any keys."""
    known = [{"if": {"properties": {"kind": {"const": kind}}}, "then": component_schema(kind)} for kind in KINDS]
    return {
        "type": "object",
        "properties": {"id": TEXT, "kind": TEXT},
        "required": ["id", "kind"],
        "allOf": known,
    }
