"""A rate's fields go in; those that were never taken come out, each with the reason why no book says it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from tariff.errors import ImportRefusedError

# What describes a rate and prices nothing: not worth a word.
DESCRIBES = {
    *("label", "uri", "revisions", "approved", "is_default", "utility", "eiaid", "name", "startdate", "supersedes"),
    *("sector", "servicetype", "description", "source", "sourceparent", "country", "latest_update"),
    *("demandunits", "flatdemandunit", "demandrateunit", "fixedchargeunits", "minchargeunits"),
}
ELIGIBLE = "who may have the rate is not a price: check the account before you give it this book"
TEXT = "free text: read it, it may hold prices or conditions"
WHY: Mapping[str, str] = {
    "enddate": "a version of a book ends where the next begins",
    "dgrules": "energy is priced as imported; where the customer exports, add a credit or a net-metering component",
    "usenetmetering": "energy is priced as imported; where the customer exports, add a net-metering component",
    "energycomments": TEXT,
    "demandcomments": TEXT,
    "basicinformationcomments": TEXT,
    "energyattrs": TEXT,
    "demandattrs": TEXT,
    "fixedattrs": TEXT,
    "coincidentratestructure": "the utility's peak hour is only known afterwards: no rule",
    "coincidentrateschedule": "the utility's peak hour is only known afterwards: no rule",
    "coincidentrateunit": "the utility's peak hour is only known afterwards: no rule",
    "demandreactivepowercharge": "a charge per kvar of demand: no rule; a book charges kvarh or a power factor",
    "demandratchetpercentage": "a ratchet that differs by month: no rule",
    "fueladjustmentsmonthly": "an adjustment of its own for each month: no rule; make a version for each",
    "fixedchargeeaaddl": "a charge per further meter: no rule; add a fixed component per attribute",
    "annualmincharge": "a minimum of a year: no rule; a book's minimum is of a bill or a day",
    "lookbackrange": "there is no ratchet that it could hold for",
    "lookbackmonths": "there is no ratchet that it could hold for",
    "demandwindow": "there is no demand charge that it could hold for",
    "phasewiring": ELIGIBLE,
    "voltagecategory": ELIGIBLE,
    "voltageminimum": ELIGIBLE,
    "voltagemaximum": ELIGIBLE,
    "peakkwcapacitymin": ELIGIBLE,
    "peakkwcapacitymax": ELIGIBLE,
    "peakkwcapacityhistory": ELIGIBLE,
    "peakkwhusagemin": ELIGIBLE,
    "peakkwhusagemax": ELIGIBLE,
    "peakkwhusagehistory": ELIGIBLE,
}
UNKNOWN = "not a field that this importer knows"


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A field of the rate that the book does not say, and why."""

    field: str
    why: str


@dataclass
class Item:
    """One rate: fields are ``taken`` when they are mapped, and ``left`` with a reason when they cannot be."""

    table: Mapping[str, Any]
    taken: set[str] = field(default_factory=set)
    left: dict[str, str] = field(default_factory=dict)

    def raw(self, key: str, default: Any = None) -> Any:
        """The value of ``key``, which counts as mapped."""
        self.taken.add(key)
        value = self.table.get(key)
        return default if value is None or value == "" else value

    def leave(self, key: str, why: str) -> None:
        """Say that ``key`` is not in the book after all."""
        self.left[key] = why

    def price(self, key: str, value: Any) -> str:
        """A number of the rate as decimal text; ImportRefusedError for what is none."""
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            raise ImportRefusedError(key, f"{value!r} is no number")
        text = format(number, "f")
        return text.rstrip("0").rstrip(".") if "." in text and text.rstrip("0").endswith(".") else text

    def summed(self, key: str, tier: Mapping[str, Any]) -> str:
        """Rate and adjustment of one tier."""
        rate, adjustment = (Decimal(self.price(key, tier.get(name) or 0)) for name in ("rate", "adj"))
        return self.price(key, rate + adjustment)


def unmapped(rate: Item) -> Iterator[Unmapped]:
    """Every field that the book does not say, in the rate's order."""
    for key, value in rate.table.items():
        if key in rate.left:
            yield Unmapped(key, rate.left[key])
        elif key not in rate.taken and key not in DESCRIBES and value not in (None, "", [], {}):
            yield Unmapped(key, WHY.get(key, UNKNOWN))
