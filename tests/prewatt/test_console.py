"""The console over a real store, without a browser: every page in both languages, security, actions, files, search."""

import asyncio
import csv
import io
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from control.records import Command, CommandState, Hold
from prewatt.console.app import console
from prewatt.console.lists import LISTS
from prewatt.console.source import Source
from storage.records import AuditRow, Event, Payment
from tests.browser import assets
from tests.browser.town import Lived, live

KEY = b"k" * 32


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """A small town after sixteen days."""
    found = asyncio.run(live(tmp_path_factory.mktemp("town"), 24))
    yield found
    found.store.close()


@pytest.fixture
def client(lived: Lived) -> TestClient:
    """A browser without scripts."""
    return TestClient(console(lived.source, key=KEY), follow_redirects=False)


def token(client: TestClient, path: str = "/") -> str:
    """The CSRF token that a page carries."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get(path).text)
    assert found is not None
    return found[1]


def test_every_page_is_drawn_in_both_languages(client: TestClient, lived: Lived) -> None:
    names = [site.account.account for site in lived.town.sites]
    paths = ["/", "/?state=warning", "/?state=nonsense", "/accounts", *(f"/{name}" for name in LISTS)]
    paths += [f"/accounts/{name}" for name in names] + [f"/accounts/{names[0]}/explain"]
    pages: dict[str, dict[str, str]] = {"en": {}, "zh": {}}
    for lang in pages:
        client.cookies.set("lang", lang)
        for path in paths:
            answer = client.get(path)
            assert answer.status_code == 200, (path, answer.text[:300])
            assert f'<html lang="{"zh-CN" if lang == "zh" else "en"}"' in answer.text
            for missing in re.findall(r">\s*[a-z]+\.[a-z_]+\s*<", answer.text):
                raise AssertionError(f"{path} shows the key {missing}")
            pages[lang][path] = answer.text
    assert all(pages["en"][path] != pages["zh"][path] for path in paths)


def test_the_browsers_language_decides_until_one_is_chosen(client: TestClient) -> None:
    assert 'lang="zh-CN"' in client.get("/", headers={"accept-language": "zh-CN,zh;q=0.9"}).text
    given = {"csrf": token(client), "back": "/accounts?q=1", "lang": "zh"}
    answer = client.post("/language", data=given)
    assert (answer.status_code, answer.headers["location"]) == (303, "/accounts?q=1")
    assert '<html lang="zh-CN"' in client.get("/", headers={"accept-language": "en"}).text


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil.example", "/a//b", "/\r\nX: y", ""]
)
def test_going_back_never_leaves_the_console(client: TestClient, back: str) -> None:
    answer = client.post("/theme", data={"csrf": token(client), "back": back, "theme": "dark"})
    assert answer.headers["location"] == "/"


def test_every_page_has_a_strict_policy(client: TestClient, lived: Lived) -> None:
    for path in ("/", f"/accounts/{lived.pick('pending')}", "/board.csv", "/accounts/nobody"):
        policy = client.get(path).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert client.get(path).headers["cache-control"] == "no-store"
    page = client.get("/").text
    assert re.findall(r"<script(?![^>]*src=)|\son[a-z]+=|style=", page) == []
    assert re.findall(r'(?:src|href|action)="(?:https?:)?//', page) == []


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(client: TestClient) -> None:
    cookie = client.get("/").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("bad", ["", "0" * 64, "é", None])
def test_a_form_without_its_token_is_refused(client: TestClient, lived: Lived, bad: str | None) -> None:
    one = lived.pick("pending")
    token(client)
    before = lived.store.read(lambda reader: reader.count(AuditRow) + reader.count(Payment))
    given = {"amount": "5"} | ({} if bad is None else {"csrf": bad})
    for path in (f"/accounts/{one}/topup", "/commands/c-1/approve", "/language", "/theme"):
        assert client.post(path, data=given).status_code == 403, path
    assert lived.store.read(lambda reader: reader.count(AuditRow) + reader.count(Payment)) == before


def test_another_browsers_token_is_refused(lived: Lived) -> None:
    mine, other = (TestClient(console(lived.source, key=KEY), follow_redirects=False) for _ in range(2))
    stolen = token(other)
    token(mine)
    assert mine.post(f"/accounts/{lived.pick('pending')}/topup", data={"csrf": stolen}).status_code == 403


def test_what_is_not_there_is_not_found(client: TestClient) -> None:
    assert client.get("/accounts/nobody").status_code == 404
    assert client.get("/accounts/nobody/series.json").status_code == 404
    assert client.get("/accounts/nobody/explain").status_code == 404
    assert client.get("/nowhere").status_code == 404
    assert client.get("/static/../app.py").status_code == 404
    assert client.post("/accounts/x/explode", data={"csrf": token(client)}).status_code == 404
    assert client.get("/accounts/x/topup").status_code == 405


def said(client: TestClient, path: str, **given: str) -> str:
    """What a page says after an action."""
    answer = client.post(path, data={"csrf": token(client), **given})
    assert answer.status_code == 303
    page = client.get(answer.headers["location"]).text
    found = re.search(r'class="message" role="status">([^<]*)<', page)
    assert found is not None, page[:500]
    return found[1]


def test_a_top_up_reaches_the_ledger_once(client: TestClient, lived: Lived) -> None:
    one = lived.pick("grace")
    key = f"customer:{one}"
    before = lived.store.read(lambda reader: reader.balance(key))
    assert said(client, f"/accounts/{one}/topup", amount="80.50", id="n-1") == "Done: Top up"
    assert said(client, f"/accounts/{one}/topup", amount="80.50", id="n-1") == "Done: Top up"
    assert lived.store.read(lambda reader: reader.balance(key)) - before == 80_500_000
    assert "is no amount" in said(client, f"/accounts/{one}/topup", amount="much", id="n-2")
    assert "80.50" in client.get(f"/accounts/{one}").text


def test_protect_and_hold_are_kept_with_their_reason(client: TestClient, lived: Lived) -> None:
    one = lived.town.sites[0].account.account
    assert said(client, f"/accounts/{one}/protect", reason="clinic") == "Done: Protect"
    assert said(client, f"/accounts/{one}/hold", reason="asked") == "Done: Hold 24 h"
    holds = {h.kind: h for h in lived.store.read(lambda reader: reader.find(Hold, account=one))}
    assert (holds["protected"].reason, holds["protected"].end) == ("clinic", None)
    assert holds["manual"].end is not None
    assert holds["manual"].owner == "console"
    assert "protected" in client.get(f"/accounts/{one}").text


def test_a_disconnection_asked_for_passes_every_guard_and_is_logged(client: TestClient, lived: Lived) -> None:
    one = next(s.account.account for s in lived.town.sites if lived.tile(s.account.account) == "active")
    told = said(client, f"/accounts/{one}/disconnect", reason="moved out")
    assert "Refused: disconnect is not due: G1" in told
    asked = lived.store.read(lambda reader: reader.find(AuditRow, subject=one, action="disconnect.asked"))
    assert '"moved out"' in asked[-1].body
    assert asked[-1].actor == "console"
    assert lived.store.read(lambda reader: reader.count(Command, account=one)) == 0


def test_approve_and_hold_decide_a_waiting_command(client: TestClient, lived: Lived) -> None:
    def waiting() -> list[Command]:
        return lived.store.read(lambda reader: reader.find(Command, state=CommandState.REQUESTED))

    first, second = waiting()[:2]
    assert said(client, f"/commands/{first.command}/hold") == "Done: Hold 24 h"
    held = lived.store.read(lambda reader: reader.get(Command, first.command))
    assert held is not None
    assert held.state is CommandState.CANCELLED
    assert said(client, f"/commands/{second.command}/approve").startswith(("Done: Approve", "Refused"))
    approved = lived.store.read(lambda reader: reader.get(Command, second.command))
    assert approved is not None
    assert approved.approvals == ("console",) or approved.state in (CommandState.CANCELLED, CommandState.EXPIRED)
    assert "Refused" in said(client, "/commands/c-none/approve")


def test_read_now_says_why_it_cannot(client: TestClient, lived: Lived) -> None:
    assert "hangs on no gateway" in said(client, f"/accounts/{lived.pick('pending')}/read")


def test_a_console_that_only_shows_refuses_politely(lived: Lived) -> None:
    source = lived.source
    only = Source(source.store, source.books, source.world)
    client = TestClient(console(only, key=KEY), follow_redirects=False)
    assert "cannot be asked for here" in said(client, f"/accounts/{lived.pick('pending')}/topup", amount="1")


@pytest.mark.parametrize("by", ["account", "meter", "phone", "phone_joined"])
def test_search_finds_by_account_meter_and_phone(client: TestClient, lived: Lived, by: str) -> None:
    site = lived.town.sites[7]
    phone = site.account.phone
    text = {
        "account": site.account.account,
        "meter": site.point.meter.lower(),
        "phone": phone,
        "phone_joined": phone.replace(" ", ""),
    }
    answer = client.get("/accounts", params={"q": text[by]})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/accounts/{site.account.account}")


def test_search_lists_several_and_says_when_there_is_none(client: TestClient) -> None:
    assert client.get("/accounts", params={"q": "M000"}).text.count('<tr id="row-') == 24
    nothing = client.get("/accounts", params={"q": "<b>zzz"})
    assert "Nothing found." in nothing.text
    assert "<b>zzz" not in nothing.text


def rows(client: TestClient, path: str) -> list[dict[str, str]]:
    """A CSV file's rows."""
    answer = client.get(path)
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))


