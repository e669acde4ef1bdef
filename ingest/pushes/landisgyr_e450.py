"""Landis+Gyr E450 and E570 in Switzerland: object definitions and bare values go in; 1 Wh, 1 V and 10 mA come out."""

from ingest.pushmodel import PushExample, PushProfile

PROFILE = PushProfile(
    name="landisgyr_e450",
    title="Landis+Gyr E450 and E570, described push lists (Swiss configurations)",
    shape="described",
    devices=("LGZ",),
    setups=("0.8.25.9.0.255",),
    zone="Europe/Zurich",
    exponents={"Wh": 0, "W": 0, "V": 0, "A": -2, "Hz": 0, "1.0.13.7.0.255": -3},
    examples=(
        PushExample(
            frame=(
                "7ea082ceff03138ab0e6e700e040000100006e0f000000080c07ea070e020c000a008000800209010902041200280906"
                "0008190900ff0f02120000020412002809060008190900ff0f011200000204120001090600002a0000ff0f0212000002"
                "0412000809060000010000ff0f02120000020412000309060101010800ff0f021257cb7e7ea07fceff03135853e04000"
                "0200006e0000020412000309060100010700ff0f02120000020412000309060100200700ff0f02120000020412000309"
                "0601001f0700ff0f021200000204120003090601000d0700ff0f0212000009060008190900ff09104c475a3130333036"
                "3030303030303233090c07ea070e020c000aae117e7ea028ceff0313e616e0c00003000017008000800600075e7b0600"
                "0000251200ec1200111203d43fe07e"
            ),
            values={
                "1.1.1.8.0.255": ("482939", "Wh"),
                "1.0.1.7.0.255": ("37", "W"),
                "1.0.32.7.0.255": ("236", "V"),
                "1.0.31.7.0.255": ("0.17", "A"),
                "1.0.13.7.0.255": ("0.980", ""),
            },
            at="2026-07-14T10:00:10",
            source="made here",
        ),
    ),
    proven="published pushes of an E450, in blocks over several HDLC frames",
    source="push lists of Swiss grid companies",
)
