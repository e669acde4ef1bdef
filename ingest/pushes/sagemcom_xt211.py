"""Sagemcom XT211 in Czechia: bare attribute descriptors and values go in; 1 Wh and 1 W come out."""

from ingest.pushmodel import PushExample, PushProfile

PROFILE = PushProfile(
    name="sagemcom_xt211",
    title="Sagemcom XT211, described list without tags (EG.D, CEZ)",
    shape="described",
    zone="Europe/Prague",
    devices=("EGD", "SAG", "XT"),
    setups=("0.0.25.9.0.255", "0.2.25.9.0.255"),
    exponents={"Wh": 0, "W": 0},
    examples=(
        PushExample(
            frame=(
                "7ea0aecf022313e8ebe6e7000f000000010c07ea070e020c000a00ff88800202160101080202000100002a0000ff0209"
                "09534147303030303231020200010000600100ff02090a3531303030303030323102020046000060030aff0316010202"
                "00010000600e00ff0209025432020200030100010700ff0206000007a4020200030100150700ff0206000000c6020200"
                "030100010800ff0206004afa82020200030100020800ff0206000000342afb7e"
            ),
            values={
                "1.0.1.7.0.255": ("1956", "W"),
                "1.0.21.7.0.255": ("198", "W"),
                "1.0.1.8.0.255": ("4913794", "Wh"),
                "1.0.2.8.0.255": ("52", "Wh"),
            },
            at="2026-07-14T10:00:10",
            source="made here",
        ),
    ),
    proven="published pushes, read alike by an independent decoder",
    source="EG.D description of the customer interface",
)
