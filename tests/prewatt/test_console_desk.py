"""Pages at which persons answer for much: safety, payments, users, and an account at a time of the past."""

import asyncio
import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from control import settle, signals
from control.records import Credit, Decision
from control.signals import Signal
from prewatt.console.app import console
from prewatt.home import Home
from prewatt.people import People, User, scrypt
from prewatt.reasons import explained_in
from prewatt.roles import ROLES
from storage.records import Payment
from storage.unit import Unit
from storage.writer import Priority
from tests.browser.town import Lived, live
from tests.prewatt.test_console import said

KEY = b"k" * 32
PASSWORD = "correct horse battery"
pytestmark = pytest.mark.usefixtures("cheap")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    found = asyncio.run(live(tmp_path_factory.mktemp("town"), 6))
    yield found
    found.store.close()


@pytest.fixture
def people(lived: Lived) -> People:
    """One user for each role, in the home of the actions, and a second approver."""
    _ = lived.source
    found = People(Home(lived.store.home).secrets)
    for name in (*ROLES, "other"):
        role = name if name in ROLES else "approver"
        found.put(User(name, (role,), scrypt(PASSWORD), must_change=False))
    return found


def logged_in(lived: Lived, people: People, name: str) -> TestClient:
    client = TestClient(console(lived.source, key=KEY, people=people), follow_redirects=False)
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get("/login").text)
    assert found is not None
    client.post("/login", data={"csrf": found[1], "name": name, "password": PASSWORD})
    return client


def test_one_pulls_and_two_approvers_reset(lived: Lived, people: People) -> None:
    operator, first, second = (logged_in(lived, people, name) for name in ("operator", "approver", "other"))
    assert 'action="/safety/pull"' not in logged_in(lived, people, "viewer").get("/safety").text
    assert said(operator, "/safety/pull", reason="festival") == "Done: Pull the kill switch"
    page = first.get("/safety").text
    assert "pulled: nothing is cut" in page and "by operator at" in page and "0 of 2" in page
    assert operator.post("/safety/reset", data={"csrf": "0" * 64}).status_code == 403
    for _ in range(2):
        said(first, "/safety/reset")
    assert "1 of 2 (approver)" in first.get("/safety").text
    said(second, "/safety/reset")
    assert "not pulled" in second.get("/safety").text
    assert "nothing to release" in said(second, "/safety/release")


def test_two_approvers_release_what_the_breaker_keeps_back(lived: Lived, people: People) -> None:
    now, one = lived.engine.now(), lived.town.sites[0].account.account

    def trip(unit: Unit) -> None:
        unit.put(Signal(signals.BREAKER, signals.OPEN, now))
        unit.add(Decision("d-kept", one, now, "hold", "G9", Credit.EXHAUSTED, 0, (), "cn-remote", "{}"))

    lived.store.write(Priority.COMMAND, trip)
    first, second = (logged_in(lived, people, name) for name in ("approver", "other"))
    page = first.get("/safety").text
    assert "1 kept back" in page and f'href="/accounts/{one}"' in page
    said(first, "/safety/release")
    said(first, "/safety/drop")
    assert "tripped: all wait" in first.get("/safety").text
    said(second, "/safety/drop")
    assert "nothing leaves today" in second.get("/safety").text


def test_an_unmatched_payment_finds_its_account_and_is_given_back(lived: Lived, people: People) -> None:
    one = lived.town.sites[1].account.account
    now = lived.engine.now()
    lost = Payment("wallet", "lost/1", "NOBODY", 30_000_000, "CNY", now, now)
    lived.store.write(Priority.MONEY, lambda unit: settle.settle(unit, lost, lived.engine.world()))
    finance = logged_in(lived, people, "finance")
    page = finance.get("/payments").text
    assert "NOBODY" in page and "1 that are on no account" in page and 'action="/payments/match"' in page
    assert 'action="/payments/match"' not in logged_in(lived, people, "operator").get("/payments").text
    key = f"customer:{one}"
    before = lived.store.read(lambda reader: reader.balance(key))
    given = {"channel": "wallet", "id": "lost/1"}
    assert "unknown_account" in said(finance, "/payments/match", account="ELSE", **given)
    assert said(finance, "/payments/match", account=one, **given) == "Done: Match"
    assert lived.store.read(lambda reader: reader.balance(key)) - before == 30_000_000
    assert "why?" in said(finance, "/payments/reverse", **given)
    assert said(finance, "/payments/reverse", reason="paid twice", amount="10", **given) == "Done: Reverse"
    assert lived.store.read(lambda reader: reader.balance(key)) - before == 20_000_000
    row = lived.store.read(lambda reader: reader.get(Payment, "wallet", "lost/1"))
    assert row is not None and row.status == "reversed"


