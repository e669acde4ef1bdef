"""An ISO 20022 message's bytes go in; its elements, without their name spaces, come out, or a refusal.

What the readers of several messages share: text at a path, amounts, times. Bytes never raise but ``Wrong``, which a
reader turns into its refusal.
"""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

from control.amounts import PaymentRefusal, micro

SIZE_LIMIT = 64 * 1024 * 1024
ROWS_LIMIT = 1_000_000
TEXT_LIMIT = 140
NOT_PROVIDED = "NOTPROVIDED"


class Wrong(Exception):
    """What is wrong with an entry: the refusal's reason and where."""


def document(data: bytes, messages: str, reason: str) -> Element | PaymentRefusal:
    """The root of a message whose name fits the pattern ``messages``; ``reason`` says what it is not otherwise."""
    if len(data) > SIZE_LIMIT:
        return PaymentRefusal(413, "too_large", f"{len(data)} bytes, limit {SIZE_LIMIT}")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or b"\0" in data:
        return PaymentRefusal(400, reason, "a message has no document type, no entities and no UTF-16")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        return PaymentRefusal(400, "not_xml", str(error))
    if not re.fullmatch(rf"\{{urn:iso:std:iso:20022:tech:xsd:{messages}\.\d\d\}}Document", root.tag):
        return PaymentRefusal(400, reason, f"the root is {root.tag[:120]!r}, want {messages}")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def text(element: Element, path: str) -> str:
    """The text at ``path``, "" where there is none."""
    found = element.find(path)
    return (found.text or "").strip() if found is not None else ""


def first(element: Element, *paths: str) -> str:
    """The first text of ``paths`` that says something."""
    found = (text(element, path) for path in paths)
    return next((one for one in found if one and one != NOT_PROVIDED), "")


def amount(money: Element | None) -> int:
    """Micro-units of an amount; 0 where there is none that can be read."""
    found = micro(money.text or "") if money is not None else None
    return found if found is not None and found > 0 else 0


def priced(money: Element, where: str) -> tuple[int, str]:
    """Micro-units and currency of an amount that must be there; Wrong otherwise."""
    found, currency = amount(money), money.get("Ccy", "")
    if found <= 0 or not re.fullmatch("[A-Z]{3}", currency):
        raise Wrong("bad_amount", f"{where}: {money.text!r} {currency!r}")
    return found, currency


def moment(stamp: str, zone: str, where: str) -> datetime:
    """A date or time as naive UTC, without an offset that of ``zone``; Wrong for what is none."""
    try:
        at = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise Wrong("bad_time", f"{where}: {stamp!r}") from None


def repeated(ids: list[str]) -> str:
    """A reference that stands twice, "" = none."""
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            return one
        seen.add(one)
    return ""
