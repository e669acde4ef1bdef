"""Relay orders go in, at most one effective drive each comes out: fence, expiry and outcome in front of any switch.

Plain meters know no fence, so the link holds it for them. An order below the last fence is dropped. One that equals it
is a repetition: it is dropped when its drive was seen to have its effect, answered without a drive when the relay
already stands where it should, and driven again otherwise (a stuck relay must not stay dark because an id is known).
"""

from typing import Protocol

from ingest.errors import WireRefusal
from ingest.ports import Clock, FenceStore
from ingest.records import Drive, DriveOutcome, DriveResult, RelayState

WANTED = {
    "disconnect": (RelayState.OPEN,),
    "connect": (RelayState.CLOSED, RelayState.READY),
    "arm": (RelayState.READY, RelayState.CLOSED),
}
_DEVICE_SAYS_NO = frozenset(  # any other exception may come after the relay moved
    {"exception_illegal_function", "exception_illegal_address", "exception_illegal_value", "exception_device_busy"}
)
_NOT_SENT = DriveResult.UNREACHABLE


class Switch(Protocol):
    """One relay, reached through one session; the methods raise WireRefusal when the device does not answer well."""

    async def prepare(self, order: Drive) -> str: ...
    @property
    def state(self) -> RelayState: ...
    async def write(self, order: Drive) -> None: ...
    async def read_back(self) -> None: ...


class FencedDrives:
    """Runs orders against relays, remembering per meter the fence whose effect was seen."""

    def __init__(self, clock: Clock, fences: FenceStore, *, says_no: frozenset[str] = _DEVICE_SAYS_NO) -> None:
        """``fences`` is durable; what was seen of outcomes is kept for this process only.

        ``says_no`` are the refusals of a write by which the device states that nothing was switched.
        """
        self._says_no = says_no
        self._clock = clock
        self._fences = fences
        self._effective: dict[str, int] = {}

    async def run(self, order: Drive, switch: Switch) -> DriveOutcome:
        """Drive once, or say why not. ``unknown``: the write left and nothing certain came back."""
        if order.action not in WANTED:
            return self._outcome(order, DriveResult.REFUSED, "unknown_action")
        if dropped := self._dropped(order):
            return dropped
        try:
            reason = await switch.prepare(order)
        except WireRefusal as refusal:
            wrong = refusal.reason in ("wrong_unit", "no_identity")
            return self._outcome(order, DriveResult.REFUSED if wrong else _NOT_SENT, refusal.reason)
        if reason:
            return self._outcome(order, DriveResult.REFUSED, reason)
        if order.fence == self._fences.last(order.meter) and switch.state in WANTED[order.action]:
            self._effective[order.meter] = order.fence
            return self._outcome(order, DriveResult.ACKNOWLEDGED, "already")
        await self._fences.raise_to(order.meter, order.fence)
        if dropped := self._dropped(order):  # time has passed while the fence was committed
            return dropped
        try:
            await switch.write(order)
        except WireRefusal as refusal:
            return self._refused(order, refusal)
        return await self._verified(order, switch)

    def _dropped(self, order: Drive) -> DriveOutcome | None:
        last = self._fences.last(order.meter)
        if order.fence < last or self._effective.get(order.meter, -1) >= order.fence:
            return self._outcome(order, DriveResult.FENCED, f"fence {order.fence} is not above {last}")
        if self._clock.now() >= order.valid_until:
            return self._outcome(order, DriveResult.EXPIRED, f"valid until {order.valid_until.isoformat()}Z")
        return None

    def _refused(self, order: Drive, refusal: WireRefusal) -> DriveOutcome:
        """A device's own no is a refusal, silence after sending is unknown, not having sent is unreachable."""
        if refusal.reason in self._says_no:
            return self._outcome(order, DriveResult.REFUSED, refusal.reason)
        result = _NOT_SENT if refusal.reason == "unreachable" else DriveResult.UNKNOWN
        return self._outcome(order, result, refusal.reason)

    async def _verified(self, order: Drive, switch: Switch) -> DriveOutcome:
        """The device said yes; whether the relay moved is only remembered, the caller reads it back by itself."""
        try:
            await switch.read_back()
        except WireRefusal as refusal:
            return self._outcome(order, DriveResult.ACKNOWLEDGED, f"no_read_back: {refusal.reason}")
        if switch.state in WANTED[order.action]:
            self._effective[order.meter] = order.fence
            return self._outcome(order, DriveResult.ACKNOWLEDGED, "")
        return self._outcome(order, DriveResult.ACKNOWLEDGED, f"read_back {switch.state.value}")

    def _outcome(self, order: Drive, result: DriveResult, reason: str) -> DriveOutcome:
        return DriveOutcome(order.command, self._clock.now(), result, reason)
