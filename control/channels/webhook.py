"""Notices go in, signed HTTP POSTs come out (Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature).

A 2xx answer means accepted; ``{"state": "delivered"}`` in it is the receipt at once, else the receiver reports later
through the engine. 4xx but 408, 409, 425 and 429 are permanent, everything else is tried again with the same id.
"""

import asyncio
import base64
import hashlib
import hmac
import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from control.ports import ChannelError, ChannelKind, Delivery
from control.records import Notice

TIMEOUT_S = 10.0
ANSWER_LIMIT = 64 * 1024
REMEMBERED = 10_000
_EPOCH = datetime(1970, 1, 1)
_AGAIN = frozenset({408, 409, 425, 429})


@dataclass(slots=True)
class WebhookOut:
    """POSTs to ``url``, signed with ``key``; ``states`` remembers the answers until their receipt is asked for."""

    url: str
    key: bytes
    name: str = "webhook"
    states: dict[str, str] = field(default_factory=dict)

    async def send(self, notice: Notice, now: datetime) -> str:
        """POST one notice; ChannelError names the status."""
        body = json.dumps(
            {
                "type": f"notice.{notice.code}",
                "timestamp": now.isoformat() + "Z",
                "data": {
                    "id": notice.notice,
                    "account": notice.account,
                    "recipient": notice.recipient,
                    "to": notice.address,
                    "lang": notice.lang,
                    "rung": notice.rung,
                    "text": notice.text,
                    "params": dict(notice.params),
                },
            },
            ensure_ascii=False,
            sort_keys=True,
        ).encode()
        try:
            status, answer = await asyncio.to_thread(self._post, notice.notice, now, body)
        except (OSError, http.client.HTTPException) as error:
            raise ChannelError(f"http_{type(error).__name__}") from error
        if not 200 <= status < 300:
            raise ChannelError(f"http_{status}", permanent=400 <= status < 500 and status not in _AGAIN)
        self.states[notice.notice] = _state(answer)
        while len(self.states) > REMEMBERED:
            del self.states[next(iter(self.states))]
        return notice.notice

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        """What the receiver said in its answer; pending when it only accepted."""
        state = self.states.pop(message_id, "pending")
        return Delivery(state, now if state != "pending" else None, message_id)

    def _post(self, message_id: str, now: datetime, body: bytes) -> tuple[int, bytes]:
        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        stamp = str(int((now - _EPOCH).total_seconds()))
        digest = hmac.new(self.key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        }
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, response.read(ANSWER_LIMIT)
        finally:
            connection.close()


def _state(answer: bytes) -> str:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return "pending"
    state = found.get("state") if isinstance(found, dict) else None
    return state if state in ("delivered", "failed") else "pending"


def _make(settings: Mapping[str, str], secret: Callable[[str], bytes]) -> WebhookOut:
    parts = urlsplit(settings["url"])
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url {settings['url']!r} must start with https:// or http:// and name a host")
    return WebhookOut(settings["url"], secret(settings["secret"]))


CHANNEL = ChannelKind(
    "webhook",
    _make,
    {"url": "where to POST (https, or http on loopback)", "secret": "NAME of the secret that signs"},
)
