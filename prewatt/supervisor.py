"""A word for the service manager goes in; a datagram on its notification socket goes out (sd_notify), or nothing."""

import asyncio
import os
import socket


def notify(word: str) -> bool:
    """Send READY=1, STOPPING=1, WATCHDOG=1 ...; False when nobody supervises."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(word.encode(), target)
    except OSError:
        return False
    return True


def watchdog_s() -> float:
    """How often the supervisor wants a sign of life: half of its limit; 0 = never."""
    limit = os.environ.get("WATCHDOG_USEC", "")
    return int(limit) / 2_000_000 if limit.isdecimal() else 0.0


async def keep_alive() -> None:
    """Feed the watchdog for as long as the event loop turns."""
    pause = watchdog_s()
    while pause:
        notify("WATCHDOG=1")
        await asyncio.sleep(pause)
