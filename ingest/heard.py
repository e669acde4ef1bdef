"""A decoded push or telegram and its driver go in, registers in Wh come out; the same from kept bytes, decoded anew.

An amount of a push is a total, or the sum of all the tariffs that make it up: with one of them missing there is none. A
P1 port shows the tariffs that its meter has, so there the sum is of those.
"""

from collections.abc import Mapping
from decimal import Decimal

from ingest.framed import Frame, look_at_telegram
from ingest.frames import FrameReader
from ingest.model import P1Driver
from ingest.pushes import profiles
from ingest.records import Channel
from ingest.terminalmodel import PushDriver
from ingest.wire import p1


def numbers_of(frame: Frame) -> dict[str, Decimal]:
    """The numbers of a frame by OBIS code."""
    return {value.obis: value.value for value in frame.values if isinstance(value.value, Decimal)}


def registers_of(known: Mapping[str, Decimal], driver: PushDriver) -> dict[Channel, int]:
    """Import and export of one push's numbers, as far as they are there."""
    both = ((Channel.IMPORT, driver.import_obis), (Channel.EXPORT, driver.export_obis))
    return {channel: amount for channel, codes in both if (amount := total(known, codes)) is not None}


def registers_again(raw: bytes, driver: PushDriver) -> dict[Channel, int]:
    """The registers of kept bytes; none where they hold no push that can be read (no key opens a ciphered one here)."""
    found: dict[Channel, int] = {}
    for frame in FrameReader(profiles()).whole(raw):
        if frame.status == "ok":
            found |= registers_of(numbers_of(frame), driver)
    return found


def total(known: Mapping[str, Decimal], choices: tuple[tuple[str, ...], ...]) -> int | None:
    """The first of ``choices`` that is there as a whole."""
    for codes in choices:
        if all(code in known for code in codes):
            return int(sum((known[code] for code in codes), Decimal(0)))
    return None


def telegram_registers(known: Mapping[str, Decimal], driver: P1Driver) -> dict[Channel, int]:
    """Import and export in Wh and gas in litres of one telegram's numbers, as far as they are there."""
    found = {}
    for channel, choices in ((Channel.IMPORT, driver.import_obis), (Channel.EXPORT, driver.export_obis)):
        there = next((codes for codes in choices if any(code in known for code in codes)), ())
        if there:
            found[channel] = round(sum((known[code] for code in there if code in known), Decimal(0)))
    gas = next((known[code] for code in driver.gas_obis if code in known), None)
    return found if gas is None else {**found, Channel.GAS: round(gas * 1000)}


def telegram_again(raw: bytes, driver: P1Driver) -> dict[Channel, int]:
    """The registers of a telegram's kept bytes; none where they are no whole telegram."""
    telegram = p1.look(raw, closed=True).frame
    return (
        {} if telegram is None else telegram_registers(numbers_of(look_at_telegram(telegram, 0, driver.zone)), driver)
    )
