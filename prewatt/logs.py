"""Log records go in; JSON lines (or short lines on a terminal) come out on stderr, few of each kind from each device.

ERROR means that someone must act, WARNING a field fault that is counted, INFO one line a cycle.
"""

import json
import logging
import sys
import time
from typing import Any

PER_MINUTE = 10
"""Records of one message from one device in a minute; the rest are counted and told with the next."""
KINDS_KEPT = 10_000
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Few(logging.Filter):
    """Drops what one device repeats; ``device`` is the record's gateway or meter, if it names one."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        super().__init__()
        self._seen: dict[tuple[str, str, str], tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record may pass."""
        device = str(getattr(record, "meter", "") or getattr(record, "gateway", ""))
        key = (record.name, str(record.msg), device)
        minute = int(record.created // 60)
        last, count = self._seen.get(key, (minute, 0))
        if last != minute:
            record.dropped = max(0, count - PER_MINUTE)
            count = 0
        if len(self._seen) >= KINDS_KEPT and key not in self._seen:
            self._seen.clear()
        self._seen[key] = (minute, count + 1)
        return count < PER_MINUTE or record.levelno >= logging.ERROR


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, and whatever the record was given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line: dict[str, Any] = {
            "at": at,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {
            key: value for key, value in vars(record).items() if key not in _STANDARD and value not in (None, "", 0)
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def setup(level: str = "INFO") -> None:
    """Send every record to stderr: short lines on a terminal, JSON lines elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    terminal = sys.stderr.isatty()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s") if terminal else JsonLines())
    handler.addFilter(Few())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("asyncio", "uvicorn", "uvicorn.error", "uvicorn.access", "pymodbus", "paho"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
