"""Captured frames: each profile's own frame, refusals by name, dirty streams, byte at a time, random bytes."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import ProfileError, WireRefusal
from ingest.framed import Frame
from ingest.frames import FrameReader
from ingest.pushes import profile, profiles
from ingest.pushmodel import PushProfile
from ingest.wire import apdu, ciphering, dlt645, hdlc, mbus, p1, pushes
from ingest.wire.axdr import Data, Tag
from ingest.wire.cosem import obis_bytes
from ingest.wire.sift import MAX_HELD, Sifter
from ingest.wire.wrapper import encode as wrap

KNOWN = profiles()
every = pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN.keys())
KAMSTRUP = bytes.fromhex(KNOWN["kamstrup"].examples[0].frame)
KAIFA = bytes.fromhex(KNOWN["kaifa_se"].examples[0].frame)
TELEGRAM = p1.encode(
    p1.Telegram(
        "PWT5\\SIM",
        (
            p1.Item("1.3.0.2.8.255", ("50",)),
            p1.Item("0.0.1.0.0.255", ("260714120010S",)),
            p1.Item("0.0.96.1.1.255", ("4531323334",)),
            p1.Item("1.0.1.8.1.255", ("000123.456*kWh",)),
            p1.Item("1.0.1.7.0.255", ("01.193*kW",)),
            p1.Item("1.0.32.7.0.255", ("230.1*V",)),
            p1.Item("1.0.99.97.0.255", ("1", "0-0:96.7.19", "000104180320W", "0000237126*s")),
            p1.Item("0.1.24.2.1.255", ("260114110000W", "12785.123*m3")),
        ),
    )
)
ENERGY = dlt645.encode(dlt645.Frame("202607140001", 0x91, bytes.fromhex("0000010056341200")))
GOOD = (KAMSTRUP, KAIFA, TELEGRAM, ENERGY)
KEYS = ciphering.Keys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
TITLE = b"PWT\x00\x00\x00\x00\x01"


def reader(**options: object) -> FrameReader:
    return FrameReader(KNOWN, **options)  # type: ignore[arg-type]


def decode(data: bytes, **options: object) -> list[Frame]:
    return reader(**options).whole(data)


def values(frame: Frame) -> dict[str, tuple[str, str]]:
    return {v.obis: (f"{v.value:f}" if isinstance(v.value, Decimal) else v.value, v.unit) for v in frame.values}


@every
def test_a_profile_gives_its_example_and_is_found_by_itself(known: PushProfile) -> None:
    assert known.examples and known.proven and known.title
    for example in known.examples:
        for forced in (known,) if known.by_name_only else (None, known):
            (frame,) = decode(bytes.fromhex(example.frame), profile=forced, keys=KEYS)
            assert (frame.status, frame.profile) == ("ok", known.name)
            assert frame.time is not None and frame.time.isoformat() == example.at
            assert dict(example.values).items() <= values(frame).items()


@every
def test_a_profile_fits_no_others_push(known: PushProfile) -> None:
    for other in KNOWN.values():
        for example in other.examples:
            (frame,) = FrameReader({known.name: known}, keys=KEYS).whole(bytes.fromhex(example.frame))
            own = other is known or (other.by_name_only and known.name == "kamstrup")
            assert (frame.profile == known.name) == (own and not known.by_name_only)


def test_what_only_a_name_tells_apart_shows_by_its_volts() -> None:
    raw = bytes.fromhex(KNOWN["kamstrup_fine"].examples[0].frame)
    (frame,) = decode(raw)
    assert (frame.status, frame.profile) == ("flagged", "kamstrup")
    (frame,) = decode(raw, profile=profile("kamstrup_fine"))
    assert (frame.status, values(frame)["1.1.32.7.0.255"]) == ("ok", ("221.99", "V"))


def pairs(*items: tuple[str, Data]) -> bytes:
    """A Kamstrup push of codes and values."""
    codes = [part for code, data in items for part in (Data(Tag.OCTET_STRING, obis_bytes(code)), data)]
    body = Data(Tag.STRUCTURE, (Data(Tag.VISIBLE_STRING, "Kamstrup_V0001"), *codes))
    return apdu.encode(apdu.Notification(1, None, body))


def amps(raw: int) -> list[tuple[str, Data]]:
    """Three phases of 230 V and ``raw``, beside 690 W and no reactive power."""
    powers = [(f"1.1.{way}.7.0.255", Data(Tag.DOUBLE_LONG_UNSIGNED, 690 if way == 1 else 0)) for way in (1, 2, 3, 4)]
    volts = [(f"1.1.{phase}.7.0.255", Data(Tag.LONG_UNSIGNED, 230)) for phase in (32, 52, 72)]
    return [*powers, *volts, *((f"1.1.{p}.7.0.255", Data(Tag.DOUBLE_LONG_UNSIGNED, raw)) for p in (31, 51, 71))]


def test_amperes_that_do_not_make_the_power_are_flagged() -> None:
    """A meter on current transformers sends mA: where its type says so they are read so, else the sum tells."""
    (good,) = decode(pairs(*amps(100)))
    (odd,) = decode(pairs(*amps(1_000)))
    kind = ("1.1.96.1.1.255", Data(Tag.VISIBLE_STRING, "685113800000000000"))
    (typed,) = decode(pairs(kind, *amps(1_000)))
    assert [frame.status for frame in (good, odd, typed)] == ["ok", "flagged", "ok"]
    assert odd.findings[0].detail.startswith("6900 VA in the phases, 690 in all")
    assert values(typed)["1.1.31.7.0.255"] == ("1.000", "A")


def test_a_list_of_the_right_length_and_the_wrong_kinds_or_name_is_no_list_of_the_profile() -> None:
    """Nine bare values are a list of Kaifa, of Iskra and of Landis+Gyr: a guess would be another meter's registers."""
    name, numbers = Data(Tag.OCTET_STRING, b"XYZ1"), (Data(Tag.DOUBLE_LONG_UNSIGNED, 5),) * 8
    (frame,) = decode(apdu.encode(apdu.Notification(1, None, Data(Tag.STRUCTURE, (name, *numbers)))))
    assert (frame.status, frame.reason) == ("refused", "unknown_list")
    assert len({len(known.kinds) for known in KNOWN["iskra_ece"].lists}) < len(KNOWN["iskra_ece"].lists)
    for known in KNOWN.values():
        assert all(len(one.codes) == len(one.kinds) for one in known.lists)


