"""A reader's handheld: what the reader enters goes into an outbox on disk and to the broker, replies come back.

The MQTT library queues in memory only, so the device keeps its own outbox: a line per message, removed when the reply
to it has arrived. After days offline, or a crash, ``send`` sends what is left, in order, under the same message ids.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingest.records import HandheldMessage, HandheldReply
from ingest.wire.handheld import encode, parse_reply, reply_topic


class Handheld:
    """One device. Offline until ``connect``; ``enter`` and ``confirm`` may be called at any time."""

    def __init__(self, device: str, outbox: Path, *, key: bytes = b"", person: str = "") -> None:
        """``outbox`` is a file of its own, beside which ``.seq`` keeps the last number; ``key`` signs messages.

        ``person`` is the reader's name in them.
        """
        self.device = device
        self.replies: dict[str, HandheldReply] = {}
        self._outbox = outbox
        self._key = key
        self._person = person
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[HandheldReply]] = {}
        self._numbers = outbox.with_suffix(".seq")
        last = int(self._numbers.read_text(encoding="utf-8")) if self._numbers.is_file() else 0
        self._seq = max((message.seq for message in self.pending()), default=0)
        self._seq = max(self._seq, last)

    def enter(self, kind: str, meter: str, at: datetime, **values: Any) -> HandheldMessage:
        """Put one message into the outbox; ``values`` are fields of ``HandheldMessage``."""
        self._seq += 1
        self._numbers.write_text(str(self._seq), encoding="utf-8")  # a number is never used twice, whatever restarts
        message_id = values.pop("message_id", f"{self.device}-{at:%Y%m%dT%H%M%S}-{self._seq:06d}")
        message = HandheldMessage(
            message_id, self.device, kind, self._seq, at, meter=meter, person=self._person, **values
        )
        with self._outbox.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(message), default=datetime.isoformat) + "\n")
        return message

    def pending(self) -> list[HandheldMessage]:
        """What has no reply yet, in the order of entry."""
        if not self._outbox.is_file():
            return []
        rows = [json.loads(line) for line in self._outbox.read_text(encoding="utf-8").splitlines()]
        return [HandheldMessage(**{**row, **_times(row)}) for row in rows]

    async def connect(self, host: str, port: int, *, timeout_s: float = 10.0) -> None:
        """Go online and listen for replies; TimeoutError when the broker does not answer."""
        self._loop = asyncio.get_running_loop()
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"handheld-{self.device}",
            clean_session=False,
            protocol=mqtt.MQTTv311,
        )
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._call(self._ready.set)
        client.on_message = self._on_message
        self._ready.clear()
        client.connect_async(host, port, 30)
        client.loop_start()
        self._client = client
        async with asyncio.timeout(timeout_s):
            await self._ready.wait()

    async def send(self, *, timeout_s: float = 10.0) -> list[HandheldReply]:
        """Send everything pending and wait for the replies; what got none stays in the outbox."""
        messages = self.pending()
        loop = asyncio.get_running_loop()
        waiting = {message.message_id: loop.create_future() for message in messages}
        self._waiting.update(waiting)
        for message in messages:
            topic, payload = encode(message, self._key)
            self._client.publish(topic, payload, qos=1)
        if waiting:
            await asyncio.wait(waiting.values(), timeout=timeout_s)
        return [future.result() for future in waiting.values() if future.done()]

    async def confirm(
        self, meter: str, register_wh: int, at: datetime, *, timeout_s: float = 10.0, **values: Any
    ) -> HandheldReply:
        """Enter a final read, send it and give back its reply; TimeoutError keeps it in the outbox."""
        message = self.enter("confirm", meter, at, register_wh=register_wh, **values)
        await self.send(timeout_s=timeout_s)
        if message.message_id not in self.replies:
            raise TimeoutError(f"no reply to {message.message_id} within {timeout_s:g} s; it stays in the outbox")
        return self.replies[message.message_id]

    async def close(self) -> None:
        """Go offline."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            client.subscribe(reply_topic(self.device), qos=1)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        reply = parse_reply(bytes(message.payload))
        if isinstance(reply, HandheldReply):
            self._call(lambda: self._replied(reply))

    def _call(self, work: Callable[[], object]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work)

    def _replied(self, reply: HandheldReply) -> None:
        """Keep the reply, take the message out of the outbox."""
        self.replies[reply.message_id] = reply
        kept = [line for line in self._lines() if json.loads(line)["message_id"] != reply.message_id]
        fresh = self._outbox.with_suffix(".new")
        fresh.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        fresh.replace(self._outbox)
        waiting = self._waiting.pop(reply.message_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def _lines(self) -> list[str]:
        return self._outbox.read_text(encoding="utf-8").splitlines() if self._outbox.is_file() else []


def _times(row: Mapping[str, Any]) -> dict[str, datetime]:
    """The times of one line of the outbox, which JSON has as texts."""
    return {name: datetime.fromisoformat(row[name]) for name in ("at", "start", "expected_end") if row[name]}
