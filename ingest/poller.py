"""Meter points and their links go in, committed reads and counted findings come out, one cycle after the other.

Links run side by side; the meters of one link one after the other, or as many at a time as the link's ``depth`` says.
A meter that fails comes after those that answer and is held back by the quarantine, a gateway that cannot be reached is
left alone for the rest of the cycle, and one whose turn takes long goes on beside the next cycles: nobody else waits
for any of them. What is read is handed to the sink before its slot counts as done; what is missing is filled from load
profiles, oldest first.
"""

import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from ingest import drivers as installed
from ingest.errors import IngestError
from ingest.model import Driver
from ingest.plan import EPOCH, Due, due, slot_floor
from ingest.ports import Clock, GapStore, Link, ReadSink
from ingest.quarantine import Quarantine
from ingest.records import Finding, MeterPoint, MeterRead, Poll

Observer = Callable[[MeterPoint, Poll], Awaitable[None]]
"""Told of every poll, good or bad, before its reads are handed on: evidence of relay, load and identity."""

_ASK_AGAIN = frozenset({"unstable_value", "not_available"})  # a register is missing: the slot is not done
_NOT_THE_DEVICE = frozenset(
    {
        "unreachable",
        "early_read",
        "no_load_profile",
        "profile_error",
        "line_closed",
        "draining",
        "not_heard",
        "stale_value",
    }
)
_NOTHING_THERE = frozenset({"clock_off", "no_clock", "off_slot", "no_load_profile"})  # said beside an empty profile


_DAY_MIN = 1440


@dataclass(frozen=True, slots=True)
class Pacing:
    """Limits of one cycle. ``window_s`` spreads the calls of a slot, ``deadline_s`` bounds one visit, ``batch`` meters
    are committed together; a cycle waits for at most ``turn_s`` for its links, slower ones go on beside the next;
    ``backfill_calls`` profile requests per link are made at most every ``backfill_every``, a
    gap that gave nothing rests for ``backfill_rest``, and gaps older than ``backfill_days`` are left. Where the device
    answered and has no such rows, the gap rests as long again as it is old, at most for ``backfill_empty``.
    """

    window_s: int = 0
    deadline_s: float = 60.0
    turn_s: float = 120.0  # a serial line of 32 meters takes most of a minute, with some time-outs two
    batch: int = 64
    backfill_calls: int = 8
    backfill_every: timedelta = timedelta(minutes=5)
    backfill_rest: timedelta = timedelta(minutes=30)
    backfill_empty: timedelta = timedelta(days=1)
    backfill_days: int = 60


@dataclass(slots=True)
class CycleReport:
    """What one cycle did: meters ``due``, ``polled`` well, ``failed``, ``held`` back; rows by the sink's word.

    ``busy`` links had not finished their turn when the cycle ended; what they do is told by the cycle that sees it.
    """

    at: datetime
    due: int = 0
    busy: int = 0
    polled: int = 0
    failed: int = 0
    held: int = 0
    reads: int = 0
    new: int = 0
    duplicate: int = 0
    conflict: int = 0
    backfilled: int = 0
    findings: Counter[str] = field(default_factory=Counter)

    def add(self, other: "CycleReport") -> None:
        """Count what one link's turn did."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.findings.update(other.findings)


@dataclass(slots=True)
class _Turn:
    """One link's turn under way: the calls left, what was read and not committed, who is asked again alone."""

    gateway: str
    link: Link
    now: datetime
    report: CycleReport
    calls: deque[Due]
    batch: list[tuple[Due, Poll]] = field(default_factory=list)
    alone: deque[Due] = field(default_factory=deque)
    allowed: deque[Due] = field(default_factory=deque)  # the quarantine was asked for these already
    single: bool = False
    reachable: bool = True

    def taken(self) -> list[tuple[Due, Poll]]:
        """Take the batch away to be committed."""
        batch, self.batch = self.batch, []
        return batch


_COUNTS = ("polled", "failed", "held", "reads", "new", "duplicate", "conflict", "backfilled")


