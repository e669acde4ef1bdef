"""An SMS gateway's own JSON: filled without a way out of its strings, its refusals read, its id kept."""

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.channels import kinds
from control.channels.template import TemplateOut, filled
from control.ports import ChannelError
from control.records import Notice

NOW = datetime(2026, 3, 1)
TEXT = '余额 3.20"}, "to": "+1'
NOTICE = Notice("n-1", "A1", 1, "final.1", "customer", "sms", "+8613800000000", "zh", "final", {}, NOW, text=TEXT)
BODY = '{"mobile": ["{to}"], "content": "{text}", "ref": "{id}", "type": 1}'


@pytest.fixture
def gateway() -> Iterator[HTTPServer]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            server: Any = self.server
            server.got.append((dict(self.headers), json.loads(body)))
            status, answer = server.says
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return None

    server: Any = HTTPServer(("127.0.0.1", 0), Answer)
    server.got, server.says = [], (200, b'{"code": 0, "data": {"msgid": 77}}')
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def made(server: Any, **more: str) -> Any:
    settings = {"url": f"http://127.0.0.1:{server.server_port}/send", "body": BODY, "secret": "sms", **more}
    return kinds()["template"].make(settings, lambda name: f"hush-{name}".encode())


def test_the_text_stays_in_its_string_and_the_secret_in_its_header(gateway: Any) -> None:
    out = made(gateway, answer_id="data.msgid", answer_ok="code=0", header="X-Key", authorization="{secret}")
    assert asyncio.run(out.send(NOTICE, NOW)) == "77"
    ((headers, body),) = gateway.got
    assert body == {"mobile": ["+8613800000000"], "content": TEXT, "ref": "n-1", "type": 1}
    assert headers["X-Key"] == "hush-sms" and "hush" not in json.dumps(body)
    assert asyncio.run(out.receipt("77", NOW)).state == "pending"


@pytest.mark.parametrize(
    ("status", "answer", "reason", "permanent"),
    [
        (200, b'{"code": 41, "data": {}}', "gateway_41", False),
        (200, b"<html>", "gateway_None", False),
        (400, b"{}", "http_400", True),
        (429, b"{}", "http_429", False),
        (503, b"{}", "http_503", False),
    ],
)
def test_a_refusal_is_read_whatever_its_status(
    gateway: Any, status: int, answer: bytes, reason: str, permanent: bool
) -> None:
    gateway.says = (status, answer)
    with pytest.raises(ChannelError) as refused:
        asyncio.run(made(gateway, answer_ok="code=0").send(NOTICE, NOW))
    assert (refused.value.reason, refused.value.permanent) == (reason, permanent)


def test_without_an_id_in_the_answer_the_notice_is_its_own(gateway: Any) -> None:
    assert asyncio.run(made(gateway).send(NOTICE, NOW)) == "n-1"
    gateway.says = (204, b"")
    assert asyncio.run(made(gateway, answer_id="data.msgid").send(NOTICE, NOW)) == "n-1"


def test_a_gateway_that_is_not_there_is_tried_again() -> None:
    out = TemplateOut("http://127.0.0.1:9/", {}, {})
    with pytest.raises(ChannelError) as refused:
        asyncio.run(out.send(NOTICE, NOW))
    assert not refused.value.permanent


@pytest.mark.parametrize("body", ["{", '{"a": "{text}"}', '{"a": "{to} {text} {phone}"}'])
def test_a_body_that_cannot_be_right_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match="body"):
        kinds()["template"].make({"url": "https://sms.example/", "body": body}, lambda _: b"")
    with pytest.raises(ValueError, match="url"):
        kinds()["template"].make({"url": "ftp://sms.example/", "body": BODY}, lambda _: b"")


@given(st.text(max_size=80), st.text(max_size=20))
def test_no_text_changes_the_shape(text: str, to: str) -> None:
    assert filled(json.loads(BODY), {"text": text, "to": to, "id": "n"}) == {
        "mobile": [to], "content": text, "ref": "n", "type": 1,
    }  # fmt: skip
