"""Safeguards of links and meters: each of the two link suites names its own; here they join the table."""

from tests.ablations import Safeguard
from tests.ingest import test_dlms_ablation as dlms
from tests.ingest import test_modbus_ablation as modbus

STOPS = {
    "clock": "a meter with a wrong clock is cut, and its expiry means nothing",
    "count": "a short answer is read as registers of the next meter",
    "fence_and_expiry": "an order below the fence, or past its time, moves the relay",
    "framing": "half an answer and the next one make a value",
    "identity": "the neighbour's register is billed and the neighbour's relay driven",
    "invoke_id": "an old answer is taken for a new one",
    "late_read": "a late read counts as punctual",
    "plausible_energy": "a register that leapt is billed",
    "stamps": "reads under a wrong clock are billed in the wrong hour",
    "transaction_id_and_close": "an old answer is taken for a new one",
    "unit": "another unit's answer is taken",
}

ROWS = tuple(
    Safeguard(
        f"{title}: {name.replace('_', ' ')}", "links and meters", STOPS[name],
        f"{path}::test_the_safeguard_stops_it[{name}]", suite[name][1],
    )
    for title, path, suite in (
        ("DLMS", "tests/ingest/test_dlms_ablation.py", dlms.SAFEGUARDS),
        ("Modbus", "tests/ingest/test_modbus_ablation.py", modbus.SAFEGUARDS),
    )
    for name in sorted(suite)
)  # fmt: skip
