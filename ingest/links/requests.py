"""A function, an address and words go in, the PDU of a Modbus request comes out: the one module that knows pymodbus.

Its PDU classes write what we ask; sockets, framing and the judgement of answers are ours (``ingest.wire.modbus``).
"""

from functools import lru_cache

from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest, WriteSingleCoilRequest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

_READS = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}


@lru_cache(maxsize=4096)
def read_request(function: int, address: int, count: int) -> bytes:
    """The PDU that reads ``count`` coils or registers (functions 1 to 4)."""
    return bytes([function]) + bytes(_READS[function](address=address, count=count).encode())


def write_request(function: int, address: int, words: tuple[int, ...]) -> bytes:
    """The PDU that writes: function 5 (coil, FF00 or 0000), 6 (one register) or 16 (several)."""
    if function == 5:
        body = WriteSingleCoilRequest(address=address, bits=[words[0] == 0xFF00]).encode()
    elif function == 6:
        body = WriteSingleRegisterRequest(address=address, registers=[words[0]]).encode()
    else:
        body = WriteMultipleRegistersRequest(address=address, registers=list(words)).encode()
    return bytes([function]) + bytes(body)
