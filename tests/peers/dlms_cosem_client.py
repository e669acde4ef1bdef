"""dlms-cosem (MIT) as client of our meter: ``HOST PORT UNIT SECRET wrapper``; prints what it read as one JSON object.

A SECRET of 64 hex digits is two keys: HLS-GMAC and ciphering.
"""

import json
import sys
from datetime import UTC, datetime

from dlms_cosem import cosem, enumerations, utils
from dlms_cosem.clients.dlms_client import DlmsClient
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor

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


def connect(host, port, unit, secret):
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
    return DlmsClient.with_tcp_transport(host=host, port=int(port), **where, **how)


def main(host, port, unit, secret, _framing="wrapper"):
    client = connect(host, port, unit, secret)

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
