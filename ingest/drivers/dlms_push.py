"""A meter or head end that pushes DLMS DataNotifications to us: registers of any known push profile in, reads out."""

from ingest.terminalmodel import PushDriver

DRIVER = PushDriver(
    name="dlms_push",
    title="DLMS push (DataNotification) in HDLC, wrapper or M-Bus frames, by profile",
    import_obis=(("1.0.1.8.0.255",), ("1.0.1.8.1.255", "1.0.1.8.2.255"), ("1.1.1.8.0.255",)),
    export_obis=(("1.0.2.8.0.255",), ("1.0.2.8.1.255", "1.0.2.8.2.255"), ("1.1.2.8.0.255",)),
    proven="captured pushes of Aidon, Kaifa, Kamstrup, Landis+Gyr, Iskra and Sagemcom meters give their values",
    source="the push profiles of ingest/pushes",
)
