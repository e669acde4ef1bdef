"""Aidon 6515, 6525 and 6534 in Norway: rows with their scalers go in, values come out; the clock is standard time."""

from ingest.pushmodel import PushExample, PushProfile

PROFILE = PushProfile(
    name="aidon_no",
    title="Aidon 6000 series, Norwegian lists 1 to 3 (AIDON_V0001)",
    shape="rows",
    version="AIDON_V",
    zone="Etc/GMT-1",  # Central European standard time all the year, whatever the status byte says
    examples=(
        PushExample(
            frame=(
                "7ea0b041088313b961e6e7000f40000000000107020209060101000281ff0a0b4149444f4e5f56303030310202090600"
                "00600100ff0a1037333539393930303030303030303137020309060100010700ff060000073002020f00161b02030906"
                "01001f0700ff10005102020fff1621020309060100200700ff1208fd02020fff1623020209060000010000ff090c07ea"
                "030e060a0005008000ff020309060100010800ff060012d68702020f01161e3ab67e"
            ),
            values={
                "1.0.1.7.0.255": ("1840", "W"),
                "1.0.31.7.0.255": ("8.1", "A"),
                "1.0.32.7.0.255": ("230.1", "V"),
                "1.0.1.8.0.255": ("12345670", "Wh"),
            },
            at="2026-03-14T09:00:05",
            source="made here",
        ),
    ),
    proven="captured pushes of a 6515 and a 6525, read alike by an independent decoder",
    source="Aidon HAN interface description (Norwegian NVE lists)",
)
