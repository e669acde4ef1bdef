"""Kamstrup Omnipower: codes and bare values in pairs go in; energies in 10 Wh, currents in 10 mA, volts come out.

Meters on current transformers (types 685...) send mA. Some Swedish and Danish utilities had their meters set to 1 Wh
and 10 mV, and nothing in the push says so: those are read with ``--profile kamstrup_fine``.
"""

from ingest.pushmodel import PushExample, PushProfile

PROFILE = PushProfile(
    name="kamstrup",
    title="Kamstrup Omnipower, lists 1 and 2 of Norway and Sweden (Kamstrup_V0001)",
    shape="pairs",
    version="Kamstrup_V",
    zone="Etc/GMT-1",  # Central European standard time all the year, whatever the status byte says
    exponents={"Wh": 1, "W": 0, "V": 0, "A": -2} | {f"1.1.{c}.7.0.255": -2 for c in (13, 33, 53, 73)},
    by_type={"685": {"A": -3}},
    examples=(
        PushExample(
            frame=(
                "7ea0b341088313757ce6e7000f400000000c07ea030e060a0005008000ff02130a0e4b616d73747275705f5630303031"
                "09060101000005ff0a103537303635363730303030303030323009060101600101ff0a1236383631313131424e303030"
                "30303030303109060101010700ff06000005f0090601011f0700ff060000029f000009060101200700ff1200e2000009"
                "060001010000ff090c07ea030e060a0005008000ff09060101010800ff0600762ee204b17e"
            ),
            values={
                "1.1.1.7.0.255": ("1520", "W"),
                "1.1.31.7.0.255": ("6.71", "A"),
                "1.1.32.7.0.255": ("226", "V"),
                "1.1.1.8.0.255": ("77452500", "Wh"),
            },
            at="2026-03-14T09:00:05",
            source="made here",
        ),
    ),
    proven="captured pushes of one- and three-phase meters, read alike by an independent decoder",
    source="Kamstrup HAN-NVE information sheet",
)
