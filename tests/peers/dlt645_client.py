"""dlt645 (Apache-2.0) as client of our simulated meter: ``HOST PORT ADDRESS``; prints what it read as JSON."""

import json
import sys

from dlt645 import MeterClientService


def main(host, port, address):
    client = MeterClientService.new_tcp_client(host, int(port), 5.0)
    client.set_address(bytes.fromhex(address)[::-1].hex())  # the library takes it as it is on the wire
    client.connect()
    try:
        energy, volts, power = client.read_00(0x00010000), client.read_02(0x02010100), client.read_02(0x02030000)
    finally:
        client.disconnect()
    print(json.dumps({"energy_kwh": energy.value, "voltage_v": volts.value, "power_kw": power.value}))


if __name__ == "__main__":
    main(*sys.argv[1:])
