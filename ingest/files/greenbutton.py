"""A Green Button file (NAESB ESPI in Atom) goes in, intervals per usage point with their quality come out.

Values are ``value`` x 10**``powerOfTenMultiplier`` of the reading type's unit; times are UTC epoch seconds. Energy of
gas given in therms becomes Wh (1 therm = 29,307.107 Wh), its volume 0.001 m3. A period longer than a day is a billing
total: it is spread evenly over its hours, every one flagged UNCERTAIN, with the energy exact. A file that is not
well-formed to its end is refused whole: what its last block meant cannot be known.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final
from xml.parsers import expat

from ingest.deliveries import Delivery, ReadOptions, Rows, nothing
from ingest.quantities import Word, scaled
from ingest.records import Channel, Flag

MOST_DEPTH: Final = 64
DAY_S: Final = 86_400
ENERGY: Final = {
    72: (Channel.IMPORT, Decimal(1)),  # Wh
    73: (Channel.REACTIVE, Decimal(1)),  # varh
    169: (Channel.IMPORT, Decimal("29307.107")),  # therm (US): 105.4804 MJ
    31: (Channel.IMPORT, Decimal(1) / Decimal(3600)),  # J
    42: (Channel.GAS, Decimal(1000)),  # m3
    119: (Channel.GAS, Decimal("28.316846592")),  # cubic feet
}
"""ESPI unit of measure -> channel and base units per unit (ESPI 1.1, UomType)."""
REVERSE: Final = 19  # flowDirection: from the customer into the grid
ESTIMATES: Final = {8, 9, 12}  # QualityOfReading: reference day, linear interpolation, projected
QUESTIONABLE: Final = 10
ANONYMOUS: Final = "usage point"


@dataclass(slots=True)
class _Node:
    """One element without its namespace: name, line, text, children, attributes."""

    name: str
    line: int
    attributes: dict[str, str]
    children: list["_Node"] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts).strip()

    def all(self, name: str) -> Iterator["_Node"]:
        """Yield the children of that name."""
        return (child for child in self.children if child.name == name)

    def one(self, name: str) -> str:
        """Return the text of the first child of that name, "" without one."""
        return next((child.text for child in self.all(name)), "")


@dataclass(frozen=True, slots=True)
class GreenButtonFormat:
    """The format ``greenbutton``."""

    name: str = "greenbutton"

    def sniff(self, head: bytes) -> bool:
        """XML."""
        return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")

    def parse(self, data: bytes, options: ReadOptions) -> Delivery:
        """Read every interval block of every usage point."""
        tree = _tree(data.removeprefix(b"\xef\xbb\xbf").lstrip())
        if isinstance(tree, tuple):
            return nothing("greenbutton", *tree)
        rows = Rows("greenbutton")
        _feed(tree, options, rows)
        return rows.delivery()


def _tree(data: bytes) -> _Node | tuple[int, str, str]:
    """Return the root, or (line, reason, detail); document types are refused: they can name files and explode."""
    parser = expat.ParserCreate(namespace_separator=" ")
    root = _Node("", 0, {})
    stack = [root]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > MOST_DEPTH:
            raise ValueError("too_deep")
        node = _Node(name.rpartition(" ")[2], parser.CurrentLineNumber, attributes)
        stack[-1].children.append(node)
        stack.append(node)

    def doctype(*_: object) -> None:
        raise ValueError("doctype")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = lambda text: stack[-1].parts.append(text)
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        return error.lineno, "not_well_formed", expat.errors.messages[error.code]
    except ValueError as error:
        return parser.CurrentLineNumber, str(error), "refused for safety"
    return root


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a reading type says: channel, factor to base units (power of ten in it), seconds a value (0: unsaid)."""

    channel: Channel
    factor: Decimal
    seconds: int


@dataclass(frozen=True, slots=True)
class _Entry:
    self_link: str
    related: tuple[str, ...]
    title: str
    content: _Node | None


def _entries(root: _Node) -> list[_Entry]:
    """Return the feed's entries in order; links join them, whatever their order."""
    feed = next(iter(root.children), root)
    entries = []
    for node in feed.all("entry"):
        links = list(node.all("link"))
        own = next((link.attributes.get("href", "") for link in links if link.attributes.get("rel") == "self"), "")
        related = tuple(link.attributes.get("href", "") for link in links if link.attributes.get("rel") == "related")
        holder = next(node.all("content"), None)
        entries.append(_Entry(own, related, node.one("title"), holder))
    return entries


def _contents(entry: _Entry, name: str) -> list[_Node]:
    """Return the resources of that name in an entry, contained ones (``IntervalBlocks``) too."""
    found: list[_Node] = []
    pending = list(entry.content.children) if entry.content else []
    while pending:
        node = pending.pop(0)
        if node.name == name:
            found.append(node)
        elif node.name not in ("IntervalBlock", "UsagePoint", "ReadingType", "MeterReading"):
            pending.extend(node.children)
    return found


