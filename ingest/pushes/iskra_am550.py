"""Iskraemeco AM550 in Switzerland: object definitions and bare values go in; 1 Wh, 0.1 V and 10 mA come out."""

from ingest.pushmodel import PushExample, PushProfile

PROFILE = PushProfile(
    name="iskra_am550",
    title="Iskraemeco AM550, described push lists (Swiss configurations)",
    shape="described",
    devices=("ISK",),
    setups=("0.6.25.9.0.255",),
    zone="Europe/Zurich",
    exponents={"Wh": 0, "W": 0, "V": -1, "A": -2, "1.0.13.7.0.255": -3},
    examples=(
        PushExample(
            frame=(
                "7ea8aacf02230321f7e6e7000f000000070c07ea070e020c000a00ff888002090109020412002809060006190900ff0f"
                "02120000020412002809060006190900ff0f011200000204120001090600002a0000ff0f021200000204120008090600"
                "00010000ff0f02120000020412000309060101010800ff0f02120000020412000309060100010700ff0f021200000204"
                "12000309060100200700ff0f02120000020412000309060100cb547e7ea060cf02231327c11f0700ff0f021200000204"
                "120003090601000d0700ff0f0212000009060006190900ff091049534b31303330373030303030303232090c07ea070e"
                "020c000a00ff88800600003b67060000001b12092b12000c1203ad1b947e"
            ),
            values={
                "1.1.1.8.0.255": ("15207", "Wh"),
                "1.0.1.7.0.255": ("27", "W"),
                "1.0.32.7.0.255": ("234.7", "V"),
                "1.0.31.7.0.255": ("0.12", "A"),
                "1.0.13.7.0.255": ("0.941", ""),
            },
            at="2026-07-14T10:00:10",
            source="made here",
        ),
    ),
    proven="a captured push (energies, powers); voltages and currents by published pushes",
    source="push lists of Swiss grid companies",
)
