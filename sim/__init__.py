"""sim: meters, concentrators, handhelds, customers and faults from one seed, behind the real collectors."""

DEVICES = {
    "modbus": "sim.modbus",
    "dlms": "sim.concentrator",
    "dlms over hdlc": "sim.hdlcmeters",
    "dlt645": "sim.dlt645",
    "p1": "sim.p1port",
    "qgdw376": "sim.terminal",
    "push": "sim.pusher",
}
"""Which module simulates the devices of a protocol; tests and tools import it by its name."""
