"""A P1 port (DSMR 2.2 to 5.0, ESMR, e-MUCS and alike): telegrams in, registers and gas out; it only listens."""

from ingest.model import P1Driver

DRIVER = P1Driver(
    name="p1_dsmr",
    title="P1 customer port (DSMR, ESMR, e-MUCS and alike)",
    import_obis=(("1.0.1.8.0.255",), ("1.0.1.8.1.255", "1.0.1.8.2.255", "1.0.1.8.3.255", "1.0.1.8.4.255")),
    export_obis=(("1.0.2.8.0.255",), ("1.0.2.8.1.255", "1.0.2.8.2.255", "1.0.2.8.3.255", "1.0.2.8.4.255")),
    gas_obis=("0.1.24.2.1.255", "0.2.24.2.1.255", "0.1.24.2.3.255", "0.2.24.2.3.255"),
    max_power_w=60_000,
    proven="captured telegrams of six makers and a raw serial capture",
    source="DSMR P1 companion standard 5.0.2; e-MUCS P1 2.1.1",
)