def test_swapped_tags_and_bare_descriptors_are_read_and_said_so() -> None:
    row = "0203 0906 0100010700ff 06 000002d0 0202 0f00 161b"
    head = "0f 00000001 0c 07ea070e020c000a00ff8880 01 02"
    (frame,) = decode(bytes.fromhex(f"{head} {row} 0203 0609 01001f0700ff 10 00f4 0202 0ffe 1621"))
    assert (frame.status, frame.findings[-1].code) == ("ok", "mended")
    assert values(frame)["1.0.31.7.0.255"] == ("2.44", "A")
    bare = bytes.fromhex(KNOWN["sagemcom_xt211"].examples[0].frame)
    assert decode(bare)[0].findings[-1].code == "mended"
    (cut,) = decode(bytes.fromhex(f"{head} {row} 0203 0708 01001f0700ff 10 00f4"))
    assert cut.status == "refused"


def test_a_telegram_with_ciphered_lines_is_named_and_hides_no_other() -> None:
    sealed = b"/PWT5SIM\r\n\r\n\x00\x82\x00\x40\x30" + bytes(63) + b"!FE0C\r\n"
    assert [f.reason for f in decode(sealed + TELEGRAM)] == ["ciphered_no_key", ""]
    assert [f.reason for f in decode(sealed[:40] + sealed)] == ["truncated", "ciphered_no_key"]


def test_suite_1_opens_with_its_128_bit_key() -> None:
    (frame,) = Sifter().feed(KAMSTRUP)
    assert isinstance(frame.content, hdlc.Frame)
    sealed = ciphering.seal(frame.content.information[3:], KEYS, title=TITLE, counter=9)
    again = AESGCM(KEYS.encryption).encrypt(
        TITLE + (9).to_bytes(4, "big"), frame.content.information[3:], bytes([0x31]) + KEYS.authentication
    )
    body = again[: -ciphering.TAG_SIZE - 4] + again[-16:-4]  # of the tag's 16 bytes 12 are sent
    assert sealed.control == 0x30
    (opened,) = decode(ciphering.general(sealed._replace(control=0x31, body=body)), keys=KEYS)
    assert (opened.status, opened.profile) == ("ok", "kamstrup")
    (third,) = decode(ciphering.general(sealed._replace(control=0x32)), keys=KEYS)
    assert third.status == "refused"


def test_two_profiles_for_one_push_are_named_and_neither_is_taken() -> None:
    twin = replace(KNOWN["kamstrup"], name="twin")
    (frame,) = FrameReader({**KNOWN, "twin": twin}).whole(KAMSTRUP)
    assert (frame.status, frame.reason) == ("refused", "unknown_list")
    assert "kamstrup and twin" in frame.findings[0].detail


def test_a_wrong_profile_shows_by_its_volts() -> None:
    (high,) = decode(KAIFA, profile=profile("kamstrup"))
    (low,) = decode(KAMSTRUP, profile=profile("kaifa_se"))
    assert [frame.status for frame in (high, low)] == ["flagged", "flagged"]
    assert high.findings[0].detail.startswith("2318 V") and low.findings[0].detail.startswith("22.6 V")
    with pytest.raises(ProfileError, match="nearest: kamstrup"):
        profile("kamstrupp")


