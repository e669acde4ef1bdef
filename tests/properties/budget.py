"""How many examples a property runs: a number goes in, Hypothesis settings come out; a long run asks for more.

``PREWATT_EXAMPLES=50`` runs fifty times as many, random ones instead of the committed ones (0.1: a tenth of these).
CI's run is the same every time and says the first tariff that fails as it is; a long run also looks for the smallest.
"""

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

TIMES = float(os.environ.get("PREWATT_EXAMPLES", "1"))

# Hypothesis mixes numbers that stand in loaded modules into what it draws: what else is tested would change CI's run
if TIMES <= 1:
    providers._get_local_constants = Constants


def examples(count: int) -> settings:
    """Settings of a property that runs ``count`` examples in CI."""
    return settings(
        max_examples=max(1, int(count * TIMES)),
        derandomize=TIMES <= 1,
        database=None,
        phases=(Phase.generate, Phase.shrink) if TIMES > 1 else (Phase.generate,),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
