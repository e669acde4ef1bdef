"""Kamstrup Omnipower set to three decimals: codes and bare values in pairs go in; 1 Wh, 10 mV, 10 mA come out."""

from ingest.pushmodel import PushExample, PushProfile

PROFILE = PushProfile(
    name="kamstrup_fine",
    title="Kamstrup Omnipower set to 1 Wh and 10 mV (some Swedish and Danish utilities); only by name",
    shape="pairs",
    zone="Etc/GMT-1",  # Central European standard time all the year, whatever the status byte says
    version="Kamstrup_V",
    by_name_only=True,
    exponents={"Wh": 0, "W": 0, "V": -2, "A": -2} | {f"1.1.{c}.7.0.255": -2 for c in (13, 33, 53, 73)},
    examples=(
        PushExample(
            frame=(
                "7ea0984103137c7ae6e7000f000000010c07ea070e020c000a00800000020d0a0e4b616d73747275705f563030303109"
                "060101000005ff0a103537303635363730303030303030323109060101600101ff0a1236383431313338303030303030"
                "303030303009060101010700ff0600000251090601011f0700ff06000000fc09060101200700ff1256b7090601010108"
                "00ff06015fde9b80a07e"
            ),
            values={
                "1.1.1.7.0.255": ("593", "W"),
                "1.1.31.7.0.255": ("2.52", "A"),
                "1.1.32.7.0.255": ("221.99", "V"),
                "1.1.1.8.0.255": ("23060123", "Wh"),
            },
            at="2026-07-14T11:00:10",
            source="made here",
        ),
    ),
    proven="a published push (volts); energies by reports of users",
    source="reports of Swedish and Danish users",
)
