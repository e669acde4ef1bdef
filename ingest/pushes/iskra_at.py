"""Iskraemeco AM550 in Austria (Carinthia): six registers by their places go in; 1 Wh and 1 W come out."""

from ingest.pushmodel import PlainList, PushExample, PushProfile

PROFILE = PushProfile(
    name="iskra_at",
    title="Iskraemeco AM550, Austrian list of registers",
    shape="plain",
    zone="Europe/Vienna",
    exponents={"Wh": 0, "W": 0},
    lists=(
        PlainList(
            "registers",
            (
                *("", "0.0.96.1.0.255", "", ""),
                *(f"1.0.{way}.8.0.255" for way in (1, 2, 3, 4)),
                *("1.0.1.7.0.255", "1.0.2.7.0.255", "", ""),
            ),
            "ssss444444ss",
            lead="0006190900ff",
        ),
    ),
    examples=(
        PushExample(
            frame=(
                "7ea067cf022313fbf1e6e7000f000000010c07ea070e020c000a00ff8880020c09060006190900ff090d313132313330"
                "3030303030323109040c000a00090507ea070e020600db45000600066be506001636f806002300b0060000038e060000"
                "000009000900c8c47e"
            ),
            values={
                "1.0.1.8.0.255": ("14370048", "Wh"),
                "1.0.4.8.0.255": ("2293936", "varh"),
                "1.0.1.7.0.255": ("910", "W"),
            },
            at="2026-07-14T10:00:10",
            source="made here",
        ),
    ),
    proven="a captured push, opened with its key; places from two public decoders",
    source="public list of the places",
)
