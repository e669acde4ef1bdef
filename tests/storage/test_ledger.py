"""Double entry: legs sum to zero, a source counts once, balances follow the postings, tampering is found."""

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import ledger
from storage.errors import Conflict, LedgerError, Unbalanced
from storage.records import Posting
from storage.state import STATE_FILE
from storage.store import Store
from storage.verify import verify
from storage.writer import Priority
from tests.storage.conftest import T0


def legs(number: str, amount: int, *, account: str = "A1", currency: str = "CNY") -> list[Posting]:
    """A payment of one account."""
    first = Posting("payment", number, f"customer:{account}", amount, currency, T0, T0)
    return [first, replace(first, ledger_account="cash:webhook", amount_micro=-amount)]


def post(store: Store, postings: list[Posting]) -> bool:
    return store.write(Priority.MONEY, lambda unit: unit.post(postings))


def test_balances_follow_the_postings(any_store: Store) -> None:
    assert post(any_store, legs("p1", 50_000_000))
    assert post(any_store, legs("p2", -20_000_000))
    assert post(any_store, legs("p3", 7, account="A10"))
    assert any_store.read(lambda r: r.balance("customer:A1")) == 30_000_000
    assert any_store.read(lambda r: r.balance("customer:nobody")) == 0
    assert any_store.read(lambda r: r.balances()) == {"customer:A1": 30_000_000, "customer:A10": 7}
    assert any_store.read(lambda r: r.balances("cash:")) == {"cash:webhook": -30_000_007}
    assert any_store.read(lambda r: r.ledger_sum()) == 0


def test_a_source_counts_once(any_store: Store) -> None:
    assert post(any_store, legs("p1", 50)) is True
    assert post(any_store, legs("p1", 50)) is False
    assert post(any_store, list(reversed(legs("p1", 50)))) is False
    with pytest.raises(Conflict, match="other legs"):
        post(any_store, legs("p1", 51))
    assert any_store.read(lambda r: r.balance("customer:A1")) == 50


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ([], LedgerError, "no postings"),
        (legs("p", 5)[:1], Unbalanced, "sum to 5"),
        ([*legs("p", 5)[:1], *legs("q", 5)[1:]], LedgerError, "two sources"),
        ([legs("p", 5)[0], replace(legs("p", 5)[0], amount_micro=-5)], LedgerError, "add them up"),
        ([legs("p", 5)[0], legs("p", 5, currency="EUR")[1]], Unbalanced, "legs in CNY"),
        ([replace(p, amount_micro=float(p.amount_micro)) for p in legs("p", 5)], LedgerError, "not an integer"),  # type: ignore[arg-type]
        (
            [replace(legs("p", 0)[0], ledger_account=f"a{n}") for n in range(ledger.LEG_LIMIT + 1)],
            LedgerError,
            "at most",
        ),
    ],
)
def test_wrong_legs_are_refused(store: Store, wrong: list[Posting], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        post(store, wrong)
    assert store.read(lambda r: r.balances("")) == {}


def test_many_at_once_count_as_one_by_one(store: Store) -> None:
    post(store, legs("p1", 5))
    made = [legs(f"p{n}", n * 5) for n in (1, 2, 3, 2)]
    assert store.write(Priority.BATCH, lambda u: u.post_all(made)) == 2
    assert store.write(Priority.BATCH, lambda u: u.post_all(made)) == 0
    assert store.write(Priority.BATCH, lambda u: u.post_all([])) == 0
    assert store.read(lambda r: r.balance("customer:A1")) == 30
    for wrong in ([legs("p9", 1), legs("p9", 2)], [legs("p9", 1), legs("p1", 6)]):
        with pytest.raises(Conflict):
            store.write(Priority.BATCH, lambda u, w=wrong: u.post_all(w))
    with pytest.raises(LedgerError, match="post in slices"):
        store.write(Priority.BATCH, lambda u: u.post_all([legs("p9", 1)] * (ledger.POST_LIMIT + 1)))
    assert store.read(lambda r: r.balance("customer:A1")) == 30


def test_as_many_legs_as_the_limit(store: Store) -> None:
    many = [replace(legs("p", 0)[0], ledger_account=f"a{n}") for n in range(ledger.LEG_LIMIT)]
    assert post(store, many)


def test_a_commit_that_unbalances_the_ledger_is_refused(any_store: Store) -> None:
    """Whatever a work does by other means: the assertion before COMMIT holds in production too."""
    half = legs("p1", 5)[0]
    with pytest.raises(Unbalanced, match="after this commit"):
        any_store.write(Priority.MONEY, lambda unit: unit.add(half))
    assert any_store.read(lambda r: (r.count(Posting), r.ledger_sum())) == (0, 0)
    assert post(any_store, legs("p2", 5))


def test_two_currencies_on_one_account_want_a_name(store: Store) -> None:
    post(store, legs("p1", 5))
    post(store, legs("p2", 7, currency="EUR", account="A2"))
    with pytest.raises(LedgerError, match="CNY, EUR"):
        store.read(lambda r: r.balance("cash:webhook"))
    assert store.read(lambda r: r.balance("cash:webhook", "EUR")) == -7


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(-(10**12), 10**12), st.sampled_from("AB")), max_size=12))
def test_balances_equal_a_slow_sum(tmp_path_factory, moves) -> None:  # type: ignore[no-untyped-def]
    from tests.storage.conftest import StillClock

    home = tmp_path_factory.mktemp("ledger")
    slow: dict[str, int] = {}
    seen: dict[str, tuple[int, str]] = {}
    with Store.open(home, clock=StillClock(), writer="inline", durable=False) as store:
        for number, amount, account in moves:
            source = f"p{number}"
            if source in seen and seen[source] != (amount, account):
                with pytest.raises(Conflict):
                    post(store, legs(source, amount, account=account))
                continue
            assert post(store, legs(source, amount, account=account)) is (source not in seen)
            if source not in seen:
                slow[f"customer:{account}"] = slow.get(f"customer:{account}", 0) + amount
            seen[source] = (amount, account)
        assert store.read(lambda r: r.balances()) == slow
        assert store.read(lambda r: ledger.check(r.connection)) == []


def test_verify_finds_a_changed_balance(store: Store) -> None:
    post(store, legs("p1", 50))
    assert verify(store).ok
    link = sqlite3.connect(store.home / STATE_FILE)
    link.execute("UPDATE ledger_balance SET amount_micro = 60 WHERE ledger_account = 'customer:A1'")
    link.commit()
    link.close()
    found = verify(store)
    assert not found.ok
    assert found.ledger == ("balance of customer:A1 is 60 CNY micro, its postings sum to 50",)


def test_verify_finds_a_changed_posting(store: Store) -> None:
    post(store, legs("p1", 50))
    link = sqlite3.connect(store.home / STATE_FILE)
    link.execute("DROP TRIGGER posting_no_update")
    link.execute("UPDATE posting SET amount_micro = 51 WHERE ledger_account = 'customer:A1'")
    link.commit()
    link.close()
    assert "payment p1: legs sum to 1 CNY micro" in verify(store).ledger
