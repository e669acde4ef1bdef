"""The words of a tariff book's page, as a book's text has them: what random books must have said once."""

WORDS = (
    *(f'"mode" = "{one}"' for one in ("graduated", "volume", "by_total")),
    *(f'"allocate" = "{one}"' for one in ("chronological", "pro_rata", "per_period")),
    *(f'"reset" = "{one}"' for one in ("bill", "day", "month", "year")),
    *(f'"limit_unit" = "{one}"' for one in ("kWh_per_day", "kWh_per_kw", "kWh_per_30_days", "percent_of_contract")),
    *(f'"round_limits" = "{one}"' for one in ("kWh", "kWh_up", "kWh_down", "coefficient_0.1")),
    *(f'"{one}" = ' for one in ("limits_by_months", "adders", "at_least", "at_most", "equals", "differs", "times")),
    *(f'"kind" = "{one}"' for one in ("energy", "fixed", "percent", "minimum", "demand", "pf_adjust", "free_kwh")),
    *(f'"kind" = "{one}"' for one in ("kvarh", "net_metering", "credit_bank")),
    *(f'"quantity" = "{one}"' for one in ("import", "export", "net")),
    *(f'"{one}" = ' for one in ("credit", "series", "bands", "by_total", "window_min", "periods", "round_kw")),
    *(f'"{one}" = ' for one in ("rounding_kw", "ratchet_percent", "ratchet_months", "ratchet_season", "minimum_kw")),
    *(f'"{one}" = ' for one in ("sliding", "contract", "contract_percent", "class_by", "included", "when")),
    *(f'"{one}" = ' for one in ("expires_months", "expires_on", "payout", "payout_percent", "free_percent")),
    *(f'"by" = "{one}"' for one in ("period", "total")),
    *(f'"{one}" = ' for one in ("months", "days", "dates", "holidays")),
    *("holiday_as = ", "gas = ", '"volume" = true', "total_decimals = ", 'price_change = "average_per_day"'),
    *(f'round_lines = "{one}"' for one in ("line", "component", "total")),
    *(f'"per" = "{one}"' for one in ("above", "day", "phases", "kva")),
    *(f'rounding = "{one}"' for one in ("half_up", "half_even", "down", "up")),
)