def test_a_channel_that_is_not_reconciled_is_said_to_be_a_moratorium(lived: Lived, people: People) -> None:
    finance, now = logged_in(lived, people, "finance"), lived.engine.now()
    for at, word in ((now, "reconciled in time"), (now - timedelta(hours=3), "nobody is cut until it is")):
        fact = Signal(f"{signals.PAYMENTS}wallet", "ok", at, "town")
        lived.store.write(Priority.COMMAND, lambda unit, fact=fact: unit.put(fact))  # type: ignore[misc]
        assert word in finance.get("/payments").text


def test_an_admin_adds_changes_and_shuts_out_users_but_never_themselves(lived: Lived, people: People) -> None:
    admin = logged_in(lived, people, "admin")
    assert logged_in(lived, people, "operator").get("/users").status_code == 403
    assert 'href="/users"' not in logged_in(lived, people, "operator").get("/").text
    given = {"name": "ann", "password": PASSWORD, "role-operator": "1", "role-field": "1"}
    assert "has 10 to 200 characters" in said(admin, "/users/add", **{**given, "password": "short"})
    assert said(admin, "/users/add", **given) == "Done: Add user"
    assert "there is a user" in said(admin, "/users/add", **given)
    made = people.everybody()["ann"]
    assert (made.roles, made.must_change) == (("operator", "field"), True)
    assert said(admin, "/users/roles", **{"name": "ann", "role-viewer": "1"}) == "Done: Roles"
    assert people.everybody()["ann"].roles == ("viewer",)
    assert said(admin, "/users/disable", name="ann") == "Done: Shut out"
    assert people.everybody()["ann"].disabled and "Let in again" in admin.get("/users").text
    for verb, more in (("roles", {"role-approver": "1"}), ("disable", {}), ("password", {"password": PASSWORD})):
        assert "their own roles" in said(admin, f"/users/{verb}", name="admin", **more)
    assert people.everybody()["admin"] == replace(people.everybody()["admin"], roles=("admin",), disabled=False)


def test_an_account_at_a_time_of_the_past(lived: Lived, people: People) -> None:
    viewer, one = logged_in(lived, people, "viewer"), lived.town.sites[0].account.account
    now = lived.engine.now()
    page = viewer.get(f"/accounts/{one}").text
    shown = re.search(r"<dd[^>]*><a[^>]*#ledger\">([^<]+)</a>", page)
    assert shown is not None
    local = lived.source.zone
    at_now = viewer.get(f"/accounts/{one}/balance", params={"at": f"{now.isoformat()}Z"}).text
    assert f">{shown[1]}<" in at_now and f"At ({local})" in at_now
    told = viewer.get(f"/accounts/{one}/balance.json", params={"at": f"{now.isoformat()}Z"}).json()
    assert told["schema"] == "prewatt.balance/1" and told["currency"] == "CNY"
    before = viewer.get(f"/accounts/{one}/balance.json", params={"at": "2000-01-01"}).json()
    assert (before["balance"], before["accrued"], before["told"]) == ("0.00", "0.00", "0.00")
    assert "is no time" in viewer.get(f"/accounts/{one}/balance", params={"at": "noon"}).text
    assert viewer.get(f"/accounts/{one}/balance.json", params={"at": "noon"}).status_code == 400
    assert viewer.get("/accounts/nobody/balance.json", params={"at": "2000-01-01"}).status_code == 404


def test_a_decision_at_a_time_is_the_last_one_by_then(lived: Lived, people: People) -> None:
    viewer = logged_in(lived, people, "viewer")
    rows = lived.store.read(lambda reader: reader.find(Decision, order="at"))
    rows = [row for row in rows if row.case != "{}"]
    first = rows[0]
    path = f"/accounts/{first.account}/explain"
    page = viewer.get(path, params={"at": f"{first.at.isoformat()}Z"}).text
    assert first.decision in page and "Derives again</dt><dd>yes" in page
    early = viewer.get(path, params={"at": "2000-01-01T00:00"}).text
    assert "nothing was decided" in early
    assert json.loads(first.case)["account"] == first.account


def test_at_any_time_the_decision_of_then_is_derived_bit_for_bit(lived: Lived) -> None:
    """Every account at random times of the days that the town was decided on: the last decision by then, and sound."""
    rows = lived.store.read(lambda reader: reader.find(Decision, order=("at", "decision")))
    rows = [row for row in rows if row.case != "{}"]
    chance = random.Random(5)
    first, last = rows[0].at, rows[-1].at
    asked = 0
    for account in sorted({row.account for row in rows}):
        own = [row for row in rows if row.account == account]
        for _ in range(8):
            at = first + (last - first) * chance.random()
            until = [row for row in own if row.at <= at]
            if not until:
                continue
            found = lived.store.read(lambda reader, n=account, t=at: explained_in(reader, n, t))  # type: ignore[misc]
            assert (found["decision"]["decision"], found["rederived"]) == (until[-1].decision, True), found["wrong"]
            asked += 1
    assert asked > 10


def test_the_menu_leads_there(lived: Lived, people: People) -> None:
    admin = logged_in(lived, people, "admin").get("/").text
    assert all(f'href="/{name}"' in admin for name in ("safety", "payments", "users"))
