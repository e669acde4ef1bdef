"""A simulated meter goes in, the DLMS pushes of its port come out: Norwegian hourly lists, in HDLC frames.

It says its own number, power and voltage, and the register with the time of its own clock. Faults by name: ``dead``
(pushes nothing), ``wrong_unit`` (another meter's number), ``half_frame``, ``garbled`` (one bit, checksum as it was),
``wrong_scaler`` (2,300 V mains), ``power_only`` (no register), ``late_push`` (held back for an hour: what it had an
hour ago, under that hour).
"""

from datetime import timedelta

from ingest.ports import Clock
from ingest.wire import apdu, hdlc
from ingest.wire.axdr import Data, Tag
from ingest.wire.cosem import local_of, obis_bytes, pack_time, scaler_data
from sim.meters import SimMeter

ZONE = "Europe/Oslo"
VERSION = "AIDON_V0001"
WH, W, V = 30, 27, 35  # unit codes of IEC 62056-6-2


def push(meter: SimMeter, clock: Clock) -> bytes:
    """What the meter pushes now; b"" when it says nothing."""
    now = clock.now()
    meter.advance(now)
    faults = meter.faults
    if "dead" in faults:
        return b""
    serial = "7359999999999999" if "wrong_unit" in faults else meter.serial
    at, shown_wh = meter.device_time(now), meter.register_wh
    if "late_push" in faults:
        at -= timedelta(hours=1)
        shown_wh = dict(meter.profile).get(at.replace(minute=0, second=0, microsecond=0), shown_wh)
    exponent = 0 if "wrong_scaler" in faults else -1
    rows: tuple[Data, ...] = (
        _row("1.1.0.2.129.255", Data(Tag.VISIBLE_STRING, VERSION)),
        _row("0.0.96.1.0.255", Data(Tag.VISIBLE_STRING, serial)),
        _row("1.0.1.7.0.255", Data(Tag.DOUBLE_LONG_UNSIGNED, meter.power_w(now)), scaler_data(0, W)),
        _row("1.0.32.7.0.255", Data(Tag.LONG_UNSIGNED, 2301), scaler_data(exponent, V)),
        _row("0.0.1.0.0.255", Data(Tag.OCTET_STRING, pack_time(local_of(at, ZONE)))),
        _row("1.0.1.8.0.255", Data(Tag.DOUBLE_LONG_UNSIGNED, shown_wh // 10), scaler_data(1, WH)),
    )
    if "power_only" in faults:
        rows = rows[:-1]
    record = apdu.encode(apdu.Notification(0x40000000, None, Data(Tag.ARRAY, rows)))
    information = hdlc.LLC_RESPONSE + record
    raw = hdlc.encode(hdlc.Frame(hdlc.address(32), hdlc.address(4, 65), 0x13, information))
    if "garbled" in faults:
        raw = raw[:-8] + bytes([raw[-8] ^ 1]) + raw[-7:]
    return raw[: len(raw) // 2] if "half_frame" in faults else raw


def _row(obis: str, value: Data, scaler: Data | None = None) -> Data:
    """One object: its code, its value, its scaler where it has one."""
    return Data(Tag.STRUCTURE, (Data(Tag.OCTET_STRING, obis_bytes(obis)), value, *([] if scaler is None else [scaler])))
