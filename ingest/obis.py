"""An OBIS code goes in, its plain name and its unit come out (IEC 62056-61; Blue Book, clause 7.5).

Codes are written as six numbers, ``1.0.1.8.0.255``; the short form of printed lists, ``1-0:1.8.0``, is read too. Names
end in the phase (``voltage_l1``) or the tariff (``active_energy_import_t1``); a code without a name keeps its number.
"""

import re
from typing import Final

_SHORT: Final = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?:\*(\d{1,3}))?", re.ASCII)

# C of electricity (A = 1): what is measured over all phases; 20, 40 and 60 more name phases 1, 2 and 3.
_POWERS: Final = {
    1: ("active", "import"),
    2: ("active", "export"),
    3: ("reactive", "import"),
    4: ("reactive", "export"),
    5: ("reactive", "q1"),
    6: ("reactive", "q2"),
    7: ("reactive", "q3"),
    8: ("reactive", "q4"),
    9: ("apparent", "import"),
    10: ("apparent", "export"),
    15: ("active", "absolute"),
    16: ("active", "net"),
}
_OTHERS: Final = {11: ("current", "A"), 12: ("voltage", "V"), 13: ("power_factor", ""), 14: ("frequency", "Hz")}
_UNITS: Final = {"active": ("W", "Wh"), "reactive": ("var", "varh"), "apparent": ("VA", "VAh")}
_SPANS: Final = {4: "_average", 5: "_last_average", 6: "_max", 24: "_mean", 25: "_mean"}
_PLAIN: Final = {
    "0.0.1.0.0": "clock",
    "0.1.1.0.0": "clock",
    "0.0.17.0.0": "limiter_threshold",
    "0.0.42.0.0": "logical_device_name",
    "0.0.96.3.10": "switch_position",
    "0.0.96.13.0": "text_message",
    "0.0.96.13.1": "numeric_message",
    "0.0.96.14.0": "tariff",
    "0.0.96.7.9": "long_power_failures",
    "0.0.96.7.19": "power_failure_duration",
    "0.0.96.7.21": "power_failures",
    "1.0.99.97.0": "power_failure_log",
    "0.0.98.1.0": "monthly_history",
    "1.0.0.0.0": "meter_number",
    "1.1.0.0.5": "gs1_number",
    "1.0.0.2.129": "list_version",
    "1.1.0.2.129": "list_version",
    "0.0.96.1.7": "meter_type",
    "0.1.96.1.1": "meter_type",
    "1.1.96.1.1": "meter_type",
    "1.3.0.2.8": "p1_version",
    "0.0.96.1.4": "p1_version",
}


def long_form(text: str) -> str:
    """``1-0:1.8.0*255`` or ``1.0.1.8.0.255`` as six numbers, "" when it is neither.

    >>> long_form("1-0:1.8.0"), long_form("1-3:0.2.8*255"), long_form("1.8.0")
    ('1.0.1.8.0.255', '1.3.0.2.8.255', '')
    """
    found = _SHORT.fullmatch(text)
    if found:
        parts = [int(part) if part else 0 for part in found.groups()[:5]] + [int(found[6] or 255)]
    else:
        pieces = text.split(".")
        if len(pieces) != 6 or not all(piece.isdecimal() and len(piece) <= 3 for piece in pieces):
            return ""
        parts = [int(piece) for piece in pieces]
    return ".".join(map(str, parts)) if all(part <= 255 for part in parts) else ""


def name_of(obis: str) -> str:
    """The plain name of a code.

    >>> name_of("1.0.1.8.1.255"), name_of("1.0.32.7.0.255"), name_of("1.0.41.7.0.255"), name_of("1.0.99.1.0.255")
    ('active_energy_import_t1', 'voltage_l1', 'active_power_import_l2', '1.0.99.1.0.255')
    """
    a, b, c, d, e, _ = map(int, obis.split("."))
    plain = _PLAIN.get(f"{a}.{b}.{c}.{d}.{e}")
    if plain:
        return plain
    if a == 1:
        return _electric(c, d, e) or obis
    if (c, d) == (96, 1):
        return f"device_id_{e}" if b == 0 else f"device_id_channel_{b}"
    if c == 24 and b:
        kind = {(1, 0): "device_type", (2, 1): "volume", (2, 3): "volume", (4, 0): "valve"}.get((d, e))
        return f"{kind}_channel_{b}" if kind else obis
    return obis


def unit_of(obis: str) -> str:
    """The base unit that a code's number has when nothing else names one: Wh, W, V ...; "" when it has none.

    >>> unit_of("1.0.1.8.0.255"), unit_of("1.0.71.7.0.255"), unit_of("0.0.96.1.0.255")
    ('Wh', 'A', '')
    """
    a, _, c, d, _, _ = map(int, obis.split("."))
    if a != 1 or d not in (4, 5, 6, 7, 8, 24, 25, 29):
        return ""
    quantity, _ = _split(c)
    if quantity in _POWERS:
        return _UNITS[_POWERS[quantity][0]][d in (8, 29)]
    return _OTHERS[quantity][1] if quantity in _OTHERS else ""


def _split(c: int) -> tuple[int, str]:
    """A value group C as the quantity over all phases and the phase."""
    if 21 <= c <= 80:
        return c - 20 * ((c - 1) // 20), f"_l{(c - 1) // 20}"
    return (11, "_neutral") if c == 91 else (c, "")


def _electric(c: int, d: int, e: int) -> str:
    if c in (32, 52, 72) and d in (32, 36):
        return f"voltage_{'sags' if d == 32 else 'swells'}{_split(c)[1]}"
    quantity, phase = _split(c)
    if quantity in _POWERS:
        kind, way = _POWERS[quantity]
        if d in (8, 29):
            tariff = f"_t{e}" if e else ""
            return f"{kind}_energy_{way}{phase}{'_interval' if d == 29 else ''}{tariff}"
        if d == 7 or d in _SPANS:
            return f"{kind}_power_{way}{phase}{_SPANS.get(d, '')}"
    if quantity in _OTHERS and (d == 7 or d in _SPANS):
        return f"{_OTHERS[quantity][0]}{phase}{_SPANS.get(d, '')}"
    return ""
