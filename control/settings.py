"""Every limit of the engine in one place: how long, how often, how many, each with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

CONNECT_REASON_WRONG = "wrong_disconnection"


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and routes of one engine. Times in seconds; the defaults are those of the safety rules."""

    fresh_read_s: int = 15 * 60  # register and load read at most this long before a disconnection leaves (G2)
    answer_s: float = 60.0  # a drive or read-back without an answer is unknown after this
    sent_timeout_s: int = 120  # a `sent` found this old (a crash) becomes unknown
    read_back_again_s: int = 15  # pause before the next look at a relay that is not where it should be
    guard_retry_s: int = 60  # pause before guards that only wait for time are asked again
    crew_after_s: int = 15 * 60  # reconnect clock: a crew is called
    hard_limit_s: int = 60 * 60  # reconnect clock: a breach
    ready_call_s: int = 2 * 3600  # a relay that waits for the customer's hand: then somebody calls
    dark_check_s: int = 2 * 3600  # closed by its own word, but no load since: then somebody looks
    clock_step_s: int = 120  # a host clock that steps further holds disconnections
    trust_clock: bool = False  # a declared test clock may jump: its steps hold nothing
    clock_trust_s: int = 15 * 60  # how long after a step it must have run true again
    device_clock_s: int = 120  # a meter's clock that is further off refuses disconnections only
    live_channel_s: int = 15 * 60  # a live payment channel is reconciled within this
    file_channel_s: int = 26 * 3600  # a daily payment file is in within this
    override_feed_s: int = 24 * 3600  # the weather and emergency feed is fresh within this
    remedy_s: int = 72 * 3600  # no automatic cut after a wrong disconnection
    compensation_micro: int = 0  # paid into the account after a wrong disconnection, by the house's rules
    due_days: int = 15  # post-paid: a bill is due so many days after its period
    unknown_order_s: int = 24 * 3600  # a relay unknown this long is looked at on site
    shadow_days: int = 0  # a class is only watched so long after it first has accounts; the house says how long
    approval_s: int = 24 * 3600  # a request that nobody approved is dropped
    sweep_s: int = 300  # accounts whose supply is not simply on are looked at again
    offload: bool = True  # rate and publish in a worker thread; False on virtual time
    pickup_w: int = 3_000  # what an account without pickup_w draws when it comes back on
    history_days: int = 28  # of hourly use behind a forecast
    slice_size: int = 100  # accounts decided in one transaction
    concurrency: int = 64  # commands under way at once, over all links
    command_batch: int = 2_000  # commands looked at in one turn
    notify_s: float = 15.0  # between two looks at the notices' outbox
    notice_batch: int = 1_000  # notices sent in one turn
    notice_concurrency: int = 16
    notice_tries: int = 8
    notice_s: float = 30.0  # one channel's time for one message
    notice_age_s: int = 3 * 86_400  # an older notice is not sent any more: it would only confuse
    drain_s: float = 8.0  # commands under way may finish this long after a stop
    idle_s: float = 5.0  # the engine's turn when nothing wakes it
    cycle_s: int = 3600  # the hourly cycle of collect, rate, decide
    cycle_after_s: int = 30  # after the full hour, so that the slot's registers stand
    publish_s: int = 300
    raw_days: int = 90  # what came over the wire is kept so long, and 0 keeps nothing
    raw_mib: int = 2_048  # and at most so much of it
    catalog: bool = True  # a fresh catalog at each publish; False: only the lake is tidied, nobody queries
    payment_channels: Mapping[str, bool] = field(default_factory=dict)  # name -> reconciled live (True) or by file
    used_channels: Mapping[str, bool] = field(default_factory=dict)  # the same, but only once they were ever used
    override_feed: bool = False  # a weather and emergency feed is connected, so its silence holds
    routes: Mapping[str, str] = field(
        default_factory=lambda: {"customer": "file", "second": "file", "collector": "file", "meter": "file"}
    )  # recipient -> notice channel
    fallback: Mapping[str, str] = field(default_factory=dict)  # channel -> channel to use when it failed for good


def to_ms(at: datetime) -> datetime:
    """``at`` without what the store would drop: committed times compare equal to those in hand."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
