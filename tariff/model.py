"""What a tariff book is once it has been read: frozen versions, windows, components and price series."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from tariff.late_fee import LateFeeRule
from tariff.money import Rounding

PRICE_CHANGES = ("timestamp", "average_per_day")


class Spec(Protocol):
    """One price component as its kind parsed it; a frozen dataclass, equal when it prices alike."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Window:
    """Slots of the local calendar that belong to ``period``: every test that is present must hold.

    ``begin`` and ``end`` are minutes of the local day, [begin, end), wrapping midnight if begin > end; equal = all day.
    ``dates`` are inclusive (first, last) pairs of ISO dates or of MM-DD; ``days`` counts Monday as 1.
    """

    period: str
    begin: int = 0
    end: int = 0
    months: tuple[int, ...] = ()
    days: tuple[int, ...] = ()
    dates: tuple[tuple[str, str], ...] = ()
    holidays: bool | None = None  # True: only on holidays, False: never on them


@dataclass(frozen=True, slots=True)
class When:
    """Whom a component is for: the account's ``attribute`` passes every test that is present."""

    attribute: str
    equals: str = ""
    differs: str = ""
    at_least: str = ""
    at_most: str = ""


@dataclass(frozen=True, slots=True)
class Gas:
    """How 0.001 m3 become Wh: the factor to reference conditions and the calorific value in MJ per m3."""

    correction: str
    calorific_mj: str


@dataclass(frozen=True, slots=True)
class Version:
    """The book's rules from ``start`` (local wall clock) until the next version's start.

    ``when`` names for whom components are (by id); ``attributes`` are an account's where the book has been applied to
    one, and ``origin`` is then the label of the version as the book writes it.
    """

    label: str
    start: datetime
    windows: tuple[Window, ...]
    default_period: str
    holidays: tuple[str, ...]
    holiday_as: str  # a weekday number as text, a period's name, or "" for no effect
    components: tuple[Spec, ...]
    line: int = 0
    source: tuple[tuple[str, str], ...] = ()
    when: tuple[tuple[str, When], ...] = ()
    gas: Gas | None = None
    late_fee: LateFeeRule | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Prices or band names by time: ``values[i]`` holds for ``minutes`` from ``starts[i]`` (minutes since 1970 UTC)."""

    name: str
    minutes: int
    starts: tuple[int, ...]
    values: tuple[str, ...]
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """One tariff: how its money rounds, its zone, its versions in order of start, its sources, and a hash of it all."""

    name: str
    title: str
    currency: str
    zone: str
    decimals: int
    rounding: Rounding
    round_lines: str  # line | component | total
    total_decimals: int | None
    cycle_day: int
    source: Mapping[str, str]
    versions: tuple[Version, ...]
    hash: str
    path: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    price_change: str = "timestamp"  # one of PRICE_CHANGES
    cycle_months: int = 1
    cycle_first: int = 1  # a month in which a cycle of several months begins

    def __eq__(self, other: object) -> bool:
        """Books are equal when their text and series are."""
        return isinstance(other, Book) and (self.name, self.hash) == (other.name, other.hash)

    def __hash__(self) -> int:
        """Hash of the content hash, for use as a key in this process only."""
        return hash(self.hash)

    def get(self, ident: str, version: Version) -> Spec | None:
        """The component ``ident`` of ``version``."""
        return next((spec for spec in version.components if spec.id == ident), None)
