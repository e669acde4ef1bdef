"""The first rows of a table in; which column is the meter, the stamp and the energy out, with units and channels.

Long form: a meter column, a stamp and one energy (London). Wide form: a stamp and one column a meter (Sydney). Single
form: a stamp and the named quantities of one meter (a steel plant's kWh and kvarh, a solar home's GC and GG).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.deliveries import ReadOptions
from ingest.quantities import EXPONENTS, Word, quantity
from ingest.records import Channel

METER_NAMES = frozenset({"lclid", "meter", "meter_id", "meterid", "meter_no", "nmi", "mpan", "customer", "serial"})
STAMP_NAMES = frozenset(
    {"tstp", "datetime", "date_time", "date/time", "timestamp", "stamp", "start", "end", "time", "date", "at"}
)
VALUE_NAMES = frozenset({"value", "energy", "consumption", "usage", "import", "reading"})
GROSS = {"gc": Channel.IMPORT, "cl": Channel.IMPORT, "gg": Channel.EXPORT, "export": Channel.EXPORT}
NOT_ENERGY = ("power", "voltage", "intensity", "current", "temperature")  # a table of measurements, not of meters
_UNIT = re.compile(r"(?<![a-z])(k|m|g)?(wh|varh)(?![a-z])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Column:
    """One energy column: where it stands, whose it is ("" = the row says), what it counts, places to base units."""

    index: int
    meter: str
    channel: Channel
    exponent: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table's rows are read. ``hint_min`` is the slot length that the header names, 0 if it names none."""

    width: int
    stamp: int
    meter: int | None
    columns: tuple[Column, ...]
    stamp_kind: str = ""
    hint_min: int = 0
    clock: int | None = None  # a second column with the time of day


def unit_of(header: str, default: int) -> int:
    """Return the decimal places between the unit that a header names (``energy(kWh/hh)``) and base units."""
    match = _UNIT.search(header.lower().replace("_", " "))
    return default if match is None else EXPONENTS[match[0]]


def _clean(name: str) -> str:
    return name.strip().strip('"').strip().lower()


def _find(names: Sequence[str], wanted: str, known: frozenset[str]) -> int | None:
    """Return the column that an option names, else the first with a known name."""
    if wanted:
        return names.index(_clean(wanted)) if _clean(wanted) in names else None
    return next((index for index, name in enumerate(names) if name in known), None)


def layout(header: Sequence[str], sample: Sequence[Sequence[str]], options: ReadOptions) -> Layout | str:
    """Return how to read the table, or a sentence that says what is missing and what to do."""
    names = [_clean(name) for name in header]
    meter = _find(names, options.meter_col, METER_NAMES)
    if options.meter_col and meter is None:
        return f"no column {options.meter_col!r}; the header has {', '.join(names)}"
    stamp = _find(names, options.stamp_col, STAMP_NAMES)
    if stamp is None and not options.stamp_col and names and names[0] == "":
        stamp = 0
    if stamp is None:
        return f"no time column in {', '.join(names)}; say --stamp-col"
    clock = names.index("time") if names[stamp] == "date" and "time" in names else None
    default = EXPONENTS.get(_clean(options.unit), 3) if options.unit else 3
    columns = _columns(header, sample, options, (meter, stamp, clock), default)
    if not columns:
        return f"no energy column in {', '.join(names)}; say --value-col"
    joined = " ".join(names)
    hint = 30 if "/hh" in joined or "half hour" in joined or "half-hour" in joined else 0
    return Layout(len(names), stamp, meter, columns, _kind(names[stamp]), hint, clock)


def _kind(name: str) -> str:
    """Some files say in the header what their stamps are."""
    return name if name in ("start", "end") else ""


def _columns(
    header: Sequence[str],
    sample: Sequence[Sequence[str]],
    options: ReadOptions,
    taken: tuple[int | None, int, int | None],
    default: int,
) -> tuple[Column, ...]:
    """Return the energy columns: the named one, those with a unit or a known name, else every column of numbers."""
    names = [_clean(name) for name in header]
    meter = taken[0]
    free = [index for index in range(len(names)) if index not in taken]
    own = "" if meter is not None else options.meter
    if options.value_col:
        chosen = [index for index in free if names[index] == _clean(options.value_col)]
        return tuple(Column(i, own, Channel.IMPORT, _exponent(names[i], options, default)) for i in chosen)
    named = [(index, told) for index in free if (told := _channel(names[index])) is not None]
    if named:
        first: dict[Channel, int] = {}
        for index, channel in named:
            first.setdefault(channel, index)
        return tuple(Column(i, own, channel, _exponent(names[i], options, default)) for channel, i in first.items())
    if meter is not None or any(word in name for name in names for word in NOT_ENERGY):
        return ()
    wide = [index for index in free if names[index] and _numbers(sample, index)]
    return tuple(Column(i, header[i].strip().strip('"').strip(), Channel.IMPORT, default) for i in wide)


def _exponent(name: str, options: ReadOptions, default: int) -> int:
    """An option's unit wins over the header's."""
    return default if options.unit else unit_of(name, default)


def _channel(name: str) -> Channel | None:
    """Return what a named column counts, None for anything that is no energy of a channel we keep."""
    if name in GROSS:
        return GROSS[name]
    match = _UNIT.search(name.replace("_", " "))
    if match is None:
        return Channel.IMPORT if name in VALUE_NAMES else None
    if match[2] == "varh":
        return Channel.REACTIVE if "lead" not in name else None
    return Channel.EXPORT if "export" in name or "generation" in name else Channel.IMPORT


def _numbers(sample: Sequence[Sequence[str]], index: int) -> bool:
    """Whether the first rows of a column hold numbers or nothing only."""
    words = [quantity(row[index], 3)[1] for row in sample if index < len(row)]
    return Word.BAD not in words
