"""Names go in, payment channels come out: one pure file per channel (bytes to Payments, or a refusal)."""

from control.ports import PaymentChannel
from ingest import plugins


def channels() -> dict[str, PaymentChannel]:
    """Every payment channel by name; third parties add theirs by the entry point group ``prewatt.payments``."""
    return plugins.load("control.payments", "PAYMENTS", PaymentChannel, group="prewatt.payments")
