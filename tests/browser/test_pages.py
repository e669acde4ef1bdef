"""The console in a real browser: live, in both languages and themes, light, reachable, and alone on the wire."""

import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Browser, Serving

pytestmark = [pytest.mark.browser, pytest.mark.sockets]
LOOKS = [("en", "light"), ("zh", "dark"), ("en", "dark"), ("zh", "light")]
MOST_BYTES, MOST_REQUESTS = 150_000, 11
BALANCE = "document.querySelector('.cards dd').textContent"


def fetch(serving: Serving, path: str) -> str:
    """One page, without a browser."""
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=10)
    connection.request("GET", path)
    return connection.getresponse().read().decode("utf-8-sig")


def account(serving: Serving, state: str) -> str:
    """An account in this state."""
    rows = (line.split(",") for line in fetch(serving, "/board.csv").splitlines()[1:])
    return next(row[0] for row in rows if row[3] == state)


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[str]:
    """A page's name; what was opened under it is closed."""
    name = request.node.name
    yield name
    browser.ask("close", name)


@pytest.mark.parametrize(("lang", "theme"), LOOKS)
def test_pages_are_clean_small_and_reachable(
    browser: Browser, serving: Serving, page: str, lang: str, theme: str
) -> None:
    """No error in the console, nothing from elsewhere, at most 150 KB, no A or AA violation, no sideways scroll."""
    base = serving.address
    one = account(serving, "pending")
    browser.ask("open", page, url=base, lang=lang, theme=theme)
    paths = ["", f"accounts/{one}", f"accounts/{one}/explain"]
    more = ["accounts", "payments", "commands", "safety", "users", f"accounts/{one}/balance?at=2026-03-10T08:00"]
    paths += more if (lang, theme) in LOOKS[:2] else []
    for path in paths:
        assert browser.ask("go", page, url=base + path) == 200
        seen = browser.ask("seen", page)
        assert seen["errors"] == [], path
        assert [url for url in seen["requests"] if not url.startswith((base, "data:"))] == []
        assert seen["bytes"] <= MOST_BYTES, path
        assert len([url for url in seen["requests"] if url.startswith("http")]) <= MOST_REQUESTS
        assert browser.ask("axe", page) == [], path
        assert browser.ask("run", page, code="document.documentElement.lang")[:2] == lang
        assert browser.ask("run", page, code="document.documentElement.dataset.theme") == theme


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_phone_never_scrolls_sideways(browser: Browser, serving: Serving, page: str, lang: str) -> None:
    base = serving.address
    browser.ask("open", page, url=base, lang=lang, theme="light", width=390, height=844)
    one = account(serving, "warning")
    for path in (
        "",
        f"accounts/{one}",
        f"accounts/{one}/explain",
        "accounts",
        "orders",
        "notices",
        "payments",
        "users",
    ):
        browser.ask("go", page, url=base + path)
        assert browser.ask("run", page, code="document.documentElement.scrollWidth") <= 390, path


def test_an_action_here_shows_there_within_a_second(browser: Browser, serving: Serving, page: str) -> None:
    """One tab pays, another one looks on: its balance changes, its chart stays, the form that is open stays open."""
    base, one = serving.address, account(serving, "warning")
    watching = f"{page}-watching"
    for name in (page, watching):
        browser.ask("open", name, url=f"{base}accounts/{one}", lang="en", theme="light")
    browser.ask("run", watching, code="document.querySelector('#chart-balance canvas').id = 'kept'; true")
    browser.ask("click", watching, at="summary.danger")
    browser.ask("fill", watching, at="details[open] input[name=reason]", text="half a reason")
    before = browser.ask("run", watching, code=BALANCE)
    browser.ask("click", page, at="summary.primary")
    browser.ask("fill", page, at="input[name=amount]", text="12345.00")
    start = time.monotonic()
    browser.ask("run", page, code="document.querySelector('input[name=amount]').form.requestSubmit()")
    browser.ask("until", watching, code=f"{BALANCE} !== {before!r}")
    assert time.monotonic() - start < 1.0
    assert "12," in browser.ask("run", watching, code=BALANCE)
    assert browser.ask("run", watching, code="!!document.querySelector('#chart-balance canvas#kept')")
    half = "document.querySelector('details[open] input[name=reason]').value"
    assert browser.ask("run", watching, code=half) == "half a reason"
    browser.ask("until", page, code="!!document.querySelector('.message')")
    assert "Done: Top up" in browser.ask("run", page, code="document.querySelector('.message').textContent")
    browser.ask("close", watching)