def test_refusals_have_names_and_keep_their_bytes() -> None:
    sealed = ciphering.seal(b"\x0f\x00\x00\x00\x01\x00\x00", KEYS, title=TITLE, counter=7)
    stranger = apdu.encode(apdu.Notification(1, None, Data(Tag.STRUCTURE, (Data(Tag.UNSIGNED, 1),) * 3)))
    wanted = {
        "bad_checksum": KAMSTRUP[:40] + bytes([KAMSTRUP[40] ^ 1]) + KAMSTRUP[41:],
        "truncated": KAMSTRUP[:-20],
        "ciphered_no_key": ciphering.general(sealed),
        "unknown_list": stranger,
        "not_a_frame": b"nothing of ours",
    }
    for reason, raw in wanted.items():
        (frame,) = decode(raw)
        assert (frame.status, frame.reason, frame.raw) == ("refused", reason, raw)
    assert [f.reason for f in decode(TELEGRAM.replace(b"123.456", b"123.457"))] == ["bad_checksum"]
    assert [f.reason for f in decode(TELEGRAM[: TELEGRAM.index(b"1-0:32")])] == ["truncated"]
    assert [f.reason for f in decode(ENERGY[:-2] + bytes([ENERGY[-2] ^ 1, 0x16]))] == ["bad_checksum"]
    assert [f.reason for f in decode(ENERGY[:-3])] == ["truncated"]
    assert [f.reason for f in decode(KAMSTRUP[:2] + bytes([KAMSTRUP[2] ^ 4]) + KAMSTRUP[3:])] == ["bad_checksum"]


def test_keys_open_what_is_ciphered_and_the_wrong_ones_do_not() -> None:
    (frame,) = Sifter().feed(KAMSTRUP)
    assert isinstance(frame.content, hdlc.Frame)
    plain = frame.content.information[3:]
    sealed = ciphering.general(ciphering.seal(plain, KEYS, title=TITLE, counter=9))
    (opened,) = decode(wrap(1, 102, sealed), keys=KEYS)
    assert (opened.status, opened.profile, opened.kind) == ("ok", "kamstrup", "wrapper")
    (half,) = decode(sealed, keys=ciphering.Keys(KEYS.encryption))
    assert (half.status, half.findings[-1].code) == ("flagged", "unauthenticated")
    (wrong,) = decode(sealed, keys=ciphering.Keys(bytes(16), bytes(16)))
    assert wrong.reason == "bad_tag"
    telegram = ciphering.general(ciphering.seal(TELEGRAM, KEYS, title=TITLE, counter=10))
    assert [f.meter for f in decode(telegram, keys=KEYS)] == ["E1234"]


def test_codes_rows_and_scaled_rows_may_stand_in_one_structure() -> None:
    """Kaifa's Austrian single-phase meters: the clock bare, texts in rows of two, numbers in rows of three."""
    clock = "0906 0000010000ff 090c 07e90601070c000000ff8880"
    names = "0202 0906 0000600100ff 0908 3230323630303031"
    volts = "0203 0906 0100200700ff 12 0904 0202 0fff 1623"
    energy = "0203 0906 0100010800ff 06 00002394 0202 0f01 161e"
    (frame,) = decode(bytes.fromhex(f"0f 00000001 0c 07e90601070c000000ff8880 0205 {clock} {names} {volts} {energy}"))
    assert (frame.status, frame.meter) == ("ok", "20260001")
    assert frame.time is not None and frame.time.isoformat() == "2025-06-01T10:00:00"
    assert values(frame)["1.0.32.7.0.255"] == ("230.8", "V")
    assert values(frame)["1.0.1.8.0.255"] == ("91080", "Wh")


def test_m_bus_segments_become_one_push() -> None:
    (frame,) = Sifter().feed(KAIFA)
    assert isinstance(frame.content, hdlc.Frame)
    plain = frame.content.information[3:]
    one = mbus.encode(mbus.Frame(0x53, 0xFF, 0x00, b"\x01\x67" + plain[:100]))
    two = mbus.encode(mbus.Frame(0x53, 0xFF, 0x11, b"\x01\x67" + plain[100:]))
    assert [(f.status, f.profile) for f in decode(one + b"\xff" + two)] == [("ok", "kaifa_se")]
    assert [f.reason for f in decode(one)] == ["truncated"]
    assert [f.reason for f in decode(one + one + two)] == ["truncated", ""]
    whole = mbus.encode(mbus.Frame(0x53, 0xFF, 0x10, b"\x01\x67" + plain))
    assert [(f.status, f.profile) for f in decode(whole)] == [("ok", "kaifa_se")]


