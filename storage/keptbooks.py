"""A content hash goes in, the tariff book of that content comes out: one in force, else as it was kept when it was."""

from collections.abc import Callable, Mapping

from storage.records import BookVersion
from storage.store import Store
from tariff.book import load
from tariff.errors import BookError
from tariff.model import Book

Series = Callable[[str], bytes]


def no_series(name: str) -> bytes:
    """No file of prices is at hand."""
    raise FileNotFoundError(name)


class KeptBooks:
    """Books by hash, each read once. ``series`` opens the price files that a kept book names."""

    def __init__(self, store: Store, books: Mapping[str, Book], series: Series = no_series) -> None:
        """Bind the store and the books in force, by name."""
        self._store = store
        self._series = series
        self._known: dict[str, Book | None] = {book.hash: book for book in books.values()}

    def of(self, book_hash: str) -> Book | None:
        """The book whose content has this hash; None if it was never kept, or its text or price files have changed."""
        if book_hash not in self._known:
            self._known[book_hash] = self._load(book_hash)
        return self._known[book_hash]

    def _load(self, book_hash: str) -> Book | None:
        kept = self._store.read(lambda reader: reader.get(BookVersion, book_hash))
        if kept is None:
            return None
        try:
            book = load(kept.text, kept.book, path=f"{kept.book}@{book_hash[:12]}", series=self._series)
        except BookError:
            return None
        return book if book.hash == book_hash else None
