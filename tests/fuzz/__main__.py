"""Every decoder of ``ingest/wire`` under mutated bytes for some minutes; prints the figures as one JSON object.

Uses atheris (coverage-guided) where it is installed, else mutations of our own from one seed: flips, cuts, repeats,
splices and changed lengths of frames that our encoders made. A decoder may refuse (``WireRefusal``) and nothing else;
what a reader holds stays under its limit. Exit 1 with the bytes in hex when one raises.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable

from ingest.errors import WireRefusal
from ingest.frames import FrameReader
from ingest.links.line import answers
from ingest.pushes import profiles
from ingest.wire import (
    acse,
    apdu,
    axdr,
    ciphering,
    dlt645,
    dlt645_items,
    hdlc,
    listed,
    mbus,
    modbus,
    p1,
    qgdw376,
    quirks,
    wrapper,
)
from ingest.wire import qgdw376_items as terminal
from ingest.wire import qgdw376_orders as orders
from ingest.wire.assembly import parse_block
from ingest.wire.axdr import Data, Tag
from ingest.wire.cosem import unpack_time
from ingest.wire.dialogue import Dialogue, State
from ingest.wire.loadprofile import Layout, rows_of
from ingest.wire.security import REPLY_TO_HLS
from ingest.wire.sift import MAX_HELD, Sifter
from tests.ingest.test_frames import GOOD, KEYS, dirty

KNOWN = profiles()
Target = Callable[[bytes], object]


def _frames(data: bytes) -> None:
    FrameReader(KNOWN, keys=KEYS).whole(data)
    reader = FrameReader(KNOWN)
    for at in range(0, len(data), 13):
        reader.feed(data[at : at + 13])
    reader.close()


def _sifter(data: bytes) -> None:
    sifter = Sifter()
    for at in range(0, len(data), 7):
        sifter.feed(data[at : at + 7])
        assert sifter.held <= MAX_HELD
    sifter.close()
    assert sifter.held == 0


def _cipher(data: bytes) -> None:
    sealed = ciphering.parse(data)
    ciphering.read_unverified(sealed, KEYS, b"PWT00001")
    ciphering.unseal(sealed, KEYS, b"PWT00001")


def _dlt645(data: bytes) -> None:
    frame = dlt645.Frame("202607140001", data[0] if data else 0, data[1:])
    answers(frame, frame)
    if frame.data:
        dlt645.fault_of(frame)
    dlt645_items.text_of(frame.identifier, frame.data[4:])
    dlt645_items.readings(frame._replace(control=0x91))
    dlt645.control_of(frame._replace(control=0x1C))


def _terminal(data: bytes) -> None:
    """Any stream, and any bytes as the units of a frame that is right."""
    reader = qgdw376.Reader()
    for at in range(0, len(data), 11):
        reader.feed(data[at : at + 11])
        assert reader.held <= qgdw376.MAX_USER + 8
    address = qgdw376.Address("0200", 4660)
    for afn in (0x00, 0x0C, 0x0D, 0x10):
        frame = qgdw376.Frame(0x88, address, afn, 0x60, data)
        for work in (orders.asked, _units):
            with contextlib.suppress(WireRefusal):
                work(frame)


def _units(frame: qgdw376.Frame) -> None:
    """Every unit through the reader of its item."""
    readers = {25: terminal.load, 5: terminal.control_state, 6: terminal.outputs}
    for unit in terminal.units(frame):
        if frame.afn == 0:
            terminal.denials(unit)
        elif frame.afn == 0x10:
            terminal.forwarded(unit)
        elif unit.fn != 2:
            readers.get(unit.fn, terminal.registers)(unit)


def _long(data: bytes) -> None:
    """Any bytes as answers to every kind of request, in blocks or not."""
    for raw in (data, b"\xe0" + data, b"\xc7\x02" + data, b"\xc5\x05" + data):
        dialogue = Dialogue()
        dialogue.state = State.READY
        dialogue.set_list(((REPLY_TO_HLS, Data(Tag.UNSIGNED, 1)),)) if len(data) % 2 else dialogue.action(REPLY_TO_HLS)
        with contextlib.suppress(WireRefusal):
            dialogue.receive(raw)
            dialogue.receive(raw)
    listed.decode(b"\xc1\x04" + data)


TARGETS: dict[str, Target] = {
    "frames": _frames,
    "sift": _sifter,
    "apdu": apdu.decode,
    "axdr": axdr.decode,
    "acse": acse.decode,
    "initiate": acse.decode_initiate,
    "quirks": quirks.mended,
    "long": _long,
    "profile": lambda data: rows_of(data, Layout(0, 2, 3600, "Europe/Oslo")),
    "time": unpack_time,
    "hdlc": hdlc.look,
    "mbus": mbus.look,
    "p1": lambda data: p1.look(data, closed=True),
    "block": parse_block,
    "cipher": _cipher,
    "dlt645": _dlt645,
    "terminal": _terminal,
    "wrapper": lambda data: wrapper.Reader().feed(data),
    "modbus": lambda data: (modbus.TcpFramer().feed(data), modbus.check(b"\x03\x00\x00\x00\x02", data)),
}


def seeds() -> list[bytes]:
    """Frames and APDUs of our own making."""
    found = [*GOOD, dirty()[0][:2000]]
    for unit in (
        "01010110" + "0509010726" + "01" + "9078563412" * 2,
        "01010103" + "0509010726" + "21" * 62,
        "00001000" + "05" * 8,
    ):
        found += [
            bytes.fromhex(unit),
            qgdw376.encode(qgdw376.Frame(0x88, qgdw376.Address("0200", 1), 12, 96, bytes.fromhex(unit))),
        ]
    for known in KNOWN.values():
        raw = bytes.fromhex(known.examples[0].frame)
        found.append(raw)
        for piece in Sifter().feed(raw):
            if isinstance(piece.content, hdlc.Frame):
                body = piece.content.information.removeprefix(hdlc.LLC_RESPONSE)
                found += [body, body[5:], body[18:]]
                found.append(ciphering.general(ciphering.seal(body, KEYS, title=b"PWT00001", counter=1)))
    found.append(acse.encode(acse.AssociationRequest(acse.encode_initiate(acse.Initiate(), answer=False), secret=b"1")))
    found.append(apdu.encode(apdu.GetBlock(0xC1, False, 1, bytes(40))))
    return found


def mutated(rng: random.Random, corpus: list[bytes]) -> bytes:
    """One seed after a few random changes."""
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(7)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at : at + rng.randint(1, 16)]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 8))
        elif kind == 3:
            other = rng.choice(corpus)
            data[at:] = other[rng.randrange(len(other) + 1) :]
        elif kind == 4 and at < len(data):
            data[at] = rng.choice((0, 1, 0x7E, 0x7D, 0x68, 0x16, 0x7F, 0x80, 0x81, 0x82, 0x84, 0xFE, 0xFF))
        elif kind == 5:
            data[at:at] = data[at : at + rng.randint(1, 64)]
        else:
            data = data[:at]
    return bytes(data[:4096])


def one(data: bytes, counts: Counter[str]) -> None:
    """Every target on one input."""
    for name, target in TARGETS.items():
        try:
            target(data)
            counts["taken"] += 1
        except WireRefusal:
            counts["refused"] += 1
        except Exception as error:
            print(json.dumps({"target": name, "error": repr(error), "hex": data.hex()}))
            raise SystemExit(1) from error
    counts["inputs"] += 1


def own(minutes: float, seed: int) -> dict[str, object]:
    """Mutations of our own until the time is over."""
    rng, corpus, counts = random.Random(seed), seeds(), Counter[str]()
    slowest, slowest_hex = 0.0, ""
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        data = mutated(rng, corpus)
        before = time.perf_counter()
        one(data, counts)
        took = time.perf_counter() - before
        if took > slowest:
            slowest, slowest_hex = took, data[:64].hex()
    return {
        "engine": "own mutations",
        "seed": seed,
        **counts,
        "slowest_ms": round(1000 * slowest, 1),
        "at": slowest_hex,
    }


def guided(minutes: float, seed: int) -> dict[str, object]:
    """atheris until the time is over; it ends the process, so the figures are printed from inside."""
    import atheris  # type: ignore[import-untyped]

    atheris.instrument_all()
    counts: Counter[str] = Counter()
    end = time.monotonic() + 60 * minutes

    def test(data: bytes) -> None:
        one(data, counts)
        if time.monotonic() > end:
            report({"engine": "atheris", "seed": seed, **counts}, minutes)
            os._exit(0)

    atheris.Setup([sys.argv[0], f"-seed={seed}", "-max_len=4096", "-print_final_stats=1"], test)
    atheris.Fuzz()
    return {}


def report(found: dict[str, object], minutes: float) -> None:
    """The figures on stdout."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"minutes": minutes, "targets": len(TARGETS), "peak_mib": peak, **found}), flush=True)


def main() -> None:
    """Parse the command line and fuzz."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("auto", "own", "atheris"), default="auto")
    asked = parser.parse_args()
    engine = asked.engine
    if engine == "auto":
        from importlib.util import find_spec

        engine = "atheris" if find_spec("atheris") else "own"
    if engine == "atheris":
        guided(asked.minutes, asked.seed)
    else:
        report(own(asked.minutes, asked.seed), asked.minutes)


if __name__ == "__main__":
    main()