def test_the_board_as_a_file_has_everybody(client: TestClient, lived: Lived) -> None:
    found = rows(client, "/board.csv")
    assert {row["account"] for row in found} == {site.account.account for site in lived.town.sites}
    assert {row["state"] for row in found} >= {"pending", "warning"}
    one = next(row for row in found if row["account"] == lived.pick("pending"))
    assert float(one["available"]) < 0
    assert one["currency"] == "CNY"
    load = rows(client, f"/accounts/{lived.pick('pending')}/load.csv")
    assert len(load) > 100
    assert set(load[0]) == {"end", "energy_wh", "amount", "period", "tier", "price"}


def test_live_parts_come_without_the_frame(client: TestClient, lived: Lived) -> None:
    for path, part in (("/", "board"), (f"/accounts/{lived.pick('pending')}", "account")):
        text = client.get(path, headers={"x-part": part}).text
        assert "<html" not in text
        assert 'id="status" hx-swap-oob="innerMorph"' in text


def test_events_tell_of_every_commit(lived: Lived) -> None:
    """The version moves with a commit and with nothing else; a page of one version is computed once."""
    from prewatt.console.live import Watch, changes

    watch, calls = Watch(lived.store), []

    async def go() -> list[str]:
        gone = iter([False, False, True])

        first = watch.token
        assert watch.token == first
        told = [line async for line in changes(watch, lambda: next(gone))]
        lived.store.write(0, lambda unit: unit.event("hold", lived.clock.now(), kind="manual"))  # type: ignore[arg-type]
        assert watch.token != first
        await asyncio.gather(*[watch.once("page", lambda: calls.append(1)) for _ in range(12)])
        return told

    told = asyncio.run(go())
    assert [line.split(":")[0] for line in told] == ["retry", "event"], "one change, however often it is looked for"
    assert len(calls) == 1


