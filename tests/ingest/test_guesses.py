"""Guessing how an unknown meter's registers are read, against registers written in every way there is."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.guesses import ORDERS, Guess, guesses, ordered
from ingest.model import Encoding

AT_V, AT_A, AT_W, AT_WH = 0, 6, 12, 40
V, A = 231.4, 5.2
LAYOUT = {Encoding.FLOAT32: ">f", Encoding.INT32: ">i", Encoding.UINT32: ">I"}


def bank(
    encoding: Encoding, order: str, seconds: int, *, function: int = 4, shift: int = 0
) -> dict[tuple[int, int], int]:
    """A meter at 231.4 V and 5.2 A whose energy runs, written with ``encoding`` and ``order``."""
    floats = encoding is Encoding.FLOAT32
    watts = V * A
    energy = 8_123_000 + watts * seconds / 3600
    shown = {AT_V: (V, 10), AT_A: (A, 1000), AT_W: (watts, 10), AT_WH: (energy, 1)}
    words = {(function, at): 0 for at in range(60)}
    for at, (value, per) in shown.items():
        raw = struct.pack(LAYOUT[encoding], value if floats else round(value * per))
        data = ordered(raw, order)
        words[function, at + shift], words[function, at + shift + 1] = struct.unpack(">HH", data)
    return words


@pytest.mark.parametrize("encoding", LAYOUT)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("function", "shift"), [(3, 0), (4, 1)])
def test_the_way_that_the_registers_were_written_comes_first(
    encoding: Encoding, order: str, function: int, shift: int
) -> None:
    seconds = 3600
    found = guesses(
        bank(encoding, order, 0, function=function, shift=shift),
        bank(encoding, order, seconds, function=function, shift=shift),
        elapsed_s=seconds,
        address=1 if shift else 0,
    )
    best = found[0]
    same = {encoding} if encoding is Encoding.FLOAT32 else {Encoding.INT32, Encoding.UINT32}
    assert best.encoding in same
    assert (best.function, best.order) == (function, order)
    roles = {role.quantity: role for role in best.roles}
    assert roles["voltage_v"].address == AT_V + shift
    assert roles["voltage_v"].value == pytest.approx(V, abs=0.1)
    assert roles["power_w"].address == AT_W + shift
    assert roles["import_wh"].address == AT_WH + shift
    if encoding is Encoding.FLOAT32:  # of whole numbers the power of ten cannot be told
        assert roles["import_wh"].value == pytest.approx(8_123_000, rel=1e-6)


def test_a_voltage_alone_is_a_weaker_guess_than_one_with_a_power() -> None:
    alone = {(4, at): 0 for at in range(10)}
    alone[4, 0], alone[4, 1] = struct.unpack(">HH", struct.pack(">f", 230.2))
    (guess,) = [g for g in guesses(alone) if g.encoding is Encoding.FLOAT32]
    assert [role.quantity for role in guess.roles] == ["voltage_v"]
    whole: list[Guess] = guesses(bank(Encoding.FLOAT32, "ABCD", 0))
    assert whole[0].points > guess.points


def test_energy_that_falls_or_stands_is_none() -> None:
    before, after = bank(Encoding.FLOAT32, "ABCD", 3600), bank(Encoding.FLOAT32, "ABCD", 0)
    for later in (after, before):
        best = guesses(before, later, elapsed_s=3600)[0]
        assert "import_wh" not in {role.quantity for role in best.roles}


@given(st.dictionaries(st.tuples(st.sampled_from([3, 4]), st.integers(0, 40)), st.integers(0, 65535), max_size=60))
def test_no_registers_whatever_make_it_raise(words: dict[tuple[int, int], int]) -> None:
    for guess in guesses(words, words, elapsed_s=10):
        assert guess.points >= 2
        assert guess.roles
