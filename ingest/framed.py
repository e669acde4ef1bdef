"""One decoded frame as records, and how a push, a P1 telegram or a DL/T 645 frame becomes one (values, meter, time).

Values are in base units (Wh, W, V, A; gas in m3). What cannot be right is flagged: a mains voltage of 23 or 2,300 V is
a wrong scaler or profile, not a voltage.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from ingest.errors import WireRefusal
from ingest.obis import name_of
from ingest.pushmodel import PushProfile
from ingest.wire import acse, apdu, dlt645, p1, pushes
from ingest.wire.cosem import When
from ingest.wire.dlt645_items import NAMES, readings, text_of

P1_ZONE = "Europe/Amsterdam"
"""The zone of P1 telegrams unless the caller names one: Central European Time in nearly all countries that have P1."""
DLT645_ZONE = "Asia/Shanghai"
MAINS_V = (Decimal(80), Decimal(480))
"""Volts of a live phase or of two against each other; 0 is a phase that is not connected."""
LEAST_VA, FAR = Decimal(200), Decimal(5)
"""Volts times amperes are compared with the power above 200 VA; a factor of 5 is no load, but a power of ten."""
MOST_W = Decimal(2_000_000)
MOST_A = Decimal(10_000)
MOST_WH = Decimal(10) ** 13
_AMOUNT = re.compile(r"([+-]?\d{1,20}(?:\.\d{1,12})?)(?:\*(\S{1,8}))?", re.ASCII)
_STAMP = re.compile(r"(\d{12})([WS]?)", re.ASCII)
_UNITS = {
    "wh": (0, "Wh"),
    "kwh": (3, "Wh"),
    "mwh": (6, "Wh"),
    "w": (0, "W"),
    "kw": (3, "W"),
    "varh": (0, "varh"),
    "kvarh": (3, "varh"),
    "var": (0, "var"),
    "kvar": (3, "var"),
    "vah": (0, "VAh"),
    "kvah": (3, "VAh"),
    "va": (0, "VA"),
    "kva": (3, "VA"),
    "gj": (9, "J"),
    "mj": (6, "J"),
    "v": (0, "V"),
    "a": (0, "A"),
    "hz": (0, "Hz"),
    "m3": (0, "m3"),
    "dm3": (-3, "m3"),
    "s": (0, "s"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was odd: a stable word, the code it concerns ("" for the frame), and what was seen."""

    code: str
    obis: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a frame: a number in the base unit ``unit``, or text; ``time`` in naive UTC."""

    obis: str
    name: str
    value: Decimal | str
    unit: str = ""
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a stream; ``status`` is ok, flagged or refused (then ``reason`` says why, and ``raw`` is kept).

    ``clock`` is the meter's own time as it stands in a push, for whoever knows the meter's zone better.
    """

    offset: int
    status: str
    reason: str = ""
    profile: str = ""
    meter: str = ""
    time: datetime | None = None
    values: tuple[Reading, ...] = ()
    findings: tuple[Finding, ...] = ()
    kind: str = ""
    raw: bytes = b""
    clock: When | None = None


Chooser = Callable[[Callable[[Mapping[str, PushProfile]], PushProfile | None]], PushProfile | None]


def judged(frame: Frame) -> Frame:
    """The frame with a finding for each value that cannot be; then it is flagged."""
    found = [finding for value in frame.values if (finding := _implausible(value))] + _unlike(frame.values)
    kept = [finding for finding in frame.findings if finding.code != "implausible"]
    flagged = found or any(finding.code in ("no_scaler", "unauthenticated", "no_end") for finding in kept)
    return replace(frame, findings=(*kept, *found), status="flagged" if flagged else frame.status)


def _unlike(values: tuple[Reading, ...]) -> list[Finding]:
    """Phases whose volts times amperes are far from the power that stands beside them: one of the scales is wrong."""
    known = {value.name: value.value for value in values if isinstance(value.value, Decimal)}
    ways = [known.get(f"{kind}_power_{way}") for kind in ("active", "reactive") for way in ("import", "export")]
    if None in ways:
        return []
    power = sum((abs(way) for way in ways if way is not None), Decimal(0))
    phases = sum(
        known.get(f"voltage_l{n}", Decimal(0)) * abs(known.get(f"current_l{n}", Decimal(0))) for n in (1, 2, 3)
    )
    if phases < LEAST_VA or power < LEAST_VA or 1 / FAR < phases / power < FAR:
        return []
    return [Finding("implausible", "", f"{phases:.0f} VA in the phases, {power:f} in all: check the profile's scalers")]


