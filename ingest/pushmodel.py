"""What a push profile declares: which pushes it is for, and what their bare numbers mean.

Pushes carry no scalers (or only some do), so a factor of 10 in money hangs on the profile: one frozen constant per
model and list, with an example frame inside. A profile is data: no code, no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PlainList:
    """A push of values alone: the OBIS code of each place, "" for one that means nothing to us.

    ``kinds`` has one letter for each place, for lists of one length are told apart by nothing else: ``s`` text, ``t``
    time, ``e`` enumeration or boolean, ``1``, ``2``, ``4`` a number of that many bytes, ``n`` one of four or eight,
    ``-`` anything. ``lead`` is a pattern that the whole first text must match.
    """

    name: str
    codes: tuple[str, ...]
    kinds: str
    lead: str = ""


@dataclass(frozen=True, slots=True)
class PushExample:
    """A frame and what it must give: OBIS code to (value in base units, unit), and the frame's time (UTC, ISO)."""

    frame: str  # hex; of several segments or blocks, all of them
    values: Mapping[str, tuple[str, str]]
    at: str
    source: str


@dataclass(frozen=True, slots=True)
class PushProfile:
    """One model's pushes.

    ``shape`` is how its values stand: ``rows`` (structures of code, value, scaler), ``pairs`` (code, value, code ...),
    ``described`` (a list of object definitions first) or ``plain`` (``lists`` say what stands where). ``version`` is
    the beginning of the list version that the push names, ``devices`` the beginnings of its logical device name,
    ``setups`` its push setup objects, ``titles`` those of the system title that ciphered it, ``first`` its first code:
    what is given must fit. ``exponents`` are the powers of ten from raw numbers to base units, by unit (Wh stands for
    varh and VAh, W for var and VA) or by OBIS code; the scaler inside a push comes before them. ``by_type`` has other
    ones for meters whose type text begins so. ``zone`` counts where a time has no deviation. ``by_name_only``: nothing
    in its pushes tells it from another profile's, so it is never found, only named.
    """

    name: str
    title: str
    shape: str
    zone: str
    examples: tuple[PushExample, ...]
    version: str = ""
    devices: tuple[str, ...] = ()
    setups: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    first: str = ""
    exponents: Mapping[str, int] = field(default_factory=dict)
    by_type: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    lists: tuple[PlainList, ...] = ()
    by_name_only: bool = False
    proven: str = "unproven"
    source: str = ""

    def exponent(self, obis: str, unit: str) -> int | None:
        """The power of ten of a number without a scaler, None when the profile does not say."""
        if obis in self.exponents:
            return self.exponents[obis]
        alike = {"varh": "Wh", "VAh": "Wh", "var": "W", "VA": "W"}
        return self.exponents.get(alike.get(unit, unit)) if unit else None
