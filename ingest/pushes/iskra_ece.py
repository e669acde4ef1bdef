"""Iskraemeco AM550 in Slovenia: bare values by their places (lists of three distributors) go in, values come out."""

from ingest.pushmodel import PlainList, PushExample, PushProfile

_POWER = ("1.0.1.7.0.255", "1.0.2.7.0.255", "1.0.3.7.0.255", "1.0.4.7.0.255")
_PHASES = tuple(f"1.0.{c}.7.0.255" for c in (32, 52, 72, 31, 51, 71, 21, 41, 61, 22, 42, 62))
_VOLTS_AMPS = _PHASES[:6]
_STATES = ("0.0.96.3.10.255", "0.0.96.14.0.255")
_REGISTERS = tuple(
    f"1.0.{code}.255" for code in ("1.8.0", "1.8.1", "1.8.2", "2.8.0", "2.8.1", "2.8.2", "3.8.0", "4.8.0")
)
_TARIFFS = tuple(f"1.0.{way}.8.{rate}.255" for way in (1, 2, 3, 4) for rate in (1, 2))
_ONE = ("1.0.32.7.0.255", "1.0.31.7.0.255")
_NAME = "0.0.42.0.0.255"


def _listed(name: str, codes: tuple[str, ...], kinds: str) -> PlainList:
    """A list that begins with the logical device name: ISK and digits."""
    return PlainList(name, (_NAME, *codes), "s" + kinds, lead="ISK.*")


PROFILE = PushProfile(
    name="iskra_ece",
    title="Iskraemeco AM550, Slovenian lists (Ljubljana, Celje)",
    shape="plain",
    zone="Europe/Ljubljana",
    exponents={"Wh": 0, "W": 0, "V": -1, "A": -2},
    lists=(
        _listed("list 1, three phases", ("0.0.96.1.2.255", *_POWER, *_PHASES), "s4444222222444444"),
        _listed(
            "list 1, one phase", ("0.0.96.1.2.255", *_POWER, *_ONE, "1.0.21.7.0.255", "1.0.22.7.0.255"), "s44442244"
        ),
        _listed("list 2", ("0.0.96.1.3.255", *_STATES, *_REGISTERS), "ses44444444"),
        _listed("list 2 by tariffs", ("0.0.96.1.3.255", *_TARIFFS), "s44444444"),
        _listed("powers and registers", (*_POWER[:2], *_REGISTERS[:6]), "44444444"),
        _listed("volts first, three phases", ("0.0.96.1.2.255", *_VOLTS_AMPS, *_POWER), "s2222224444"),
        _listed("volts first, one phase", ("0.0.96.1.2.255", *_ONE, *_POWER), "s224444"),
        _listed(
            "one phase without current",
            ("0.0.96.1.2.255", *_POWER, "1.0.32.7.0.255", "1.0.2.8.1.255", "1.0.2.8.2.255"),
            "s4444244",
        ),
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
        PushExample(
            frame=(
                "7ea064cf02231337ece6e7000f000000010c07ea070e020c000a00ff8880020a091049534b3130323037303030303030"
                "3231090b49534b3030303030303231060000021c06000000000600000000060000011a1209201200e7060000021c0600"
                "000000d8977e"
            ),
            values={
                "1.0.1.7.0.255": ("540", "W"),
                "1.0.4.7.0.255": ("282", "var"),
                "1.0.32.7.0.255": ("233.6", "V"),
                "1.0.31.7.0.255": ("2.31", "A"),
                "1.0.21.7.0.255": ("540", "W"),
            },
            at="2026-07-14T10:00:10",
            source="made here",
        ),
        PushExample(
            frame=(
                "7ea05bcf0223131a52e6e7000f000000010c07ea070e020c000a00ff88800209091049534b3130333037303030303030"
                "3232060000027106000000000600c1c960060056f9a006006acfc006000000fa0600000070060000008a10eb7e"
            ),
            values={
                "1.0.1.7.0.255": ("625", "W"),
                "1.0.1.8.0.255": ("12700000", "Wh"),
                "1.0.1.8.2.255": ("7000000", "Wh"),
                "1.0.2.8.0.255": ("250", "Wh"),
            },
            at="2026-07-14T10:00:10",
            source="made here",
        ),
        PushExample(
            frame=(
                "7ea060cf02231327c1e6e7000f000000010c07ea070e020c000a00ff8880020c091049534b3130333037303030303030"
                "3233090555505f336612090a1208ff12092c1201c312020d120058060000095f06000000000600000004060000010888"
                "977e"
            ),
            values={
                "1.0.52.7.0.255": ("230.3", "V"),
                "1.0.71.7.0.255": ("0.88", "A"),
                "1.0.1.7.0.255": ("2399", "W"),
                "1.0.4.7.0.255": ("264", "var"),
            },
            at="2026-07-14T10:00:10",
            source="made here",
        ),
    ),
    proven="captured pushes of seven lists, read alike by independent decoders",
    source="public lists of the distribution companies' places",
)
