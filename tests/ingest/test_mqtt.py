"""Handhelds through a real broker: acknowledged after the commit, counted once, hostile payloads stop nobody."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.links.mqtt import BrokerAddress, HandheldListener
from ingest.records import Finding, HandheldMessage, HandheldReply
from sim.broker import Broker, BrokerFailed
from sim.handheld import Handheld
from tests.ingest.mosquitto import Mosquitto, program
from tests.ingest.mqtt_subscriber import StandingClock
from tests.ingest.rig import on_asyncio

pytestmark = pytest.mark.sockets
AT = datetime(2026, 7, 1, 8, 15, 2)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", ack_wait_s=2, max_ack_pending=100) as running:
        yield running


@pytest.fixture(params=["embedded", "mosquitto"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker | Mosquitto]:
    """The embedded broker, and Mosquitto where it is installed."""
    if request.param == "embedded":
        with Broker(tmp_path / "broker", ack_wait_s=2, max_ack_pending=100) as running:
            yield running
        return
    if program() is None:
        pytest.skip("no mosquitto")
    other = Mosquitto(tmp_path / "mosquitto")
    other.start()
    yield other
    other.kill()


class Ours:
    """A sink that commits to memory, the findings, and the raw payloads that were kept aside."""

    def __init__(self) -> None:
        self.messages: list[HandheldMessage] = []
        self.findings: list[Finding] = []
        self.raw: list[tuple[str, bytes, str]] = []
        self.fail = 0

    async def commit(self, message: HandheldMessage) -> HandheldReply:
        if self.fail:
            self.fail -= 1
            raise OSError("no space left")
        seen = any(m.message_id == message.message_id for m in self.messages)
        self.messages.append(message)
        status = "duplicate" if seen else "accepted"
        return HandheldReply(message.message_id, message.device, status, account="A1", balance="12.34", currency="CNY")

    async def found(self, findings: Sequence[Finding]) -> None:
        self.findings.extend(findings)

    async def keep(self, source: str, at: datetime, frame: bytes, reason: str) -> None:
        self.raw.append((source, frame, reason))

    def listener(self, broker: Broker | Mosquitto, keys: dict[str, bytes] | None = None) -> HandheldListener:
        address = BrokerAddress(broker.host, broker.port)
        known = {device: (key,) for device, key in (keys or {}).items()}
        return HandheldListener(
            StandingClock(), address, self.commit, found=self.found, keys=lambda: known, unsigned=not known, raw=self
        )


async def until(condition: object, timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


def publish(broker: Broker | Mosquitto, rows: list[tuple[str, bytes]]) -> None:
    """Send raw payloads as any client may, and wait until the broker has them."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="stranger", protocol=mqtt.MQTTv311)
    client.connect(broker.host, broker.port)
    client.loop_start()
    for topic, payload in rows:
        client.publish(topic, payload, qos=1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


@on_asyncio
async def test_a_confirm_is_committed_and_the_bill_comes_back(either: Broker | Mosquitto, tmp_path: Path) -> None:
    ours, broker = Ours(), either
    listener = ours.listener(broker, {"A7": b"key"})
    await listener.start()
    await listener.connected.wait()
    device = Handheld("A7", tmp_path / "outbox", key=b"key", person="reader-3")
    await device.connect(broker.host, broker.port)
    reply = await device.confirm("M17", 1_234_560, AT, latitude=30.27, longitude=120.15, accuracy_m=8.0)
    assert (reply.status, reply.account, reply.balance) == ("accepted", "A1", "12.34")
    assert device.pending() == []
    (message,) = ours.messages
    assert (message.at, message.register_wh, message.kind, message.person) == (AT, 1_234_560, "confirm", "reader-3")
    await device.close()
    await listener.stop()
    assert listener.counts["acknowledged"] == 1


def test_an_outbox_keeps_every_member_of_a_crews_message(tmp_path: Path) -> None:
    crew = Handheld("C2", tmp_path / "outbox", person="zhao")
    until = AT + timedelta(hours=2)
    sent = crew.enter("outage", "", AT, detail="tree", cause="fault", transformer="T1", start=AT, expected_end=until)
    crew.enter("restored", "", until, outage=sent.message_id)
    assert crew.pending()[0] == sent
    assert (crew.pending()[1].start, crew.pending()[1].outage) == (None, sent.message_id)


@on_asyncio
async def test_days_offline_then_a_burst_in_order_with_exact_times(broker: Broker, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    times = [AT + timedelta(hours=7 * n, seconds=n) for n in range(30)]
    for n, at in enumerate(times[:20]):
        Handheld("A7", outbox).enter("confirm", f"M{n}", at, register_wh=n)
    device = Handheld("A7", outbox)
    for n, at in enumerate(times[20:], 20):
        device.enter("read", f"M{n}", at, register_wh=n)
    ours = Ours()
    listener = ours.listener(broker)
    await listener.start()
    await listener.connected.wait()
    await device.connect(broker.host, broker.port)
    assert len(await device.send()) == 30
    # the broker orders within a topic; between topics it need not
    for kind in ("confirm", "read"):
        sequence = [(m.seq, m.at) for m in ours.messages if m.kind == kind]
        assert sequence == sorted(sequence)
    assert sorted(m.at for m in ours.messages) == times
    assert [m.seq for m in sorted(ours.messages, key=lambda m: m.seq)] == list(range(1, 31))
    await device.close()
    await listener.stop()


@on_asyncio
async def test_hostile_payloads_are_kept_aside_and_stop_nothing(broker: Broker, tmp_path: Path) -> None:
    ours = Ours()
    listener = ours.listener(broker)
    await listener.start()
    await listener.connected.wait()
    topic = "prewatt/v1/handheld/A7/confirm"
    hostile = [b"", b"\xff\x00", b"[" * 6000, b"{}", b"x" * 9000, b'{"message_id":"A7-1","seq":"drop table"}']
    await asyncio.to_thread(publish, broker, [(topic, payload) for payload in hostile])
    device = Handheld("A7", tmp_path / "outbox")
    await device.connect(broker.host, broker.port)
    reply = await device.confirm("M17", 5, AT)
    assert reply.status == "accepted"
    await until(lambda: len(ours.raw) == len(hostile))
    assert [frame for _, frame, _ in ours.raw] == hostile
    codes = Counter(finding.code.removeprefix("handheld_") for finding in ours.findings)
    assert codes == {"bad_field": 1, "missing_field": 1, "not_json": 3, "too_large": 1}
    await device.close()
    await listener.stop()
    again = Ours()
    second = again.listener(broker)
    await second.start()
    await second.connected.wait()
    await asyncio.sleep(2.5)  # longer than ack_wait: nothing was left unacknowledged
    assert (again.messages, again.raw) == ([], [])
    await second.stop()


@on_asyncio
async def test_what_cannot_be_committed_stays_at_the_broker(broker: Broker, tmp_path: Path) -> None:
    ours = Ours()
    ours.fail = 10**6
    listener = ours.listener(broker)
    await listener.start()
    await listener.connected.wait()
    device = Handheld("A7", tmp_path / "outbox")
    device.enter("confirm", "M17", AT, register_wh=7)
    await device.connect(broker.host, broker.port)
    sending = asyncio.create_task(device.send(timeout_s=20))
    await until(lambda: any(f.code == "handheld_sink_failed" for f in ours.findings))
    assert listener.counts["acknowledged"] == 0
    assert device.pending()
    ours.fail = 0
    assert [reply.status for reply in await sending] == ["accepted"]
    assert [m.register_wh for m in ours.messages] == [7]
    await device.close()
    await listener.stop()


@on_asyncio
async def test_the_broker_may_be_killed_and_loses_nothing(either: Broker | Mosquitto, tmp_path: Path) -> None:
    ours, broker = Ours(), either
    first = ours.listener(broker)
    await first.start()
    await first.connected.wait()
    await first.stop()  # the session persists
    rows = []
    for n in range(50):
        body = f'{{"message_id":"A7-{n}","seq":{n},"at":"2026-07-01T08:15:02Z","meter":"M1","register_wh":{n}}}'
        rows.append(("prewatt/v1/handheld/A7/confirm", body.encode()))
    await asyncio.to_thread(publish, broker, rows)
    await asyncio.sleep(getattr(broker, "settle_s", 0))
    broker.kill()
    broker.start()
    second = ours.listener(broker)
    await second.start()
    await until(lambda: len(ours.messages) >= 50)
    assert sorted(m.register_wh or 0 for m in ours.messages) == list(range(50))
    broker.kill()
    broker.start()
    await until(lambda: second.counts["connected"] >= 2)
    await asyncio.to_thread(publish, broker, [(rows[0][0], rows[0][1].replace(b'"A7-0"', b'"A7-after"'))])
    await until(lambda: any(m.message_id == "A7-after" for m in ours.messages))  # a repetition may come behind it
    await second.stop()
    assert {m.message_id for m in ours.messages} == {*(f"A7-{n}" for n in range(50)), "A7-after"}


def spawn(broker: Broker | Mosquitto, ledger: Path, mode: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.ingest.mqtt_subscriber", str(broker.port), str(ledger), mode],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "connected"
    return process


def commits(ledger: Path) -> list[tuple[str, str]]:
    if not ledger.is_file():
        return []
    return [(line.split()[0], line.split()[1]) for line in ledger.read_text().splitlines()]


@pytest.mark.kill
@pytest.mark.parametrize(("mode", "lines"), [("die_before", ["0"]), ("die_after", ["0", "1"])])
def test_a_listener_killed_around_its_commit_counts_a_message_once(
    either: Broker | Mosquitto, tmp_path: Path, mode: str, lines: list[str]
) -> None:
    ledger, broker = tmp_path / "ledger", either
    doomed = spawn(broker, ledger, mode)
    body = b'{"message_id":"A7-1","seq":1,"at":"2026-07-01T08:15:02Z","meter":"M1","register_wh":5}'
    publish(broker, [("prewatt/v1/handheld/A7/confirm", body)])
    assert doomed.wait(timeout=10) == -signal.SIGKILL
    assert len(commits(ledger)) == len(lines) - 1
    alive = spawn(broker, ledger, "live")
    deadline = time.monotonic() + 10
    while len(commits(ledger)) < len(lines) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(2.5)  # longer than ack_wait: it is not delivered a third time
    alive.terminate()
    alive.wait(timeout=10)
    assert commits(ledger) == [("A7-1", seen) for seen in lines]
    assert sum(seen == "0" for _, seen in commits(ledger)) == 1
    third = spawn(broker, ledger, "live")
    time.sleep(0.5)
    third.terminate()
    third.wait(timeout=10)
    assert len(commits(ledger)) == len(lines)


@pytest.mark.kill
def test_the_broker_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from sim.broker import Broker\n"
        "b = Broker(Path(sys.argv[1])).start(); print(b.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "broker")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, 0)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError(f"broker {pid} outlived its parent")


def test_a_broker_that_cannot_start_says_why(broker: Broker, tmp_path: Path) -> None:
    with pytest.raises(BrokerFailed, match=f"port {broker.port} is taken"):
        Broker(tmp_path / "other", port=broker.port).start()
    assert broker.alive
    home = tmp_path / "third"
    home.mkdir()
    (home / "jetstream").write_text("a file where a folder should be")
    with pytest.raises(BrokerFailed, match="not a directory"):
        Broker(home).start()


def test_a_number_is_never_used_twice_by_a_device_that_starts_again(tmp_path: Path) -> None:
    first = Handheld("A7", tmp_path / "outbox").enter("read", "M1", AT, register_wh=1)
    (tmp_path / "outbox").unlink()  # all of it was answered
    again = Handheld("A7", tmp_path / "outbox").enter("read", "M1", AT, register_wh=2)
    assert (first.seq, again.seq) == (1, 2)
