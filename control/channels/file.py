"""Notices go in, one JSON line each comes out in an append-only outbox file; the receipt is immediate.

For tests, demos and gateways that read a folder. A line counts when it is fsynced.
"""

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from control.ports import ChannelError, ChannelKind, Delivery
from control.records import Notice


@dataclass(slots=True)
class FileOutbox:
    """Appends to ``path``; ``durable`` False skips the fsync, for the deterministic simulator only."""

    path: Path
    durable: bool = True
    name: str = "file"

    async def send(self, notice: Notice, now: datetime) -> str:
        """Append one line and return the notice's own id."""
        line = json.dumps(
            {
                "at": now.isoformat() + "Z",
                "id": notice.notice,
                "account": notice.account,
                "recipient": notice.recipient,
                "to": notice.address,
                "lang": notice.lang,
                "code": notice.code,
                "rung": notice.rung,
                "text": notice.text,
                "params": dict(sorted(notice.params.items())),
            },
            ensure_ascii=False,
            sort_keys=True,
        )
        try:
            if self.durable:
                await asyncio.to_thread(self._append, line)
            else:
                self._append(line)
        except OSError as error:
            raise ChannelError(f"outbox_{error.errno}") from error
        return notice.notice

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        """What stands in the file is delivered."""
        return Delivery("delivered", now, message_id)

    def _append(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as outbox:
            outbox.write(line + "\n")
            outbox.flush()
            if self.durable:
                os.fsync(outbox.fileno())


def _make(settings: Mapping[str, str], secret: Callable[[str], bytes]) -> FileOutbox:  # noqa: ARG001
    return FileOutbox(Path(settings["path"]))


CHANNEL = ChannelKind("file", _make, {"path": "the file that each notice is appended to as one JSON line"})
