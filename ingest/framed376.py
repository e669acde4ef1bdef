"""A Q/GDW 376.1 frame goes in, the decoded frame that people read comes out: values per point, orders, requests.

Energies in Wh, power in W, voltages in V, currents in A; times in UTC by the zone that the caller names. What a frame
holds of a DL/T 645 meter behind the terminal is decoded as that meter's own frame.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from ingest.framed import DLT645_ZONE, Finding, Frame, Reading, local_utc, look_at_645
from ingest.obis import name_of
from ingest.wire import dlt645, qgdw376
from ingest.wire import qgdw376_items as items
from ingest.wire import qgdw376_orders as orders
from ingest.wire.qgdw376 import Afn
from ingest.wire.qgdw376_curves import KINDS, curve
from ingest.wire.qgdw376_items import Unit
from ingest.wire.qgdw376_orders import Order

_LINK = {1: "login", 2: "logout", 3: "heartbeat"}
_IMPORT, _EXPORT = "1.0.1.8", "1.0.2.8"
_ENERGY = {33: _IMPORT, 34: _EXPORT, 129: _IMPORT, 131: _EXPORT, 161: _IMPORT, 163: _EXPORT}


def look_at_terminal(frame: qgdw376.Frame, offset: int, zone: str) -> Frame:
    """A frame of a terminal or of its station; an item of unknown layout raises WireRefusal("unknown_list")."""
    made = Frame(offset, "ok", "", "qgdw376", frame.address.name)
    used = zone or DLT645_ZONE
    if frame.afn == Afn.FORWARD:
        return _forwarded(frame, made, used)
    if not frame.up:
        return _from_station(frame, made)
    if frame.afn == Afn.LINK:
        (what,) = items.units(frame)[:1] or (Unit(0, 0),)
        return replace(made, findings=(Finding("no_values", "", _LINK.get(what.fn, f"AFN 02 F{what.fn}")),))
    found = items.units(frame)
    if frame.afn == Afn.CONFIRM:
        refused = any(unit.fn == 2 or (unit.fn == 3 and any(items.denials(unit).values())) for unit in found)
        code, word = ("meter_refuses", "denied") if refused else ("no_values", "confirmed")
        return replace(made, findings=(Finding(code, "", word),))
    points = {unit.pn for unit in found if unit.pn}
    values = tuple(
        replace(reading, name=f"{reading.name}_p{unit.pn}") if len(points) > 1 else reading
        for unit in found
        for reading in _READERS[unit.fn](unit, used)
    )
    name = f"{made.meter}-{points.pop()}" if len(points) == 1 else made.meter
    return replace(made, meter=name, values=values)


def _from_station(frame: qgdw376.Frame, made: Frame) -> Frame:
    """What a station asks for or orders; orders are values, requests hold none."""
    asked = orders.asked(frame)
    if frame.afn == Afn.CONTROL:
        words = tuple(Reading("", "terminal_order", Order(unit.fn).name.lower()) for unit in asked)
        return replace(made, values=words)
    what = ", ".join(f"F{unit.fn} p{unit.pn}" for unit in asked)
    return replace(made, findings=(Finding("no_values", "", f"request, AFN {frame.afn:02X} {what}"),))


def _forwarded(frame: qgdw376.Frame, made: Frame, zone: str) -> Frame:
    """A DL/T 645 frame inside."""
    (unit,) = (items.units(frame) if frame.up else orders.asked(frame))[:1] or (Unit(0, 1),)
    content = items.forwarded(unit) if frame.up else unit.data[6:]
    at = content.find(dlt645.START)
    inner = dlt645.look(content, at).frame if at >= 0 else None
    if inner is None:
        return replace(made, findings=(Finding("no_values", "", f"forwarded {content[:64].hex()}"),))
    return look_at_645(inner, made.offset, zone)


def _registers(unit: Unit, zone: str) -> list[Reading]:
    found, code = items.registers(unit), _ENERGY[unit.fn]
    at = local_utc(found.day or found.at, zone)
    amounts = (found.total_wh, *found.rates_wh)
    codes = [f"{code}.{rate}.255" for rate in range(len(amounts))]
    return [
        Reading(obis, name_of(obis), Decimal(wh), "Wh", at)
        for obis, wh in zip(codes, amounts, strict=True)
        if wh is not None
    ]


def _load(unit: Unit, zone: str) -> list[Reading]:
    found = items.load(unit)
    at = local_utc(found.at, zone)
    values: list[tuple[str, Decimal, str]] = []
    if found.power_w is not None:
        values.append(("1.0.1.7.0.255", Decimal(found.power_w), "W"))
    phases = (32, 52, 72), (31, 51, 71)
    values += [
        (f"1.0.{c}.7.0.255", Decimal(v).scaleb(-1), "V")
        for c, v in zip(phases[0], found.voltages_dv, strict=True)
        if v is not None
    ]
    values += [
        (f"1.0.{c}.7.0.255", Decimal(v).scaleb(-3), "A")
        for c, v in zip(phases[1], found.currents_ma, strict=True)
        if v is not None
    ]
    return [Reading(obis, name_of(obis), value, word, at) for obis, value, word in values]


def _curve(unit: Unit, zone: str) -> list[Reading]:
    obis, _, word = KINDS[unit.fn]
    points = curve(unit)
    return [Reading(obis, name_of(obis), p.value, word, local_utc(p.at, zone)) for p in points if p.value is not None]


def _clock(unit: Unit, zone: str) -> list[Reading]:
    at = local_utc(items.clock_of(unit.data), zone)
    return [Reading("0.0.1.0.0.255", "clock", "" if at is None else f"{at.isoformat()}Z", "", at)]


def _state(unit: Unit, zone: str) -> list[Reading]:  # noqa: ARG001
    state = items.control_state(unit)
    words = {"keep_power": state.keep_power, "rejected": state.rejected, "alarm": state.alarm}
    on = [word for word, there in words.items() if there] + [f"purchase_{n}" for n in sorted(state.purchase)]
    return [Reading("", "terminal_state", " ".join(on) or "none")]


def _outputs(unit: Unit, zone: str) -> list[Reading]:  # noqa: ARG001
    found = items.outputs(unit)
    on = [f"remote_{n}" for n in sorted(found.remote)] + [f"purchase_{n}" for n in sorted(found.purchase)]
    return [Reading("", "terminal_trips", " ".join(on) or "none")]


_READERS: Mapping[int, Callable[[Unit, str], list[Reading]]] = {
    2: _clock,
    5: _state,
    6: _outputs,
    25: _load,
    **dict.fromkeys(_ENERGY, _registers),
    **dict.fromkeys(KINDS, _curve),
}
