"""Cases worked by hand about rules: classes, ladders over windows, and whatever acts on lines."""

from tests.cases.parts import (
    NOON,
    PEAK,
    Case,
    energy,
    ladder,
    one,
    span,
)

RULES: dict[str, Case] = {
    # ---- classes by total
    "a total on the limit stays below it, one Wh more does not": (
        [
            energy(
                "0",
                prices={},
                ladder={
                    "mode": "by_total",
                    "reset": "month",
                    "classes": [
                        {"up_to": "100", "limits": [], "prices": ["1"]},
                        {"up_to": None, "limits": ["50"], "prices": ["2", "3"]},
                    ],
                },
            )
        ],
        {**one("2025-03-10T12:00:00", "100"), **one("2025-04-10T12:00:00", "100.001")},
        {"bills": [span("2025-03-01", "2025-04-01"), span("2025-04-01", "2025-05-01")]},
        ["100.00", "250.00"],
    ),
    "classes with prices by period": (
        [
            energy(
                "0",
                prices={},
                ladder={
                    "mode": "by_total",
                    "reset": "month",
                    "classes": [
                        {"up_to": "10", "limits": [], "prices": {"peak": ["1"], "off": ["0.5"]}},
                        {"up_to": None, "limits": [], "prices": {"peak": ["2"], "off": ["1"]}},
                    ],
                },
            )
        ],
        {**one(NOON, "6"), **one("2025-03-10T22:00:00", "6")},
        {"version": PEAK},
        ["18.00"],
    ),
    "a class for each period": (
        [
            energy(
                "0",
                prices={"peak": ["1", "2"], "off": ["0.5", "1"]},
                ladder={"mode": "by_total", "reset": "month", "scope": "period", "limits": ["10"]},
            )
        ],
        {**one(NOON, "6"), **one("2025-03-10T22:00:00", "11")},
        {"version": PEAK},
        ["17.00"],
    ),
    "limits of classes per day": (
        [
            energy(
                "0",
                prices={},
                ladder={
                    "mode": "by_total",
                    "reset": "month",
                    "limit_unit": "kWh_per_day",
                    "classes": [
                        {"up_to": "1", "limits": [], "prices": ["1"]},
                        {"up_to": None, "limits": ["2"], "prices": ["2", "3"]},
                    ],
                },
            )
        ],
        one(NOON, "70"),
        {},
        ["148.00"],  # above 31: 62 x 2 + 8 x 3
    ),
    "a class of the year, by what the bills before it held": (
        [energy("1", "2", ladder={"mode": "by_total", "reset": "year", "limits": ["40"]})],
        {**one("2025-01-10T12:00:00", "35"), **one("2025-02-10T12:00:00", "15")},
        {"bills": [span("2025-01-01", "2025-02-01"), span("2025-02-01", "2025-03-01")]},
        ["35.00", "30.00"],
    ),
    # ---- ladders and times
    "pro rata over three windows": (
        [
            energy(
                "0",
                prices={"peak": ["3", "6"], "mid": ["2", "4"], "off": ["1", "2"]},
                ladder=ladder("50", allocate="pro_rata"),
            )
        ],
        {**one("2025-03-10T09:00:00", "50"), **one("2025-03-10T13:00:00", "30"), **one("2025-03-10T23:00:00", "20")},
        {
            "version": {
                "default_period": "off",
                "periods": [
                    {"period": "peak", "from": "08:00", "to": "12:00"},
                    {"period": "mid", "from": "12:00", "to": "18:00"},
                ],
            }
        },
        ["345.00"],  # each half and half: 25 x 9 + 15 x 6 + 10 x 3
    ),
    "a ladder for each window, with limits of its own": (
        [
            energy(
                "0",
                prices={"peak": ["1", "2"], "off": ["1", "3"]},
                ladder={**ladder(), "limits": {"peak": ["4"], "off": ["8"]}, "scope": "period"},
            )
        ],
        {**one(NOON, "10"), **one("2025-03-10T22:00:00", "10")},
        {"version": PEAK},
        ["30.00"],
    ),
    "seasons change inside the bill: the limits follow the month": (
        [
            energy(
                "1",
                "2",
                ladder={
                    "reset": "bill",
                    "mode": "graduated",
                    "limits_by_months": [
                        {"months": [1, 2, 3], "limits": ["10"]},
                        {"months": [4, 5, 6, 7, 8, 9, 10, 11, 12], "limits": ["30"]},
                    ],
                },
            )
        ],
        {**one("2025-03-20T12:00:00", "20"), **one("2025-04-10T12:00:00", "20")},
        {"bills": [span("2025-03-15", "2025-04-15")]},
        ["60.00"],  # 10 + 2 x 10, then 10 to 30, 2 x 10
    ),
    "kWh for every kW and a household's adder": (
        [
            energy(
                "1",
                "2",
                ladder=ladder(
                    "10", limit_unit="kWh_per_kw", adders=[{"attribute": "household", "at_least": "5", "kwh": "20"}]
                ),
            )
        ],
        one(NOON, "100"),
        {"context": {"contract_kw": "3.5", "household": 6}},
        ["145.00"],
    ),
    "net energy that ends below nothing is paid at the first tier": (
        [energy("1", "2", quantity="net", ladder=ladder("10"))],
        {**one(NOON, "15", "0"), **one("2025-03-11T12:00:00", "0", "20")},
        {},
        ["-5.00"],
    ),
    # ---- what acts on lines
    "tax on tax, half a cent away from zero, the total in whole units": (
        [
            energy("1"),
            {"id": "levy", "kind": "percent", "percent": "2.5", "of": ["energy"]},
            {"id": "vat", "kind": "percent", "percent": "5", "of": ["energy", "levy"]},
        ],
        one(NOON, "20.2"),
        {"total_decimals": 0},
        ["22.00"],  # 20.20 + 0.505 + 1.0355
    ),
    "a rebate below zero rounds away from zero too": (
        [energy("1"), {"id": "rebate", "kind": "percent", "percent": "-2.5", "of": ["*"]}],
        one(NOON, "20.2"),
        {},
        ["19.69"],
    ),
    "blocks of demand in a window, and their tax": (
        [
            energy("0"),
            {"id": "d", "kind": "demand", "period": "peak", "limits": ["10"], "prices": ["1", "2"]},
            {"id": "vat", "kind": "percent", "percent": "10", "of": ["d"]},
        ],
        {**one(NOON, "15"), **one("2025-03-10T22:00:00", "40")},
        {"version": PEAK},
        ["22.00"],
    ),
    "a ratchet on demands that the context knows": (
        [energy("0"), {"id": "d", "kind": "demand", "price": "1", "ratchet": {"percent": "80", "months": 11}}],
        one(NOON, "15"),
        {"context": {"demand_history_kw": [12, "50", 31.5]}},
        ["40.00"],
    ),
    "power factor acts on energy and demand": (
        [
            energy("0.1"),
            {"id": "d", "kind": "demand", "price": "1"},
            {"id": "pf", "kind": "pf_adjust", "standard": "0.90", "of": ["energy", "d"]},
        ],
        one(NOON, "100", "0", "75"),
        {},
        ["115.50"],  # 0.80: 5 % of 10 + 100
    ),
    "free kWh end inside a tier": (
        [energy("1", "2", ladder=ladder("10")), {"id": "free", "kind": "free_kwh", "kwh": "15", "of": "energy"}],
        one(NOON, "30"),
        {},
        ["30.00"],  # 50 - 10 - 10
    ),
    "a fixed charge by class of use and by kVA": (
        [
            energy("0"),
            {
                "id": "f",
                "kind": "fixed",
                "per": "kva",
                "by_total": [{"up_to": "100", "amount": "1"}, {"up_to": None, "amount": "3"}],
            },
        ],
        one(NOON, "100.5"),
        {"context": {"kva": "2.5"}},
        ["7.50"],
    ),
    "export pays by window, with a ladder on what is bought": (
        [
            energy("0", prices={"peak": ["0.30", "0.60"], "off": ["0.10", "0.20"]}, ladder=ladder("10")),
            {
                "id": "sold",
                "kind": "energy",
                "quantity": "export",
                "credit": -1,
                "prices": {"peak": ["0.05"], "off": ["0.02"]},
            },
        ],
        {**one(NOON, "15", "10"), **one("2025-03-10T22:00:00", "5", "50")},
        {"version": PEAK},
        ["5.50"],
    ),
    "holidays count as Sundays, by name": (
        [energy("0", prices={"week": ["1"], "rest": ["0.1"]})],
        {**one(NOON, "1"), **one("2025-03-11T12:00:00", "1"), **one("2025-03-09T12:00:00", "1")},
        {
            "version": {
                "default_period": "week",
                "periods": [{"period": "rest", "days": [7]}],
                "holidays": ["2025-03-10"],
                "holiday_as": "sunday",
            }
        },
        ["1.20"],
    ),
    "every rounding of a component at once": (
        [energy("0.335", "0.395", ladder=ladder("1"))],
        one(NOON, "2"),
        {"round_lines": "component"},
        ["0.73"],
    ),
    "half to even": (
        [energy("0.125")],
        one(NOON, "1"),
        {"rounding": "half_even"},
        ["0.12"],
    ),
}
