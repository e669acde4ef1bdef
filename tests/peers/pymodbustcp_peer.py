"""pyModbusTCP (MIT) beside our own: ``serve PORT`` answers from its bank, ``read HOST PORT UNIT`` prints registers.

``serve`` holds the registers of a real DDS238 as a public reader printed them; it ends when standard input does.
"""

import json
import sys

from pyModbusTCP.client import ModbusClient
from pyModbusTCP.server import DataBank, ModbusServer

DUMP = [0, 7133, 513, 0, 0, 0, 0, 0, 0, 2399, 0, 4733, 2306, 62, 132, 65534, 917, 4999, 0, 0, 0, 257, 0, 0, 0, 0, 1]


def serve(port):
    """Answer until standard input ends, then say what the relay's register holds."""
    bank = DataBank()
    bank.set_holding_registers(0, DUMP)
    server = ModbusServer("127.0.0.1", int(port), no_block=True, data_bank=bank)
    server.start()
    print(json.dumps({"listens": True}), flush=True)
    sys.stdin.read()
    print(json.dumps({"relay": bank.get_holding_registers(26, 1)}), flush=True)
    server.stop()


def read(host, port, unit):
    """Registers of a DDS238 before and after its relay was opened."""
    client = ModbusClient(host=host, port=int(port), unit_id=int(unit), timeout=5)
    found = {"block": client.read_holding_registers(8, 19)}
    found["written"] = client.write_multiple_registers(26, [0])
    found["relay"] = client.read_holding_registers(26, 1)
    found["hole"] = client.read_holding_registers(0x500, 2)
    found["why"] = client.last_except
    print(json.dumps(found))


if __name__ == "__main__":
    {"serve": serve, "read": read}[sys.argv[1]](*sys.argv[2:])
