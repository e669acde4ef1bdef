"""dlms-cosem (MIT) as client of our meter: ``HOST PORT UNIT SECRET wrapper|hdlc``; prints one JSON object of values.

A SECRET of 64 hex digits is two keys: HLS-GMAC and ciphering.
"""

import json
import socket
import sys
from datetime import UTC, datetime

from dlms_cosem import cosem, enumerations, utils
from dlms_cosem.clients.dlms_client import DlmsClient
from dlms_cosem.clients.hdlc_transport import SerialHdlcTransport
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor
from dlms_cosem.hdlc import frames, state

IF = enumerations.CosemInterface
CLOCK = cosem.CosemAttribute(IF.CLOCK, cosem.Obis(0, 0, 1, 0, 0), 2)
SERIAL = cosem.CosemAttribute(IF.DATA, cosem.Obis(0, 0, 96, 1, 0), 2)
ENERGY = cosem.CosemAttribute(IF.REGISTER, cosem.Obis(1, 0, 1, 8, 0), 2)
SCALER = cosem.CosemAttribute(IF.REGISTER, cosem.Obis(1, 0, 1, 8, 0), 3)
BUFFER = cosem.CosemAttribute(IF.PROFILE_GENERIC, cosem.Obis(1, 0, 99, 1, 0), 2)
RELAY = cosem.Obis(0, 0, 96, 3, 10)


def plain(value):
    """bytes as hex, so that JSON holds them."""
    if isinstance(value, bytes | bytearray):
        return value.hex()
    return [plain(item) for item in value] if isinstance(value, list) else value


class Serial:
    """What the library wants of a serial port, over TCP."""

    def __init__(self, host, port):
        self.line = socket.create_connection((host, int(port)), timeout=10)
        self.held = bytearray()

    def write(self, data):
        self.line.sendall(bytes(data))

    def read_frame(self):
        """One frame by the length that it says of itself, with both its flags."""
        while len(self.held) < 3 or len(self.held) < 2 + (int.from_bytes(self.held[1:3], "big") & 0x7FF):
            data = self.line.recv(4096)
            if not data:
                raise ConnectionResetError("the meter closed the line")
            self.held += data
        end = 2 + (int.from_bytes(self.held[1:3], "big") & 0x7FF)
        found = bytes(self.held[:end])
        del self.held[:end]
        return found


class Hdlc(SerialHdlcTransport):
    """The library's own, but for two things that it cannot do: it waits for ever when a frame holds a flag right before
    its closing one, and when DISC is answered by a UA without information (it wants a second checksum there)."""

    pieces = ()

    def _read_frame(self):
        if not self.pieces:
            frame = self._serial.read_frame()
            ends = [at + 1 for at in range(1, len(frame)) if frame[at] == frames.HDLC_FLAG[0]]
            self.pieces = [frame[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        return self.pieces.pop(0)

    def disconnect(self):
        goodbye = frames.DisconnectFrame(self.server_hdlc_address, self.client_hdlc_address)
        self._write_bytes(self.hdlc_connection.send(goodbye))
        answer = self._serial.read_frame()
        if answer[5] != 0x73:
            raise SystemExit(f"no UA to DISC: {answer.hex()}")
        self.hdlc_connection.state.current_state = state.NOT_CONNECTED


def connect(host, port, unit, secret, framing):
    """A client with a password or with keys."""
    how = {"authentication_method": enumerations.AuthenticationMechanism.LLS, "password": secret.encode()}
    if len(secret) == 64:
        keys = bytes.fromhex(secret)
        how = {
            "authentication_method": enumerations.AuthenticationMechanism.HLS_GMAC,
            "encryption_key": keys[:16],
            "authentication_key": keys[16:],
            "client_system_title": b"DLMSCOS1",
            "client_initial_invocation_counter": 100,
        }
    where = {"client_logical_address": 1, "server_logical_address": int(unit)}
    if framing == "hdlc":
        line = Hdlc(serial_port="", serial=Serial(host, port), **where)
        return DlmsClient(io_interface=line, **where, **how)
    return DlmsClient.with_tcp_transport(host=host, port=int(port), **where, **how)


def main(host, port, unit, secret, framing="wrapper"):
    client = connect(host, port, unit, secret, framing)

    def get(attribute, access=None):
        return plain(utils.parse_as_dlms_data(client.get(attribute, access)))

    def relay():
        return [get(cosem.CosemAttribute(IF.DISCONNECT_CONTROL, RELAY, number)) for number in (2, 3)]

    with client.session():
        found = {"serial": get(SERIAL), "clock": get(CLOCK), "energy": get(ENERGY), "scaler": get(SCALER)}
        start, end = datetime(2026, 7, 1, 10, tzinfo=UTC), datetime(2026, 7, 2, 9, tzinfo=UTC)
        found["range"] = get(BUFFER, RangeDescriptor(CaptureObject(CLOCK, 0), start, end))
        found["whole"] = len(get(BUFFER))
        found["relay"] = [relay()]
        for method in (1, 2):
            client.action(cosem.CosemMethod(IF.DISCONNECT_CONTROL, RELAY, method), b"\x0f\x00")
            found["relay"].append(relay())
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
