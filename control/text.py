"""A notice's code and parameters go in and one SMS comes out, in English or Chinese: 160 septets, or 70 UCS-2 units.

GSM 03.38 (3GPP TS 23.038, 6.2.1) packs 160 characters of its 7-bit alphabet into one message, of which ten count twice
(6.2.1.1); any other character makes the message UCS-2, of which 70 units fit. Every warning says the amount, the hours
left, the earliest disconnection, how to pay and whom to call; of its ever shorter forms the first that fits is sent.
"""

import re
from collections.abc import Mapping

SEPTETS, UCS2_UNITS = 160, 70
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = "\f^{}\\[~]|€"
LANGUAGES = ("en", "zh")
UNKNOWN = ("", "-")  # no forecast yet: then the phrase that holds the hours is left out
HOURS = re.compile(r"(?:, ?| )(?:about |约可用|约|剩)?\{hours\}(?: h left| h|小时|时)")
PARAMS = ("amount", "currency", "hours", "earliest", "until", "needed", "tier", "tier_days", "pay", "call")
LIMIT = {
    "amount": 11,
    "currency": 3,
    "hours": 3,
    "earliest": 11,
    "until": 11,
    "needed": 11,
    "tier": 2,
    "tier_days": 2,
    "pay": 18,
    "call": 13,
}
NUMBERS = ("amount", "needed")  # never clipped: a shortened number would be another number

TEXTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "warning": {
        "en": (
            "Balance {amount} {currency}, about {hours} h left. Earliest disconnection {earliest}. "
            "Pay: {pay}. Help: {call}",
            "Left {amount} {currency}, {hours} h. Off from {earliest}. Pay {pay}. Call {call}",
        ),
        "zh": (
            "余额{amount}{currency},约可用{hours}小时,最早{earliest}停电。缴费{pay} 电话{call}",
            "余额{amount},剩{hours}时,最早停电{earliest}。缴费{pay} 电话{call}",
            "余{amount} 剩{hours}时 停{earliest} 缴{pay} 电{call}",
        ),
    },
    "stop": {
        "en": (
            "STOP NOTICE: balance {amount} {currency}, {hours} h left. Supply may be cut from {earliest}. "
            "Pay: {pay}. Help: {call}",
            "STOP NOTICE {amount} {currency}, {hours} h. Off from {earliest}. Pay {pay}. Call {call}",
        ),
        "zh": (
            "停电通知:余额{amount}{currency},剩{hours}小时,{earliest}起停电。缴费{pay} 电话{call}",
            "停电通知:余额{amount} 剩{hours}时 {earliest}起停 缴{pay} 电{call}",
            "停电:余{amount} 剩{hours}时 {earliest}起 缴{pay} 电{call}",
        ),
    },
    "final": {
        "en": (
            "FINAL NOTICE: balance {amount} {currency}, {hours} h left. Supply is cut from {earliest}. "
            "Pay now: {pay}. Help: {call}",
            "FINAL {amount} {currency}, {hours} h. Off from {earliest}. Pay {pay}. Call {call}",
        ),
        "zh": (
            "最后通知:余额{amount}{currency},剩{hours}小时,{earliest}停电。缴费{pay} 电话{call}",
            "最后通知:余额{amount} 剩{hours}时 {earliest}停电 缴{pay} 电{call}",
            "终告:余{amount} 剩{hours}时 {earliest}停 缴{pay} 电{call}",
        ),
    },
    "over_tier": {
        "en": (
            "Price tier {tier} reached. Balance {amount} {currency}, about {hours} h left. "
            "Earliest disconnection {earliest}. Pay: {pay}. Help: {call}",
            "Tier {tier}. Left {amount} {currency}, {hours} h. Off from {earliest}. Pay {pay}. Call {call}",
        ),
        "zh": (
            "已进入第{tier}档电价。余额{amount},约{hours}小时,最早{earliest}停电。缴费{pay} 电话{call}",
            "{tier}档 余{amount} 剩{hours}时 停{earliest} 缴{pay} 电{call}",
        ),
    },
    "over_tier_soon": {
        "en": (
            "Price tier {tier} within {tier_days} days. Balance {amount} {currency}, about {hours} h left. "
            "Earliest disconnection {earliest}. Pay: {pay}. Help: {call}",
            "Tier {tier} within {tier_days} d. Left {amount} {currency}, {hours} h. Off from {earliest}. "
            "Pay {pay}. Call {call}",
        ),
        "zh": (
            "约{tier_days}天内进入第{tier}档电价。余额{amount},约{hours}小时,最早{earliest}停电。缴费{pay} 电话{call}",
            "{tier_days}天内{tier}档余{amount} 剩{hours}时停{earliest}缴{pay}电{call}",
        ),
    },
    "payment": {
        "en": ("Payment received. Balance {amount} {currency}. Help: {call}", "Paid. Left {amount} {currency}"),
        "zh": ("已收到缴费,余额{amount}{currency}。电话{call}", "已缴费,余{amount}"),
    },
    "reconnected": {
        "en": ("Supply is back on. Balance {amount} {currency}. Help: {call}", "Supply on. Left {amount} {currency}"),
        "zh": ("已恢复供电,余额{amount}{currency}。电话{call}", "已复电,余{amount}"),
    },
    "press": {
        "en": ("Supply is released: press the meter's button for 3 seconds. Help: {call}", "Press the button for 3 s"),
        "zh": ("可以复电:请长按电表按钮3秒。电话{call}", "请长按电表按钮3秒"),
    },
    "disconnected": {
        "en": (
            "Supply is off. Balance {amount} {currency}; pay {needed} {currency} to come back on: {pay}. Help: {call}",
            "Supply off. Pay {needed} {currency}: {pay}. Call {call}",
        ),
        "zh": (
            "已停电,余额{amount}{currency},缴{needed}即可复电。缴费{pay} 电话{call}",
            "已停电,缴{needed}复电 {pay} 电{call}",
        ),
    },
    "outage_planned": {
        "en": (
            "Planned works: supply will be off from {earliest}, back by {until} as planned. Help: {call}",
            "Planned outage {earliest} to {until}. Call {call}",
        ),
        "zh": ("计划检修:{earliest}起停电,预计{until}恢复。电话{call}", "计划停电{earliest}至{until} 电{call}"),
    },
    "outage_now": {
        "en": (
            "Supply in your area is off since {earliest}, expected back by {until}. You need not do anything. "
            "Help: {call}",
            "Supply off since {earliest}, back by {until}. Call {call}",
        ),
        "zh": (
            "您所在区域{earliest}起停电,预计{until}恢复,请等候。电话{call}",
            "{earliest}起停电,预计{until}复电 电{call}",
        ),
    },
    "outage_over": {
        "en": ("Supply in your area is back on. If yours is not, call {call}",),
        "zh": ("您所在区域已恢复供电;如仍无电请致电{call}",),
    },
    "outage_cancelled": {
        "en": ("The works of {earliest} do not take place: your supply stays on. Help: {call}",),
        "zh": ("原定{earliest}的停电取消,供电不受影响。电话{call}",),
    },
    "keep_power": {
        "en": ("Your supply is protected. Help: {call}",),
        "zh": ("您的用电受到保护。电话{call}",),
    },
    "keep_power_off": {
        "en": ("The protection of your supply has ended. Help: {call}",),
        "zh": ("您的用电保护已结束。电话{call}",),
    },
    "all_clear": {
        "en": ("Thank you: your balance is {amount} {currency}.",),
        "zh": ("缴费已到账,余额{amount}{currency}。",),
    },
    "apology": {
        "en": ("We cut your supply by mistake and are restoring it now. We are sorry. Help: {call}",),
        "zh": ("因我方差错误停电,现正恢复,深表歉意。电话{call}",),
    },
}
NOTHING = "-"


