"""A seed goes in, the bills of a random tariff come out: the reference's, kept, to try the engine against again."""

from random import Random
from typing import Any

import numpy as np

from tariff import evaluation, rating
from tests.properties import choices, tariffs
from tests.properties.agreement import Case, Rules, expected, of_batch
from tests.properties.loads import load

MINUTES = (60, 30, 15)
ACCOUNTS = 3


class Trial:
    """Some accounts' bills: all that the reference says of them, kept."""

    def __init__(self, seed: int, *, like: "Trial | None" = None) -> None:
        """``like``: the same trial, whose answers are known."""
        self.seed = seed
        minutes = MINUTES[seed % len(MINUTES)]
        self.tariff = tariffs.tariff(choices.Choices.seeded(seed), minutes)
        self.load = load(seed, minutes, ACCOUNTS)
        self.answers: list[Any] = like.answers if like is not None else self._answers()

    def _answers(self) -> list[Any]:
        case = Case(Rules(self.tariff), self.load)
        found = []
        for account in range(ACCOUNTS):
            result = case.naive(account).run()
            included = {key: amount for key, amount in result.included.items() if amount}
            energy = sum(result.lines[key] for key in result.energy)
            found.append((expected(result), included, result.total, result.units, energy))
        return found

    def holds(self) -> bool:
        """Whether the engine gives all of them."""
        case = Case(Rules(self.tariff), self.load)
        slots = case.load.slots
        facts, running = case.batch([1, slots // 2] if slots > 2 else [])
        totals = evaluation.totals(case.rules.book, facts.lines)
        for row, (lines, included, total, units, energy) in enumerate(self.answers):
            got = of_batch(facts, row)
            if (got[0], got[1], int(totals[row])) != (lines, included, int(total * 10**6)):
                return False
            scale = 10 ** (15 - case.plan.scale)
            if not case.plan.whole and [int(one) * scale for one in running[row]] != units:
                return False
            if row == 0 and not self._rows(case, energy):
                return False
        order = np.array(Random(self.seed).sample(range(slots), slots))
        return case.bill(1, order).total_micro == int(self.answers[1][2] * 10**6)

    @staticmethod
    def _rows(case: Case, energy: Any) -> bool:
        wh, export = case.energies()
        if case.plan.whole and case.load.slots > 30:
            return True
        half = case.load.slots // 2
        first = rating.rate(case.plan, wh[:1, :half], export=export[:1, :half])
        then = rating.rate(case.plan, wh[:1, half:], export=export[:1, half:], state=first.state)
        return bool(int(first.amount_micro.sum() + then.amount_micro.sum()) == energy * 10**6)
