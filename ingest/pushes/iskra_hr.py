"""Iskraemeco IE.5 in Croatia: registers and phases by their places go in; 1 Wh, 0.1 V, 10 mA come out."""

from ingest.pushmodel import PlainList, PushExample, PushProfile

PROFILE = PushProfile(
    name="iskra_hr",
    title="Iskraemeco IE.5, Croatian list",
    shape="plain",
    zone="Europe/Zagreb",
    exponents={"Wh": 0, "W": 0, "V": -1, "A": -2, "1.0.13.7.0.255": -3},
    lists=(
        PlainList(
            "registers and phases",
            (
                *("0.0.96.1.0.255", "", ""),
                *(f"1.0.{way}.8.{rate}.255" for way in (1, 2) for rate in (0, 1, 2)),
                *(f"1.0.{quadrant}.8.0.255" for quadrant in (5, 6, 7, 8)),
                *(f"1.0.{code}.7.0.255" for code in (1, 2, 13, 21, 41, 61, 22, 42, 62, 32, 52, 72, 31, 51, 71)),
                *("", "", "", "", ""),
            ),
            "sss4444444444442444444222222" + "4---e",
        ),
    ),
    examples=(
        PushExample(
            frame=(
                "7ea0bdcf0223136442e6e7000f000000010c07ea070e020c000a00ff888002210908393230303030323109040c000a00"
                "090507ea070e0206006acfc006004ac4a00600200b20060056f9a00600563650060000c350060016e3600600124f8006"
                "0000d6d806001535b0060000017e0600000000120379060000007f06000000bd06000000420600000000060000000006"
                "0000000012095412093512094912003712005912004d060000436201011224b801011224b801011224b80301fce17e"
            ),
            values={
                "1.0.1.8.0.255": ("7000000", "Wh"),
                "1.0.1.8.2.255": ("2100000", "Wh"),
                "1.0.13.7.0.255": ("0.889", ""),
                "1.0.32.7.0.255": ("238.8", "V"),
                "1.0.71.7.0.255": ("0.77", "A"),
            },
            at="2026-07-14T10:00:10",
            source="made here",
        ),
    ),
    proven="captured pushes over two HDLC frames; places and scales from a public decoder",
    source="public list of the places",
)