def test_relay_events_show_on_the_accounts_timeline(client: TestClient, lived: Lived) -> None:
    site = lived.town.sites[5]
    event = {"meter": site.point.meter, "before": "closed", "after": "open", "source": "read_back"}
    lived.store.write(0, lambda unit: unit.event("relay", lived.clock.now(), **event))  # type: ignore[arg-type]
    assert lived.store.read(lambda reader: reader.find(Event, code="relay", order="-seq", limit=1))[0].account == ""
    assert "relay open, was closed (read back)" in client.get(f"/accounts/{site.account.account}").text


def test_assets_are_what_the_lock_says() -> None:
    packages = assets.lock()["packages"]
    hashes = {name: digest for entry in packages.values() for name, digest in entry["files"].items()}
    assert set(hashes) == {*assets.SOURCES, "icons.svg"}
    for name, digest in hashes.items():
        assert sha256((assets.STATIC / name).read_bytes()).hexdigest() == digest, name
    for name in assets.LICENCES:
        assert (assets.STATIC / "licenses" / name).stat().st_size > 500
    ours = {"app.css", "app.js", "charts.js", "assets.lock.json", "licenses"}
    assert {path.name for path in Path(assets.STATIC).iterdir()} == ours | set(hashes)
    sprite = (assets.STATIC / "icons.svg").read_text(encoding="utf-8")
    assert re.findall(r'symbol id="([a-z-]+)"', sprite) == assets.lock()["icons"]
