"""Names go in, notice channels come out: one file per channel, found by a loader that refuses duplicates."""

from control.ports import ChannelKind
from ingest import plugins


def kinds() -> dict[str, ChannelKind]:
    """Every notice channel by name; third parties add theirs by the entry point group ``prewatt.channels``."""
    return plugins.load("control.channels", "CHANNEL", ChannelKind, group="prewatt.channels")
