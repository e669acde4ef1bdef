"""Views in, HTML out: the template environment and the few drawings (sparks, strips, tier ladder) that pages need."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from prewatt.console.views import ICONS, AccountPage, EventLine, GatewayStrip, TierMeter
from prewatt.console.words import Words, sign
from prewatt.roles import LOOK

LADDER_WIDTH = 280
MENU = (
    ("operate", ("board", "accounts", "approvals", "commands", "orders", "outages", "safety")),
    ("money", ("payments", "notices")),
    ("house", ("users",)),
)
ASKS = {"users": "users.add"}
"""Pages of the menu that not everybody may look at, and the right that they ask for."""
COUNTED = ("approvals", "orders")
EVENT_ICONS = {
    "rated": "zap",
    "payment": "wallet",
    "notice": "message-square",
    "command": "power",
    "relay": "power",
    "incident": "triangle-alert",
    "work_order": "hourglass",
    "hold": "shield",
    "handheld": "zap",
}
"""By the first word of the code; two words go before one."""


@dataclass(frozen=True, slots=True)
class LadderStep:
    """One coloured piece of the tier meter, in SVG units."""

    x: float
    width: float
    tier: int
    price: str
    limit: int | None


def menu(can: Callable[[str], bool]) -> list[tuple[str, list[str]]]:
    """The menu of somebody whose rights ``can`` tells."""
    groups = [(group, [key for key in keys if can(ASKS.get(key, LOOK))]) for group, keys in MENU]
    return [(group, keys) for group, keys in groups if keys]


def spark_points(values: Sequence[int]) -> str:
    """Points of a 96 x 24 spark line."""
    if not values:
        return ""
    top = max(max(values), 1)
    step = 96 / max(1, len(values) - 1)
    return " ".join(f"{i * step:.0f},{22 - 20 * max(v, 0) / top:.0f}" for i, v in enumerate(values))


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
        words.say("board.cell", hours=hours - i, percent=p)
        for i, p in enumerate(strip.percents)
        if p is not None and p < 100
    ]
    return "; ".join(parts) or "100 %"


def _edges(tier: TierMeter) -> list[float]:
    """Where the steps begin and end, in kWh; the open last step is drawn as long as the one before it, or as needed."""
    known = [float(step.limit_kwh) for step in tier.steps if step.limit_kwh is not None]
    if not known:
        return [0.0, max(tier.used_wh / 1000, 1.0)]
    length = known[-1] - (known[-2] if len(known) > 1 else 0.0)
    return [0.0, *known, *([known[-1] + length] if len(known) < len(tier.steps) else [])]


def ladder(tier: TierMeter) -> list[LadderStep]:
    """The tier meter's pieces."""
    edges = _edges(tier)
    scale = LADDER_WIDTH / edges[-1]
    return [
        LadderStep(round(a * scale, 1), round((b - a) * scale, 1), i, tier.steps[i].price, tier.steps[i].limit_kwh)
        for i, (a, b) in enumerate(pairwise(edges))
    ]


def ladder_mark(tier: TierMeter) -> float:
    """Where the pointer stands, in SVG units; past the end it stays at the end."""
    at = tier.used_wh / 1000 / _edges(tier)[-1] * LADDER_WIDTH
    return round(min(LADDER_WIDTH - 5.0, max(5.0, at)), 1)


def tier_words(words: Words, tier: TierMeter, currency: str) -> str:
    """The tier meter in words."""
    used = words.say(f"account.tier_{tier.scope}", kwh=words.kwh(tier.used_wh))
    price = f"{sign(currency)}{tier.steps[tier.current].price}"
    return f"{used}, {words.say('account.tier_name', n=tier.current + 1)}, {price}"


def balance_words(words: Words, page: AccountPage) -> str:
    """The burn-down in words."""
    left = words.left(page.hours_left)
    now = words.money(page.available_micro, page.currency)
    return f"{words.say('account.burndown')}: {now}, {words.say('account.runs_out')} {left}"


def load_words(words: Words, page: AccountPage) -> str:
    """The bars in words."""
    total = sum(bar.energy_wh for bar in page.bars)
    return f"{words.say('account.load')}: {words.kwh(total)}"


def chart_words(words: Words) -> str:
    """The words that the charts' script needs, as JSON."""
    keys = ("time", "balance", "projection", "warn", "cut", "energy", "now")
    found = {key: words.say(f"account.{key}") for key in keys}
    found.update(kwh=words.say("unit.kwh"), tier=words.say("account.tier_name", n="{n}"))
    found["locale"] = "zh-CN" if words.lang == "zh" else "en-GB"
    return json.dumps(found, ensure_ascii=False)


def event_icon(line: EventLine) -> str:
    """The icon of an event code."""
    first = line.code.split("_")
    if line.code == "command_verified":
        return "circle-check"
    return EVENT_ICONS.get("_".join(first[:2])) or EVENT_ICONS.get(first[0], "zap")


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
    drawings = (spark_points, strip_class, strip_words, ladder, ladder_mark, tier_words, balance_words, load_words)
    env.globals.update({drawing.__name__: drawing for drawing in drawings})
    env.globals.update(
        icons=ICONS, menu=menu, counted=COUNTED, chart_words=chart_words, event_icon=event_icon, sign=sign
    )
    return env


def page(template: str, **values: Any) -> str:
    """Draw one template."""
    return environment().get_template(template).render(**values)