def _feed(root: _Node, options: ReadOptions, rows: Rows) -> None:
    """Join blocks to meter readings, reading types and usage points by their links, in document order without them."""
    entries = _entries(root)
    kinds = {e.self_link: _kind(n, rows) for e in entries for n in _contents(e, "ReadingType")}
    points = [entry for entry in entries if _contents(entry, "UsagePoint")]
    readings = [entry for entry in entries if _contents(entry, "MeterReading")]
    for entry in entries:
        blocks = _contents(entry, "IntervalBlock")
        if not blocks:
            continue
        reading = _owner(entry, readings, entries)
        kind = _kind_of(reading, kinds)
        if kind is None:
            rows.rows += 1
            rows.refuse(blocks[0].line, "no_reading_type", "no unit for this block")
            continue
        meter = options.meter if options.meter and len(points) <= 1 else _name(reading, points)
        for block in blocks:
            for value in block.all("IntervalReading"):
                _interval(value, kind, meter, rows)


def _owner(block: _Entry, owners: list[_Entry], entries: list[_Entry]) -> _Entry | None:
    """Return the meter reading that links to the block (or to its collection), else the last one before it."""
    for owner in owners:
        if any(link and (block.self_link == link or block.self_link.startswith(link + "/")) for link in owner.related):
            return owner
    before = [entry for entry in entries[: entries.index(block)] if entry in owners]
    return before[-1] if before else (owners[0] if len(owners) == 1 else None)


def _kind_of(reading: _Entry | None, kinds: dict[str, _Kind | None]) -> _Kind | None:
    """Return the reading type that the meter reading names, else the file's only one."""
    named = [kinds[link] for link in (reading.related if reading else ()) if link in kinds]
    if named:
        return named[0]
    return next(iter(kinds.values())) if len(kinds) == 1 else None


def _name(reading: _Entry | None, points: list[_Entry]) -> str:
    """Return the usage point's title (its address), or the end of its link."""
    links = (reading.self_link,) if reading else ()
    for point in points:
        if any(link.startswith(point.self_link + "/") for link in links if point.self_link):
            return point.title or point.self_link.rpartition("/")[2]
    first = points[0] if points else None
    return (first.title or first.self_link.rpartition("/")[2] or ANONYMOUS) if first else ANONYMOUS


def _number(text: str) -> int | None:
    """Return an integer; epoch seconds with a fraction lose it."""
    head = text.partition(".")[0]
    return int(head) if head.lstrip("-").isdigit() and len(head) <= 15 else None


def _kind(node: _Node, rows: Rows) -> _Kind | None:
    """Read a reading type; None and a refusal for power, money, temperature and other things that are no energy."""
    unit, power = _number(node.one("uom") or "72"), _number(node.one("powerOfTenMultiplier") or "0")
    if unit not in ENERGY or power is None or abs(power) > 18:
        rows.refuse(node.line, "bad_unit", f"unit {node.one('uom')!r} x 10^{node.one('powerOfTenMultiplier')!r}")
        return None
    channel, factor = ENERGY[unit]
    if channel is Channel.IMPORT and _number(node.one("flowDirection") or "0") == REVERSE:
        channel = Channel.EXPORT
    return _Kind(channel, factor * Decimal(10) ** power, _number(node.one("intervalLength") or "0") or 0)


def _interval(node: _Node, kind: _Kind, meter: str, rows: Rows) -> None:
    """Read one interval reading."""
    rows.rows += 1
    period = next(node.all("timePeriod"), None)
    start = _number(period.one("start")) if period else None
    seconds = _number(period.one("duration")) if period else None
    seconds = kind.seconds if seconds is None else seconds
    if not node.one("value"):
        rows.missing += 1
        return
    value = _number(node.one("value"))
    reason = _wrong(start, seconds, value)
    if reason or start is None or value is None:
        rows.refuse(node.line, reason or "bad_value", f"start {start}, {seconds} s, value {node.one('value')!r}")
        return
    energy, word = scaled(Decimal(value) * kind.factor, 0)
    if word is Word.TOO_LARGE:
        rows.refuse(node.line, "too_large", node.one("value"))
        return
    rows.rounded += word is Word.ROUNDED
    flags = Flag.IMPORTED
    for quality in (_number(item.one("quality")) for item in node.all("ReadingQuality")):
        flags |= Flag.ESTIMATED if quality in ESTIMATES else Flag.SUSPECT if quality == QUESTIONABLE else Flag.NONE
    _spread(
        start,
        seconds,
        energy,
        lambda end, minutes, part, mark: rows.add(
            meter, kind.channel, end * 1000, minutes, part, flags=int(flags | mark), line=node.line
        ),
    )


def _wrong(start: int | None, seconds: int, value: int | None) -> str:
    """Return why a reading cannot be taken, "" if it can."""
    if start is None or not 946_771_200 <= start < 4_102_444_800:  # 2000-01-02, 2100
        return "bad_stamp"
    if value is None:
        return "bad_value"
    if seconds < 300 or seconds % 60 or seconds > 400 * DAY_S:
        return "bad_length"
    if start % 300:
        return "off_grid"
    return "negative" if value < 0 else ""


def _spread(start: int, seconds: int, energy: int, add: Callable[[int, int, int, Flag], None]) -> None:
    """Hand on one slot as it is; more than a day in hours, evenly to the last unit, each UNCERTAIN."""
    if seconds <= DAY_S:
        add(start + seconds, seconds // 60, energy, Flag.NONE)
        return
    hours = -(-seconds // 3600)
    for hour in range(hours):
        end = min(seconds, (hour + 1) * 3600)
        part = energy * (hour + 1) // hours - energy * hour // hours
        add(start + end, (end - hour * 3600) // 60, part, Flag.UNCERTAIN)


FORMAT = GreenButtonFormat()
