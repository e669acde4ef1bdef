"""Kaifa MA105 and MA304 in Norway: bare values by their places go in; energies in 1 Wh, currents in mA come out."""

from ingest.pushmodel import PlainList, PushExample, PushProfile

_IDENTITY = ("1.1.0.2.129.255", "0.0.96.1.0.255", "0.0.96.1.7.255")
_POWER = ("1.0.1.7.0.255", "1.0.2.7.0.255", "1.0.3.7.0.255", "1.0.4.7.0.255")
_ONE = ("1.0.31.7.0.255", "1.0.32.7.0.255")
_THREE = (
    *("1.0.31.7.0.255", "1.0.51.7.0.255", "1.0.71.7.0.255"),
    *("1.0.32.7.0.255", "1.0.52.7.0.255", "1.0.72.7.0.255"),
)
_ENERGY = ("0.0.1.0.0.255", "1.0.1.8.0.255", "1.0.2.8.0.255", "1.0.3.8.0.255", "1.0.4.8.0.255")

PROFILE = PushProfile(
    name="kaifa_no",
    title="Kaifa MA105 and MA304, Norwegian lists 1 to 3 (KFM_001)",
    shape="plain",
    zone="Europe/Oslo",
    exponents={"Wh": 0, "W": 0, "V": -1, "A": -3},
    lists=(
        PlainList("list 1", ("1.0.1.7.0.255",), "4"),
        PlainList("list 2, one phase", (*_IDENTITY, *_POWER, *_ONE), "sss444444", lead="KFM_.*"),
        PlainList("list 2, three phases", (*_IDENTITY, *_POWER, *_THREE), "sss4444444444", lead="KFM_.*"),
        PlainList("list 3, one phase", (*_IDENTITY, *_POWER, *_ONE, *_ENERGY), "sss444444tnnnn", lead="KFM_.*"),
        PlainList(
            "list 3, three phases", (*_IDENTITY, *_POWER, *_THREE, *_ENERGY), "sss4444444444tnnnn", lead="KFM_.*"
        ),
    ),
    examples=(
        PushExample(
            frame=(
                "7ea08641088313f08ee6e7000f400000000c07ea030e060a0005008000ff020e09074b464d5f30303109103639373036"
                "333030303030303030313809084d41313035483245060000085c06000000000600000000060000013606000024cc0600"
                "0008e2090c07ea030e060a0005008000ff0602b90135060000000006000004b0060005464ec8267e"
            ),
            values={
                "1.0.1.7.0.255": ("2140", "W"),
                "1.0.31.7.0.255": ("9.420", "A"),
                "1.0.32.7.0.255": ("227.4", "V"),
                "1.0.1.8.0.255": ("45678901", "Wh"),
            },
            at="2026-03-14T09:00:05",
            source="made here",
        ),
    ),
    proven="captured pushes of an MA304H3E, read alike by an independent decoder",
    source="Kaifa HAN OBIS list KFM_001",
)
