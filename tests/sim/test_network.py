"""The virtual network loses, doubles and delays exactly what its seed says, and closes what is down."""

import asyncio
import random

import pytest

from sim.loop import VirtualLoop, run_virtual
from sim.network import NetworkFaults, SimNetwork
from sim.ports import Session


class Echo:
    """A device that answers every message with itself and counts them."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def session(self) -> Session:
        return self

    def feed(self, data: bytes) -> list[bytes]:
        self.seen.append(data)
        return [data]


def world(faults: NetworkFaults, seed: int = 1) -> tuple[VirtualLoop, SimNetwork, Echo]:
    loop = VirtualLoop()
    network = SimNetwork(loop, random.Random(seed), faults)
    echo = Echo()
    network.devices["meter", 502] = echo
    return loop, network, echo


def answers(faults: NetworkFaults, messages: int, seed: int = 1) -> tuple[int, Echo]:
    loop, network, echo = world(faults, seed)

    async def talk() -> int:
        stream = await network.connect("meter", 502)
        got = 0
        for n in range(messages):
            await stream.write(bytes([n % 256]))
            try:
                async with asyncio.timeout(1):
                    await stream.read(100)
                    got += 1
            except TimeoutError:
                pass
        return got

    return run_virtual(loop, talk()), echo


def test_a_quiet_network_answers_everything() -> None:
    got, echo = answers(NetworkFaults(), 50)
    assert got == 50
    assert len(echo.seen) == 50


def test_a_lost_request_never_reaches_the_device() -> None:
    got, echo = answers(NetworkFaults(lost_request=1.0), 5)
    assert got == 0
    assert echo.seen == []


def test_a_lost_answer_was_acted_upon() -> None:
    got, echo = answers(NetworkFaults(lost_answer=1.0), 5)
    assert got == 0
    assert len(echo.seen) == 5


def test_faults_are_counted_and_repeat_with_the_seed() -> None:
    first, second = NetworkFaults(lost_request=0.2, duplicate=0.2), NetworkFaults(lost_request=0.2, duplicate=0.2)
    assert answers(first, 200, 7)[0] == answers(second, 200, 7)[0]
    assert first.counts == second.counts
    assert first.counts["lost_request"] > 10
    assert first.counts["duplicate"] > 10


def test_a_link_that_goes_down_closes_and_refuses() -> None:
    loop, network, _ = world(NetworkFaults())

    async def talk() -> None:
        stream = await network.connect("meter", 502)
        network.set_down("meter", True)
        assert await stream.read(10) == b""
        with pytest.raises(ConnectionResetError):
            await stream.write(b"x")
        with pytest.raises(ConnectionRefusedError):
            await network.connect("meter", 502)
        network.set_down("meter", False)
        again = await network.connect("meter", 502)
        await again.write(b"y")
        assert await again.read(10) == b"y"

    run_virtual(loop, talk())
