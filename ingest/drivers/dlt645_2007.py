"""Any DL/T 645-2007 meter: energies, voltage, power and status word 3 in, reads out; relay by function 1C."""

from ingest.model import Dlt645Driver, Identifier, Quantity

DRIVER = Dlt645Driver(
    name="dlt645_2007",
    title="DL/T 645-2007 meter with relay, alarm and keep-power orders",
    identifiers=(
        Identifier(Quantity.IMPORT, "00010000", says="Active energy taken, all tariffs, 0.01 kWh."),
        Identifier(Quantity.EXPORT, "00020000", optional=True, says="Active energy fed in, 0.01 kWh."),
        Identifier(Quantity.POWER, "02030000", optional=True, says="Active power now, 0.0001 kW with a sign."),
        Identifier(Quantity.VOLTAGE, "02010100", optional=True, says="Voltage of phase A now, 0.1 V."),
    ),
    examples=(  # made here
        (
            "68010014072620681104333334331416",
            "6801001407262068910833333433896745330016",
            Quantity.IMPORT,
            1_234_560,
        ),
        ("68010014072620681104333434351716", "680100140726206891063334343534562316", Quantity.VOLTAGE, 230),
        ("68010014072620681104333336351816", "68010014072620689107333336357856349d16", Quantity.POWER, 1_234),
    ),
    relay_verified=True,
    max_power_w=60_000,
    proven="captured frames of real meters; dlt645 3.2.0 as peer for reads; the relay orders are unproven on metal",
    source="DL/T 645-2007 by public implementations; the standard itself was not read",
)
