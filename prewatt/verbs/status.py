"""What is going on in the home."""

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "operate"


def command(home: HomeOption = None, output: FormOption = None) -> None:
    """Show what is going on: who runs, how fresh the reads are, what waits, and what somebody must look at."""
    from prewatt.health import Probe, look, readiness
    from prewatt.lookup import config_of
    from prewatt.remote import alive
    from prewatt.wiring import open_store
    from storage.lock import owner

    config = config_of(home)
    with open_store(config, writer="none") as store:
        health = look(store, config)
    tests = readiness(health, config, Probe())
    data = {
        "home": config.home.root,
        "daemon": alive(config.home.socket),
        "owner_pid": owner(config.home.root) or None,
        "accounts": health.accounts,
        "reads": health.pulse.reads,
        "newest_read": health.pulse.newest_end,
        "read_age_s": health.read_age_s,
        "rating_lag_s": health.rating_lag_s,
        "commands": [{"action": a, "state": s, "count": n} for (a, s), n in health.commands.items()],
        "notices": health.notices,
        "incidents": health.incidents,
        "work_orders": health.orders,
        "ledger_sum": str(health.ledger_sum),
        "not_ready": [name for name, test in tests.items() if not test["ok"]],
    }
    emit(Result("status", data))
