"""Committed commands go in, driven and read-back relays come out: the only module through which an order leaves.

For each command due: a fresh session where one is needed, the send transaction (``control/sending.py``), the drive, and
the read-back (``control/outcomes.py``), each step its own commit, so that a crash between any two of them finds a row
that says how far it came. Reconnections go first and wait for nobody; a disconnection waits while its gateway is busy.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from control import assemble, commands, evidence, journal, outcomes, sending, settings, visits
from control.assemble import World
from control.errors import OutOfDate
from control.outcomes import Told
from control.records import Action, Command, CommandState
from control.signals import Visit
from ingest.ports import Clock, Link
from ingest.records import Drive, DriveOutcome, DriveResult, Finding, MeterPoint, Poll, RelayReport, RelayState
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1)
CLOCK_BACK = timedelta(minutes=2)  # a step that is more than the ordinary correction of a clock
NOTHING_LEFT = f"link_{OutOfDate.__name__}"  # the link's last look at the fence stopped the order
Tell = Callable[[Unit, Told, World], None]


class Dispatcher:
    """Sends what is queued and resolves what is unknown; ``tell`` writes the notices that an outcome asks for."""

    def __init__(
        self, store: Store, clock: Clock, links: Mapping[str, Link], world: Callable[[], World], tell: Tell
    ) -> None:
        """``world`` makes the world as of now; nothing is sent before ``launch``."""
        self._store = store
        self._clock = clock
        self._links = links
        self._world = world
        self._tell = tell
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._gateways: dict[str, str] = {}  # command under way -> its gateway
        self._quiet: tuple[int | None, datetime, datetime] = (None, _EPOCH, _EPOCH)  # at these commits none is due
        self.draining = False  # no new disconnections leave any more
        self.failure: BaseException | None = None
        self.wake: Callable[[], None] = lambda: None

    async def run_once(self) -> int:
        """Launch all that is due and wait until it has come as far as it can now; how many commands were touched."""
        touched = 0
        limits = self._world().settings
        for _ in range(commands.MAX_DRIVES * 2):
            started = self.launch()
            if not started and not self._tasks:
                break
            touched += started
            await self.settled()
            if touched > limits.command_batch:
                break
        return touched

    def launch(self) -> int:
        """Start a task for each command that is due and not under way; reconnections first. Returns how many.

        Where nothing was due and nothing has been committed since, nothing is read before the next one's time.
        """
        world, stamp = self._world(), self._store.commits
        known, since, until = self._quiet
        if stamp is not None and stamp == known and since <= world.now < until:
            return 0
        if len(self._tasks) >= world.settings.concurrency:
            return 0  # whoever comes to an end wakes the loop
        return self._store.read(lambda reader: self._launch(reader, world, stamp))

    def _launch(self, reader: Reader, world: World, stamp: int | None) -> int:
        """Start what is due in order of urgency, as far as there are places; only those are looked up."""
        due, soonest = self._due(reader, world)
        self._quiet = (None if due else stamp, world.now, soonest)
        most, started = world.settings.concurrency, 0
        for command in due:
            if len(self._tasks) >= most:
                break
            cuts = command.action is Action.DISCONNECT
            if command.command in self._tasks or (cuts and len(self._tasks) >= max(most // 2, 1)):
                continue  # half of the places are for who comes back on
            points = reader.find(MeterPoint, meter=command.meter)
            gateway = points[0].gateway if points else ""
            if cuts and gateway in self._gateways.values():
                continue
            self._start(command, points[0] if points else None, gateway)
            started += 1
        return started

    async def settled(self) -> None:
        """Wait for every command under way."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))
            await asyncio.sleep(0)
        self.check()

    def check(self) -> None:
        """Raise what broke a task (the store failed, never a link): nothing more may leave."""
        if self.failure is not None:
            raise self.failure

    def abort(self) -> None:
        """Stop waiting for answers, as a crash would: rows stay as they are and are read back later."""
        for task in list(self._tasks.values()):
            task.cancel()

    @property
    def next_at(self) -> datetime:
        """A time before which no command that waits now falls due, as the last look saw it."""
        return self._quiet[2]

    @property
    def busy(self) -> int:
        """How many commands are under way."""
        return len(self._tasks)

    def _start(self, command: Command, point: MeterPoint | None, gateway: str) -> None:
        task = asyncio.ensure_future(self._work(command, point))
        self._tasks[command.command] = task
        self._gateways[command.command] = gateway

        def done(finished: asyncio.Task[None]) -> None:
            self._tasks.pop(command.command, None)
            self._gateways.pop(command.command, None)
            if not finished.cancelled() and finished.exception() is not None:
                self.failure = finished.exception()
            self.wake()

        task.add_done_callback(done)

    def _due(self, reader: Reader, world: World) -> tuple[list[Command], datetime]:
        """Live commands whose time has come, most urgent first; and when the soonest is due."""
        times = [(row, due_at(row, world.settings.sent_timeout_s, world.now)) for row in journal.live(reader)]
        due = [row for row, at in times if at <= world.now][: world.settings.command_batch]
        return due, min((at for _, at in times), default=datetime.max)

    async def _work(self, command: Command, point: MeterPoint | None) -> None:
        """Bring one command as far as it comes now."""
        if command.state in (CommandState.SENT, CommandState.ACKNOWLEDGED):
            await self._commit(lambda unit: self._orphan(unit, command.command))
        elif command.state in (CommandState.REQUESTED, CommandState.AUTHORISED, CommandState.QUEUED):
            sent = await self._send(command, point)
            if sent is None or point is None:
                return
            await self._drive(sent, point)
        await self._look(command.command, point)

    def _orphan(self, unit: Unit, command_id: str) -> None:
        found = unit.get(Command, command_id)
        if found is not None and found.state in (CommandState.SENT, CommandState.ACKNOWLEDGED):
            outcomes.timed_out(unit, found, self._world())

    async def _send(self, command: Command, point: MeterPoint | None) -> Command | None:
        """Session, then the send transaction; what cannot be reached waits and tries again."""
        world = self._world()
        link = self._links.get(point.gateway) if point else None
        waiting = command.state in (CommandState.REQUESTED, CommandState.AUTHORISED)
        if waiting or link is None or point is None or world.now >= command.valid_until:
            why = "no_approval" if waiting else "no_link"
            await self._commit(lambda unit: self._waits(unit, command.command, why))
            return None
        install = self._store.read(lambda reader: assemble.meter_of(reader, command.account, world.now))
        moved = install is None or install.meter != command.meter
        if not moved and self._needs_session(command):
            if self.draining and command.action is Action.DISCONNECT:
                return None
            poll = await self._poll(link, point)
            if not poll.ok:
                await self._commit(lambda unit: self._unreached(unit, command, poll))
                return None
            await self._commit(lambda unit: visits.keep(unit, poll, command.account, world.settings))
        if self.draining and command.action is Action.DISCONNECT:
            return None
        return await self._commit(lambda unit: sending.send(unit, command.command, self._world()))

    def _needs_session(self, command: Command) -> bool:
        """A disconnection needs serial, register and load of this session; a reconnection only a serial, ever."""
        visit = self._store.read(lambda reader: reader.get(Visit, command.meter))
        if command.action is Action.CONNECT:
            return visit is None or not visit.serial
        return True

    def _waits(self, unit: Unit, command_id: str, why: str) -> None:
        """A command that cannot leave: expire it in its time, else look again later."""
        world, found = self._world(), unit.get(Command, command_id)
        if found is None or found.state not in commands.LIVE or found.state in commands.LEFT:
            return
        if world.now >= found.valid_until:
            sending.lapse(unit, found, world)
            return
        again = world.now + timedelta(seconds=commands.backoff_s(found.attempts + 1))
        unit.put(replace(found, next_at=min(again, found.valid_until), updated=world.now, outcome=why))

    def _unreached(self, unit: Unit, command: Command, poll: Poll) -> None:
        """The session gave nothing: back off; what the device said is kept."""
        world, found = self._world(), unit.get(Command, command.command)
        for finding in poll.findings:
            unit.add(finding)
        if found is None or found.state is not CommandState.QUEUED:
            return
        if world.now >= found.valid_until:
            sending.lapse(unit, found, world)
            return
        age_s = int((world.now - found.requested).total_seconds())
        pause = max(commands.BACKOFF_FIRST_S, min(age_s, commands.BACKOFF_LIMIT_S))
        again = min(world.now + timedelta(seconds=pause), found.valid_until)
        unit.put(replace(found, next_at=again, updated=world.now, outcome="unreachable"))

    async def _poll(self, link: Link, point: MeterPoint) -> Poll:
        """One session for register, load, serial and relay; silence is a poll without reads."""
        slot = timedelta(minutes=point.slot_min)
        now = self._clock.now()
        end = _EPOCH + (now - _EPOCH) // slot * slot
        answer = await self._within(link.poll(point, end))
        if isinstance(answer, Poll):
            return replace(answer, at=settings.to_ms(answer.at))
        return Poll(point.meter, now, findings=(Finding("no_session", now, point.meter, point.gateway, answer),))

    async def _drive(self, sent: Command, point: MeterPoint) -> None:
        """Let the order leave; whatever is not a plain answer is unknown."""
        order = Drive(sent.command, sent.meter, sent.action.value, sent.fence, sent.valid_until)
        answer = await self._within(self._links[point.gateway].drive(point, order))
        if not isinstance(answer, DriveOutcome):
            result = DriveResult.UNREACHABLE if answer == NOTHING_LEFT else DriveResult.UNKNOWN
            answer = DriveOutcome(sent.command, self._clock.now(), result, answer)
        outcome = answer
        await self._commit(lambda unit: self._told(unit, outcomes.driven(unit, sent.command, outcome, self._world())))

    async def _look(self, command_id: str, point: MeterPoint | None) -> None:
        """Read back; only while the command waits for evidence. A meter that nobody can ask stays unknown."""
        found = self._store.read(lambda reader: reader.get(Command, command_id))
        link = self._links.get(point.gateway) if point else None
        if found is None or found.state not in commands.LEFT:
            return
        if link is None or point is None:
            now = settings.to_ms(self._clock.now())
            report = RelayReport(found.meter, now, RelayState.UNKNOWN, source="no_link")
        else:
            report = await self.read_back(link, point)
        await self._commit(
            lambda unit: self._told(unit, outcomes.looked(unit, command_id, evidence.seen(report), self._world()))
        )

    async def read_back(self, link: Link, point: MeterPoint) -> RelayReport:
        """What the relay says of itself now; silence is unknown, and so is an old answer or another meter's."""
        asked = settings.to_ms(self._clock.now())
        answer = await self._within(link.relay(point))
        if isinstance(answer, RelayReport):
            source = "other_meter" if answer.meter != point.meter else "stale"
            if answer.meter == point.meter and settings.to_ms(answer.at) >= asked:
                return replace(answer, at=settings.to_ms(answer.at))
            answer = source
        return RelayReport(point.meter, settings.to_ms(self._clock.now()), RelayState.UNKNOWN, source=answer)

    def _told(self, unit: Unit, told: Told) -> None:
        self._tell(unit, told, self._world())

    async def _within(self, answer: Awaitable[T]) -> T | str:
        """An answer within its time, or the word for why there is none; a link that fails stops nothing else."""
        try:
            async with asyncio.timeout(self._world().settings.answer_s):
                return await answer
        except TimeoutError:
            return "timeout"
        except Exception as error:
            return f"link_{type(error).__name__}"

    async def _commit(self, work: Callable[[Unit], T]) -> T:
        return await self._store.commit(Priority.COMMAND, work)


def due_at(command: Command, sent_timeout_s: int, now: datetime) -> datetime:
    """When a live command is to be looked at: in its time, at its expiry, or when a sent one was left behind.

    A command last touched "later" than now was so before the host clock was set back: it is due at once, because no
    pause of its own is that long and who paid must not wait for the clock to catch up.
    """
    if command.updated > now + CLOCK_BACK:
        return now
    if command.state is CommandState.SENT:
        return (command.sent_at or command.updated) + timedelta(seconds=sent_timeout_s)
    if command.state in (CommandState.REQUESTED, CommandState.AUTHORISED):
        return command.valid_until
    at = command.next_at or _EPOCH
    return min(at, command.valid_until) if command.state is CommandState.QUEUED else at
