"""The tree of tariff's errors.

TariffError
├── BookError       the book's text is wrong: file, line, key, and what was probably meant
├── RatingError     a book that cannot price these slots or this energy; says which and what to do
└── ImportRefusedError   a rate of another form that no book can say; names its field
"""


class TariffError(Exception):
    """Root of tariff's errors."""


class BookError(TariffError):
    """A book that must not be used. ``file``, ``line`` (from 1; 0: the whole file) and ``hint`` say where and what."""

    def __init__(self, file: str, line: int, message: str, hint: str = "") -> None:
        """Keep the place beside the readable text."""
        place = f"{file}:{line}" if line else file
        super().__init__(f"{place}: {message}" + (f" ({hint})" if hint else ""))
        self.file, self.line, self.message, self.hint = file, line, message, hint


class RatingError(TariffError):
    """A slot, an energy or an attribute that the book cannot price; nothing is guessed in its place."""


class ImportRefusedError(TariffError):
    """A rate that cannot be made a book: ``field`` of the other form, and a ``hint`` what to do."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        """Keep the field beside the readable text."""
        super().__init__(f"{field}: {message}")
        self.field, self.hint = field, hint