def test_keys_search_move_and_go(browser: Browser, serving: Serving, page: str) -> None:
    base = serving.address
    browser.ask("open", page, url=base, lang="en", theme="light")
    focused = "document.activeElement.closest('tr')?.id || document.activeElement.id"
    rows = browser.ask("run", page, code="[...document.querySelectorAll('table.rows tbody tr')].map((r) => r.id)")
    browser.ask("press", page, keys=["j"])
    assert browser.ask("run", page, code=focused) == rows[0]
    browser.ask("press", page, keys=["j", "j", "k"])
    assert browser.ask("run", page, code=focused) == rows[1]
    browser.ask("press", page, keys=["/"])
    assert browser.ask("run", page, code=focused) == "search"
    one = account(serving, "warning")
    browser.ask("press", page, keys=[*one, "Enter"])
    browser.ask("until", page, code=f"location.pathname === '/accounts/{one}' && document.readyState === 'complete'")
    browser.ask("press", page, keys=["g", "b"])
    browser.ask("until", page, code="location.pathname === '/' && document.readyState === 'complete'")


def test_shift_a_approves_the_chosen_one_and_a_plain_a_nothing(browser: Browser, serving: Serving, page: str) -> None:
    base = serving.address
    browser.ask("open", page, url=base, lang="en", theme="light")
    cards = "document.querySelectorAll('.approval').length"
    waiting = browser.ask("run", page, code=cards)
    assert waiting > 0
    browser.ask("press", page, keys=["a", "Enter"])
    assert browser.ask("run", page, code=cards) == waiting
    browser.ask("press", page, keys=["Shift+A"])
    assert browser.ask("run", page, code=cards) == waiting, "the first press only chooses"
    assert browser.ask("run", page, code="document.activeElement.className") == "danger"
    browser.ask("press", page, keys=["Shift+A"])
    browser.ask("until", page, code="!!document.querySelector('.message')")
    assert "Approve" in browser.ask("run", page, code="document.querySelector('.message').textContent")


def test_language_and_theme_are_kept(browser: Browser, serving: Serving, page: str) -> None:
    browser.ask("open", page, url=f"{serving.address}?state=warning", lang="en", theme="light")
    browser.ask("click", page, at="button[name=lang]")
    browser.ask("until", page, code="document.documentElement.lang === 'zh-CN'")
    browser.ask("click", page, at="button[name=theme]")
    browser.ask("until", page, code="document.documentElement.dataset.theme === 'dark'")
    assert browser.ask("run", page, code="location.search") == "?state=warning"


def test_the_kill_switch_is_pulled_without_a_mouse(browser: Browser, serving: Serving, page: str) -> None:
    browser.ask("open", page, url=f"{serving.address}safety", lang="en", theme="light")
    browser.ask("run", page, code="document.querySelector('main summary').focus(); true")
    browser.ask("press", page, keys=["Enter", "Tab", *"drill", "Enter"])
    browser.ask("until", page, code="!!document.querySelector('.message')")
    assert "pulled: nothing is cut" in browser.ask("run", page, code="document.querySelector('main').innerText")


@pytest.mark.kill
def test_the_page_outlives_the_server(browser: Browser, serving: Serving, page: str, tmp_path: Path) -> None:
    """kill -9, start again: the same page says that it is cut off, comes back by itself and shows what is new."""
    one = account(serving, "grace")
    browser.ask("open", page, url=f"{serving.address}accounts/{one}", lang="en", theme="light")
    browser.ask("run", page, code="window.same = true")
    before = browser.ask("run", page, code=BALANCE)
    serving.kill()
    browser.ask("until", page, code="!document.getElementById('lost').hidden")
    serving.start()
    browser.ask("until", page, code="document.getElementById('lost').hidden", limit=10_000)
    token = browser.ask("run", page, code="document.querySelector('input[name=csrf]').value")
    code = (
        f"fetch('/accounts/{one}/topup', {{method: 'POST', headers: {{'Content-Type': "
        f"'application/x-www-form-urlencoded'}}, body: 'csrf={token}&amount=500&id=after'}}).then((r) => r.status)"
    )
    assert browser.ask("run", page, code=code) == 200, "the form that it was drawn with still counts"
    browser.ask("until", page, code=f"{BALANCE} !== {before!r}", limit=5_000)
    assert browser.ask("run", page, code="window.same === true"), "nobody loaded the page again"
