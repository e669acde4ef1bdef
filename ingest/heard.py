"""A decoded push and its driver go in, registers in Wh come out; the same from kept bytes, by the profiles as they are.

An amount is a total, or the sum of all the tariffs that make it up: with one of them missing there is none.
"""

from collections.abc import Mapping
from decimal import Decimal

from ingest.framed import Frame
from ingest.frames import FrameReader
from ingest.pushes import profiles
from ingest.records import Channel
from ingest.terminalmodel import PushDriver


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
