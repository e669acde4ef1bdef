"""Safeguards of links and meters: each of the three link suites names its own; here they join the table."""

from tests.ablations import Safeguard
from tests.ingest import test_dlms_ablation as dlms
from tests.ingest import test_listening_ablation as listening
from tests.ingest import test_modbus_ablation as modbus

STOPS = {
    "clock_of_a_push": "a register that was pushed an hour ago closes this hour",
    "clock": "a meter with a wrong clock is cut, and its expiry means nothing",
    "count": "a short answer is read as registers of the next meter",
    "fence_and_expiry": "an order below the fence, or past its time, moves the relay",
    "frame_number": "an old answer of a terminal is taken for a new one",
    "framing": "half an answer and the next one make a value",
    "identity": "the neighbour's register is billed and the neighbour's relay driven",
    "invoke_id": "an old answer is taken for a new one",
    "late_read": "a late read counts as punctual",
    "newest_connection": "an order leaves on a connection that its terminal has given up",
    "plausible_energy": "a register that leapt is billed",
    "point_in_the_answer": "another measuring point's register is billed",
    "reading_time": "what a terminal read an hour ago closes this hour",
    "stamps": "reads under a wrong clock are billed in the wrong hour",
    "state_after_an_order": "an alarm or keep-power order counts that is not in force",
    "time_tag": "an order that came too late trips the breaker",
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
        ("Listening", "tests/ingest/test_listening_ablation.py", listening.SAFEGUARDS),
        ("Modbus", "tests/ingest/test_modbus_ablation.py", modbus.SAFEGUARDS),
    )
    for name in sorted(suite)
)  # fmt: skip
