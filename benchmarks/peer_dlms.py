"""A library's name and a concentrator's port go in, its GETs a second come out: run by the python of PREWATT_PEERS.

``peer_dlms.py dlms_cosem|gurux PORT SECRET COUNT`` associates with device 1 and reads its import register COUNT times,
as the library's own documentation does. It imports nothing of prewatt.
"""

import json
import socket
import sys
import time


def dlms_cosem(port, secret):
    """dlms-cosem (MIT): one GET."""
    from dlms_cosem import cosem, enumerations, utils
    from dlms_cosem.clients.dlms_client import DlmsClient

    client = DlmsClient.with_tcp_transport(
        host="127.0.0.1",
        port=port,
        client_logical_address=1,
        server_logical_address=1,
        authentication_method=enumerations.AuthenticationMechanism.LLS,
        password=secret.encode(),
    )
    client.connect()
    client.associate()
    energy = cosem.CosemAttribute(enumerations.CosemInterface.REGISTER, cosem.Obis(1, 0, 1, 8, 0), 2)
    return lambda: utils.parse_as_dlms_data(client.get(energy))


def gurux(port, secret):
    """gurux-dlms: one GET."""
    from gurux_dlms import GXByteBuffer, GXReplyData
    from gurux_dlms.enums import Authentication, InterfaceType
    from gurux_dlms.objects import GXDLMSRegister
    from gurux_dlms.secure import GXDLMSSecureClient

    client = GXDLMSSecureClient(True, 1, 1, Authentication.LOW, secret, InterfaceType.WRAPPER)
    line = socket.create_connection(("127.0.0.1", port), timeout=5)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(messages):
        reply = GXReplyData()
        for message in messages if isinstance(messages, list) else [messages]:
            reply = GXReplyData()
            line.sendall(bytes(message))
            buffer = GXByteBuffer()
            while True:
                buffer.set(line.recv(4096))
                if client.getData(buffer, reply, GXReplyData()):
                    break
        return reply

    client.parseAareResponse(exchange(client.aarqRequest()).data)
    energy = GXDLMSRegister("1.0.1.8.0.255")
    return lambda: client.updateValue(energy, 2, exchange(client.read(energy, 2)).value)


def main(name, port, secret, count):
    """Read, print the value, the seconds and the CPU."""
    read = {"dlms_cosem": dlms_cosem, "gurux": gurux}[name](int(port), secret)
    value = read()
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(int(count)):
        if read() != value:
            raise SystemExit("the register moved")
    took = {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
    print(json.dumps({"value": int(value), **took}))


if __name__ == "__main__":
    main(*sys.argv[1:])
