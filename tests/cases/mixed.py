"""Cases worked by hand about what utilities write together: bands and event days, two-month classes, taxes, blocks."""

from tests.cases.parts import NOON, PEAK, Case, Table, energy, every, ladder, one, span

BANDS: Table = {
    "default_period": "flat",
    "periods": [
        {"period": "deep", "from": "12:00", "to": "14:00"},
        {"period": "sharp", "from": "10:00", "to": "12:00", "months": [7, 8]},
        {"period": "peak", "from": "08:00", "to": "22:00"},
        {"period": "valley", "from": "22:00", "to": "06:00"},
    ],
}
EVENT: Table = {
    "default_period": "off",
    "periods": [{"period": "event", "dates": [["2025-03-10", "2025-03-10"]], "from": "12:00", "to": "20:00"}]
    + PEAK["periods"],
}
HOURS = ("02", "07", "11", "13", "16", "23")
TWO_MONTHS: Table = {
    "mode": "by_total",
    "reset": "bill",
    "classes": [
        {"up_to": "500", "limits": ["100", "400"], "prices": ["0", "4.5", "6"]},
        {"up_to": None, "limits": ["100", "400", "500"], "prices": ["0", "6", "8", "9"]},
    ],
}
DEAR: Table = {
    "mode": "by_total",
    "reset": "month",
    "classes": [{"up_to": "100", "limits": [], "prices": ["1"]}, {"up_to": None, "limits": [], "prices": ["2"]}],
}
DEARER: Table = {**DEAR, "classes": [{**one, "prices": [p]} for one, p in zip(DEAR["classes"], "34", strict=True)]}

