"""Nothing goes in, the limits that all links share come out: bytes a read, a clock's error, how late a read may be."""

from typing import Final

READ_LIMIT: Final = 65_536
"""Bytes taken from a stream at a time."""
CLOCK_LIMIT_S: Final = 120
"""A device's clock further off than this flags its reads and stamps; orders that expire by it are refused."""
LATE_SHARE: Final = 12
"""A read counts for its slot's end within a twelfth of the slot (5 min of an hour)."""
OFFSET_LIMIT_S: Final = 32_767
"""The lake keeps offsets as int16."""


def stored_offset(offset_s: int | None) -> int:
    """A clock's offset as a read carries it: 0 where it is not known, at most what the lake holds.

    >>> stored_offset(None), stored_offset(-100_000), stored_offset(7)
    (0, -32767, 7)
    """
    return max(-OFFSET_LIMIT_S, min(OFFSET_LIMIT_S, offset_s or 0))