def test_p1_values_are_in_base_units_with_their_own_times() -> None:
    (frame,) = decode(b"\x00junk 123)\r\n!0000\r\n" + TELEGRAM)[1:]
    assert frame.meter == "E1234" and str(frame.time) == "2026-07-14 10:00:10"
    assert values(frame)["1.0.1.8.1.255"] == ("123456", "Wh")
    gas = next(v for v in frame.values if v.obis == "0.1.24.2.1.255")
    assert (gas.value, gas.unit, str(gas.time)) == (Decimal("12785.123"), "m3", "2026-01-14 10:00:00")
    (rewritten,) = decode(TELEGRAM.replace(b"\r\n", b"\n"))
    assert rewritten.status == "ok"


def test_a_dl_t_645_control_frame_says_what_it_orders() -> None:
    when = dlt645.time_of(bytes.fromhex("000000301299"))
    order = dlt645.encode(dlt645.Control(dlt645.Order.TRIP, when).frame("202607140001"))
    no = dlt645.encode(dlt645.Frame("202607140001", 0xD1, b"\x02"))
    sent, refused = decode(order + no)
    assert (sent.values[0].value, str(sent.values[0].time)) == ("trip", "2099-12-29 16:00:00")
    assert (refused.status, refused.findings[0].detail) == ("ok", "no_data")


def dirty() -> tuple[bytes, int]:
    """Good frames between glitches, cut frames, lone flags and an escape; how many are good."""
    noise = (b"\x00\x00", b"\x7e\x7e", KAMSTRUP[:33], b"\xfe\xfe", b"\x68\x12", b"\x7e\xa0", b"/XYZ")
    parts = [piece for n in range(40) for piece in (GOOD[n % 4], noise[n % 7])]
    return b"".join(parts), 40


def test_every_good_frame_of_a_dirty_stream_is_found_however_it_is_cut() -> None:
    data, good = dirty()
    whole = decode(data)
    assert Counter(f.status for f in whole)["ok"] == good
    for size in (1, 7, 255):
        here = reader()
        found = [f for at in range(0, len(data), size) for f in here.feed(data[at : at + size])] + here.close()
        assert [f for f in found if f.status == "ok"] == [f for f in whole if f.status == "ok"]
        assert here._sifter.held == 0


def test_a_flag_inside_a_frame_ends_nothing() -> None:
    for filler in (b"\x7e\xa0\x10", b"\x7d\x5e", b"\x7e" * 5):
        inside = hdlc.encode(hdlc.Frame(b"\x41", b"\x03", 0x13, hdlc.LLC_RESPONSE + b"\x0f" + filler))
        (piece,) = Sifter().feed(inside)
        assert isinstance(piece.content, hdlc.Frame) and filler in piece.content.information


def test_a_flag_splitting_reader_loses_what_ours_finds() -> None:
    """Ablation: registers whose bytes hold 7E come out of a length-aware reader only."""
    frames = [
        hdlc.encode(hdlc.Frame(b"\x41", b"\x03", 0x13, hdlc.LLC_RESPONSE + b"\x0f" + n.to_bytes(4, "big") + bytes(8)))
        for n in range(0x7D00, 0x8000)
    ]
    stream = b"".join(frames)
    split = [part for part in stream.split(b"\x7e") if hdlc.look(b"\x7e" + part + b"\x7e").frame is not None]
    ours = [piece for piece in Sifter().feed(stream) if piece.content is not None]
    assert len(ours) == len(frames) > len(split) + 200


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(GOOD)), max_size=8), st.integers(1, 50))
def test_no_bytes_raise_and_nothing_is_held_after_the_end(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    here = reader()
    for at in range(0, len(data), size):
        here.feed(data[at : at + size])
        assert here._sifter.held <= MAX_HELD
    here.close()
    assert here._sifter.held == 0
    decode(data)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(GOOD), st.data())
def test_a_changed_frame_is_never_another_good_one(good: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(good) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :]
    (right,) = decode(good)
    for frame in decode(changed):
        assert frame.status == "refused" or frame.values == right.values


@pytest.mark.parametrize("junk", [b"\x00\x01", b"\x7e\xa7", b"\x68", b"/ABC", b"\x55", bytes(range(256))])
def test_endless_garbage_is_held_in_bounds(junk: bytes) -> None:
    here = Sifter()
    for _ in range(6):
        here.feed(junk * (MAX_HELD // len(junk) // 2))
        assert here.held <= MAX_HELD


def test_a_push_of_the_wrong_kind_is_refused() -> None:
    for data in (Data(Tag.UNSIGNED, 1), Data(Tag.STRUCTURE, ())):
        with pytest.raises(WireRefusal, match="unknown_list"):
            pushes.body_of(data)
