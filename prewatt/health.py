"""One snapshot of the store goes in; what status prints, /readyz tests and /metrics counts comes out."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from control.commands import ENDS as END_STATES
from control.records import Command, Incident, Notice, WorkOrder
from prewatt.config import Config
from storage.pulse import Pulse, pulse
from storage.records import Account
from storage.store import Store
from storage.unit import Reader

MB = 1_000_000
ENDS = frozenset(state.value for state in END_STATES)


@dataclass(frozen=True, slots=True)
class Health:
    """The home's state in numbers; ages in seconds, None where there is nothing to be old."""

    at: datetime
    pulse: Pulse
    accounts: int
    commands: dict[tuple[str, str], int]  # (action, state) -> how many
    verify_s: tuple[float, ...]  # of the newest verified commands: from request to verified
    notices: dict[str, int]  # state -> how many
    incidents: int
    orders: int
    ledger_sum: int
    disk_free: int
    failure: str = ""

    @property
    def read_age_s(self) -> float | None:
        """Since the newest read was accepted."""
        return _age(self.at, self.pulse.newest_at)

    @property
    def rating_lag_s(self) -> float:
        """Since the oldest batch that waits for rating was accepted; 0 when none waits."""
        return _age(self.at, self.pulse.waiting_since) or 0.0


@dataclass(slots=True)
class Probe:
    """What the daemon knows of itself that no snapshot holds: when the engine's last turn ended, and who is gone."""

    turned: datetime | None = None
    broker: Callable[[], bool] | None = None  # whether the broker is connected; None: none is configured
    error: str = ""
    counts: Counter[str] = field(default_factory=Counter)


def look(store: Store, config: Config) -> Health:
    """Feel the store's pulse now."""
    free = shutil.disk_usage(config.home.root).free
    failure = "" if store.failure is None else str(store.failure)
    return store.read(lambda reader: _look(reader, store.clock.now(), free, failure))


def _look(reader: Reader, now: datetime, free: int, failure: str) -> Health:
    commands = reader.find(Command, order="-requested")
    done = [c for c in commands if c.verified_at is not None][:1000]
    return Health(
        at=now,
        pulse=pulse(reader),
        accounts=reader.count(Account),
        commands=_count((c.action.value, c.state.value) for c in commands),
        verify_s=tuple((c.verified_at - c.requested).total_seconds() for c in done if c.verified_at),
        notices={state: reader.count(Notice, state=state) for state in ("queued", "sent", "delivered", "failed")},
        incidents=reader.count(Incident, closed__null=True),
        orders=reader.count(WorkOrder, state__in=["open", "assigned"]),
        ledger_sum=reader.ledger_sum(),
        disk_free=free,
        failure=failure,
    )


def _count(keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    return dict(sorted(Counter(keys).items()))


def _age(now: datetime, at: datetime | None) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())


def readiness(health: Health, config: Config, probe: Probe) -> dict[str, dict[str, Any]]:
    """Each test of progress by name: whether it holds, what was found and what was wanted."""
    limits = config.limits
    expects = bool(config.gateway) or config.broker.enabled
    connected = probe.broker() if probe.broker is not None else None
    age, want = health.read_age_s, limits.read_age_min * 60
    tests = {
        "store": (not health.failure, health.failure or "writes", "writes"),
        "reads": (not expects or (age is not None and age <= want), age, f"newest read at most {want} s old"),
        "rating": (health.rating_lag_s <= limits.rating_lag_min * 60, health.rating_lag_s, limits.rating_lag_min * 60),
        "engine": (not probe.error, probe.error or "turns", "turns"),
        "broker": (connected is not False, connected, "connected where one is configured"),
        "disk": (health.disk_free >= limits.disk_free_mb * MB, health.disk_free // MB, limits.disk_free_mb),
        "ledger": (health.ledger_sum == 0, health.ledger_sum, 0),
    }
    return {name: {"ok": ok, "found": found, "want": wanted} for name, (ok, found, wanted) in tests.items()}


def metrics(health: Health, probe: Probe, jobs: Mapping[str, datetime] | None = None) -> str:
    """Prometheus text format 0.0.4, by hand; no account labels, so that its size never grows with the customers.

    ``jobs``: the start of the last turn that each job of the engine finished.
    """
    lines: list[str] = []

    def metric(name: str, kind: str, text: str, samples: Iterable[tuple[str, float | int]]) -> None:
        lines.append(f"# HELP {name} {text}")
        lines.append(f"# TYPE {name} {kind}")
        lines.extend(
            f"{name}{labels} {value:g}" if isinstance(value, float) else f"{name}{labels} {value}"
            for labels, value in samples
        )

    age = health.read_age_s
    metric("prewatt_reads_total", "counter", "Reads accepted, ever.", [("", health.pulse.reads)])
    metric(
        "prewatt_read_age_seconds", "gauge", "Since the newest read was accepted.", [] if age is None else [("", age)]
    )
    metric("prewatt_rating_lag_seconds", "gauge", "Age of the oldest batch not rated yet.", [("", health.rating_lag_s)])
    metric("prewatt_rating_waiting_batches", "gauge", "Batches not rated yet.", [("", health.pulse.waiting)])
    metric("prewatt_accounts", "gauge", "Accounts.", [("", health.accounts)])
    ended = [(_labels(key), count) for key, count in health.commands.items() if key[1] in ENDS]
    metric("prewatt_commands_total", "counter", "Relay commands that ended, by action and end.", ended)
    live = [(_labels(key), count) for key, count in health.commands.items() if key[1] not in ENDS]
    metric("prewatt_commands_live", "gauge", "Relay commands under way, by action and state.", live)
    metric("prewatt_command_verify_seconds", "summary", "From request to verified.", _summary(health.verify_s))
    metric(
        "prewatt_notices", "gauge", "Notices by state.", [(f'{{state="{s}"}}', n) for s, n in health.notices.items()]
    )
    metric("prewatt_incidents_open", "gauge", "Incidents that nobody closed.", [("", health.incidents)])
    metric("prewatt_work_orders_open", "gauge", "Work orders open or assigned.", [("", health.orders)])
    metric("prewatt_ledger_sum_micro", "gauge", "What the ledger sums to; always 0.", [("", health.ledger_sum)])
    metric("prewatt_disk_free_bytes", "gauge", "Room on the store's disk.", [("", health.disk_free)])
    findings = [(f'{{code="{code}"}}', count) for code, count in health.pulse.findings.items()]
    metric("prewatt_findings_total", "counter", "Faults of the field, kept and counted by code.", findings)
    turns = [
        (f'{{job="{name}"}}', int(at.replace(tzinfo=UTC).timestamp())) for name, at in sorted((jobs or {}).items())
    ]
    metric("prewatt_job_seconds", "gauge", "Start of the last finished turn of each job, Unix time.", turns)
    events = [(f'{{event="{name}"}}', count) for name, count in sorted(probe.counts.items())]
    metric("prewatt_daemon_events_total", "counter", "What the daemon did since it started.", events)
    return "\n".join(lines) + "\n"


def _labels(key: tuple[str, str]) -> str:
    return f'{{action="{key[0]}",state="{key[1]}"}}'


def _summary(values: tuple[float, ...]) -> list[tuple[str, float | int]]:
    """Quantiles over the newest commands, as a Prometheus summary without count and sum."""
    ordered = sorted(values)
    if not ordered:
        return []
    return [(f'{{quantile="{q}"}}', float(ordered[min(len(ordered) - 1, int(q * len(ordered)))])) for q in (0.5, 0.95)]
