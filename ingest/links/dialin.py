"""Terminals that dial in over Q/GDW 376.1 go in, one session per terminal comes out, on which it can be asked.

A caller must log in (AFN 02 F1) as a terminal that is expected here, in time; whoever is unknown is denied, closed and
counted. A terminal that dials in again replaces its older session, which from then on answers nothing. Silence longer
than the heartbeat limit, or several requests in a row without an answer, end a session: a half-open connection is no
connection. What a terminal sends of its own accord is confirmed where it asks for that.

Interleavings that must do no harm: an answer after its time-out (its number is owed and given to nobody else until it
came or was forgotten); an answer after its asker was cancelled (the same); a login while a request is under way (the
asker hears ``closed``: an order's fate is unknown); a login while another waits for the terminal (it gets the newer
session); the older connection's end after the newer's login (it takes only its own session away); a logout, a close of
the link, or a reload while a request is under way (``closed``).
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.limits import READ_LIMIT
from ingest.links.door import Door, Limits, Listener
from ingest.ports import Clock, Stream
from ingest.records import Finding
from ingest.wire.modbus import Refusal
from ingest.wire.qgdw376 import Afn, Control, Frame, Reader, address_of, encode, sequence, whole
from ingest.wire.qgdw376_items import identifier

LOG = logging.getLogger(__name__)
LOGIN_S = 30.0
SILENCE_S = 900.0
"""Three missed heartbeats of the usual five minutes."""
GRACE_S = 45.0
"""Terminals that lost their station dial in again within a minute: so long a fresh door is waited at."""
OWED_S = 120.0
"""Longer than a mobile network was seen to hold an answer back: so long a number that went unanswered is not reused."""
MOST_MISSES = 3
MOST_NOISE = 65_536
"""Bytes without a frame between them before a caller is closed."""
MOST_PARTS = 16
MOST_STRANGERS = 64
MOST_REPORTS = 512
"""Reports of one terminal that wait to be stored: a day of curves of some dozen points."""
_CONFIRM, _DENY = identifier(0, 1), identifier(0, 2)
_LOGIN, _LOGOUT, _HEARTBEAT = 1, 2, 3
_NAMES = {_LOGIN: "login_again", _LOGOUT: "logout", _HEARTBEAT: "heartbeat"}


@dataclass(slots=True, eq=False)
class _Asked:
    """A request under way: its number and function, the frames of its answer so far, who waits."""

    number: int
    afn: int
    done: "asyncio.Future[Frame | Refusal]"
    parts: list[Frame] = field(default_factory=list)


class Session:
    """One terminal's connection, from its login until it ends; asked by one caller at a time."""

    def __init__(self, stream: Stream, name: str, generation: int, clock: Clock) -> None:
        """Just logged in."""
        self.name = name
        self.generation = generation
        self.since = clock.now()
        self.heard = clock.now()
        self.alive = True
        self.dropped: Counter[str] = Counter()
        self._stream = stream
        self._line = asyncio.Lock()
        self._counter = 0
        self._misses = 0
        self._asked: _Asked | None = None
        self._owed: dict[int, float] = {}
        self._clock = clock

    async def ask(self, frame: Frame, *, timeout_s: float) -> Frame | Refusal:
        """The answer to ``frame`` (its number is set here), or why there is none.

        ``unreachable``: nothing was sent. ``timeout``, ``closed``, ``half_frame``: it left, and its fate is not known.
        """
        async with self._line:
            if not self.alive:
                return Refusal("unreachable", f"terminal {self.name} has gone")
            if not self._counted():
                self.end()
                return Refusal("unreachable", f"terminal {self.name} owes an answer to every number")
            numbered = frame._replace(seq=sequence(self._counter, confirm=frame.wants_confirmation))
            if frame.tag is not None:
                numbered = numbered._replace(tag=frame.tag._replace(counter=self._counter))
            asked = _Asked(numbered.number, frame.afn, asyncio.get_running_loop().create_future())
            self._asked = asked
            try:
                async with asyncio.timeout(timeout_s):
                    await self._stream.write(encode(numbered))
                    answer = await asked.done
            except TimeoutError:
                return self._missed(asked, timeout_s)
            except OSError as error:
                self.end()
                return Refusal("closed", str(error))
            finally:
                self._asked = None
                if not asked.done.done() or asked.done.cancelled():
                    self._owed[asked.number] = self._clock.monotonic() + OWED_S
            self._misses = 0
            return answer

    def _counted(self) -> bool:
        """Move the counter to the next number that owes no answer; False when there is none."""
        now = self._clock.monotonic()
        self._owed = {number: until for number, until in self._owed.items() if until > now}
        for step in range(1, 17):
            if (self._counter + step) & 0x0F not in self._owed:
                self._counter = (self._counter + step) & 0xFF
                return True
        return False

    def _missed(self, asked: _Asked, timeout_s: float) -> Refusal:
        self._misses += 1
        if self._misses >= MOST_MISSES:
            self.end()
        return Refusal("half_frame" if asked.parts else "timeout", f"terminal {self.name}: none within {timeout_s:g} s")

    def take(self, frame: Frame) -> None:
        """An answer has arrived: somebody's, or late."""
        asked = self._asked
        fits = asked is not None and not asked.done.done()
        if frame.last and self._owed.pop(frame.number, None) is not None:
            fits = False  # late: its number is free again
        if asked is None or not fits or frame.afn not in (asked.afn, Afn.CONFIRM):
            self.dropped["stale_answer"] += 1
            return
        if frame.number != (asked.number + len(asked.parts)) & 0x0F or frame.first == bool(asked.parts):
            self.dropped["stale_answer"] += 1
            return
        asked.parts.append(frame)
        if frame.last or len(asked.parts) >= MOST_PARTS:
            whole_one = frame.last or frame.first
            answer = whole(asked.parts) if whole_one else Refusal("half_frame", "a message without end")
            asked.done.set_result(answer)

    async def send(self, frame: Frame) -> None:
        """Send without waiting for an answer."""
        await self._stream.write(encode(frame))

    def end(self) -> None:
        """Close; whoever waits hears that the line has gone."""
        self.alive = False
        asked = self._asked
        if asked is not None and not asked.done.done():
            asked.done.set_result(Refusal("closed", f"terminal {self.name} has gone"))
        self._stream.close()


