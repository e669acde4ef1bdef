"""Handheld messages arrive from an MQTT broker, are committed by the sink, acknowledged, and answered.

MQTT 3.1.1, QoS 1, a persistent session and manual acknowledgement: a message is acknowledged after our commit and
never before, so that a crash between the two brings it again and the sink, which knows message ids, counts it once.
What is no message is kept aside with a finding and acknowledged, so that it stops nothing else. Messages are taken one
at a time, in the order of arrival, on the event loop; only paho's own network thread is another.
"""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingest.ports import Clock, HandheldSink, RawStore
from ingest.records import Finding, HandheldMessage, HandheldReply
from ingest.wire.handheld import SUBSCRIPTIONS, HandheldRefusal, Keys, encode_reply, parse, signed_with

KEEPALIVE_S = 30
SINK_TRIES = 3
SINK_PAUSE_S = 0.5
AGAIN_S = 5.0
FoundSink = Callable[[Sequence[Finding]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and who we are there; ``client_id`` names the persistent session and must be ours alone."""

    host: str
    port: int
    client_id: str = "prewatt"
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False


@dataclass(frozen=True, slots=True)
class _Arrival:
    epoch: int
    mid: int
    qos: int
    topic: str
    payload: bytes


class HandheldListener:
    """Hands each handheld message to ``sink`` and publishes its reply.

    ``keys`` gives the devices' live secrets, asked anew for each message; a reply is signed with the one that its
    message was signed with. Devices without any are refused, unless ``unsigned`` lets them be. What is refused is
    counted as ``refused_<reason>``.
    """

    def __init__(
        self,
        clock: Clock,
        address: BrokerAddress,
        sink: HandheldSink,
        *,
        found: FoundSink,
        keys: Callable[[], Keys] = dict,
        unsigned: bool = False,
        raw: RawStore | None = None,
    ) -> None:
        """Nothing is connected before ``start``."""
        self.counts: Counter[str] = Counter()
        self.connected = asyncio.Event()
        self._clock = clock
        self._address = address
        self._sink = sink
        self._found = found
        self._keys = keys
        self._unsigned = unsigned
        self._raw = raw
        self._arrivals: asyncio.Queue[_Arrival] = asyncio.Queue()
        self._epoch = 0
        self._acking = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._hand: asyncio.Task[None] | None = None
        self._client = self._paho()

    async def start(self) -> None:
        """Connect (again and again until it holds) and begin to take messages."""
        self._loop = asyncio.get_running_loop()
        self._client.connect_async(self._address.host, self._address.port, KEEPALIVE_S)
        self._client.loop_start()
        self._work = self._loop.create_task(self._take())

    async def stop(self) -> None:
        """Finish the message in hand, then leave; what is not acknowledged comes again next time."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            await asyncio.wait([work])
        if self._hand is not None:
            await asyncio.wait([self._hand])
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def wait(self) -> None:
        """Wait for the end of the listening; raises what of ours ended it (a sink for findings that fails)."""
        if self._work is not None:
            await asyncio.shield(self._work)

    def _paho(self) -> Any:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._address.client_id,
            clean_session=False,
            protocol=mqtt.MQTTv311,
            manual_ack=True,
        )
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.reconnect_delay_set(min_delay=1, max_delay=30)
        if self._address.username:
            client.username_pw_set(self._address.username, self._address.password)
        if self._address.tls:
            client.tls_set()
        return client

    # ---- on paho's thread: no work here, only hand over

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        with self._acking:
            self._epoch += 1
        if reason.is_failure:
            self._note("refused_by_broker", False)
            return
        client.subscribe([(topic, 1) for topic in SUBSCRIPTIONS])

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: Sequence[Any], _properties: Any) -> None:
        refused = any(reason.is_failure for reason in reasons)
        self._note("refused_by_broker" if refused else "connected", not refused)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        with self._acking:
            self._epoch += 1
        self._note("disconnected", False)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        arrival = _Arrival(self._epoch, message.mid, message.qos, message.topic, bytes(message.payload))
        self._hand_over(lambda: self._arrivals.put_nowait(arrival))

    def _note(self, word: str, connected: bool) -> None:
        def note() -> None:
            self.counts[word] += 1
            (self.connected.set if connected else self.connected.clear)()

        self._hand_over(note)

    def _hand_over(self, work: Callable[[], None]) -> None:
        """Let the event loop do it; a loop that is closed needs nothing any more."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(work)

    # ---- on the event loop

    async def _take(self) -> None:
        while True:
            arrival = await self._arrivals.get()
            if arrival.epoch != self._epoch:
                self.counts["superseded"] += 1  # the broker sends it again on the new connection
                continue
            self._hand = asyncio.create_task(self._one(arrival))
            await asyncio.shield(self._hand)

    async def _one(self, arrival: _Arrival) -> None:
        """Commit (or keep aside), then answer, then acknowledge."""
        message = parse(arrival.topic, arrival.payload, self._keys(), unsigned=self._unsigned)
        if isinstance(message, HandheldRefusal):
            await self._aside(arrival, message)
            reply = self._refused(message)
        else:
            reply = await self._committed(message)
            if reply is None:
                asyncio.get_running_loop().call_later(AGAIN_S, self._arrivals.put_nowait, arrival)
                return
            self.counts[reply.status] += 1
        if reply is not None:
            keys = self._keys().get(reply.device, ())
            topic, payload = encode_reply(reply, signed_with(arrival.topic, arrival.payload, keys))
            self._client.publish(topic, payload, qos=1)
        self._acknowledge(arrival)

    async def _committed(self, message: HandheldMessage) -> HandheldReply | None:
        """The sink's reply; None when it cannot commit: nothing is acknowledged, it is tried again later."""
        for attempt in range(1, SINK_TRIES + 1):
            try:
                return await self._sink(message)
            except Exception as error:
                self.counts["sink_failed"] += 1
                if attempt == SINK_TRIES:
                    detail = f"message {message.message_id} stays at the broker: {error!r}"
                    await self._found(
                        [Finding("handheld_sink_failed", self._clock.now(), message.meter, detail=detail)]
                    )
            await asyncio.sleep(SINK_PAUSE_S)
        return None

    async def _aside(self, arrival: _Arrival, refusal: HandheldRefusal) -> None:
        self.counts["aside"] += 1
        self.counts[f"refused_{refusal.reason}"] += 1
        at = self._clock.now()
        if self._raw is not None:
            await self._raw.keep(f"mqtt:{arrival.topic[:200]}", at, arrival.payload, refusal.reason)
        who = refusal.device or "unknown device"
        await self._found(
            [Finding(f"handheld_{refusal.reason}", at, gateway="mqtt", detail=f"{who}: {refusal.detail}")]
        )

    def _refused(self, refusal: HandheldRefusal) -> HandheldReply | None:
        """A device that can be told is told; one whose signature does not hold is not."""
        if not refusal.device or not refusal.message_id:
            return None
        return HandheldReply(refusal.message_id, refusal.device, "refused", reason=refusal.detail)

    def _acknowledge(self, arrival: _Arrival) -> None:
        """Acknowledge on the connection that brought it: on another, the number could be another message's."""
        with self._acking:
            if arrival.epoch == self._epoch:
                self._client.ack(arrival.mid, arrival.qos)
                self.counts["acknowledged"] += 1
