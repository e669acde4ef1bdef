"""A source of whole numbers goes in, choices come out: Hypothesis draws (and shrinks) them, or Random does."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


@lru_cache(maxsize=4096)
def between(low: int, high: int) -> st.SearchStrategy[int]:
    """The strategy of a range, made once: making them is most of what drawing costs."""
    return st.integers(low, high)


class Choices:
    """What a generator asks; the first of a sequence, the lowest number and no are the simplest."""

    def __init__(self, number: Callable[[int, int], int]) -> None:
        """``number(low, high)`` draws."""
        self.number = number

    @classmethod
    def drawn(cls, draw: st.DrawFn) -> "Choices":
        """From a Hypothesis composite."""
        return cls(lambda low, high: draw(between(low, high)))

    @classmethod
    def seeded(cls, seed: int) -> "Choices":
        """The same for the same seed, without Hypothesis."""
        return cls(Random(seed).randint)

    def one(self, items: Sequence[T]) -> T:
        """One of some."""
        return items[self.number(0, len(items) - 1)]

    def rarely(self, times: int) -> bool:
        """Yes once in ``times``."""
        return self.number(0, times - 1) == times - 1

    def some(self, items: Sequence[T], least: int, most: int) -> list[T]:
        """From ``least`` to ``most`` different ones, in an order of their own."""
        left, found = list(items), []
        for _ in range(self.number(least, min(most, len(left)))):
            found.append(left.pop(self.number(0, len(left) - 1)))
        return found

    def decimal(self, low: int, high: int, places: int) -> str:
        """Decimal text of a whole number at ``places``."""
        value = self.number(low, high)
        digits = str(abs(value)).rjust(places + 1, "0")
        return ("-" if value < 0 else "") + (f"{digits[:-places]}.{digits[-places:]}" if places else str(abs(value)))

    def rising(self, count: int, low: int, high: int, places: int) -> list[str]:
        """Some decimals, none below the one before."""
        return sorted((self.decimal(low, high, places) for _ in range(count)), key=float)


def strategy(made: Callable[..., T], *given: Any, **more: Any) -> st.SearchStrategy[T]:
    """The Hypothesis strategy of a generator whose first argument are Choices."""
    return _made(made, given, more)


@st.composite
def _made(draw: st.DrawFn, made: Callable[..., Any], given: tuple[Any, ...], more: dict[str, Any]) -> Any:
    return made(Choices.drawn(draw), *given, **more)
