"""Orders for one terminal go in, AFN 05 leaves and the state comes back: prepare, send once, read back.

An order carries the message authentication code and a time tag: a terminal drops it when it comes too late, so that
the terminal's clock must be right before anything is sent.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from ingest.errors import WireRefusal
from ingest.limits import CLOCK_LIMIT_S
from ingest.links.qgdw376_visit import TerminalVisit
from ingest.records import Drive, RelayState
from ingest.wire import qgdw376_orders as orders
from ingest.wire.modbus import Refusal
from ingest.wire.qgdw376 import PASSWORD, Afn, Control, Tag
from ingest.wire.qgdw376_orders import Order

Secrets = Callable[[str], bytes | None]
Reach = Callable[[], Awaitable[TerminalVisit | Refusal]]


class TerminalSwitch:
    """One control round as ``FencedDrives`` asks for it: prepare, order, read back, all in one session."""

    def __init__(self, reach: Reach, secrets: Secrets, permitted: set[str]) -> None:
        """Nothing is sent yet; ``permitted`` remembers the meters whose breaker a person may close."""
        self._reach = reach
        self._secrets = secrets
        self._permitted = permitted
        self._password = b""
        self.visit: TerminalVisit

    async def prepare(self, order: Drive) -> str:
        """Secret, session, clock and state; the reason why the breaker must not be driven, "" when it may."""
        if reason := await self.ready():
            return reason
        visit = self.visit
        if not visit.driver.switchable:
            return "read_only"
        if visit.outputs is None or visit.state is None:
            return "no_read_back"
        if order.action != "disconnect":
            return ""
        if visit.driver.group in visit.state.purchase:
            return "holds_credit"
        return "keep_power" if visit.state.keep_power else ""

    async def ready(self) -> str:
        """Find the password, reach the terminal, read clock and states: the reason why not, "" when it may be told."""
        visit = await self._reach()
        if isinstance(visit, Refusal):
            raise WireRefusal(visit.reason, visit.detail)
        self.visit = visit
        secret = self._secrets(visit.point.secret)
        if secret is None:
            return "no_secret"
        try:
            self._password = bytes.fromhex(secret.decode("ascii"))
        except ValueError:
            return "bad_secret"
        if len(self._password) != PASSWORD:
            return "bad_secret"
        await visit.look()
        return "" if abs(visit.offset_s or 0) <= CLOCK_LIMIT_S else "bad_time"

    @property
    def state(self) -> RelayState:
        """What the last read-back said."""
        return self.visit.report().state

    async def write(self, order: Drive) -> None:
        """Send the order in the session in which the terminal was looked at."""
        trips = order.action == "disconnect"
        code, data = (Order.TRIP, orders.trip()) if trips else (Order.PERMIT, b"")
        await self.send(code, order.valid_until, data)
        (self._permitted.discard if trips else self._permitted.add)(self.visit.point.meter)
        self.visit.permitted = not trips

    async def send(self, code: Order, until: datetime, data: bytes = b"") -> None:
        """One order; its time tag lets the terminal drop it when it comes after ``until``."""
        visit = self.visit
        now = visit.clock.now()
        minutes = int((until - now).total_seconds()) // 60
        if minutes < 1:
            raise WireRefusal("unreachable", "less than a minute until the order is void: not sent")
        tag = Tag.at(0, visit.local(now + timedelta(seconds=visit.offset_s or 0)), minutes)
        driver = visit.driver
        grouped = code in (Order.PURCHASE, Order.PURCHASE_OFF)
        pn = driver.control_round if code in (Order.TRIP, Order.PERMIT) else driver.group if grouped else 0
        await visit.ask(Control.SEND, Afn.CONTROL, orders.unit(pn, code, data), password=self._password, tag=tag)

    async def read_back(self) -> None:
        """Read states and load again."""
        await self.visit.look()
