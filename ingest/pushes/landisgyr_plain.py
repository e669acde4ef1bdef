"""Landis+Gyr E450 in Austria and Slovenia: bare values by their places go in; 1 Wh, 1 V and 10 mA come out."""

from ingest.pushmodel import PlainList, PushExample, PushProfile

PROFILE = PushProfile(
    name="landisgyr_plain",
    title="Landis+Gyr E450, lists without codes (Burgenland, Slovenia)",
    shape="plain",
    zone="Europe/Vienna",
    exponents={"Wh": 0, "W": 0, "V": 0, "A": -2, "Hz": 0},
    lists=(
        PlainList(
            "phases and registers",
            (
                *(f"1.0.{code}.7.0.255" for code in (32, 52, 72, 31, 51, 71, 1, 2)),
                *("1.0.1.8.0.255", "1.0.2.8.0.255", "", "", "", "0.0.96.1.0.255"),
            ),
            "2222224444222s",
        ),
        PlainList(
            "powers and registers",
            ("0.0.96.1.0.255", *(f"1.0.{way}.{kind}.0.255" for kind in (7, 8) for way in (1, 2, 3, 4))),
            "s44444444",
            lead="[0-9]+",
        ),
        PlainList(
            "phases",
            (
                "0.0.96.1.1.255",
                *(f"1.0.{code}.7.0.255" for code in (14, 31, 51, 71, 32, 52, 72, 21, 41, 61, 22, 42, 62)),
            ),
            "s2222222444444",
            lead="[0-9]+",
        ),
    ),
    examples=(
        PushExample(
            frame=(
                "7ea05aceff03139d15e6e7000f000000010c07ea070e020c000a00800000020e1200ec1200ec1200ec12000012002e12"
                "001a060000007d06000000000601a96ebd0600001dc31201901200031201200908333031303030323119e87e"
            ),
            values={
                "1.0.32.7.0.255": ("236", "V"),
                "1.0.51.7.0.255": ("0.46", "A"),
                "1.0.1.8.0.255": ("27881149", "Wh"),
            },
            at="2026-07-14T10:00:10",
            source="made here",
        ),
        PushExample(
            frame=(
                "7ea057ceff0313e969e6e7000f000000010c07ea070e020c000a008000000209090c3231303030303030303032310600"
                "0002010600000000060000003c06000000670603e1edc606000000000600663e2006002b3bc67ba27e"
            ),
            values={
                "1.0.1.7.0.255": ("513", "W"),
                "1.0.1.8.0.255": ("65138118", "Wh"),
                "1.0.4.8.0.255": ("2833350", "varh"),
            },
            at="2026-07-14T10:00:10",
            source="made here",
        ),
        PushExample(
            frame=(
                "7ea062ceff03136c9be6e7000f000000010c07ea070e020c000a00800000020e090c3231303030303030303032311200"
                "321200691200251200781200ed1200ec1200ec06000000dd060000005206000000cd0600000000060000000006000000"
                "0051bc7e"
            ),
            values={
                "1.0.14.7.0.255": ("50", "Hz"),
                "1.0.31.7.0.255": ("1.05", "A"),
                "1.0.72.7.0.255": ("236", "V"),
                "1.0.41.7.0.255": ("82", "W"),
            },
            at="2026-07-14T10:00:10",
            source="made here",
        ),
    ),
    proven="captured pushes of three lists, read alike by an independent decoder",
    source="public lists of the places",
)
