"""Safeguards of links and meters: each of the three link suites names its own; here they join the table."""

from tests.ablations import Safeguard, swap
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

REPORTS = "tests/ingest/test_qgdw376_reports.py"
ROWS = (
    Safeguard(
        "Terminals: the slot of a reported register", "links and meters",
        "a register from between two slots, or from ahead of us, closes one",
        f"{REPORTS}::test_what_is_off_its_slot_ahead_or_of_no_known_layout_fills_nothing",
        swap("ingest.links.qgdw376_reports:slot_floor", lambda at, _: at),
    ),
    Safeguard(
        "Terminals: a person's word for purchase control", "links and meters",
        "a terminal cuts by a credit of its own, past every guard, and nobody meant it",
        "tests/ingest/test_qgdw376_link.py::test_purchase_control_needs_a_persons_word",
        swap("ingest.links.qgdw376:CUT_BY_THEMSELVES", frozenset()),
    ),
    Safeguard(
        "Pushes: the kind of every place and the first text", "links and meters",
        "another list's registers are read from a push of the same length",
        "tests/ingest/test_frames.py::test_a_profile_fits_no_others_push[kaifa_no]",
        swap("ingest.wire.pushes:_list_fits", lambda known, entries: len(known.kinds) == len(entries)),
    ),
    Safeguard(
        "Pushes: volts times amperes beside the power", "links and meters",
        "a meter on current transformers is read ten times too high, and nobody is told",
        "tests/ingest/test_frames.py::test_amperes_that_do_not_make_the_power_are_flagged",
        swap("ingest.framed:_unlike", lambda _: []),
    ),
    Safeguard(
        "Attributes: never what moves supply", "links and meters",
        "a person opens a relay past every guard by writing its object",
        "tests/prewatt/test_attributes.py::test_what_is_refused_is_refused_before_any_meter_is_asked[relay]",
        swap("prewatt.actions.attributes:unwritable", lambda _: ""),
    ),
    *(
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
    ),
)  # fmt: skip
