"""One member of a handheld's JSON goes in, its checked value in base units comes out, or a refusal.

``MEMBERS`` is the one list of members: the parser checks by it, the published schemas are made of it. A member's
``form`` is its JSON schema, and its check is at least as strict: what the schema refuses never becomes a message.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from ingest.errors import WireRefusal

MOST_TEXT = 1000
MOST_WH = 10**15
DATUMS = ("WGS84", "GCJ02", "BD09")
CAUSES = ("planned", "fault", "temporary")
OUTCOMES = ("confirmed", "cleared", "mended", "no_access")
TIME = r"^\d{4}-\d{2}-\d{2}T.+(Z|[+-]\d{2}:?\d{2})$"
ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_KWH = re.compile(r"\d{1,12}(\.\d{1,3})?")

Check = Callable[[str, Any], Any]
Form = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """One member: how its value is checked, its JSON schema, and a plain sentence."""

    check: Check
    form: Form
    says: str


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > MOST_TEXT or any(ord(letter) < 32 for letter in value):
        raise WireRefusal("bad_field", f"{name}: a text of at most {MOST_TEXT} printable letters")
    return value


def _id(name: str, value: Any) -> str:
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise WireRefusal("bad_field", f"{name}: 1 to 64 of letters, digits and _.:-")
    return value


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MOST_WH:
        raise WireRefusal("bad_field", f"{name}: a whole number from 0 on")
    return value


def _kwh(name: str, value: Any) -> int:
    if not isinstance(value, str) or not _KWH.fullmatch(value):
        raise WireRefusal("bad_field", f'{name}: a decimal text with at most 3 places, such as "1234.56"')
    return int(Decimal(value) * 1000)


def _within(low: float, high: float) -> Check:
    def check(name: str, value: Any) -> float:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not math.isfinite(value) or not low <= value <= high:
            raise WireRefusal("bad_field", f"{name}: a number from {low:g} to {high:g}")
        return float(value)

    return check


def _one_of(words: tuple[str, ...]) -> Check:
    def check(name: str, value: Any) -> str:
        if value not in words:
            raise WireRefusal("bad_field", f"{name}: one of {', '.join(words)}")
        return str(value)

    return check


def _time(name: str, value: Any) -> datetime:
    """An ISO 8601 time with its zone, as naive UTC; a clock that was lost (before 2020) is refused, not believed."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
        if at is None or at.tzinfo is None:
            raise ValueError
        utc = at.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise WireRefusal("bad_field", f'{name}: ISO 8601 with a zone, such as "2026-07-01T08:15:02Z"') from None
    if not 2020 <= utc.year < 2100:
        raise WireRefusal("bad_field", f"{name}: {utc.year} is not now; set the device's clock")
    return utc


def _word(says: str) -> Member:
    return Member(_text, {"type": "string", "maxLength": MOST_TEXT}, says)


def _name(says: str) -> Member:
    return Member(_id, {"type": "string", "pattern": f"^{ID.pattern}$"}, says)


def _whole(says: str) -> Member:
    return Member(_count, {"type": "integer", "minimum": 0, "exclusiveMaximum": MOST_WH}, says)


def _decimal(says: str) -> Member:
    return Member(_kwh, {"type": "string", "pattern": f"^{_KWH.pattern}$"}, says)


def _number(low: float, high: float, says: str) -> Member:
    return Member(_within(low, high), {"type": "number", "minimum": low, "maximum": high}, says)


def _choice(words: tuple[str, ...], says: str) -> Member:
    return Member(_one_of(words), {"enum": list(words)}, says)


def _moment(says: str) -> Member:
    return Member(_time, {"type": "string", "format": "date-time", "pattern": TIME, "maxLength": 40}, says)


MEMBERS: Mapping[str, Member] = MappingProxyType(
    {
        "message_id": _name("the message's own id; the same on every repetition"),
        "seq": _whole("rises by at least one from message to message of a device"),
        "at": _moment("the device's exact time when it was entered, with a zone"),
        "meter": _word("the utility's meter number, or its barcode"),
        "serial": _word("serial number as the meter shows it"),
        "register_wh": _whole("import register in Wh"),
        "register_kwh": _decimal("import register in kWh, instead of register_wh"),
        "latitude": _number(-90, 90, "degrees"),
        "longitude": _number(-180, 180, "degrees"),
        "accuracy_m": _number(0, 100_000, "the position's accuracy in metres, as the device states it"),
        "datum": _choice(DATUMS, "the position's datum; Chinese map layers lie 100 to 700 m off"),
        "person": _word("who entered it"),
        "detail": _word("plain words"),
        "serial_out": _word("swap: serial number of the meter that was taken down"),
        "register_out_wh": _whole("swap: its last register in Wh"),
        "register_out_kwh": _decimal("swap: its last register in kWh, instead of register_out_wh"),
        "photo": _word("where the picture is kept"),
        "supersedes": _name("mend: message id of the record that was misread"),
        "order": _name("resolve: the work order that was looked into"),
        "outcome": _choice(OUTCOMES, "resolve: what was found on site"),
        "outage": _name("the outage's own id; an outage message without one gives its message id"),
        "cause": _choice(CAUSES, "outage: why supply is off"),
        "transformer": _word("outage: the transformer area that it touches"),
        "feeder": _word("outage: the feeder that it touches"),
        "start": _moment("outage: when supply went or goes off; none given: at"),
        "expected_end": _moment("outage: when supply should be back"),
    }
)