MIXED: dict[str, Case] = {
    # 4 kWh at 9 in the event, 4 at 2 the next day, 4 at 1 at night
    "an event day overrides the peak": (
        [energy("0", prices={"event": ["9"], "peak": ["2"], "off": ["1"]})],
        {**one(NOON, "4"), **one("2025-03-11T12:00:00", "4"), **one("2025-03-10T22:00:00", "4")},
        {"version": EVENT},
        ["48.00"],
    ),
    # sharp 1.5, deep valley 0.2, peak 1, valley 0.3 before and after midnight, flat 0.6; no sharp hours in March
    "five bands of which one is of a season": (
        [energy("0", prices={"sharp": ["1.5"], "peak": ["1"], "flat": ["0.6"], "valley": ["0.3"], "deep": ["0.2"]})],
        {f"2025-{month}-10T{hour}:00:00": ("1",) for month in ("03", "07") for hour in HOURS},
        {"version": BANDS, "bills": [span("2025-03-01", "2025-04-01"), span("2025-07-01", "2025-08-01")]},
        ["3.40", "3.90"],
    ),
    # 300 at 4.5 and 100 at 6; then 300 at 6, 100 at 8, 20 at 9
    "two months are one class ladder": (
        [energy("0", prices={}, ladder=TWO_MONTHS)],
        {**one(NOON, "500"), **one("2025-05-10T12:00:00", "300"), **one("2025-06-10T12:00:00", "220")},
        {"bills": [span("2025-03-01", "2025-05-01"), span("2025-05-01", "2025-07-01")]},
        ["1950.00", "2780.00"],
    ),
    # the month's 120 kWh reach the second class of both prices: 60 at 2, 60 at 4
    "a class ladder whose prices change inside the bill": (
        [energy("0", prices={}, ladder=DEAR)],
        {**one(NOON, "60"), **one("2025-03-20T12:00:00", "60")},
        {
            "versions": [
                {"from": "2000-01-01", "components": [energy("0", prices={}, ladder=DEAR)]},
                {"from": "2025-03-16", "components": [energy("0", prices={}, ladder=DEARER)]},
            ]
        },
        ["360.00"],
    ),
    # 3.00 and 17.00 up to the minimum; 5 % of 20.00; 10 % of 21.00
    "a minimum above a class ladder, and tax on tax": (
        [
            energy("0", prices={}, ladder=DEAR),
            {"id": "least", "kind": "minimum", "amount": "20", "of": ["energy"]},
            {"id": "levy", "kind": "percent", "percent": "5", "of": ["energy", "least"]},
            {"id": "vat", "kind": "percent", "percent": "10", "of": ["energy", "least", "levy"]},
        ],
        one(NOON, "3"),
        {},
        ["23.10"],
    ),
    # 121 kWh of class 2 are above 100: no minimum is missing, 242.00 and 5 %
    "a minimum that a class reached": (
        [
            energy("0", prices={}, ladder=DEAR),
            {"id": "least", "kind": "minimum", "amount": "20", "of": ["energy"]},
            {"id": "levy", "kind": "percent", "percent": "5", "of": ["energy", "least"]},
        ],
        one(NOON, "121"),
        {},
        ["254.10"],
    ),
    # 10 kWh at -0.10 and 4 at 0.05 are -0.80; 20 % of it -0.16
    "tax on what negative prices leave": (
        [
            {"id": "energy", "kind": "energy", "dynamic": {NOON: "-0.10", "2025-03-10T13:00:00": "0.05"}},
            {"id": "vat", "kind": "percent", "percent": "20", "of": ["energy"]},
        ],
        {**one(NOON, "10"), **one("2025-03-10T13:00:00", "4")},
        {},
        ["-0.96"],
    ),
    # three phases at 4.10 and 2.5 kW at 30
    "charges by phase and by sanctioned kW": (
        [
            energy("1"),
            {"id": "phases", "kind": "fixed", "amount": "4.10", "per": "phases"},
            {"id": "kw", "kind": "fixed", "amount": "30", "per": "sanctioned_kw"},
        ],
        one(NOON, "1"),
        {"context": {"phases": "3", "sanctioned_kw": "2.5"}},
        ["88.30"],
    ),
    # half hours of 20, 26 and 22 kW in the peak (30 kW at night do not count): 10 at 2, 16 at 3, 8 % tax
    "blocks of demand by half hours of the peak": (
        [
            energy("0"),
            {"id": "kw", "kind": "demand", "period": "peak", "window_min": 30, "blocks": [
                {"up_to": "10", "price": "2"}, {"up_to": None, "price": "3"}]},
            {"id": "tax", "kind": "percent", "percent": "8", "of": ["kw"]},
        ],
        {
            **every("2025-03-10T12:00:00", 2, 15, "5"),
            **every("2025-03-10T12:30:00", 2, 15, "6.5"),
            **every("2025-03-10T13:00:00", 2, 15, "5.5"),
            **every("2025-03-10T22:00:00", 2, 15, "7.5"),
        },
        {"version": PEAK, "minutes": 15},
        ["73.44"],
    ),
    # the first of January restarts the ladder inside the bill: 10 at 1, 10 at 2, then 50 at 1
    "an annual ladder restarts inside a bill": (
        [energy("1", "2", ladder=ladder("100", reset="year"))],
        {**one("2024-12-01T12:00:00", "90"), **one("2024-12-20T12:00:00", "20"), **one("2025-01-05T12:00:00", "50")},
        {"bills": [span("2024-11-15", "2024-12-15"), span("2024-12-15", "2025-01-15")]},
        ["90.00", "80.00"],
    ),
    # 120 kWh all at 2.00; 50 of them are given back, 15 % on the rest
    "free kWh of a volume ladder, and a tax": (
        [
            energy("1", "2", ladder={"mode": "volume", "reset": "bill", "limits": ["100"]}),
            {"id": "free", "kind": "free_kwh", "of": "energy", "kwh": "50"},
            {"id": "vat", "kind": "percent", "percent": "15", "of": ["energy", "free"]},
        ],
        one(NOON, "120"),
        {},
        ["161.00"],
    ),
    # 4 sold at 0.30 and 10 sold at 0.05 are 1.70 against 30 bought at 0.10: half-hourly
    "net billing by half hours": (
        [
            energy("0.10"),
            energy(id="sold", quantity="export", credit=True, prices={"peak": ["0.30"], "off": ["0.05"]}),
        ],
        {
            **every("2025-03-10T10:00:00", 4, 30, "0", "1"),
            **every("2025-03-10T22:00:00", 4, 30, "7.5", "2.5"),
        },
        {"version": PEAK, "minutes": 30},
        ["1.30"],
    ),
}  # fmt: skip
