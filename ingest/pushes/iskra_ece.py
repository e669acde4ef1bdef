"""Iskraemeco AM550 in Slovenia: bare values by their places (ECE lists 1 and 2) go in, values come out."""

from ingest.pushmodel import PlainList, PushExample, PushProfile

_POWER = ("1.0.1.7.0.255", "1.0.2.7.0.255", "1.0.3.7.0.255", "1.0.4.7.0.255")
_PHASES = tuple(f"1.0.{c}.7.0.255" for c in (32, 52, 72, 31, 51, 71, 21, 41, 61, 22, 42, 62))
_STATES = ("0.0.96.3.10.255", "0.0.96.14.0.255")
_REGISTERS = tuple(
    f"1.0.{code}.255" for code in ("1.8.0", "1.8.1", "1.8.2", "2.8.0", "2.8.1", "2.8.2", "3.8.0", "4.8.0")
)

PROFILE = PushProfile(
    name="iskra_ece",
    title="Iskraemeco AM550, Slovenian ECE lists 1 and 2",
    shape="plain",
    zone="Europe/Ljubljana",
    exponents={"Wh": 0, "W": 0, "V": -1, "A": -2},
    lists=(
        PlainList("ECE list 1", ("0.0.42.0.0.255", "0.0.96.1.2.255", *_POWER, *_PHASES)),
        PlainList("ECE list 2", ("0.0.42.0.0.255", "0.0.96.1.3.255", *_STATES, *_REGISTERS)),
    ),
    examples=(
        PushExample(
            frame=(
                "7ea084410883137898e6e7000f400000000c07ea070e020c000a00ff88800212091049534b3130333037303030303030"
                "3231090b49534b3030303030303231060000049c0600000000060000003c060000000012092a12092f1209231200d412"
                "009612009506000001f406000001540600000154060000000006000000000600000000c7be7e"
            ),
            values={
                "1.0.1.7.0.255": ("1180", "W"),
                "1.0.72.7.0.255": ("233.9", "V"),
                "1.0.31.7.0.255": ("2.12", "A"),
                "1.0.21.7.0.255": ("500", "W"),
            },
            at="2026-07-14T10:00:10",
            source="made here",
        ),
    ),
    proven="a captured push of list 1 (voltages; its currents were 0), places of list 2 from a public decoder",
    source="public list of the distribution company's places",
)
