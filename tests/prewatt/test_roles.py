"""Users, roles and sessions of the console: every route walked with every role, and what ends a session."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from control.records import Command, CommandState
from prewatt import people as keeping
from prewatt.actions import actions
from prewatt.console import app, entry, session
from prewatt.console.acts import ACTS
from prewatt.errors import BadConfig, Usage
from prewatt.people import People, User, matches, named, roles_of, scrypt
from prewatt.ratelimit import A_MINUTE, Limiter
from prewatt.roles import EVERYBODY, LOOK, RIGHTS, ROLES, may
from storage.records import AuditRow
from tests.browser.town import Lived, live
from tests.prewatt.conftest import Run

KEY = b"k" * 32
PASSWORD = "correct horse battery"
pytestmark = pytest.mark.usefixtures("cheap")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    found = asyncio.run(live(tmp_path_factory.mktemp("town"), 4))
    yield found
    found.store.close()


@pytest.fixture
def people(tmp_path: Path) -> People:
    """One user for each role, named after it, and one who must change the password first."""
    found = People(tmp_path)
    kept = scrypt(PASSWORD)
    for role in ROLES:
        found.put(User(role, (role,), kept, must_change=False))
    found.put(User("fresh", ("operator",), kept))
    return found


def browser(lived: Lived, people: People | None) -> TestClient:
    return TestClient(app.console(lived.source, key=KEY, people=people), follow_redirects=False)


def csrf(client: TestClient, path: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get(path).text)
    assert found is not None
    return found[1]


def login(lived: Lived, people: People, name: str, password: str = PASSWORD) -> TestClient:
    client = browser(lived, people)
    client.post("/login", data={"csrf": csrf(client, "/login"), "name": name, "password": password})
    return client


def routes(lived: Lived) -> list[tuple[str, str, str]]:
    """Every endpoint with a real account and command in its address; streams never end and are asked for elsewhere."""
    one = lived.town.sites[0].account.account
    return [
        (how, path.replace("{account}", one).replace("{command}", "c-none").replace("{start}", "2026-01"), right)
        for how, path, right in app.endpoints()
        if path != "/stream"
    ]


# ---- every route with every role


@pytest.mark.parametrize("role", [*ROLES, ""])
def test_every_route_asks_for_its_role(lived: Lived, people: People, role: str) -> None:
    client = login(lived, people, role) if role else browser(lived, people)
    for how, path, right in routes(lived):
        if path in ("/login", "/logout", "/password", "/v1/session"):
            continue
        answer = client.get(path) if how == "GET" else client.post(path, data={"csrf": "0" * 64})
        refused = answer.status_code in (401, 403) and "stale" not in answer.text
        sent_away = answer.headers.get("location", "").startswith("/login")
        allowed = right == entry.OPEN or may({role}, right)
        assert (refused or sent_away) == (not allowed), (role, how, path, answer.status_code)


def test_the_stream_wants_a_login(lived: Lived, people: People) -> None:
    assert browser(lived, people).get("/stream", headers={"x-part": "1"}).status_code == 401


def test_every_button_has_a_right_that_exists_and_every_right_an_action() -> None:
    assert {act.action for act in ACTS.values()} <= set(RIGHTS)
    assert set(RIGHTS) - {LOOK} <= set(actions())
    assert all(roles and roles <= EVERYBODY for roles in RIGHTS.values())
    assert RIGHTS["accounts.disconnect"].isdisjoint(RIGHTS["commands.approve"])
    assert RIGHTS["kill.reset"] == RIGHTS["breaker.release"] == RIGHTS["breaker.drop"] == frozenset({"approver"})
    assert {right for right in RIGHTS if may({"admin"}, right)} == {
        LOOK, "explain", "users.add", "users.password", "users.disable"
    }  # fmt: skip
    assert not may(EVERYBODY, "nothing")


def test_a_page_shows_only_the_buttons_of_the_role(lived: Lived, people: People) -> None:
    path = f"/accounts/{lived.town.sites[0].account.account}"
    shown = {
        role: set(re.findall(rf'action="{path}/(\w+)"', login(lived, people, role).get(path).text)) for role in ROLES
    }
    assert shown == {
        "viewer": set(),
        "operator": {"read", "protect", "hold", "reconnect", "disconnect"},
        "approver": {"protect", "hold", "reconnect"},
        "finance": {"topup"},
        "field": {"read"},
        "admin": set(),
    }


def test_the_audit_names_the_person_and_not_the_console(lived: Lived, people: People) -> None:
    one = lived.town.sites[1].account.account
    client = login(lived, people, "operator")
    client.post(f"/accounts/{one}/hold", data={"csrf": csrf(client, f"/accounts/{one}"), "reason": "asked"})
    rows = lived.store.read(lambda reader: reader.find(AuditRow, order="-seq", limit=1))
    assert (rows[0].actor, rows[0].action) == ("operator", "hold")


# ---- sessions


def test_a_wrong_password_and_an_unknown_name_are_refused_alike(lived: Lived, people: People) -> None:
    client = browser(lived, people)
    said = set()
    for name, password in (("viewer", "not the password"), ("nobody", PASSWORD), ("VIEWER|x", PASSWORD)):
        token = csrf(client, "/login")
        answer = client.post("/login", data={"csrf": token, "name": name, "password": password})
        assert answer.status_code == 403 and session.COOKIE not in client.cookies
        said.add(re.sub(r'value="[0-9a-f]{64}"', "", answer.text))
    assert len(said) == 1


def test_a_forged_old_or_ended_session_is_nobodys(lived: Lived, people: People) -> None:
    user, now = people.everybody()["operator"], lived.source.now
    client = browser(lived, people)
    right = session.seal(KEY, user, now)
    wrong = {
        "another key": session.seal(b"x" * 32, user, now),
        "another name": right.replace("operator", "approver"),
        "too old": session.seal(KEY, user, now - timedelta(hours=session.SESSION_H)),
        "of the future": session.seal(KEY, user, now + timedelta(hours=1)),
        "an ended generation": session.seal(KEY, replace(user, generation=0), now),
        "nobody's": session.seal(KEY, replace(user, name="ghost"), now),
        "garbage": "a|b",
    }
    for what, cookie in wrong.items():
        client.cookies.set(session.COOKIE, cookie)
        assert client.get("/accounts").headers.get("location", "").startswith("/login"), what
    client.cookies.set(session.COOKIE, right)
    assert client.get("/accounts").status_code == 200
    people.put(replace(user, disabled=True))
    assert client.get("/accounts").status_code == 303


def test_a_logout_ends_every_session_of_the_user(lived: Lived, people: People) -> None:
    one, other = login(lived, people, "viewer"), login(lived, people, "viewer")
    assert other.get("/").status_code == 200
    assert one.post("/logout", data={"csrf": csrf(one, "/")}).status_code == 303
    assert other.get("/").status_code == 303


def test_a_first_password_must_be_changed_and_then_ends_other_sessions(lived: Lived, people: People) -> None:
    client = login(lived, people, "fresh")
    assert client.get("/").headers["location"].startswith("/password")
    assert client.post("/accounts/x/hold", data={}).status_code == 401
    for given, status in (
        ({"password": "wrong wrong wrong", "fresh": "a new password", "again": "a new password"}, 403),
        ({"password": PASSWORD, "fresh": "a new password", "again": "another one"}, 400),
        ({"password": PASSWORD, "fresh": "short", "again": "short"}, 400),
        ({"password": PASSWORD, "fresh": PASSWORD, "again": PASSWORD}, 400),
        ({"password": PASSWORD, "fresh": "a new password", "again": "a new password"}, 303),
    ):
        answer = client.post("/password", data={"csrf": csrf(client, "/password"), **given})
        assert answer.status_code == status, given
    assert client.get("/").status_code == 200
    assert people.enters("fresh", PASSWORD) is None and people.enters("fresh", "a new password") is not None


def test_a_token_from_before_the_login_is_stale(lived: Lived, people: People) -> None:
    client = browser(lived, people)
    before = csrf(client, "/login")
    client.post("/login", data={"csrf": before, "name": "operator", "password": PASSWORD})
    assert client.post("/accounts/x/hold", data={"csrf": before}).status_code == 403


def test_too_many_tries_wait(lived: Lived, people: People) -> None:
    client = browser(lived, people)
    token = csrf(client, "/login")
    codes = [
        client.post("/login", data={"csrf": token, "name": "admin", "password": "x"}).status_code
        for _ in range(A_MINUTE["login"] + 1)
    ]
    assert codes[-1] == 429 and 429 not in codes[: A_MINUTE["login"] // 2]


# ---- the parts


def test_a_bucket_fills_again_and_a_flood_of_askers_holds_no_memory() -> None:
    limiter = Limiter({"act": 60})
    assert [limiter.wait_s("act", "a", 0.0) for _ in range(61)] == [0] * 60 + [1]
    assert limiter.wait_s("act", "b", 0.0) == 0
    assert limiter.wait_s("act", "a", 1.0) == 0
    for number in range(20_000):
        limiter.wait_s("act", str(number), 2.0)
    assert len(limiter._buckets) == 10_000


def test_a_password_is_kept_as_scrypt_and_nothing_else(tmp_path: Path) -> None:
    kept = scrypt(PASSWORD)
    assert matches(PASSWORD, kept) and not matches(PASSWORD + "x", kept) and PASSWORD not in kept
    assert scrypt(PASSWORD) != kept
    for bad in ("", "scrypt$1$2", "md5$1$1$1$AA==$AA==", "scrypt$99999999$8$1$AA==$AA=="):
        assert not matches(PASSWORD, bad)
    for wrong in ("short", "x" * 201):
        with pytest.raises(Usage):
            scrypt(wrong)


def test_a_file_that_others_can_read_lets_nobody_in(people: People, tmp_path: Path) -> None:
    (tmp_path / keeping.FILE).chmod(0o644)
    with pytest.raises(BadConfig, match="others can read"):
        people.everybody()
    (tmp_path / keeping.FILE).chmod(0o600)
    (tmp_path / keeping.FILE).write_text("[{}]")
    with pytest.raises(BadConfig, match="list of users"):
        people.everybody()


def test_names_and_roles_are_checked() -> None:
    assert named("ann.li") == "ann.li" and roles_of(["admin", "viewer", "admin"]) == ("viewer", "admin")
    for bad in ("", "Ann", "a", "a|b", "x" * 33):
        with pytest.raises(Usage):
            named(bad)
    with pytest.raises(Usage, match="approvr"):
        roles_of(["approvr"])
    with pytest.raises(Usage):
        roles_of([])


# ---- the command line


def test_init_makes_an_admin_whose_first_password_no_output_tells(home: Path, run: Run) -> None:
    first = (home / "secrets" / "admin-password").read_text().strip()
    assert (home / "secrets" / "admin-password").stat().st_mode & 0o777 == 0o600
    found = run("users", "list", "-o", "json")
    assert found.json["users"] == [{"name": "admin", "roles": ["admin"], "disabled": False, "must_change": True}]
    assert first not in found.out and People(home / "secrets").enters("admin", first) is not None


def test_users_are_added_given_roles_and_shut_out(
    home: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("a first password\n"))
    done = run("users", "add", "ann", "--role", "operator", "--role", "field", "-o", "json")
    assert done.json["roles"] == ["operator", "field"], done.err
    people = People(home / "secrets")
    assert people.enters("ann", "a first password") is not None
    assert run("users", "roles", "ann", "--role", "approver", "-o", "json").json["roles"] == ["approver"]
    assert run("users", "disable", "ann", "-o", "json").json["disabled"]
    assert people.enters("ann", "a first password") is None
    assert not run("users", "enable", "ann", "-o", "json").json["disabled"]
    monkeypatch.setattr("sys.stdin", io.StringIO("another first one\n"))
    assert run("users", "password", "ann", "-o", "json").json["must_change"]
    assert people.enters("ann", "another first one") is not None
    for words in (("users", "roles", "bob", "--role", "viewer"), ("users", "add", "Bob", "--role", "viewer")):
        assert run(*words).code == 2


# ---- two persons


def test_whoever_asks_for_a_disconnection_is_not_who_approves_it(tmp_path: Path) -> None:
    from tests.control.rig import Rig

    rig = Rig(tmp_path)
    engine = rig.engine()
    asyncio.run(engine.decide(["A1"], requester="ann"))
    (command,) = rig.find(Command)
    assert (command.state, command.requester) == (CommandState.REQUESTED, "ann")
    for same in ("ann", " Ann", "cli:ann"):
        assert not asyncio.run(engine.approve(command.command, same))
    assert asyncio.run(engine.approve(command.command, "bob"))
    asyncio.run(engine.dispatch())
    assert [drive.action for drive in rig.link.drives] == ["disconnect"]
