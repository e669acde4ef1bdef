"""Aidon in Sweden: rows with their scalers, the clock first, go in; values come out; the clock is standard time."""

from ingest.pushmodel import PushExample, PushProfile

PROFILE = PushProfile(
    name="aidon_se",
    title="Aidon 6000 series, Swedish list",
    shape="rows",
    first="0.0.1.0.0.255",
    zone="Etc/GMT-1",  # Central European standard time all the year, whatever the status byte says
    examples=(
        PushExample(
            frame=(
                "7ea07d41088313ba56e6e7000f40000000000105020209060000010000ff090c07ea030e060a0005008000ff02030906"
                "0100010700ff06000003b602020f00161b020309060100330700ff10fff402020fff1621020309060100340700ff1208"
                "f802020fff1623020309060100010800ff060074cbb102020f00161eed1d7e"
            ),
            values={
                "1.0.1.7.0.255": ("950", "W"),
                "1.0.51.7.0.255": ("-1.2", "A"),
                "1.0.52.7.0.255": ("229.6", "V"),
                "1.0.1.8.0.255": ("7654321", "Wh"),
            },
            at="2026-03-14T09:00:05",
            source="made here",
        ),
    ),
    proven="a captured push, read alike by two independent decoders",
    source="Aidon HAN interface description (Swedish list)",
)
