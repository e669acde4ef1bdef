"""Notices go in, HTTP requests with a JSON body of the house's own shape come out: for SMS gateways that have an API.

``body`` is a JSON text whose strings may hold ``{to}``, ``{text}``, ``{id}``, ``{account}``, ``{lang}`` and ``{code}``;
they are filled after the JSON was read, so that no text can break out of its string. ``answer_id`` names the message's
id in the answer (``data.msgid``), ``answer_ok`` what it must say (``code=0``): some gateways answer 200 to a refusal.
4xx but 408, 409, 425 and 429 are permanent, everything else is tried again.
"""

import asyncio
import http.client
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from control.ports import ChannelError, ChannelKind, Delivery
from control.records import Notice

TIMEOUT_S = 10.0
ANSWER_LIMIT = 64 * 1024
NAMES = ("to", "text", "id", "account", "lang", "code")
_AGAIN = frozenset({408, 409, 425, 429})
_HOLE = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class TemplateOut:
    """Requests to ``url``; ``headers`` may hold the secret, which is never in the body or a log."""

    url: str
    body: Any
    headers: Mapping[str, str]
    answer_id: str = ""
    answer_ok: str = ""
    name: str = "template"

    async def send(self, notice: Notice, now: datetime) -> str:
        """Send one notice and return the gateway's id for it, else our own; ChannelError says why it did not leave."""
        del now
        values = {
            "to": notice.address, "text": notice.text, "id": notice.notice, "account": notice.account,
            "lang": notice.lang, "code": notice.code,
        }  # fmt: skip
        data = json.dumps(filled(self.body, values), ensure_ascii=False).encode()
        try:
            status, answer = await asyncio.to_thread(self._post, data)
        except (OSError, http.client.HTTPException) as error:
            raise ChannelError(f"http_{type(error).__name__}") from error
        if not 200 <= status < 300:
            raise ChannelError(f"http_{status}", permanent=400 <= status < 500 and status not in _AGAIN)
        said = _read(answer)
        if self.answer_ok:
            path, _, wanted = self.answer_ok.partition("=")
            if str(at(said, path)) != wanted:
                raise ChannelError(f"gateway_{re.sub('[^0-9A-Za-z_.-]', '', str(at(said, path)))[:40]}")
        found = at(said, self.answer_id) if self.answer_id else None
        return str(found) if isinstance(found, str | int) and str(found) else notice.notice

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        """Pending: the gateway reports delivery through the engine, or the receipt is given up."""
        del now
        return Delivery("pending", None, message_id)

    def _post(self, data: bytes) -> tuple[int, bytes]:
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, data, {"content-type": "application/json; charset=utf-8", **self.headers})
            response = connection.getresponse()
            return response.status, response.read(ANSWER_LIMIT)
        finally:
            connection.close()


def filled(body: Any, values: Mapping[str, str]) -> Any:
    """``body`` with the holes of its strings filled; what is no hole of ours stays as it is.

    >>> filled({"to": ["{to}"], "n": 1}, {"to": '+86"'})
    {'to': ['+86"'], 'n': 1}
    """
    if isinstance(body, str):
        return _HOLE.sub(lambda found: values.get(found[1], found[0]), body)
    if isinstance(body, dict):
        return {key: filled(value, values) for key, value in body.items()}
    return [filled(value, values) for value in body] if isinstance(body, list) else body


def at(said: Any, path: str) -> Any:
    """What stands at a dotted path of an answer, None where there is nothing.

    >>> at({"data": [{"id": 7}]}, "data.0.id"), at({}, "data.id")
    (7, None)
    """
    for step in path.split("."):
        if isinstance(said, dict):
            said = said.get(step)
        elif isinstance(said, list) and step.isdigit() and int(step) < len(said):
            said = said[int(step)]
        else:
            return None
    return said


def _read(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        return None


def _make(settings: Mapping[str, str], secret: Callable[[str], bytes]) -> TemplateOut:
    parts = urlsplit(settings["url"])
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url {settings['url']!r} must start with https:// or http:// and name a host")
    try:
        body = json.loads(settings["body"])
    except ValueError as error:
        raise ValueError(f"body is no JSON: {error}") from None
    text = settings["body"]
    unknown = sorted(set(_HOLE.findall(text)) - set(NAMES))
    if unknown or "{to}" not in text or "{text}" not in text:
        raise ValueError(
            f"body wants {{to}} and {{text}}, and knows {', '.join(NAMES)}; not {', '.join(unknown) or 'less'}"
        )
    headers = {}
    if "secret" in settings:
        value = settings.get("authorization", "Bearer {secret}").replace(
            "{secret}", secret(settings["secret"]).decode()
        )
        headers[settings.get("header", "authorization")] = value
    return TemplateOut(settings["url"], body, headers, settings.get("answer_id", ""), settings.get("answer_ok", ""))


CHANNEL = ChannelKind(
    "template",
    _make,
    {
        "url": "where to POST (https, or http on loopback)",
        "body": 'JSON with {to} and {text} in its strings: {"mobile": "{to}", "content": "{text}"}',
        "secret": "NAME of the secret that the header carries; none = no header",
        "header": "name of that header; else authorization",
        "authorization": "the header's value with {secret} in it; else Bearer {secret}",
        "answer_id": "where the answer says the message's id: data.msgid",
        "answer_ok": "what the answer must say: code=0",
    },
)