def _implausible(reading: Reading) -> Finding | None:
    value = reading.value
    if not isinstance(value, Decimal):
        return None
    phase = reading.name.startswith("voltage_l") or reading.name == "voltage"
    least, most = MAINS_V
    wrong = phase and reading.unit == "V" and value != 0 and not least <= value <= most
    limit = {"W": MOST_W, "var": MOST_W, "VA": MOST_W, "A": MOST_A, "Wh": MOST_WH, "varh": MOST_WH}.get(reading.unit)
    if wrong or (limit is not None and abs(value) > limit):
        return Finding("implausible", reading.obis, f"{value:f} {reading.unit}: check the profile's scalers")
    return None


def look_at_push(record: apdu.Apdu, offset: int, profile_for: Chooser, zone: str, title: bytes = b"") -> Frame:
    """A DataNotification by its profile; other APDUs hold no push and are named. ``title`` is who ciphered it."""
    if not isinstance(record, apdu.Notification):
        if isinstance(record, acse.AssociationRequest | acse.AssociationResponse | acse.Release):
            return Frame(offset, "ok", findings=(Finding("no_values", "", type(record).__name__),))
        if isinstance(record, apdu.GetResponse | apdu.GetBlock | apdu.GetListResponse | apdu.EventNotification):
            raise WireRefusal("unknown_list", f"{type(record).__name__}: what was asked for is not in the frame")
        return Frame(offset, "ok", findings=(Finding("no_values", "", type(record).__name__),))
    body = replace(pushes.body_of(record.data), title=title[:3].decode("latin-1"))
    profile = profile_for(lambda known: pushes.choose(known, body))
    push = pushes.decode(body, profile)
    used = zone or (profile.zone if profile is not None else "")
    clock = record.at if record.at is not None else push.clock
    at, why = pushes.time_in(clock, used)
    stamp, _ = pushes.time_in(push.clock, used)
    findings = [Finding(why, "", "the deviation is not specified: name the meter's zone")] if why else []
    findings += [Finding("no_scaler", obis, "left out: nothing says its scaler") for obis in push.unscaled]
    values = tuple(Reading(v.obis, name_of(v.obis), v.value, v.unit, stamp or at) for v in push.values)
    name = profile.name if profile is not None else "self_described"
    return Frame(offset, "ok", "", name, push.meter, at, values, tuple(findings), clock=clock)


def look_at_telegram(telegram: p1.Telegram, offset: int, zone: str) -> Frame:
    """A P1 telegram: every object with an amount, texts and times of their own."""
    used = zone or P1_ZONE
    at = _stamp(telegram.first("0.0.1.0.0.255"), used)
    values = tuple(_item(item, used, at) for item in telegram.items if item.obis != "0.0.1.0.0.255")
    findings = [] if telegram.checked else [Finding("no_checksum", "", "a telegram without CRC (DSMR 2, 3)")]
    findings += [] if telegram.ended else [Finding("no_end", "", "the line of ! is missing")]
    findings += [Finding("unread", "", line[:80]) for line in telegram.unread]
    codes = ("0.0.96.1.1.255", "0.0.96.1.0.255", "0.0.42.0.0.255", "1.0.0.0.0.255", "0.0.96.1.255.255")
    meter = _text(telegram.first(*codes)) or telegram.identification
    return Frame(offset, "ok", "", "p1", meter, at, values, tuple(findings))


