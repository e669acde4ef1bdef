"""Views in, HTML out: the template environment and the few drawings (sparks, strips, tier ladder) that pages need."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from prewatt.console.views import ICONS, GatewayStrip, TierMeter
from prewatt.console.words import Words

LADDER_WIDTH = 280
EVENT_ICONS = {
    "read": "zap",
    "rated": "zap",
    "payment": "wallet",
    "notice_queued": "message-square",
    "notice_sent": "message-square",
    "notice_delivered": "message-square",
    "status": "triangle-alert",
    "command": "power",
    "relay": "power",
    "verified": "circle-check",
    "held": "hourglass",
    "work_order": "hourglass",
}


@dataclass(frozen=True, slots=True)
class LadderStep:
    """One coloured piece of the tier meter, in SVG units."""

    x: float
    width: float
    tier: int
    price: str
    limit: int | None


def icon(name: str) -> Markup:
    """One of the sprite's icons; the word beside it carries the meaning."""
    return Markup('<svg class="icon" aria-hidden="true"><use href="static/icons.svg#{}"/></svg>').format(name)


def spark_points(values: Sequence[int]) -> str:
    """Points of a 96 x 24 spark line."""
    if not values:
        return ""
    top = max(max(values), 1)
    step = 96 / max(1, len(values) - 1)
    return " ".join(f"{i * step:.1f},{22 - 20 * v / top:.1f}" for i, v in enumerate(values))


def strip_class(percent: int | None) -> str:
    """How a completeness cell is coloured; the words beside it say the same."""
    if percent is None:
        return "idle"
    for least, name in ((100, "full"), (90, "most"), (70, "some"), (30, "few")):
        if percent >= least:
            return name
    return "none"


def strip_words(words: Words, strip: GatewayStrip) -> str:
    """The incomplete hours of a strip in words, for whoever does not see colours."""
    hours = len(strip.percents)
    parts = [
        words.say("board.cell", gateway=strip.gateway, hours=hours - i, percent=p)
        for i, p in enumerate(strip.percents)
        if p is not None and p < 100
    ]
    return "; ".join(parts) or "100 %"


def _spans(tier: TierMeter) -> list[tuple[float, float]]:
    """Start and width of each step; the open last step is drawn as long as the one before it."""
    limits = [s.limit_kwh for s in tier.steps]
    known = [limit for limit in limits if limit is not None]
    top = max([*known, tier.used_wh // 1000, 1])
    end = top + (known[-1] - (known[-2] if len(known) > 1 else 0) if known else 0)
    edges = [0.0, *(float(limit) for limit in known), float(end)][: len(limits) + 1]
    scale = LADDER_WIDTH / edges[-1]
    return [(a * scale, (b - a) * scale) for a, b in pairwise(edges)]


def ladder(tier: TierMeter) -> list[LadderStep]:
    """The tier meter's pieces."""
    spans = _spans(tier)
    return [
        LadderStep(round(x, 1), round(width, 1), i, tier.steps[i].price, tier.steps[i].limit_kwh)
        for i, (x, width) in enumerate(spans)
    ]


def ladder_mark(tier: TierMeter) -> float:
    """Where the pointer stands."""
    spans = _spans(tier)
    end = sum(width for _, width in spans)
    known = [s.limit_kwh for s in tier.steps if s.limit_kwh is not None]
    total = max([*known, tier.used_wh // 1000, 1]) + (known[-1] - (known[-2] if len(known) > 1 else 0) if known else 0)
    return round(min(end - 5, max(5, tier.used_wh / 1000 / total * end)), 1)


def chart_words(words: Words) -> str:
    """The words that the charts' script needs, as JSON."""
    keys = {"time": "account.time", "balance": "account.balance", "projection": "account.projection"}
    found = {k: words.say(v) for k, v in keys.items()}
    found.update(warn=words.say("account.warn"), cut=words.say("account.cut"), kwh=words.say("unit.kwh"), sign="")
    found["tier"] = words.say("account.tier_name", n="{n}")
    return json.dumps(found, ensure_ascii=False)


def event_icon(code: str) -> str:
    """The icon of an event code."""
    return EVENT_ICONS.get(code, "zap")


@cache
def environment() -> Environment:
    """The template environment: autoescape on, an unknown name is an error."""
    env = Environment(
        loader=PackageLoader("prewatt.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.update(
        icons=ICONS,
        spark_points=spark_points,
        strip_class=strip_class,
        strip_words=strip_words,
        ladder=ladder,
        ladder_mark=ladder_mark,
        chart_words=chart_words,
        event_icon=event_icon,
    )
    return env


def page(template: str, **values: Any) -> str:
    """Draw one template."""
    return environment().get_template(template).render(**values)
