"""A display on site over a real broker: the last notice is kept for whoever comes back, and nothing else is claimed."""

import asyncio
import json
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from control.channels import kinds
from control.channels.display import DisplayOut
from control.ports import ChannelError
from control.records import Notice
from sim.broker import Broker

NOW = datetime(2026, 3, 1, 8)
NOTICE = Notice("n-1", "A1", 1, "hours.24", "meter", "display", "D-17", "zh", "warning", {}, NOW, text="余额 3.20")


@pytest.mark.sockets
def test_a_display_that_comes_back_reads_the_last_notice(tmp_path: Path) -> None:
    got: list[tuple[str, bytes]] = []
    came = threading.Event()
    with Broker(tmp_path / "broker") as broker:
        out = kinds()["display"].make({"broker": f"127.0.0.1:{broker.port}", "topic": "site/east"}, lambda _: b"")
        for text in ("first", "余额 3.20"):
            assert asyncio.run(out.send(replace(NOTICE, text=text), NOW)) == "n-1"
        client = mqtt.Client(CallbackAPIVersion.VERSION2)

        def read(_: Any, __: Any, said: Any) -> None:
            got.append((said.topic, said.payload))
            came.set()

        client.on_message = read
        client.on_connect = lambda *_: client.subscribe("site/east/+", qos=1)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        assert came.wait(10)
        client.disconnect()
        client.loop_stop()
    ((topic, data),) = got
    assert topic == "site/east/D-17"
    assert json.loads(data) == {
        "id": "n-1", "account": "A1", "code": "warning", "lang": "zh", "text": "余额 3.20",
        "at": "2026-03-01T08:00:00Z",
    }  # fmt: skip
    assert asyncio.run(out.receipt("n-1", NOW)).state == "pending"  # taken by the broker is not read by anybody


def test_a_broker_that_is_not_there_is_tried_again_and_a_wildcard_never() -> None:
    out = DisplayOut("127.0.0.1", 9)
    with pytest.raises(ChannelError) as failed:
        asyncio.run(out.send(NOTICE, NOW))
    assert not failed.value.permanent
    for address in ("#", "a/b", "", "+"):
        with pytest.raises(ChannelError) as refused:
            asyncio.run(out.send(replace(NOTICE, address=address), NOW))
        assert refused.value.permanent


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"broker": "localhost"}, "HOST:PORT"),
        ({"broker": "h:1", "topic": "a//b"}, "empty level"),
        ({"broker": "h:1", "topic": "a/#"}, "wildcard"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kinds()["display"].make(settings, lambda _: b"")
