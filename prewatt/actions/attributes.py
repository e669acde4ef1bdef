"""A person's question for, or word on, one attribute of a DLMS meter goes in; its value comes out.

A write takes the type that the attribute has, is on record before it is sent and after, and counts only when the meter
shows it. Only what is known to move nothing is written here: never what may move supply or open the meter.
"""

import json
from collections.abc import Mapping
from typing import Any

from ingest.errors import WireRefusal
from ingest.records import MeterPoint
from ingest.wire.cosem import ClassId, Name, obis_bytes
from ingest.wire.plaindata import plain
from prewatt.errors import ShellError, Usage
from prewatt.wiring import Shell
from storage.writer import Priority

SECRET = (ClassId.ASSOCIATION_LN, 7)
"""The association's secret: neither shown nor written."""
NOT_HERE: Mapping[int, str] = {
    9: "a script can move supply",
    15: "an association lets people in",
    22: "a schedule can move supply",
    64: "keys are put in with the maker's tool",
    68: "an arbitrator can move supply",
    70: "supply goes through `prewatt accounts disconnect | reconnect`, with every guard",
    71: "a limit goes through a command, with every guard",
}
WRITTEN = frozenset({1, 3, 4, 5, 7, 8, 28, 29, 40, 41, 42, 45})
"""Data, registers, profile, clock, auto answer and connect, push setup, TCP-UDP, IPv4 and modem setup."""
CLOCK = "drift: further off than is set from here, look on site; else what the meter said"
READ = "prewatt meters attribute METER 3/1.0.1.8.0.255/2"


def named(text: str) -> Name:
    """``class/code/attribute`` as a name.

    >>> named("8/0.0.1.0.0.255/2")
    Name(class_id=8, obis='0.0.1.0.0.255', number=2)
    """
    try:
        class_id, obis, number = text.split("/")
        obis_bytes(obis)
        name = Name(int(class_id), obis, int(number))
    except ValueError:
        raise Usage(f"no attribute: {text!r}", attempt=READ) from None
    if not (0 < name.class_id < 1 << 16 and 0 < name.number < 128):
        raise Usage(f"no attribute: {text!r}", attempt=READ)
    if name[::2] == SECRET:
        raise Usage("an association's secret is not shown", which=text)
    return name


def unwritable(name: Name) -> str:
    """Why an attribute is not written from here, "" = it may be."""
    if name.class_id not in WRITTEN:
        return f"class {name.class_id} is not written here: {NOT_HERE.get(name.class_id, 'it may move supply')}"
    _, b, c, d, e, _ = obis_bytes(name.obis)
    if 128 <= b <= 199 or 128 <= c <= 199 or c == 240 or 128 <= d <= 254 or 128 <= e <= 254:
        return "a code of the maker's own is not written here: it may move supply"
    if (c, d) == (96, 3):
        return "a control signal is not written here: it may move supply"
    return ""


async def show(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read one attribute in an association of its own."""
    point, link = _where(shell, str(args["meter"]))
    name = named(str(args["attribute"]))
    try:
        word, data = await link.attribute(point, name)
    except WireRefusal as refusal:
        raise ShellError(f"the meter says {refusal}", which=point.meter, attempt=READ) from refusal
    return {"meter": point.meter, "attribute": str(args["attribute"]), "name": word, "type": data.tag.name.lower(),
            "value": plain(data)}  # fmt: skip


async def change(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Write one attribute, and read it back."""
    text, reason = str(args["attribute"]), str(args.get("reason") or "").strip()
    name, given = named(text), str(args["value"])
    if why := unwritable(name):
        raise Usage(why, which=text)
    if not reason:
        raise Usage("why?", attempt="--reason TEXT, which the audit chain keeps")
    point, link = _where(shell, str(args["meter"]))
    try:
        value = json.loads(given)
    except ValueError:
        value = given
    body = {"attribute": text, "value": given[:200], "reason": reason}
    await _audit(shell, "meter.attribute.asked", point.meter, body)
    try:
        word, before, after = await link.set_attribute(point, name, value)
    except (WireRefusal, ValueError) as refusal:
        await _audit(shell, "meter.attribute.refused", point.meter, {**body, "why": str(refusal)})
        raise ShellError(f"not written: {refusal}", which=point.meter, attempt=READ) from refusal
    await _audit(shell, "meter.attribute.set", point.meter, {**body, "before": str(plain(before))[:200]})
    return {"meter": point.meter, "attribute": text, "name": word, "before": plain(before), "value": plain(after)}


async def clock(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Set a meter's clock that is a little off; one further off is for a person on site (a ``clock_drift`` order)."""
    point, link = _where(shell, str(args["meter"]))
    await _audit(shell, "meter.clock.asked", point.meter, {})
    why = await link.set_clock(point)
    await _audit(shell, "meter.clock.set" if not why else "meter.clock.refused", point.meter, {"why": why})
    if why:
        raise ShellError(f"its clock is not right: {why}", which=point.meter, attempt=CLOCK)
    return {"meter": point.meter, "clock": "right"}


def _where(shell: Shell, meter: str) -> tuple[MeterPoint, Any]:
    points = shell.store.read(lambda reader: reader.find(MeterPoint, meter=meter))
    if not points:
        raise Usage(f"no meter {meter!r}", attempt="prewatt sql 'select meter from meters'")
    link: Any = shell.engine.links.get(points[0].gateway)
    if not hasattr(link, "set_attribute"):
        raise ShellError("its gateway speaks no DLMS", which=meter)
    return points[0], link


async def _audit(shell: Shell, what: str, meter: str, body: Mapping[str, Any]) -> None:
    now = shell.clock.now()
    await shell.store.commit(Priority.COMMAND, lambda unit: unit.audit(shell.actor, what, meter, dict(body), now))


ACTIONS = {"meters.attribute": show, "meters.set_attribute": change, "meters.set_clock": clock}
