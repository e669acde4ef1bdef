"""A Q/GDW 376.1 terminal whose item F6 was seen, on site, to follow its breaker: tripped by F1, permitted by F2."""

from ingest.terminalmodel import TerminalDriver

DRIVER = TerminalDriver(
    name="qgdw376_switching",
    title="Q/GDW 376.1 terminal (dials in), breaker by round 1; choose it after checking F6 on site",
    examples=(
        (
            "6832003200687b01581128020c60020101108f16",
            "6872007200688801581128020c6002010110050901072601907856341200000000007d16",
            123_456_789,
        ),
    ),
    relay_verified=True,
    proven="as qgdw376_terminal; trip, permission and read-back are unproven on metal: each site checks its own",
    source="Q/GDW 376.1-2009 by public implementations and captures; the standard itself was not read",
)