def render(code: str, params: Mapping[str, str], lang: str) -> str:
    """The text of one SMS: the longest form that fits; unknown languages are told in English, KeyError for a code.

    Parameters are held to ``LIMIT`` 16-bit units each, with which the shortest form always fits (a test shows it);
    policies are refused whose ``pay`` and ``call`` are longer.
    """
    told = "zh" if lang.lower().startswith("zh") else "en"
    values = {name: _clip(name, params.get(name, ""), told) for name in PARAMS}
    forms = TEXTS[code][told]
    if values["hours"] in UNKNOWN:
        forms = tuple(HOURS.sub("", form) for form in forms)
    texts = [form.format(**values) for form in forms]
    return next((text for text in texts if fits(text)), texts[-1])


def septets(text: str) -> int | None:
    """Length in septets of the GSM 7-bit alphabet; None if a character is not in it.

    >>> septets("a"), septets("€"), septets("电")
    (1, 2, None)
    """
    if any(letter not in BASIC and letter not in EXTENDED for letter in text):
        return None
    return sum(2 if letter in EXTENDED else 1 for letter in text)


def ucs2_units(text: str) -> int:
    """Length in 16-bit units; characters beyond the basic plane count two."""
    return len(text.encode("utf-16-be")) // 2


def fits(text: str) -> bool:
    """Whether ``text`` goes into one SMS."""
    length = septets(text)
    return length <= SEPTETS if length is not None else ucs2_units(text) <= UCS2_UNITS


def _clip(name: str, value: str, lang: str) -> str:
    """One parameter at its place in the text: shortened, and in English within the 7-bit alphabet."""
    shown = " ".join(value.split()) or NOTHING
    if lang == "en":
        shown = "".join(letter if letter in BASIC else "?" for letter in shown)
    if name in NUMBERS and len(shown) > LIMIT[name]:
        shown = shown.partition(".")[0]
        return shown if len(shown) <= LIMIT[name] else NOTHING
    return _units(shown, LIMIT[name]).rstrip()


def _units(text: str, most: int) -> str:
    """The beginning of ``text`` in ``most`` 16-bit units, no character halved."""
    return text.encode("utf-16-be", "replace")[: 2 * most].decode("utf-16-be", "ignore")
