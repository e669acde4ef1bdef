"""Notices go in, messages for a display on site come out over MQTT: one topic for each display, readable as it stands.

Topic ``TOPIC/ADDRESS`` (the account's attribute ``display``), payload JSON: text, code, account and time. The broker
keeps the last one (retained), so that a display that was switched off shows it when it comes back. What the broker took
is not what somebody read: the receipt stays pending, and guard G6 rests on other notices.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.ports import ChannelError, ChannelKind, Delivery
from control.records import Notice

TIMEOUT_S = 10.0
PLACE = re.compile(r"[\w.:-]{1,64}")
"""What may stand in a topic: no level, no wildcard."""


@dataclass(frozen=True, slots=True)
class DisplayOut:
    """Publishes to the broker at ``host:port`` under ``topic``, QoS 1."""

    host: str
    port: int
    topic: str = "display"
    user: str = ""
    password: str = ""
    name: str = "display"

    async def send(self, notice: Notice, now: datetime) -> str:
        """Publish one notice; ChannelError where the broker did not take it."""
        if not PLACE.fullmatch(notice.address):
            raise ChannelError("bad_address", permanent=True)
        said = {
            "id": notice.notice, "account": notice.account, "code": notice.code, "lang": notice.lang,
            "text": notice.text, "at": f"{now.isoformat()}Z",
        }  # fmt: skip
        data = json.dumps(said, ensure_ascii=False, sort_keys=True).encode()
        await asyncio.to_thread(self._publish, f"{self.topic}/{notice.address}", data)
        return notice.notice

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        """Pending for ever: a display reads and does not answer."""
        del now
        return Delivery("pending", None, message_id)

    def _publish(self, topic: str, data: bytes) -> None:
        """Connect, publish, wait for the broker's word, leave."""
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        if self.user:
            client.username_pw_set(self.user, self.password)
        connected, refused = threading.Event(), []

        def answered(_: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
            if reason.is_failure:
                refused.append(str(reason))
            connected.set()

        client.on_connect = answered
        try:
            client.connect(self.host, self.port, keepalive=20)
            client.loop_start()
            if not connected.wait(TIMEOUT_S) or refused:
                raise ChannelError("mqtt_refused" if refused else "mqtt_timeout")
            taken = client.publish(topic, data, qos=1, retain=True)
            taken.wait_for_publish(TIMEOUT_S)
            if not taken.is_published():
                raise ChannelError("mqtt_timeout")
        except (OSError, ValueError, RuntimeError) as error:
            raise ChannelError(f"mqtt_{type(error).__name__}") from error
        finally:
            client.disconnect()
            client.loop_stop()


def _make(settings: Mapping[str, str], secret: Callable[[str], bytes]) -> DisplayOut:
    host, _, port = settings["broker"].rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"broker {settings['broker']!r} must be HOST:PORT")
    topic = settings.get("topic", "display")
    if not all(PLACE.fullmatch(level) for level in topic.split("/")):
        raise ValueError(f"topic {topic!r} has an empty level or a wildcard")
    password = secret(settings["password"]).decode() if "password" in settings else ""
    return DisplayOut(host, int(port), topic, settings.get("user", ""), password)


CHANNEL = ChannelKind(
    "display",
    _make,
    {
        "broker": "HOST:PORT of the MQTT broker",
        "topic": "first levels of the topic; else display",
        "user": "login name there",
        "password": "NAME of the secret that holds the password",
    },
)
