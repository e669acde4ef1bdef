"""Kaifa MA304H4 in Sweden: codes and bare values in pairs go in; energies in 1 Wh, currents in mA come out."""

from ingest.pushmodel import PushExample, PushProfile

PROFILE = PushProfile(
    name="kaifa_se",
    title="Kaifa MA304H4, Swedish list (KFM_001 with codes)",
    shape="pairs",
    version="KFM_",
    zone="Europe/Stockholm",
    exponents={"Wh": 0, "W": 0, "V": -1, "A": -3},
    examples=(
        PushExample(
            frame=(
                "7ea08a41088313c0f9e6e7000f4000000000020e09060100000281ff09074b464d5f30303109060000600100ff091037"
                "33353030303030303030303030313909060100010700ff0600000280090601001f0700ff0600000ae609060100200700"
                "ff060000090e09060000010000ff090c07ea030e060b000500ffc40009060100010800ff060049075097b87e"
            ),
            values={
                "1.0.1.7.0.255": ("640", "W"),
                "1.0.31.7.0.255": ("2.790", "A"),
                "1.0.32.7.0.255": ("231.8", "V"),
                "1.0.1.8.0.255": ("4786000", "Wh"),
            },
            at="2026-03-14T10:00:05",
            source="made here",
        ),
    ),
    proven="a captured push, read alike by an independent decoder",
    source="Kaifa HAN OBIS list, Swedish variant",
)
