"""Outages and work orders in the console: list, map, JSON for programs, and the buttons of who may press them."""

import asyncio
import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from control import workorders
from control.areas import areas
from control.fieldbook import Outage, Site
from control.records import WorkOrder
from prewatt import people as keeping
from prewatt.console import app
from prewatt.people import People, User, scrypt
from storage.unit import Unit
from storage.writer import Priority
from tests.browser.town import Lived, live
from tests.prewatt.test_roles import KEY, PASSWORD, csrf, login

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """A town of four meters at two transformers, T1 without supply, T2 with works tomorrow, and a work order."""
    found = asyncio.run(live(tmp_path_factory.mktemp("town"), 4))
    now = found.source.now

    def hang(unit: Unit) -> None:
        for number, site in enumerate(found.town.sites):
            place = (30.0 + number / 1000, 120.0 + number / 1000)
            unit.put(Site(site.install.meter, *place, f"T{1 + number // 2}", "F1"))
        unit.put(Outage("o1", "fault", "under_way", now - HOUR, now, "wu", now + HOUR, transformer="T1", work="cable"))
        unit.put(Outage("o2", "planned", "announced", now + 20 * HOUR, now, "wu", transformer="T2"))
        account = found.town.sites[0].account.account
        workorders.order(unit, "on_site_check", account, "M1", cause="x", at=now, detail="look")

    asyncio.run(found.store.commit(Priority.COMMAND, hang))
    yield found
    found.store.close()


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> People:
    monkeypatch.setattr(keeping, "COST", 1 << 4)
    found = People(tmp_path)
    for role in ("viewer", "operator"):
        found.put(User(role, (role,), scrypt(PASSWORD), must_change=False))
    return found


def test_the_page_shows_where_and_only_a_role_sees_buttons(lived: Lived, people: People) -> None:
    text = login(lived, people, "viewer").get("/outages").text
    assert 'class="area off"' in text and 'class="area ahead"' in text and "T1" in text and "cable" in text
    assert "/outages/end" not in text and "/orders/close" not in login(lived, people, "viewer").get("/orders").text
    client = login(lived, people, "operator")
    assert "/outages/end" in client.get("/outages").text and "/outages/start" in client.get("/outages").text
    assert "/orders/assign" in client.get("/orders").text


def test_programs_ask_with_a_session_of_their_own_and_are_answered_by_place(lived: Lived, people: People) -> None:
    client = TestClient(app.console(lived.source, key=KEY, people=people), follow_redirects=False)
    assert client.get("/v1/outages").status_code == 401
    assert client.post("/v1/session").status_code == 401
    for password, status in (("wrong", 403), (PASSWORD, 204)):
        told = base64.b64encode(f"viewer:{password}".encode()).decode()
        assert client.post("/v1/session", headers={"Authorization": f"Basic {told}"}).status_code == status
    accounts = [site.account.account for site in lived.town.sites]
    for query, names, off in (
        ("", ["o1", "o2"], True),
        (f"?account={accounts[0]}", ["o1"], True),
        (f"?account={accounts[3]}", ["o2"], False),
        ("?transformer=T2", ["o2"], False),
        ("?feeder=F1", ["o1", "o2"], True),
        ("?transformer=T9", [], False),
    ):
        found = client.get(f"/v1/outages{query}").json()
        assert ([row["outage"] for row in found["outages"]], found["off_now"]) == (names, off), query
    assert found["schema"] == "prewatt.outages/1"
    assert client.get("/v1/outages?account=nobody").status_code == 404
    assert client.get("/v1/outages?account=a&feeder=F1").status_code == 400


def test_an_order_is_given_and_closed_and_an_outage_ends(lived: Lived, people: People) -> None:
    client = login(lived, people, "operator")
    (order,) = lived.store.read(lambda reader: reader.find(WorkOrder, kind="on_site_check"))
    token = csrf(client, "/orders")
    client.post("/orders/assign", data={"csrf": token, "order": order.order, "owner": "zhao"})
    client.post("/orders/close", data={"csrf": token, "order": order.order, "outcome": "cleared", "found": "fine"})
    client.post("/outages/end", data={"csrf": token, "outage": "o1"})
    done = lived.store.read(lambda reader: reader.get(WorkOrder, order.order))
    over = lived.store.read(lambda reader: reader.get(Outage, "o1"))
    assert done is not None and (done.state, done.owner) == ("done", "zhao")
    assert over is not None and over.state == "over"
    client.post(
        "/outages/start", data={"csrf": token, "cause": "planned", "transformer": "T1", "start": "2030-01-01T08:00"}
    )
    found, some = lived.store.read(areas)
    assert [(area.transformer, area.meters, len(area.outages)) for area in found] == [("T1", 2, 1), ("T2", 2, 1)]
    assert not some and found[0].feeders == ("F1",)
    viewer = login(lived, people, "viewer")
    assert viewer.post("/outages/end", data={"csrf": csrf(viewer, "/outages"), "outage": "o2"}).status_code == 403
