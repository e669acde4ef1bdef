"""An endpoint's kind, who asks and the time go in; how long they must wait comes out, 0 = not at all.

A bucket for each kind and each asker fills steadily up to a minute's worth. Askers beyond ``MOST`` push out the one not
seen for longest, so that a flood of addresses holds no memory.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType

A_MINUTE: Mapping[str, int] = MappingProxyType(
    {"login": 10, "act": 120, "look": 1200, "stream": 60, "asset": 2400, "probe": 1200, "webhook": 12_000}
)
"""Requests a minute of one asker, by the kind of endpoint; a login counts for the address and for the user's name."""
MOST = 10_000


class Limiter:
    """One per process."""

    def __init__(self, a_minute: Mapping[str, int] = A_MINUTE) -> None:
        """``a_minute`` by kind."""
        self._rates = a_minute
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def wait_s(self, kind: str, asker: str, now_s: float) -> int:
        """Take one from the bucket, or say after how many whole seconds there is one; ``now_s`` is monotonic."""
        rate, key = self._rates[kind], (kind, asker)
        left, at = self._buckets.pop(key, (float(rate), now_s))
        left = min(float(rate), left + max(0.0, now_s - at) * rate / 60)
        taken = left >= 1
        self._buckets[key] = (left - 1 if taken else left, now_s)
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        return 0 if taken else max(1, math.ceil((1 - left) * 60 / rate))
