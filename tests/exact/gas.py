"""Rows of gas volume go in, rows of Wh come out: the cumulative of a version is converted and rounded, never a row."""

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.exact.numbers import rounded

if TYPE_CHECKING:
    from tests.exact.frame import Frame
    from tests.exact.reference import Row


def converted(rows: list["Row"], frame: "Frame") -> list["Row"]:
    """Rows of 0.001 m3 as Wh; of a book that is not one of gas as they are."""
    found: list[Row] = []
    volume: dict[int, int] = {}
    energy: dict[int, Fraction] = {}
    for row in rows:
        version = frame.versions[frame.clock.version(row.start)] if any("gas" in one for one in frame.versions) else {}
        if "gas" not in version:
            found.append(row)
            continue
        book = version["origin"]
        volume[book] = volume.get(book, 0) + row.wh
        kwh = Fraction(version["gas"].get("correction", "1")) * Fraction(version["gas"]["calorific_mj"])
        total = rounded(Fraction(volume[book], 1000) * kwh / Fraction("3.6") * 1000, 0)
        found.append(replace(row, wh=int(total - energy.get(book, 0))))
        energy[book] = total
    return found
