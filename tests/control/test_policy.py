"""Policies: the templates load, every wrong value is refused with its line, nobody can be looser than the limits."""

from dataclasses import fields

import pytest

from control import policy
from control.errors import PolicyError
from control.policy import CLASSES, TEMPLATES, Policy, line_of, load, template, template_text
from control.policy_fields import FIELDS, HEAD

SMALL = """name = "p"
version = "1"
currency = "CNY"

[credit]
disconnection_balance = "0"
connection_balance = "5.50"

[alerts]
money = ["30", "5"]

[class.large.alerts]
money = ["200"]
"""


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_template_loads_for_each_class_and_cites_its_rule(name: str) -> None:
    loaded = template(name)
    assert tuple(loaded) == CLASSES
    for klass, found in loaded.items():
        assert (found.name, found.klass) == (name, klass)
        assert found.source
        assert found.disconnection_balance_micro < found.connection_balance_micro
        assert found.final_min >= 30
    assert not loaded["protected"].remote
    assert loaded["large"].approval == "manual"


def test_the_numbers_of_the_specification() -> None:
    cn = template("cn-remote")
    assert cn["residential"].money_micro == (30_000_000, 5_000_000)
    assert cn["non_residential"].money_micro == (200_000_000,)
    assert cn["protected"].money_micro == (50_000_000,)
    assert cn["residential"].share_percent == (30, 10, 0)
    assert cn["residential"].hours == (168, 72, 24, 6)
    assert (cn["residential"].stop_notice_days, cn["residential"].stop_notice_days_most) == (3, 7)
    assert policy.builtin()["in-uppcl"].share_of == "last_payment"
    gb = policy.builtin()["gb-smets-like"]
    assert (gb.disconnection_balance_micro, gb.emergency_credit_micro) == (-10_000_000, 10_000_000)
    assert set(policy.builtin()) == set(TEMPLATES)


def test_a_class_changes_only_what_it_names() -> None:
    home, large = load(SMALL, "p.toml"), load(SMALL, "p.toml", "large")
    assert (home.money_micro, large.money_micro) == ((30_000_000, 5_000_000), (200_000_000,))
    assert home.connection_balance_micro == large.connection_balance_micro == 5_500_000
    assert home.id != large.id
    assert home.id == load(SMALL + "# a comment\n", "other.toml").id


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("\nconnection_balance =", "\nconection_balance =", 7, "'conection_balance'; try: connection_balance"),
        ('version = "1"', "verzion = 1", 2, "unknown key 'verzion'; try: version"),
        ("[alerts]", "[alert]", 9, "unknown key 'alert'; try: alerts"),
        ("[class.large.alerts]", "[class.huge.alerts]", 12, "unknown class 'huge'"),
        ("[class.large.alerts]", "[class.large.alert]", 12, "unknown section 'alert'; try: alerts"),
        ('"5.50"', "5.5", 7, "wanted money as a string or an integer"),
        ('"5.50"', '"5.5000001"', 7, "wanted money"),
        ('"5.50"', '"0"', 5, "must be lower than connection_balance"),
        ('["30", "5"]', '["5", "30"]', 10, "wanted falling values"),
        ('["30", "5"]', '["30", "30"]', 10, "wanted falling values"),
        ('["30", "5"]', "[]", 9, "nobody would be warned"),
        ('name = "p"', "", 1, "name is missing"),
        ('name = "p"', "name = ", 1, "not TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(old: str, new: str, line: int, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(SMALL.replace(old, new, 1), "p.toml")
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"p.toml:{line}: ")


LIMITS = [
    ("notices", "final_min", 30, 29),
    ("reads", "cycles", 2, 3),
    ("reads", "slack_min", 30, 31),
    ("reads", "fresh_min", 15, 16),
    ("payments", "qualify_percent", 20, 21),
    ("payments", "pause_h", 24, 23),
    ("payments", "pending_h", 24, 23),
    ("payments", "bank_working_days", 3, 2),
    ("commands", "disconnect_valid_min", 45, 46),
    ("commands", "reconnect_valid_days", 7, 8),
    ("reconnect", "target_s", 120, 121),
    ("reconnect", "p95_s", 300, 301),
    ("reconnect", "crew_min", 15, 16),
    ("reconnect", "limit_min", 60, 61),
    ("grace", "migration_days", 30, 29),
    ("forecast", "sealed_h", 72, 71),
    ("notices", "contact_days", 366, 367),
]


@pytest.mark.parametrize(("section", "key", "at_limit", "beyond"), LIMITS)
def test_no_policy_is_looser_than_the_limits(section: str, key: str, at_limit: int, beyond: int) -> None:
    assert load(f"{SMALL}\n[{section}]\n{key} = {at_limit}\n", "p.toml")
    with pytest.raises(PolicyError, match=f"p.toml:16: {key}"):
        load(f"{SMALL}\n[{section}]\n{key} = {beyond}\n", "p.toml")


@pytest.mark.parametrize(
    "lines",
    [
        '[window]\nfrom = "05:59"',
        '[window]\nto = "20:01"',
        '[window]\nfrom = "16:00"\nto = "09:00"',
        '[window]\nfrom = "9:00"',
        '[window]\nspecial_days = ["30 feb"]',
        '[window]\nspecial_days = ["2026-02-30"]',
        '[window]\ndays_off = ["sunday"]',
        '[approval]\nmode = "auto"',
        "[notices]\nstop_notice_days = 3",
        '[notices]\npay = "a text that is far too long for one SMS"',
        "[credit2]\nx = 1",
    ],
)
def test_contradictions_and_nonsense_are_refused(lines: str) -> None:
    with pytest.raises(PolicyError, match=r"^p\.toml:\d+: "):
        load(f"{SMALL}\n{lines}\n", "p.toml")


def test_every_field_of_a_policy_can_be_set_and_only_once() -> None:
    named = [entry.field for section in FIELDS.values() for entry in section.values()]
    named += [entry.field for entry in HEAD.values()]
    assert len(named) == len(set(named))
    assert set(named) | {"klass"} == {item.name for item in fields(Policy)}


def test_lines_are_found() -> None:
    text = template_text("cn-remote")
    assert text.splitlines()[line_of(text, ("window", "years")) - 1].startswith("years")
    assert text.splitlines()[line_of(text, ("class", "large", "approval")) - 1] == "[class.large.approval]"
    with pytest.raises(PolicyError, match="try: minigrid"):
        template_text("minigrit")