class Poller:
    """Polls every due meter through its link; ``points`` and ``links`` may be replaced between cycles."""

    def __init__(
        self,
        clock: Clock,
        links: Mapping[str, Link],
        points: Sequence[MeterPoint],
        sink: ReadSink,
        gaps: GapStore,
        *,
        pacing: Pacing | None = None,
        seen: Observer | None = None,
        quarantine: Quarantine | None = None,
        drivers: Mapping[str, Driver] | None = None,
        offload: Callable[[Callable[[], Sequence[Due]]], Awaitable[Sequence[Due]]] | None = None,
    ) -> None:
        """``links`` by gateway; ``gaps`` says what is stored: asked by ``offload``, beside the loop: it takes long."""
        self.links = links
        self.points = points
        self.quarantine = quarantine if quarantine is not None else Quarantine()
        self.findings: Counter[str] = Counter()
        self._clock = clock
        self._sink = sink
        self._gaps = gaps
        self._pacing = pacing if pacing is not None else Pacing()
        self._seen = seen
        self._drivers = drivers if drivers is not None else installed.drivers()
        self._offload = offload
        self._done: dict[int, datetime] = {}
        self._filled_at: dict[str, datetime] = {}
        self._resting: dict[tuple[int, datetime], datetime] = {}
        self._turns: dict[str, tuple[asyncio.Task[None], CycleReport]] = {}
        self._storing: dict[str, list[MeterPoint]] = {}

    async def cycle(self, now: datetime, *, whole: bool = False) -> CycleReport:
        """Read who is due at ``now`` and fill gaps; returns when every link had its turn, or after ``turn_s``.

        ``whole`` waits for every link: for whoever runs one cycle and no next one.

        Raises only what is ours (a sink that cannot commit); the field's faults are in the report and at the sink.
        """
        report = CycleReport(at=now)
        calls: dict[str, list[Due]] = {point.gateway: [] for point in self.points}
        self._storing = {gateway: [] for gateway in calls}
        for point in self.points:
            if (known := self._drivers.get(point.model)) is not None and known.load_profile:
                self._storing[point.gateway].append(point)
        asked = partial(self._due, now)
        for call in asked() if self._offload is None else await self._offload(asked):
            calls[call.point.gateway].append(call)
            report.due += 1
        loop = asyncio.get_running_loop()
        self._collect(report)  # a turn that ended since must not keep its link from this cycle
        for gateway in sorted(calls):
            if gateway not in self._turns:
                turn = CycleReport(at=now)
                self._turns[gateway] = loop.create_task(self._gateway(gateway, calls[gateway], now, turn)), turn
        await self._wait(report, None if whole else self._pacing.turn_s)
        self.findings.update(report.findings)
        return report

    async def _wait(self, report: CycleReport, most_s: float | None) -> None:
        """Wait for the turns that run, at most ``most_s``, and count those that ended."""
        running = [task for task, _ in self._turns.values()]
        if not running:
            return
        try:
            await asyncio.wait(running, timeout=most_s)
        except asyncio.CancelledError:
            await self.close()
            raise
        self._collect(report)
        report.busy += len(self._turns)

    def _collect(self, report: CycleReport) -> None:
        """Count the turns that ended and give their links back; raise what was ours in them."""
        errors: list[Exception] = []
        for gateway, (task, turn) in list(self._turns.items()):
            if not task.done():
                continue
            del self._turns[gateway]
            report.add(turn)
            error = task.exception()
            if isinstance(error, Exception):
                errors.append(error)
        if errors:
            raise ExceptionGroup("turns of links ended in errors of ours", errors)

    async def close(self) -> None:
        """End the turns that still run; what they committed stays."""
        running = [task for task, _ in self._turns.values()]
        self._turns.clear()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _due(self, now: datetime) -> tuple[Due, ...]:
        """Who is due; a meter seen for the first time (or after a restart) asks the gap store what it has."""
        calls = due(self.points, self._done, now, window_s=self._pacing.window_s)
        unknown = [call for call in calls if call.point.meter_id not in self._done]
        for call in unknown:
            point = call.point
            start = call.slot_end - timedelta(minutes=point.slot_min)
            stored = not self._gaps.gaps(point.meter_id, start, call.slot_end)
            self._done[point.meter_id] = call.slot_end if stored else start
        return due(self.points, self._done, now, window_s=self._pacing.window_s) if unknown else calls

    async def _gateway(self, gateway: str, calls: Sequence[Due], now: datetime, report: CycleReport) -> None:
        """The turn of one link: due meters first, gaps afterwards."""
        link = self.links.get(gateway)
        if link is None:
            if calls:
                detail = (
                    f"{len(calls)} meters name gateway {gateway!r}, which is not configured: add it or correct them"
                )
                await self._report(report, (Finding("no_link", now, gateway=gateway, detail=detail),))
                report.failed += len(calls)
            return
        turn = _Turn(gateway, link, now, report, deque(sorted(calls, key=self._trouble)))
        workers = min(getattr(link, "depth", 1), len(calls))
        if workers > 1 and hasattr(link, "sweep"):
            await self._sweep(turn, link.sweep)
        if workers > 1 and (turn.calls or turn.allowed):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(workers):
                    tasks.create_task(self._work(turn))
        else:
            await self._work(turn)
        turn.allowed, turn.alone = turn.alone, deque()
        turn.single = True
        await self._work(turn)
        await self._commit(gateway, turn.taken(), report)
        if turn.reachable:
            await self._fill(gateway, link, now, report)

    def _trouble(self, call: Due) -> int:
        """Meters that failed last time come after the others: their time-outs cost nobody anything."""
        return self.quarantine.failures(call.point.meter)

    def _following(self, turn: "_Turn") -> Due | None:
        """The next meter that may be called; those that may not are counted as held."""
        while turn.allowed or turn.calls:
            asked = bool(turn.allowed)
            call = turn.allowed.popleft() if asked else turn.calls.popleft()
            if turn.reachable and (asked or self.quarantine.allows(call.point.meter, turn.now)):
                return call
            turn.report.held += 1
        return None

    async def _work(self, turn: "_Turn") -> None:
        """Visit one meter of the turn after the other until none is left."""
        while (call := self._following(turn)) is not None:
            await self._take(turn, call, await self._visit(turn.link, call))
            if len(turn.batch) >= self._pacing.batch:
                await self._commit(turn.gateway, turn.taken(), turn.report)

    async def _sweep(self, turn: "_Turn", sweep: Callable[..., Awaitable[None]]) -> None:
        """Let the link visit all meters of the turn by itself; it goes on while one batch is being committed."""
        again: deque[Due] = deque()
        async with asyncio.TaskGroup() as tasks:
            commits: list[asyncio.Task[None]] = []

            async def took(found: Sequence[tuple[Due, Poll | None]]) -> None:
                for call, poll in found:
                    if poll is None:
                        again.append(call)
                    else:
                        await self._take(turn, call, poll)
                if len(turn.batch) >= self._pacing.batch:
                    if commits:
                        await commits.pop()
                    commits.append(tasks.create_task(self._commit(turn.gateway, turn.taken(), turn.report)))

            await sweep(lambda: self._following(turn), took, deadline_s=self._pacing.deadline_s)
        turn.allowed = again

    async def _take(self, turn: "_Turn", call: Due, poll: Poll) -> None:
        """Judge one visit; what another's fault spoilt is asked again alone."""
        codes = {finding.code for finding in poll.findings}
        turn.reachable = turn.reachable and "unreachable" not in codes
        if "line_closed" in codes and not turn.single:
            turn.alone.append(call)
            return
        await self._judge(call.point, poll, turn.now, turn.report)
        turn.batch.append((call, poll))

    async def _visit(self, link: Link, call: Due) -> Poll:
        return await self._guarded(call.point, lambda: link.poll(call.point, call.slot_end))

    async def _guarded(self, point: MeterPoint, work: Callable[[], Awaitable[Poll]]) -> Poll:
        """One call on a link within its deadline; a wrong profile is that meter's finding and stops no other."""
        try:
            async with asyncio.timeout(self._pacing.deadline_s):
                return await work()
        except TimeoutError:
            code, detail = "deadline", f"no result within {self._pacing.deadline_s:g} s: look at the link"
        except IngestError as error:
            code, detail = "profile_error", str(error)
        at = self._clock.now()
        return Poll(point.meter, at, findings=(Finding(code, at, point.meter, point.gateway, detail),))

    async def _judge(self, point: MeterPoint, poll: Poll, now: datetime, report: CycleReport) -> None:
        """Count the visit, tell the quarantine and the observer."""
        findings = list(poll.findings)
        if poll.ok:
            report.polled += 1
            if self.quarantine.succeeded(point.meter):
                findings.append(Finding("recovered", poll.at, point.meter, point.gateway, "answers again"))
        else:
            report.failed += 1
            own = any(finding.code not in _NOT_THE_DEVICE for finding in poll.findings)
            if own and self.quarantine.failed(point.meter, now):
                detail = "held back after repeated failures; one probe when its time is over"
                findings.append(Finding("quarantined", poll.at, point.meter, point.gateway, detail))
        if self._seen is not None:
            await self._seen(point, poll)
        await self._report(report, findings)

    async def _commit(self, gateway: str, batch: Sequence[tuple[Due, Poll]], report: CycleReport) -> None:
        """Hand the reads on; only what is committed counts as done."""
        good = [(call, poll) for call, poll in batch if poll.ok]
        if not good:
            return
        await self._accept(gateway, [read for _, poll in good for read in poll.reads], report)
        for call, poll in good:
            if not any(finding.code in _ASK_AGAIN for finding in poll.findings):
                self._done[call.point.meter_id] = call.slot_end

    async def _accept(self, gateway: str, reads: Sequence[MeterRead], report: CycleReport) -> int:
        """Commit ``reads`` under an id made of their content; returns how many were new."""
        body = repr([(r.meter_id, int(r.channel), r.end, r.register_wh, r.flags, r.offset_s) for r in reads])
        source_seq = hashlib.sha256(body.encode()).hexdigest()[:32]
        receipt = await self._sink.accept(f"poll:{gateway}", source_seq, reads, self._clock.now())
        report.reads += len(reads)
        report.new += receipt.new
        report.duplicate += receipt.duplicate
        report.conflict += receipt.conflict
        return receipt.new

    async def _report(self, report: CycleReport, findings: Sequence[Finding]) -> None:
        if findings:
            report.findings.update(finding.code for finding in findings)
            await self._sink.found(findings)

    async def _fill(self, gateway: str, link: Link, now: datetime, report: CycleReport) -> None:
        """Fill the oldest gaps of one link's meters from their load profiles, a few at a time."""
        if now - self._filled_at.get(gateway, EPOCH) < self._pacing.backfill_every:
            return
        self._filled_at[gateway] = now
        asked: list[tuple[MeterPoint, datetime, datetime, Poll]] = []
        for point, start, end in self._missing(gateway, now)[: self._pacing.backfill_calls]:
            if not self.quarantine.allows(point.meter, now):
                continue
            poll = await self._guarded(point, lambda p=point, s=start, e=end: link.profile(p, s, e))  # type: ignore[misc]
            await self._report(report, poll.findings)
            asked.append((point, start, end, poll))
            if any(finding.code == "unreachable" for finding in poll.findings):
                break
        if reads := [read for *_, poll in asked for read in poll.reads]:
            report.backfilled += await self._accept(gateway, reads, report)
        for point, start, end, poll in asked:
            if self._gaps.gaps(point.meter_id, start, end) == [(start, end)]:  # nothing of it came
                self._resting[point.meter_id, start] = now + self._rest(poll, now - end)

    def _rest(self, poll: Poll, age: timedelta) -> timedelta:
        """How long a gap is left alone that gave nothing and ended ``age`` ago."""
        shortly, long = self._pacing.backfill_rest, self._pacing.backfill_empty
        answered = all(finding.code in _NOTHING_THERE for finding in poll.findings)
        return max(shortly, min(age, long)) if answered else shortly

    def _missing(self, gateway: str, now: datetime) -> list[tuple[MeterPoint, datetime, datetime]]:
        """Gaps of the link's meters that store a profile, oldest first, without those that rest."""
        found: list[tuple[datetime, int, MeterPoint, datetime]] = []
        for point in self._storing.get(gateway, ()):
            until = slot_floor(now, point.slot_min)
            since = slot_floor(until - timedelta(days=self._pacing.backfill_days), _DAY_MIN)  # same start all day
            for start, end in self._gaps.gaps(point.meter_id, since, until):
                if self._resting.get((point.meter_id, start), now) <= now:
                    self._resting.pop((point.meter_id, start), None)
                    found.append((start, point.meter_id, point, end))
        return [(point, start, end) for start, _, point, end in sorted(found, key=lambda item: item[:2])]