@dataclass(slots=True)
class _Seat:
    """What is kept for one expected terminal: how many links use it, its session, who waits for it."""

    users: int = 0
    session: Session | None = None
    logins: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    reports: deque[Frame] = field(default_factory=deque)


class DialIn:
    """The terminals that dial in to one address and port."""

    def __init__(
        self,
        clock: Clock,
        listener: Listener,
        host: str,
        port: int,
        *,
        login_s: float = LOGIN_S,
        silence_s: float = SILENCE_S,
        limits: Limits | None = None,
    ) -> None:
        """Nothing listens before the first ``session``."""
        self._clock = clock
        self._login_s = login_s
        self._silence_s = silence_s
        self._seats: dict[str, _Seat] = {}
        self._strangers: dict[str, str] = {}
        self._told: set[str] = set()
        self._since_s = 0.0
        self.door = Door(listener, host, port, self.serve, limits=limits)
        self.counts: Counter[str] = Counter()

    def expect(self, name: str) -> None:
        """Take ``name`` for a terminal that may log in; ValueError when it is no terminal's address."""
        address_of(name)
        self._seats.setdefault(name, _Seat()).users += 1

    async def forget(self, name: str) -> None:
        """One link needs ``name`` no more; the last one ends its session, and the last of all the listening."""
        seat = self._seats[name]
        seat.users -= 1
        if not seat.users:
            del self._seats[name]
            if seat.session is not None:
                seat.session.end()
        if not self._seats:
            await self.door.close()

    async def session(self, name: str, wait_s: float) -> Session | Refusal:
        """The session of ``name``, waited for at most ``wait_s``; ``unreachable`` when it does not dial in."""
        seat = self._seats.get(name)
        if seat is None:
            return Refusal("unreachable", f"terminal {name} is not expected any more: its link was closed")
        try:
            if await self.door.open():
                self._since_s = self._clock.monotonic()
        except OSError as error:
            return Refusal("unreachable", f"cannot listen: {error}")
        if seat.session is None:
            seat.arrived.clear()
            try:
                async with asyncio.timeout(max(wait_s, self._since_s + GRACE_S - self._clock.monotonic())):
                    await seat.arrived.wait()
            except TimeoutError:
                return Refusal("unreachable", f"terminal {name} has not dialled in")
        found = seat.session
        return found if found is not None else Refusal("unreachable", f"terminal {name} has just gone")

    def sessions(self) -> Mapping[str, Session]:
        """The terminals that are there."""
        return {name: seat.session for name, seat in self._seats.items() if seat.session is not None}

    def news(self) -> tuple[Finding, ...]:
        """Terminals that nobody expects and that were not told of yet, as findings."""
        found = tuple(
            Finding("unknown_terminal", self._clock.now(), detail=f"{name} dialled in from {peer} and was denied")
            for name, peer in self._strangers.items()
            if name not in self._told
        )
        self._told.update(self._strangers)
        return found

    def reports(self, name: str) -> list[Frame]:
        """What the terminal sent of its own accord and nobody took yet; taken now."""
        seat = self._seats.get(name)
        found = list(seat.reports) if seat is not None else []
        if seat is not None:
            seat.reports.clear()
        return found

    def _reported(self, name: str, frame: Frame) -> None:
        """Keep a report until its link asks; the oldest gives way and is counted."""
        seat = self._seats.get(name)
        if seat is None:
            return
        if len(seat.reports) >= MOST_REPORTS:
            seat.reports.popleft()
            self.counts["reports_dropped"] += 1
        seat.reports.append(frame)

    async def serve(self, stream: Stream, peer: str) -> None:
        """One caller, from its login until it ends."""
        reader, session = Reader(), None
        try:
            while data := await self._heard(stream, session):
                for frame in reader.feed(data):
                    stays = await self._taken(stream, peer, session, frame)
                    session = stays if stays is not None else session
                    if stays is None or not stays.alive:
                        return
                if reader.dropped > MOST_NOISE:
                    self.counts["noise"] += 1
                    return
        finally:
            self._ended(session)

    async def _heard(self, stream: Stream, session: Session | None) -> bytes:
        """The next bytes; b"" when the caller says nothing for too long."""
        limit_s = self._login_s if session is None else self._silence_s
        try:
            async with asyncio.timeout(limit_s):
                return await stream.read(READ_LIMIT)
        except TimeoutError:
            self.counts["no_login" if session is None else "silent"] += 1
            return b""

    async def _taken(self, stream: Stream, peer: str, session: Session | None, frame: Frame) -> Session | None:
        """One frame of a caller; None ends it."""
        if not frame.up:  # only a master station sends such frames
            self.counts["no_terminal"] += 1
            return session
        if session is None:
            return await self._logged_in(stream, peer, frame)
        if frame.address.name != session.name:
            self.counts["wrong_terminal"] += 1
            return session
        session.heard = self._clock.now()
        if not frame.starts:
            session.take(frame)
            return session
        item = _link_item(frame)
        if frame.wants_confirmation or item:
            await session.send(_reply(frame, _CONFIRM))
        self.counts[_NAMES.get(item, "unasked")] += 1
        if not item:
            self._reported(session.name, frame)
        return None if item == _LOGOUT else session

    async def _logged_in(self, stream: Stream, peer: str, frame: Frame) -> Session | None:
        """The caller's first frame must be a login of a terminal that is expected."""
        name = frame.address.name
        seat = self._seats.get(name)
        if seat is None or _link_item(frame) != _LOGIN:
            self.counts["unknown_terminal" if seat is None else "not_logged_in"] += 1
            if seat is None:
                self._stranger(name, peer)
            await stream.write(encode(_reply(frame, _DENY)))
            return None
        if seat.session is not None:
            self.counts["replaced"] += 1
            seat.session.end()
        seat.logins += 1
        session = seat.session = Session(stream, name, seat.logins, self._clock)
        try:
            await session.send(_reply(frame, _CONFIRM))
        except OSError:
            self._ended(session)
            return None
        self.counts["login"] += 1
        seat.arrived.set()
        return session

    def _stranger(self, name: str, peer: str) -> None:
        """Remember a terminal that nobody expects, a few of them."""
        if name not in self._strangers:
            LOG.warning("terminal %s from %s is not expected here: denied", name, peer)
            if len(self._strangers) >= MOST_STRANGERS:
                oldest = next(iter(self._strangers))
                del self._strangers[oldest]
                self._told.discard(oldest)
        self._strangers[name] = peer

    def _ended(self, session: Session | None) -> None:
        if session is None:
            return
        session.end()
        seat = self._seats.get(session.name)
        if seat is not None and seat.session is session:
            seat.session = None


def _link_item(frame: Frame) -> int:
    """Which item of AFN 02 a terminal sends (login, logout, heartbeat); 0 for anything else."""
    if frame.afn != Afn.LINK or not frame.starts:
        return 0
    return next((item for item in _NAMES if frame.body[:4] == identifier(0, item)), 0)


def _reply(frame: Frame, unit: bytes) -> Frame:
    """A confirmation or denial of what a terminal sent; its time tag goes back with it."""
    control = Control.CONFIRM if frame.afn == Afn.LINK else Control.TAKEN
    seq = sequence(frame.number)
    return Frame(control, frame.address, Afn.CONFIRM, seq, unit, tag=frame.tag, protocol=frame.protocol)