def _item(item: p1.Item, zone: str, at: datetime | None) -> Reading:
    """One object: the last bracket that is an amount is its value, a stamp in front of it its time."""
    groups = item.groups
    own = _stamp(groups[0], zone) if len(groups) > 1 else None
    obis = item.obis
    if obis.endswith(".24.3.0.255") and len(groups) >= 7:  # DSMR 2 and 3: (time)(..)(..)(..)(code)(unit)(amount)
        a, b, *_ = obis.split(".")
        number, unit = _amount(f"{groups[6]}*{groups[5]}")
        return _named(f"{a}.{b}.24.2.1.255", number, unit, own or at)
    if len(groups) == 1 or (len(groups) == 2 and own is not None):
        number, unit = _amount(groups[-1])
        return _named(obis, number, unit, own or at)
    return _named(obis, "".join(f"({group})" for group in groups), "", at)


def _named(obis: str, value: Decimal | str, unit: str, at: datetime | None) -> Reading:
    return Reading(obis, name_of(obis), value, unit, at)


def _amount(text: str) -> tuple[Decimal | str, str]:
    """A number in its base unit; what has no unit stays text, hex octets become what they spell."""
    found = _AMOUNT.fullmatch(text)
    if found is None or (found[2] is None and "." not in text):
        return _text(text), ""
    exponent, unit = _UNITS.get((found[2] or "").lower(), (0, found[2] or ""))
    return Decimal(found[1]).scaleb(exponent), unit


def _text(text: str) -> str:
    """Octets in hex as the text that they spell, where they spell any."""
    if len(text) < 8 or len(text) % 2 or not re.fullmatch(r"[0-9A-Fa-f]+", text):
        return text
    raw = bytes.fromhex(text)
    return raw.decode("ascii").strip() if all(0x20 <= byte < 0x7F for byte in raw) else text


def _stamp(text: str, zone: str) -> datetime | None:
    """YYMMDDhhmmss with W (standard time) or S (summer time) in ``zone`` as UTC; None when it is no time."""
    found = _STAMP.fullmatch(text)
    if found is None:
        return None
    try:
        local = datetime.strptime(found[1], "%y%m%d%H%M%S").replace(tzinfo=ZoneInfo(zone))
    except ValueError:
        return None
    if not found[2]:
        return local.astimezone(UTC).replace(tzinfo=None)
    offset = (local.utcoffset() or timedelta()) - (local.dst() or timedelta())
    return local.replace(tzinfo=None) - offset - timedelta(hours=found[2] == "S")


def look_at_645(frame: dlt645.Frame, offset: int, zone: str) -> Frame:
    """A DL/T 645 frame: an answer's values, an order's words, a refusal's reason; requests hold no values."""
    made = Frame(offset, "ok", "", "dlt645", frame.address)
    if frame.refused:
        return replace(made, findings=(Finding("meter_refuses", "", dlt645.fault_of(frame)),))
    identifier = frame.identifier
    if frame.function == dlt645.Function.CONTROL and not frame.answer:
        control = dlt645.control_of(frame)
        known = control.order in dlt645.Order.__members__.values()
        word = dlt645.Order(control.order).name.lower() if known else f"order_{control.order:02x}"
        until = _local(control.until, zone or DLT645_ZONE)
        return replace(made, values=(Reading("", "relay_order", word, "", until),))
    if not frame.answer or not identifier:
        what = "answer" if frame.answer else "request"
        return replace(
            made, findings=(Finding("no_values", "", f"{what}, function {frame.function:02x} {identifier}"),)
        )
    if identifier in NAMES and not identifier.startswith("0090"):
        text = text_of(identifier, frame.data[4:])
        return replace(made, values=(Reading("", NAMES[identifier], text),))
    values: list[Reading] = []
    findings: list[Finding] = []
    for reading in readings(frame):
        name = NAMES.get(reading.identifier) or name_of(reading.obis)
        if reading.value is None:
            findings.append(Finding("no_value", reading.obis, f"{reading.identifier}: all digits F"))
            continue
        at = _local(reading.at, zone or DLT645_ZONE) if reading.at else None
        values.append(Reading(reading.obis, name, reading.value, reading.unit, at))
    return replace(made, values=tuple(values), findings=tuple(findings))


def local_utc(at: datetime | None, zone: str) -> datetime | None:
    """A time on the wall of ``zone`` in UTC; None stays None."""
    return None if at is None else _local(at, zone)


def _local(at: datetime, zone: str) -> datetime:
    try:
        return at.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return at
