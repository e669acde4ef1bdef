"""A bill in a real browser: alone on the wire, clean, reachable from the account, and A4 when printed."""

from collections.abc import Iterator

import pytest

from tests.browser.conftest import Browser, Serving
from tests.browser.test_pages import account

pytestmark = [pytest.mark.browser, pytest.mark.sockets]
A4 = (595, 842)  # in points


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name
    yield name
    browser.ask("close", name)


@pytest.mark.parametrize(("lang", "total", "draft"), [("en", "Total", "Draft"), ("zh", "合计", "草稿")])
def test_the_bill_so_far_stands_alone_and_prints_on_a4(
    browser: Browser, serving: Serving, page: str, lang: str, total: str, draft: str
) -> None:
    base, one = serving.address, account(serving, "active")
    browser.ask("open", page, url=f"{base}accounts/{one}", lang=lang, theme="light")
    assert browser.ask("run", page, code=f"!!document.querySelector('a[href$=\"/accounts/{one}/bill\"]')")
    assert browser.ask("go", page, url=f"{base}accounts/{one}/bill") == 200
    seen = browser.ask("seen", page)
    assert seen["errors"] == [], "its own policy lets its style through"
    assert seen["requests"] == [f"{base}accounts/{one}/bill"], "and it asks for nothing else"
    assert browser.ask("axe", page) == []
    text = browser.ask("run", page, code="document.body.innerText")
    assert total in text and draft in text and one in text
    assert browser.ask("run", page, code="getComputedStyle(document.querySelector('.due b')).fontSize") == "26px"
    printed = browser.ask("pdf", page)
    assert [tuple(round(side) for side in box) for box in printed["pages"]] == [A4], "one sheet of A4"


def test_a_bill_on_a_phone_never_scrolls_sideways(browser: Browser, serving: Serving, page: str) -> None:
    base, one = serving.address, account(serving, "active")
    browser.ask("open", page, url=base, lang="en", theme="light", width=390, height=844)
    browser.ask("go", page, url=f"{base}accounts/{one}/bill")
    assert browser.ask("run", page, code="document.documentElement.scrollWidth") <= 390


def test_a_bill_that_is_not_there_says_so(browser: Browser, serving: Serving, page: str) -> None:
    base, one = serving.address, account(serving, "active")
    browser.ask("open", page, url=base, lang="en", theme="light")
    assert browser.ask("go", page, url=f"{base}accounts/{one}/bill/2020-01-01T00:00:00") == 404
    assert one in browser.ask("run", page, code="document.body.innerText")
    assert browser.ask("go", page, url=f"{base}accounts/{one}/bill/yesterday") == 404
    assert browser.ask("go", page, url=f"{base}accounts/nobody/bill") == 404
