"""Any Q/GDW 376.1 terminal that dials in: registers, load and daily freezes in, reads out; its relay is not driven."""

from ingest.terminalmodel import TerminalDriver

DRIVER = TerminalDriver(
    name="qgdw376_terminal",
    title="Q/GDW 376.1 terminal or concentrator (dials in), relay not driven",
    examples=(
        (  # the request stands in public notes; the answer was made here
            "6832003200687b01581128020c60020101108f16",
            "6872007200688801581128020c6002010110050901072601907856341200000000007d16",
            123_456_789,
        ),
    ),
    proven="captured login, heartbeat, order, forwarding and read frames; no register was read on metal yet",
    source="Q/GDW 376.1-2009 by public implementations and captures; the standard itself was not read",
)
