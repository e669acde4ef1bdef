"""Cases worked by hand about time: intervals, clock changes, price changes, leap days, cycles, meters and odd reads."""

from tests.cases.parts import (
    AUTUMN,
    BERLIN,
    FEBRUARY,
    NIGHT,
    NOON,
    SPRING,
    Case,
    energy,
    every,
    ladder,
    one,
    span,
)

TIMES: dict[str, Case] = {
    # ---- intervals of 15 and 30 minutes
    "quarter hours of a window that begins at a quarter past": (
        [energy("0", prices={"peak": ["1"], "off": ["0.1"]})],
        every("2025-03-10T08:00:00", 4, 15, "1"),  # 08:00 and 09:00 are no peak: three quarters are
        {
            "minutes": 15,
            "version": {"default_period": "off", "periods": [{"period": "peak", "from": "08:15", "to": "09:00"}]},
        },
        ["3.10"],
    ),
    "half hours pass a limit in the middle": (
        [energy("1", "2", ladder=ladder("2.5"))],
        every("2025-03-10T10:00:00", 4, 30, "1"),
        {"minutes": 30},
        ["5.50"],
    ),
    "demand of quarter hours averaged over half an hour": (
        [energy("0"), {"id": "d", "kind": "demand", "price": "1", "window_min": 30}],
        {**one("2025-03-10T10:15:00", "10"), **one("2025-03-10T10:30:00", "8")},  # 10:00-10:30 is 20 kW, not 36
        {"minutes": 15},
        ["20.00"],
    ),
    "a dynamic price of half an hour over quarter hours": (
        [
            {
                "id": "e",
                "kind": "energy",
                "dynamic": [["2025-03-10T10:00:00+00:00", "0.5"], ["2025-03-10T10:30:00+00:00", "-0.1"]],
            }
        ],
        every("2025-03-10T10:00:00", 4, 15, "1"),
        {"minutes": 15},
        ["0.80"],
    ),
    # ---- days of 23 and 25 hours
    "a day of 23 hours has four night hours of five": (
        [energy("0", prices={"night": ["0.1"], "day": ["1"]})],
        every("2025-03-29T23:00:00", 23, 60, "1"),  # 00-02, 03-05 and 23: five of the night's six
        {**BERLIN, "bills": [SPRING], "version": NIGHT},
        ["18.50"],
    ),
    "a day of 25 hours has the hour that comes twice at night": (
        [energy("0", prices={"night": ["0.1"], "day": ["1"]})],
        every("2025-10-25T22:00:00", 25, 60, "1"),
        {**BERLIN, "bills": [AUTUMN], "version": NIGHT},
        ["18.70"],
    ),
    "a day of 25 hours is one day of a standing charge and of a daily ladder": (
        [
            energy("1", "2", ladder=ladder("10", reset="day")),
            {"id": "f", "kind": "fixed", "amount": "0.40", "per": "day"},
        ],
        every("2025-10-25T22:00:00", 25, 60, "1"),
        {**BERLIN, "bills": [AUTUMN]},
        ["40.40"],
    ),
    "limits per day in a month with a short day": (
        [energy("1", "0", ladder=ladder("2", limit_unit="kWh_per_day"))],
        one(NOON, "100"),
        {**BERLIN, "bills": [span("2025-03-01", "2025-04-01")]},
        ["62.00"],
    ),
    "a price that changes at the hour that comes twice": (
        [],
        every("2025-10-25T22:00:00", 25, 60, "1"),
        {
            **BERLIN,
            "bills": [AUTUMN],
            "versions": [
                {"from": "2000-01-01", "components": [energy("0.1")]},
                {"from": "2025-10-26T02:00", "components": [energy("1")]},
            ],
        },  # two hours before, 23 after
        ["23.20"],
    ),
    # ---- price changes inside a bill
    "a ladder goes on over a price change": (
        [],
        {**one("2025-03-05T12:00:00", "80"), **one("2025-03-20T12:00:00", "80")},
        {
            "versions": [
                {"from": "2000-01-01", "components": [energy("1", "2", ladder=ladder("100"))]},
                {"from": "2025-03-11", "components": [energy("3", "4", ladder=ladder("120"))]},
            ]
        },
        ["360.00"],  # 80 x 1 + 40 x 3 + 40 x 4
    ),
    "a standing charge that changes bears its days": (
        [],
        one(NOON, "0"),
        {
            "versions": [
                {"from": "2000-01-01", "components": [{"id": "f", "kind": "fixed", "amount": "31"}]},
                {"from": "2025-03-11", "components": [{"id": "f", "kind": "fixed", "amount": "62"}]},
            ]
        },
        ["52.00"],  # 10 days at 1, 21 at 2
    ),
    "a tax that changes acts on what was used under it": (
        [],
        {**one("2025-03-05T12:00:00", "100"), **one("2025-03-20T12:00:00", "100")},
        {
            "versions": [
                {
                    "from": "2000-01-01",
                    "components": [energy("1"), {"id": "t", "kind": "percent", "percent": "10", "of": ["energy"]}],
                },
                {
                    "from": "2025-03-11",
                    "components": [energy("1"), {"id": "t", "kind": "percent", "percent": "20", "of": ["energy"]}],
                },
            ]
        },
        ["230.00"],
    ),
    "the price change is written with an offset": (
        [],
        {**one("2025-03-10T22:30:00", "1"), **one("2025-03-10T23:30:00", "1")},
        {
            **BERLIN,
            "minutes": 30,
            "bills": [span("2025-03-01", "2025-04-01")],
            "versions": [
                {"from": "2000-01-01", "components": [energy("1")]},
                {"from": "2025-03-10T23:00:00+00:00", "components": [energy("5")]},
            ],
        },
        ["6.00"],
    ),
    # ---- the leap day, and bills from the 29th, 30th and 31st
    "a leap day is a day of limits and of charges": (
        [
            energy("1", "0", ladder=ladder("2", limit_unit="kWh_per_day", reset="bill")),
            {"id": "f", "kind": "fixed", "amount": "0.10", "per": "day"},
        ],
        one("2024-02-29T12:00:00", "500"),
        {"bills": [FEBRUARY]},
        ["60.90"],
    ),
    "bills from the 31st to the last of February": (
        [energy("1", "2", ladder=ladder("50", reset="bill"))],
        {**one("2025-02-27T23:00:00", "60"), **one("2025-02-28T00:00:00", "60")},
        {"bills": [span("2025-01-31", "2025-02-28"), span("2025-02-28", "2025-03-31")]},
        ["70.00", "70.00"],
    ),
    "a month's ladder in bills from the 29th on": (
        [energy("1", "2", ladder=ladder("50"))],
        {**one("2025-01-30T12:00:00", "40"), **one("2025-01-10T12:00:00", "30"), **one("2025-02-03T12:00:00", "50")},
        {"bills": [span("2024-12-29", "2025-01-29"), span("2025-01-29", "2025-03-01")]},
        ["30.00", "110.00"],  # 20 x 1 + 20 x 2 of January, 50 x 1 of February
    ),
    "limits by 30 days over 59, rounded to the kWh": (
        [energy("1", "0", ladder=ladder("50", reset="bill", limit_unit="kWh_per_30_days_rounded"))],
        one("2025-01-15T12:00:00", "500"),
        {"bills": [span("2025-01-01", "2025-03-01")]},
        ["98.00"],  # 98.33
    ),
    # ---- several meters, zero, negative and missing reads
    "a correction below zero walks the ladder down again": (
        [energy("1", "2", ladder=ladder("100"))],
        {**one(NOON, "120"), **one("2025-03-11T12:00:00", "-30")},
        {},
        ["90.00"],
    ),
    "a month of zeros costs its charges and its minimum": (
        [
            energy("1"),
            {"id": "f", "kind": "fixed", "amount": "2"},
            {"id": "m", "kind": "minimum", "amount": "5", "of": ["energy", "f"]},
        ],
        every("2025-03-01T00:00:00", 744, 60, "0"),
        {},
        ["5.00"],
    ),
    "missing intervals cost nothing": ([energy("0.1")], every("2025-03-10T00:00:00", 5, 60, "1"), {}, ["0.50"]),
    "energy finer than a watt-hour is summed before it is rounded": (
        [energy("1000")],
        every("2025-03-10T00:00:00", 10, 60, "0.00025"),
        {},
        ["3.00"],  # 2.5 Wh, halves up
    ),
}
