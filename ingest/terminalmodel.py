"""What a driver of a terminal that dials in declares: which items hold what, and how far its relay is trusted.

The meter behind it is a measuring point of the terminal (``MeterPoint.unit``); its serial number, as far as the
terminal can tell, is ``<terminal>-<point>``.
"""

from dataclasses import dataclass

IMPORT_NOW, EXPORT_NOW, LOAD_NOW = 129, 131, 25


@dataclass(frozen=True, slots=True)
class TerminalDriver:
    """A Q/GDW 376.1 terminal as data: items of class 1 (AFN 0C) and class 2 (AFN 0D), its control round and group.

    ``control_round`` is the output (1 to 8) that trips the customer's breaker, ``group`` the total group that purchase
    control works on. ``relay_verified`` stays False until item F6 was seen to follow the breaker on site. ``closes``
    is what a reconnection is: ``permit`` (F2: a person closes the breaker) or ``direct`` (it closes by itself).
    """

    name: str
    title: str
    examples: tuple[tuple[str, str, int], ...]  # request and answer (hex), the register in Wh
    import_fn: int = IMPORT_NOW
    export_fn: int = EXPORT_NOW  # 0: none
    load_fn: int = LOAD_NOW  # 0: none
    import_daily_fn: int = 161  # 0: no daily freeze
    export_daily_fn: int = 163
    import_curve_fn: int = 101  # registers that it reports by itself; 0: not believed
    export_curve_fn: int = 103
    control_round: int = 1
    group: int = 1
    relay_verified: bool = False
    closes: str = "permit"
    max_power_w: int = 1_000_000
    timeout_s: float = 10.0
    proven: str = "unproven"
    source: str = ""
    protocol: str = "qgdw376"

    @property
    def switchable(self) -> bool:
        """Whether its breaker may be tripped: only with a verified read-back."""
        return self.relay_verified

    @property
    def load_profile(self) -> bool:
        """Whether gaps can be filled: at local midnights from its daily freeze, else by what it reports by itself."""
        return bool(self.import_daily_fn or self.import_curve_fn)


@dataclass(frozen=True, slots=True)
class PushDriver:
    """A meter that pushes by itself: which objects of its pushes hold what; nothing can be asked or switched.

    ``import_obis`` and ``export_obis`` are tried in turn: the total, or the tariffs whose sum it is. What the numbers
    mean is told by the push profiles (``ingest.pushes``), which the model's pushes choose by themselves.
    """

    name: str
    title: str
    import_obis: tuple[tuple[str, ...], ...]
    export_obis: tuple[tuple[str, ...], ...]
    max_power_w: int = 100_000
    proven: str = "unproven"
    source: str = ""
    protocol: str = "push"
    load_profile: bool = True  # what was heard and not yet asked for
    switchable: bool = False
